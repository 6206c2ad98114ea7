// A small test peer: just enough of the test-peer protocol to be tried by the conformance kit.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/libp2p/go-libp2p"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/multiformats/go-multiaddr"
)

type object = map[string]any

type node struct {
	host          host.Host
	pubsub        *pubsub.PubSub
	topics        map[string]*pubsub.Topic
	subscriptions map[string]*pubsub.Subscription
	output        chan object
}

func main() {
	listen := flag.String("listen", "/ip4/127.0.0.1/tcp/0", "where to listen")
	params := flag.String("params", "{}", "parameters of the router, as JSON")
	flag.Parse() // an unknown flag: exit status 2, and the kit skips the case that needs it

	gossip, unsupported := routerParams(*params)
	h, err := libp2p.New(libp2p.ListenAddrStrings(*listen), libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New), libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.DisableRelay())
	check(err)
	router, err := pubsub.NewGossipSub(context.Background(), h, pubsub.WithGossipSubParams(gossip))
	if err != nil { // parameters that it cannot work with: the same
		fmt.Fprintln(os.Stderr, "small peer:", err)
		os.Exit(2)
	}
	n := &node{h, router, map[string]*pubsub.Topic{}, map[string]*pubsub.Subscription{},
		make(chan object, 1024)}
	go n.commands(unsupported)
	encoder := json.NewEncoder(os.Stdout) // one goroutine writes, so that lines stay whole
	for line := range n.output {
		check(encoder.Encode(line))
	}
}

// What the peer does not know it names; cases that need it are skipped.
func routerParams(text string) (pubsub.GossipSubParams, []string) {
	gossip, given, unsupported := pubsub.DefaultGossipSubParams(), object{}, []string{}
	check(json.Unmarshal([]byte(text), &given))
	for name, value := range given {
		number, _ := value.(float64)
		switch name {
		case "D":
			gossip.D = int(number)
		case "Dlo":
			gossip.Dlo = int(number)
		case "Dhi":
			gossip.Dhi = int(number)
		case "Dout":
			gossip.Dout = int(number)
		case "Dscore":
			gossip.Dscore = int(number)
		case "heartbeatMs":
			gossip.HeartbeatInterval = time.Duration(number) * time.Millisecond
		default:
			unsupported = append(unsupported, name)
		}
	}
	sort.Strings(unsupported)
	return gossip, unsupported
}

func (n *node) commands(unsupported []string) {
	addresses := []string{}
	for _, address := range n.host.Addrs() {
		addresses = append(addresses, fmt.Sprintf("%s/p2p/%s", address, n.host.ID()))
	}
	n.output <- object{"event": "ready", "peer_id": n.host.ID().String(), "addrs": addresses,
		"impl": "small", "versions": object{"small": "1"}, "pid": os.Getpid(),
		"unsupported_params": unsupported}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var command struct {
			Cmd, Addr, Topic string
			Data             []byte `json:"data_b64"`
			ID               any    `json:"id"`
		}
		check(json.Unmarshal(lines.Bytes(), &command))
		answer, err := n.obey(command.Cmd, command.Addr, command.Topic, command.Data)
		if err != nil {
			answer = object{"error": err.Error()}
		}
		answer["event"], answer["cmd"], answer["id"] = "ok", command.Cmd, command.ID
		if err != nil {
			answer["event"] = "error"
		}
		n.output <- answer
		if command.Cmd == "exit" {
			break
		}
	}
	close(n.output)
}

func (n *node) obey(command, address, topic string, data []byte) (object, error) {
	switch command {
	case "exit":
		return object{}, nil
	case "connect":
		return n.connect(address)
	case "subscribe":
		return object{}, n.subscribe(topic)
	case "unsubscribe":
		if subscription := n.subscriptions[topic]; subscription != nil {
			subscription.Cancel()
			delete(n.subscriptions, topic)
		}
		return object{}, nil
	case "publish":
		joined, err := n.join(topic)
		if err != nil {
			return nil, err
		}
		return object{}, joined.Publish(context.Background(), data)
	case "topic_peers":
		return object{"peers": append([]peer.ID{}, n.pubsub.ListPeers(topic)...)}, nil
	}
	return nil, fmt.Errorf("unsupported: %s", command)
}

func (n *node) connect(address string) (object, error) {
	parsed, err := multiaddr.NewMultiaddr(address)
	if err != nil {
		return nil, err
	}
	info, err := peer.AddrInfoFromP2pAddr(parsed)
	if err != nil {
		return nil, err
	}
	return object{"peer": info.ID.String()}, n.host.Connect(context.Background(), *info)
}

func (n *node) join(name string) (*pubsub.Topic, error) {
	if topic := n.topics[name]; topic != nil {
		return topic, nil
	}
	topic, err := n.pubsub.Join(name)
	if err == nil {
		n.topics[name] = topic
	}
	return topic, err
}

func (n *node) subscribe(name string) error {
	topic, err := n.join(name)
	if err != nil {
		return err
	}
	subscription, err := topic.Subscribe()
	if err != nil {
		return err
	}
	n.subscriptions[name] = subscription
	go func() {
		for {
			message, err := subscription.Next(context.Background())
			if err != nil {
				return // cancelled
			}
			n.output <- object{"event": "message", "topic": name, "from": message.GetFrom().String(),
				"received_from": message.ReceivedFrom.String(), "data_b64": message.Data}
		}
	}()
	return nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "small peer:", err)
		os.Exit(1)
	}
}
