package main

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

const (
	port            = 9000
	messageIDBytes  = 8
	queueLength     = 600
	maxMessageBytes = 10 << 20
	connectTimeout  = 30 * time.Second
)

type node struct {
	number int
	out    *slog.Logger
	host   host.Host

	pubsub *pubsub.PubSub
	groups *groups
	topics map[string]*pubsub.Topic
	subs   map[string]*pubsub.Subscription
}

// newNode listens, and tells the peer id.
func newNode(number int, out *slog.Logger) (*node, error) {
	key, err := nodeKey(number)
	if err != nil {
		return nil, err
	}
	h, err := libp2p.New(
		libp2p.Identity(key),
		libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/0.0.0.0/tcp/%d", port)),
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.ForceReachabilityPrivate(),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.UserAgent("gointerop"),
	)
	if err != nil {
		return nil, err
	}
	out.Info("PeerID", "id", h.ID().String(), "node_id", number)
	return &node{
		number: number, out: out, host: h,
		topics: map[string]*pubsub.Topic{}, subs: map[string]*pubsub.Subscription{},
	}, nil
}

// nodeKey is one that everybody can compute: the seed is the number, little-endian.
func nodeKey(number int) (crypto.PrivKey, error) {
	var seed [ed25519.SeedSize]byte
	binary.LittleEndian.PutUint64(seed[:], uint64(number))
	return crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
}

func nodePeer(number int) (peer.ID, error) {
	key, err := nodeKey(number)
	if err != nil {
		return "", err
	}
	return peer.IDFromPrivateKey(key)
}

// run carries out a script; the first instruction that fails ends it.
func (n *node) run(ctx context.Context, started time.Time, script []instruction) error {
	for place := range script {
		if err := n.carryOut(ctx, started, &script[place]); err != nil {
			return fmt.Errorf("%s: %w", script[place].Type, err)
		}
	}
	return nil
}

func (n *node) carryOut(ctx context.Context, started time.Time, i *instruction) error {
	switch i.Type {
	case "initGossipSub":
		return n.initGossipSub(ctx, i)
	case "waitUntil":
		elapsed := time.Duration(i.ElapsedSeconds * float64(time.Second))
		time.Sleep(time.Until(started.Add(elapsed)))
		return nil
	case "connect":
		for _, other := range i.ConnectTo {
			if err := n.connect(ctx, other); err != nil {
				return fmt.Errorf("node%d: %w", other, err)
			}
		}
		return nil
	case "subscribeToTopic":
		return n.subscribe(ctx, i.TopicID, i.Partial)
	case "publish":
		topic, err := n.topic(i.TopicID, false)
		if err != nil {
			return err
		}
		data := make([]byte, i.MessageSizeBytes)
		binary.BigEndian.PutUint64(data, i.MessageID)
		return topic.Publish(ctx, data)
	case "setTopicValidationDelay":
		return n.delayValidation(i.TopicID, time.Duration(i.DelaySeconds*float64(time.Second)))
	case "addPartialMessage":
		// The library takes what peers say of groups only in topics that were joined for it.
		_, err := n.topic(i.TopicID, true)
		n.groups.add(i.TopicID, i.GroupID, i.Parts)
		return err
	case "publishPartial":
		return n.publishPartial(i)
	default:
		return errors.New("unknown type")
	}
}

func (n *node) initGossipSub(ctx context.Context, i *instruction) error {
	params, err := i.gossipParams()
	if err != nil {
		return err
	}
	n.groups = newGroups(n.out)
	n.pubsub, err = pubsub.NewGossipSub(ctx, n.host,
		pubsub.WithGossipSubParams(params),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID),
		pubsub.WithMaxMessageSize(maxMessageBytes),
		pubsub.WithPeerOutboundQueueSize(queueLength),
		pubsub.WithValidateQueueSize(queueLength),
		pubsub.WithEventTracer(&tracer{out: n.out}),
		pubsub.WithPartialMessagesExtension(n.groups.extension),
	)
	n.groups.pubsub = n.pubsub
	return err
}

// messageID is the head of the data; what has none is all its id.
func messageID(message *pb.Message) string {
	data := message.GetData()
	return string(data[:min(messageIDBytes, len(data))])
}

func (n *node) connect(ctx context.Context, other int) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupIP(ctx, "ip4", fmt.Sprintf("node%d", other))
	if err != nil {
		return err
	}
	id, err := nodePeer(other)
	if err != nil {
		return err
	}
	info, err := peer.AddrInfoFromString(
		fmt.Sprintf("/ip4/%s/tcp/%d/p2p/%s", addresses[0], port, id))
	if err != nil {
		return err
	}
	return n.host.Connect(ctx, *info)
}

func (n *node) subscribe(ctx context.Context, name string, partial bool) error {
	if _, subscribed := n.subs[name]; subscribed {
		return nil
	}
	topic, err := n.topic(name, partial)
	if err != nil {
		return err
	}
	sub, err := topic.Subscribe()
	if err != nil {
		return err
	}
	n.subs[name] = sub
	go func() { // what arrives is logged by the tracer; here it only leaves the buffer
		for {
			if _, err := sub.Next(ctx); err != nil {
				return
			}
		}
	}()
	return nil
}

func (n *node) topic(name string, partial bool) (*pubsub.Topic, error) {
	if topic, joined := n.topics[name]; joined {
		return topic, nil
	}
	var options []pubsub.TopicOpt
	if partial {
		options = append(options, pubsub.RequestPartialMessages())
	}
	topic, err := n.pubsub.Join(name, options...)
	if err == nil {
		n.topics[name] = topic
	}
	return topic, err
}

func (n *node) delayValidation(topic string, delay time.Duration) error {
	validate := func(context.Context, peer.ID, *pubsub.Message) pubsub.ValidationResult {
		time.Sleep(delay)
		return pubsub.ValidationAccept
	}
	return n.pubsub.RegisterTopicValidator(topic, validate)
}

func (n *node) publishPartial(i *instruction) error {
	var chosen []peer.ID
	for _, number := range i.PublishToNodeIDs {
		id, err := nodePeer(number)
		if err != nil {
			return err
		}
		chosen = append(chosen, id)
	}
	return n.groups.publish(i.TopicID, groupKey(i.GroupID), chosen)
}
