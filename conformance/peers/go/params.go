package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sort"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// params are the --params of a peer; whatever was left out keeps the library's default.
type params struct {
	gossip           pubsub.GossipSubParams
	gossipSet        bool
	options          []pubsub.Option
	gossipOptions    []pubsub.Option
	protocols        []protocol.ID
	subBuffer        int // 0: the library's default
	validateThrottle int // 0: the library's default
	unsupported      []string
}

// A parameter decodes one JSON value into params.
type parameter func(p *params, value []byte) error

// integer is a parameter that fills an int of the router's own structure.
func integer(field func(*pubsub.GossipSubParams) *int) parameter {
	return func(p *params, value []byte) error { return p.setGossip(value, field(&p.gossip)) }
}

func ticks(field func(*pubsub.GossipSubParams) *uint64) parameter {
	return func(p *params, value []byte) error { return p.setGossip(value, field(&p.gossip)) }
}

func milliseconds(field func(*pubsub.GossipSubParams) *time.Duration) parameter {
	return func(p *params, value []byte) error {
		p.gossipSet = true
		return decodeDuration(value, field(&p.gossip))
	}
}

// positive is a parameter that a library option takes as an int above 0.
func positive(option func(int) pubsub.Option) parameter {
	return func(p *params, value []byte) error {
		number, err := decodePositive(value)
		if err == nil {
			p.options = append(p.options, option(number))
		}
		return err
	}
}

func toggle(option func(bool) pubsub.Option) parameter {
	return func(p *params, value []byte) error {
		var on bool
		err := decodeValue(value, &on)
		p.gossipOptions = append(p.gossipOptions, option(on))
		return err
	}
}

// gossipParameters only mean something to the GossipSub router.
var gossipParameters = map[string]parameter{
	"D":      integer(func(g *pubsub.GossipSubParams) *int { return &g.D }),
	"Dlo":    integer(func(g *pubsub.GossipSubParams) *int { return &g.Dlo }),
	"Dhi":    integer(func(g *pubsub.GossipSubParams) *int { return &g.Dhi }),
	"Dscore": integer(func(g *pubsub.GossipSubParams) *int { return &g.Dscore }),
	"Dout":   integer(func(g *pubsub.GossipSubParams) *int { return &g.Dout }),
	"Dlazy":  integer(func(g *pubsub.GossipSubParams) *int { return &g.Dlazy }),
	"gossipRetransmission": integer(
		func(g *pubsub.GossipSubParams) *int { return &g.GossipRetransmission }),
	"historyLength": integer(func(g *pubsub.GossipSubParams) *int { return &g.HistoryLength }),
	"historyGossip": integer(func(g *pubsub.GossipSubParams) *int { return &g.HistoryGossip }),
	"prunePeers":    integer(func(g *pubsub.GossipSubParams) *int { return &g.PrunePeers }),
	"opportunisticGraftPeers": integer(
		func(g *pubsub.GossipSubParams) *int { return &g.OpportunisticGraftPeers }),
	"opportunisticGraftTicks": ticks(
		func(g *pubsub.GossipSubParams) *uint64 { return &g.OpportunisticGraftTicks }),
	"maxIHaveLength":   integer(func(g *pubsub.GossipSubParams) *int { return &g.MaxIHaveLength }),
	"maxIHaveMessages": integer(func(g *pubsub.GossipSubParams) *int { return &g.MaxIHaveMessages }),
	"idontwantThreshold": integer(
		func(g *pubsub.GossipSubParams) *int { return &g.IDontWantMessageThreshold }),
	"heartbeatMs": milliseconds(
		func(g *pubsub.GossipSubParams) *time.Duration { return &g.HeartbeatInterval }),
	"heartbeatInitialDelayMs": milliseconds(
		func(g *pubsub.GossipSubParams) *time.Duration { return &g.HeartbeatInitialDelay }),
	"fanoutTTLMs": milliseconds(
		func(g *pubsub.GossipSubParams) *time.Duration { return &g.FanoutTTL }),
	"pruneBackoffMs": milliseconds(
		func(g *pubsub.GossipSubParams) *time.Duration { return &g.PruneBackoff }),
	"unsubscribeBackoffMs": milliseconds(
		func(g *pubsub.GossipSubParams) *time.Duration { return &g.UnsubscribeBackoff }),
	"graftFloodThresholdMs": milliseconds(
		func(g *pubsub.GossipSubParams) *time.Duration { return &g.GraftFloodThreshold }),
	"iwantFollowupMs": milliseconds(
		func(g *pubsub.GossipSubParams) *time.Duration { return &g.IWantFollowupTime }),
	"gossipFactor": func(p *params, value []byte) error {
		return p.setGossip(value, &p.gossip.GossipFactor)
	},
	"floodPublish": toggle(pubsub.WithFloodPublish),
	"doPX":         toggle(pubsub.WithPeerExchange),
	"direct":       (*params).setDirect,
}

// commonParameters mean something to either router.
var commonParameters = map[string]parameter{
	"maxMessageSize":   positive(pubsub.WithMaxMessageSize),
	"outboundQueue":    positive(pubsub.WithPeerOutboundQueueSize),
	"validateQueue":    positive(pubsub.WithValidateQueueSize),
	"validateWorkers":  positive(pubsub.WithValidateWorkers),
	"validateThrottle": (*params).setValidateThrottle,
	"seenTTLMs":        (*params).setSeenTTL,
	"subBuffer": func(p *params, value []byte) (err error) {
		p.subBuffer, err = decodePositive(value)
		return err
	},
	"protocols": (*params).setProtocols,
}

// foreignParameters belong to other implementations.
var foreignParameters = map[string]bool{"validate": true, "metrics": true}

func parseParams(text []byte, floodsub bool) (*params, error) {
	p := &params{gossip: pubsub.DefaultGossipSubParams(), unsupported: []string{}}
	var values map[string]json.RawMessage
	if err := decodeValue(text, &values); err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(values) {
		read, known := commonParameters[name]
		if !known {
			read, known = gossipParameters[name]
			if floodsub && known {
				p.unsupported = append(p.unsupported, name)
				continue
			}
		}
		if foreignParameters[name] {
			p.unsupported = append(p.unsupported, name)
			continue
		}
		if !known {
			return nil, fmt.Errorf("unknown parameter %q", name)
		}
		if err := read(p, values[name]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if p.gossip.HeartbeatInterval <= 0 {
		return nil, fmt.Errorf("heartbeatMs: must be above 0")
	}
	return p, nil
}

func (p *params) setGossip(value []byte, into any) error {
	p.gossipSet = true
	return decodeValue(value, into)
}

// setValidateThrottle sets the bound for the whole node and for each topic alike: the library has
// one of each, and the lower one counts.
func (p *params) setValidateThrottle(value []byte) (err error) {
	if p.validateThrottle, err = decodePositive(value); err == nil {
		p.options = append(p.options, pubsub.WithValidateThrottle(p.validateThrottle))
	}
	return err
}

func (p *params) setSeenTTL(value []byte) error {
	var ttl time.Duration
	err := decodeDuration(value, &ttl)
	p.options = append(p.options, pubsub.WithSeenMessagesTTL(ttl))
	return err
}

func (p *params) setProtocols(value []byte) error {
	if err := decodeValue(value, &p.protocols); err != nil {
		return err
	}
	if len(p.protocols) == 0 {
		return fmt.Errorf("must name at least one protocol")
	}
	return nil
}

func (p *params) setDirect(value []byte) error {
	var texts []string
	if err := decodeValue(value, &texts); err != nil {
		return err
	}
	infos := make([]peer.AddrInfo, 0, len(texts))
	for _, text := range texts {
		info, err := peer.AddrInfoFromString(text)
		if err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
		infos = append(infos, *info)
	}
	p.gossipOptions = append(p.gossipOptions, pubsub.WithDirectPeers(infos))
	return nil
}

// decodeValue refuses null and trailing text, which encoding/json lets pass.
func decodeValue(value []byte, into any) error {
	if bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
		return fmt.Errorf("must not be null")
	}
	return json.Unmarshal(value, into)
}

func decodePositive(value []byte) (int, error) {
	var number int
	if err := decodeValue(value, &number); err != nil {
		return 0, err
	}
	if number <= 0 {
		return 0, fmt.Errorf("must be above 0")
	}
	return number, nil
}

func decodeDuration(value []byte, into *time.Duration) error {
	var ms float64
	if err := decodeValue(value, &ms); err != nil {
		return err
	}
	if ms < 0 {
		return fmt.Errorf("must not be negative")
	}
	*into = time.Duration(ms * float64(time.Millisecond))
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}
