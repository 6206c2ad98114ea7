package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/bits"
	"os"
	"sync"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p-pubsub/partialmessages"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	partCount  = 8
	partBytes  = 1024
	groupBytes = 8
)

// partialPeer is what is known of one peer in one group; sets of parts are bits.
type partialPeer struct {
	has, told      byte
	heard, greeted bool
}

// partialGroup holds the parts that are here.
type partialGroup struct {
	parts [partCount][]byte
	has   byte
}

// partials exchanges groups of 8 parts of 1024 bytes, with one byte of bitmap as metadata: what
// the public experiments of gossipsub implementations exchange.
type partials struct {
	node      *node
	extension *partialmessages.PartialMessagesExtension[partialPeer]

	mutex  sync.Mutex
	groups map[string]*partialGroup // by topic, a zero byte, and group id
}

func newPartials(n *node) *partials {
	p := &partials{node: n, groups: map[string]*partialGroup{}}
	p.extension = &partialmessages.PartialMessagesExtension[partialPeer]{
		Logger:             slog.New(slog.NewTextHandler(os.Stderr, nil)),
		GroupTTLByHeatbeat: 60,
		OnIncomingRPC:      p.received,
		OnEmitGossip: func(topic string, group []byte, _ []peer.ID, _ map[peer.ID]partialPeer) {
			go p.publish(topic, group)
		},
	}
	return p
}

// topicOptions are those of every topic, by the mode given on the command line.
func (f *flags) topicOptions() []pubsub.TopicOpt {
	switch f.partial {
	case "request":
		return []pubsub.TopicOpt{pubsub.RequestPartialMessages()}
	case "support":
		return []pubsub.TopicOpt{pubsub.SupportsPartialMessages()}
	default:
		return nil
	}
}

func (n *node) extensionOptions() []pubsub.Option {
	var options []pubsub.Option
	if n.flags.partial != "off" {
		n.partials = newPartials(n)
		options = append(options, pubsub.WithPartialMessagesExtension(n.partials.extension))
	}
	if n.flags.testExtension {
		config := pubsub.TestExtensionConfig{OnReceiveTestExtension: func(from peer.ID) {
			n.out.send(fields{"event": "test_extension", "peer": from.String()})
		}}
		options = append(options, pubsub.WithTestExtension(config))
	}
	return options
}

// cmdPartialAdd makes the parts of a bitmap, and publishes what the group has.
func (n *node) cmdPartialAdd(r *request) (fields, error) {
	name, err := need(r.Topic, "topic")
	if err != nil {
		return nil, err
	}
	if n.partials == nil {
		return nil, errors.New("partial messages are off (start with --partial)")
	}
	group, err := base64.StdEncoding.DecodeString(r.Group)
	if err != nil || len(group) != groupBytes {
		return nil, fmt.Errorf("group_b64 %q: must be %d bytes", r.Group, groupBytes)
	}
	if r.Parts < 0 || r.Parts >= 1<<partCount {
		return nil, errors.New("parts: must be a bitmap of 8 parts")
	}
	if _, err := n.topic(name); err != nil {
		return nil, err
	}
	added := map[int][]byte{}
	for i := range partCount {
		if r.Parts>>i&1 == 1 {
			added[i] = madePart(group, i)
		}
	}
	n.partials.keep(name, group, added)
	return nil, n.partials.publish(name, group)
}

// madePart is a run of big-endian numbers that starts, for the first part, with the group's id.
func madePart(group []byte, index int) []byte {
	part := make([]byte, partBytes)
	first := binary.BigEndian.Uint64(group) + uint64(index*partBytes/8)
	for word := range partBytes / 8 {
		binary.BigEndian.PutUint64(part[word*8:], first+uint64(word))
	}
	return part
}

// keep reports a group when its last part came.
func (p *partials) keep(topic string, group []byte, parts map[int][]byte) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	known := p.group(topic, group)
	before := known.has
	for i, part := range parts {
		known.parts[i] = part
		known.has |= 1 << i
	}
	if known.has == 0xff && before != 0xff {
		p.node.out.send(fields{
			"event": "partial_complete", "topic": topic,
			"group_b64": base64.StdEncoding.EncodeToString(group),
		})
	}
}

func (p *partials) group(topic string, group []byte) *partialGroup {
	key := topic + "\x00" + string(group)
	known, ok := p.groups[key]
	if !ok {
		known = &partialGroup{}
		p.groups[key] = known
	}
	return known
}

// received runs in the library's event loop, which must not be waited for in it.
func (p *partials) received(
	from peer.ID, peers map[peer.ID]partialPeer, rpc *pb.PartialMessagesExtension,
) error {
	state := peers[from]
	if metadata := rpc.GetPartsMetadata(); len(metadata) == 1 {
		state.has |= metadata[0]
		state.heard = true
	}
	if message := rpc.GetPartialMessage(); len(message) > 0 {
		parts, err := decodeParts(rpc.GetGroupID(), message)
		if err != nil {
			return err
		}
		p.keep(rpc.GetTopicID(), rpc.GetGroupID(), parts)
		state.has |= message[0]
		state.told |= message[0]
	}
	peers[from] = state
	go p.publish(rpc.GetTopicID(), bytes.Clone(rpc.GetGroupID()))
	return nil
}

func decodeParts(group, message []byte) (map[int][]byte, error) {
	present := message[0]
	if len(message) != 1+bits.OnesCount8(present)*partBytes+groupBytes {
		return nil, errors.New("a partial message of another length")
	}
	if !bytes.HasSuffix(message, group) {
		return nil, errors.New("a partial message of another group")
	}
	parts, rest := map[int][]byte{}, message[1:]
	for i := range partCount {
		if present>>i&1 == 0 {
			continue
		}
		if !bytes.Equal(rest[:partBytes], madePart(group, i)) {
			return nil, fmt.Errorf("part %d is spoilt", i)
		}
		parts[i] = bytes.Clone(rest[:partBytes])
		rest = rest[partBytes:]
	}
	return parts, nil
}

// publish tells each peer what it does not know: metadata, and parts where it said what it has.
func (p *partials) publish(topic string, group []byte) error {
	tell := func(
		peers map[peer.ID]partialPeer, requests func(peer.ID) bool,
	) iter.Seq2[peer.ID, partialmessages.PublishAction] {
		return func(yield func(peer.ID, partialmessages.PublishAction) bool) {
			for id, state := range peers {
				action := p.actionFor(topic, group, &state, requests(id))
				peers[id] = state
				if !yield(id, action) {
					return
				}
			}
		}
	}
	return pubsub.PublishPartial(p.node.pubsub, topic, group, tell)
}

func (p *partials) actionFor(
	topic string, group []byte, state *partialPeer, requests bool,
) partialmessages.PublishAction {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	known := p.group(topic, group)
	var action partialmessages.PublishAction
	if fresh := known.has &^ state.has; fresh != 0 && requests && state.heard {
		action.EncodedPartialMessage = encodeParts(group, known, fresh)
		state.has |= fresh
	}
	if !state.greeted || state.told != known.has {
		action.EncodedPartsMetadata = []byte{known.has}
		state.greeted, state.told = true, known.has
	}
	return action
}

func encodeParts(group []byte, known *partialGroup, chosen byte) []byte {
	message := []byte{chosen}
	for i, part := range known.parts {
		if chosen>>i&1 == 1 {
			message = append(message, part...)
		}
	}
	return append(message, group...)
}
