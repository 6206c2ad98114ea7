package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// node is one GossipSub node and what the commands need beside it.
type node struct {
	ctx       context.Context
	flags     *flags
	out       *output
	host      host.Host
	pubsub    *pubsub.PubSub
	tracer    *tracer
	stats     *stats
	publisher publisher
	partials  *partials // nil: off
	mdns      io.Closer // nil: off

	mutex      sync.Mutex
	topics     map[string]*pubsub.Topic
	subs       map[string]*pubsub.Subscription
	validators map[string]*validator
}

func startNode(ctx context.Context, f *flags, out *output) (*node, error) {
	key, err := identity(f.seed)
	if err != nil {
		return nil, err
	}
	h, err := startHost(f.listen, key)
	if err != nil {
		return nil, err
	}
	n := &node{
		ctx: ctx, flags: f, out: out, host: h,
		stats:      newStats(),
		topics:     map[string]*pubsub.Topic{},
		subs:       map[string]*pubsub.Subscription{},
		validators: map[string]*validator{},
	}
	n.tracer = newTracer(n.stats)
	if err := n.reportConnections(); err != nil {
		return nil, err
	}
	if n.pubsub, err = n.startPubSub(); err != nil {
		return nil, usageError{err} // the library refused its parameters
	}
	if f.mdns {
		if n.mdns, err = startMDNS(ctx, h); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// identity makes the key from a number: 32 bytes of seed, the number little-endian in the first 8.
func identity(seed *uint64) (crypto.PrivKey, error) {
	if seed == nil {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		return key, err
	}
	var bytes [ed25519.SeedSize]byte
	binary.LittleEndian.PutUint64(bytes[:], *seed)
	return crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(bytes[:]))
}

// startHost leaves out everything that would listen, dial or advertise beyond the given address.
// There are no resource limits and no connection trimming: cases with hundreds of connections from
// one address shall meet the router's behaviour, not the host's limits.
func startHost(listen string, key crypto.PrivKey) (host.Host, error) {
	address := libp2p.ListenAddrStrings(listen)
	if err := (&libp2p.Config{}).Apply(address); err != nil {
		return nil, usageError{fmt.Errorf("--listen %q: %w", listen, err)}
	}
	return libp2p.New(
		libp2p.Identity(key),
		address,
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.DisableRelay(),
		libp2p.ForceReachabilityPrivate(),
		libp2p.DisableIdentifyAddressDiscovery(),
		libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}),
		libp2p.ConnectionManager(connmgr.NullConnMgr{}),
		libp2p.SwarmOpts(swarm.WithDialRanker(swarm.NoDelayDialRanker)),
		libp2p.UserAgent("gopeer"),
	)
}

func (n *node) startPubSub() (*pubsub.PubSub, error) {
	p := n.flags.params
	options := append([]pubsub.Option{pubsub.WithRawTracer(n.tracer)}, p.options...)
	options = append(options, n.signing()...)
	if n.flags.msgID == "content" || n.flags.sign == "none" {
		options = append(options, pubsub.WithMessageIdFn(contentID))
	}
	if n.flags.floodsub {
		if p.protocols != nil {
			return pubsub.NewFloodsubWithProtocols(n.ctx, n.host, p.protocols, options...)
		}
		return pubsub.NewFloodSub(n.ctx, n.host, options...)
	}
	if p.gossipSet {
		options = append(options, pubsub.WithGossipSubParams(p.gossip))
	}
	options = append(options, p.gossipOptions...)
	options = append(options, n.extensionOptions()...)
	if p.protocols != nil {
		options = append(options,
			pubsub.WithGossipSubProtocols(p.protocols, pubsub.GossipSubDefaultFeatures))
	}
	if n.flags.score != nil {
		options = append(options, n.flags.score.options()...)
	}
	return pubsub.NewGossipSub(n.ctx, n.host, options...)
}

func (n *node) signing() []pubsub.Option {
	switch n.flags.sign {
	case "none":
		return []pubsub.Option{
			pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign), pubsub.WithNoAuthor()}
	case "lax":
		return []pubsub.Option{pubsub.WithMessageSignaturePolicy(pubsub.LaxSign)}
	case "author":
		return []pubsub.Option{pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign)}
	default:
		return []pubsub.Option{pubsub.WithMessageSignaturePolicy(pubsub.StrictSign)}
	}
}

func contentID(message *pb.Message) string {
	sum := sha256.Sum256(message.GetData())
	return string(sum[:])
}

// reportConnections turns the host's connectedness events into ours.
func (n *node) reportConnections() error {
	changes, err := n.host.EventBus().Subscribe(new(event.EvtPeerConnectednessChanged))
	if err != nil {
		return err
	}
	go func() {
		defer changes.Close()
		for {
			select {
			case change := <-changes.Out():
				n.reportConnection(change.(event.EvtPeerConnectednessChanged))
			case <-n.ctx.Done():
				return
			}
		}
	}()
	return nil
}

func (n *node) reportConnection(change event.EvtPeerConnectednessChanged) {
	switch change.Connectedness {
	case network.Connected:
		n.out.send(fields{"event": "peer_connected", "peer": change.Peer.String()})
	case network.NotConnected:
		n.out.send(fields{"event": "peer_disconnected", "peer": change.Peer.String()})
	}
}

func (n *node) readyEvent() fields {
	addrs := []string{}
	listening, err := n.host.Network().InterfaceListenAddresses()
	if err == nil {
		for _, addr := range listening {
			addrs = append(addrs, addr.String()+"/p2p/"+n.host.ID().String())
		}
	}
	return fields{
		"event":              "ready",
		"peer_id":            n.host.ID().String(),
		"addrs":              addrs,
		"impl":               "go-libp2p-pubsub",
		"versions":           versions(),
		"pid":                os.Getpid(),
		"unsupported_params": n.flags.params.unsupported,
	}
}

func versions() map[string]string {
	found := map[string]string{"go": runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			switch module.Path {
			case "github.com/libp2p/go-libp2p":
				found["go-libp2p"] = module.Version
			case "github.com/libp2p/go-libp2p-pubsub":
				found["go-libp2p-pubsub"] = module.Version
			}
		}
	}
	return found
}

// connect drops what the host remembers of failed attempts: a driver that asks again means it.
func (n *node) connect(text string, patience time.Duration) (peer.ID, error) {
	info, err := peer.AddrInfoFromString(text)
	if err != nil {
		return "", err
	}
	if dialler, ok := n.host.Network().(*swarm.Swarm); ok {
		dialler.Backoff().Clear(info.ID)
	}
	ctx, cancel := context.WithTimeout(n.ctx, patience)
	defer cancel()
	return info.ID, n.host.Connect(ctx, *info)
}

func (n *node) close(patience time.Duration) {
	closed := make(chan struct{})
	go func() {
		if n.mdns != nil {
			_ = n.mdns.Close()
		}
		_ = n.host.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(patience):
	}
}
