package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/network"
)

// topic joins on first use; the handle stays open, so that publishing after an unsubscribe works.
func (n *node) topic(name string) (*pubsub.Topic, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if topic, open := n.topics[name]; open {
		return topic, nil
	}
	topic, err := n.pubsub.Join(name, n.flags.topicOptions()...)
	if err != nil {
		return nil, err
	}
	if n.flags.score != nil {
		if err := n.flags.score.joined(topic); err != nil {
			return nil, errors.Join(err, topic.Close())
		}
	}
	events, err := topic.EventHandler()
	if err != nil {
		return nil, err
	}
	go n.reportTopicPeers(name, events)
	n.topics[name] = topic
	return topic, nil
}

func (n *node) reportTopicPeers(topic string, events *pubsub.TopicEventHandler) {
	for {
		change, err := events.NextPeerEvent(n.ctx)
		if err != nil {
			return
		}
		kind := "topic_peer_join"
		if change.Type == pubsub.PeerLeave {
			kind = "topic_peer_leave"
		}
		n.out.send(fields{"event": kind, "topic": topic, "peer": change.Peer.String()})
	}
}

func (n *node) subscribe(name string) error {
	topic, err := n.topic(name)
	if err != nil {
		return err
	}
	n.mutex.Lock()
	defer n.mutex.Unlock()
	if _, subscribed := n.subs[name]; subscribed {
		return fmt.Errorf("already subscribed to %q", name)
	}
	var options []pubsub.SubOpt
	if n.flags.params.subBuffer > 0 {
		options = append(options, pubsub.WithBufferSize(n.flags.params.subBuffer))
	}
	sub, err := topic.Subscribe(options...)
	if err != nil {
		return err
	}
	n.subs[name] = sub
	go n.deliver(sub)
	return nil
}

func (n *node) unsubscribe(name string) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	sub, subscribed := n.subs[name]
	if !subscribed {
		return fmt.Errorf("not subscribed to %q", name)
	}
	delete(n.subs, name)
	sub.Cancel()
	return nil
}

// deliver reads one subscription until it is cancelled.
func (n *node) deliver(sub *pubsub.Subscription) {
	self := n.host.ID()
	for {
		message, err := sub.Next(n.ctx)
		if err != nil {
			return
		}
		due := int64(0)
		if message.ReceivedFrom != self {
			due = n.stats.delivered(string(message.From), message.Data)
		}
		if !n.flags.quiet {
			event := fields{
				"event":         "message",
				"topic":         message.GetTopic(),
				"from":          author(message),
				"received_from": message.ReceivedFrom.String(),
				"data_b64":      base64.StdEncoding.EncodeToString(message.Data),
			}
			if n.flags.chorus {
				event["chorus"] = understood(message.Data)
			}
			n.out.send(event)
		}
		if due > 0 {
			n.out.send(fields{"event": "progress", "received": due})
		}
	}
}

// author is null where the policy leaves authors out.
func author(message *pubsub.Message) any {
	if len(message.From) == 0 {
		return nil
	}
	return message.GetFrom().String()
}

func (n *node) publish(ctx context.Context, name string, data []byte) error {
	topic, err := n.topic(name)
	if err != nil {
		return err
	}
	return topic.Publish(ctx, data)
}

// peers describes every connected peer; `protocol` is null while no pubsub stream is open to it.
func (n *node) peers() []fields {
	topics := map[string][]string{}
	for _, name := range n.tracer.announcedTopics() {
		for _, id := range n.pubsub.ListPeers(name) {
			topics[id.String()] = append(topics[id.String()], name)
		}
	}
	listed := []fields{}
	connected := n.host.Network().Peers()
	for _, id := range connected {
		connections := n.host.Network().ConnsToPeer(id)
		if len(connections) == 0 {
			continue
		}
		addrs := make([]string, 0, len(connections))
		for _, connection := range connections {
			addrs = append(addrs, connection.RemoteMultiaddr().String())
		}
		direction := "in"
		if connections[0].Stat().Direction == network.DirOutbound {
			direction = "out"
		}
		var spoken any
		if proto, open := n.tracer.protocolOf(id); open {
			spoken = string(proto)
		}
		announced := topics[id.String()]
		if announced == nil {
			announced = []string{}
		}
		listed = append(listed, fields{
			"peer": id.String(), "addrs": addrs, "direction": direction,
			"topics": announced, "protocol": spoken,
		})
	}
	return listed
}
