package main

import (
	"bytes"
	"encoding/binary"
	"errors"
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
	partCount       = 8
	partBytes       = 1024
	groupBytes      = 8
	allParts        = 0xff
	groupHeartbeats = 120 // groups are kept for the whole of an experiment
)

// peerParts is what is known of one peer in one group; sets of parts are bits.
type peerParts struct {
	has, told      byte
	heard, greeted bool
}

// group holds the parts that are here.
type group struct {
	parts [partCount][]byte
	has   byte
}

// groups exchanges groups of 8 parts of 1024 bytes; the metadata is a bitmap of one byte. What is
// in a part is not looked at.
type groups struct {
	out       *slog.Logger
	pubsub    *pubsub.PubSub
	extension *partialmessages.PartialMessagesExtension[peerParts]

	mutex sync.Mutex
	known map[string]*group // by topic, a zero byte, and group id
}

func newGroups(out *slog.Logger) *groups {
	g := &groups{out: out, known: map[string]*group{}}
	g.extension = &partialmessages.PartialMessagesExtension[peerParts]{
		Logger:             slog.New(slog.NewTextHandler(os.Stderr, nil)),
		GroupTTLByHeatbeat: groupHeartbeats,
		OnIncomingRPC:      g.received,
		OnEmitGossip: func(topic string, id []byte, _ []peer.ID, _ map[peer.ID]peerParts) {
			go g.tell(topic, id)
		},
	}
	return g
}

func groupKey(number uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, number)
}

// add makes parts this node has from the start; nobody is told yet.
func (g *groups) add(topic string, number uint64, bitmap byte) {
	added := map[int][]byte{}
	for i := range partCount {
		if bitmap>>i&1 == 1 {
			added[i] = madePart(number, i)
		}
	}
	g.keep(topic, groupKey(number), added)
}

// madePart is a run of big-endian numbers that starts, for the first part, with the group's.
func madePart(number uint64, index int) []byte {
	part := make([]byte, 0, partBytes)
	next := number + uint64(index)*partBytes/8
	for len(part) < partBytes {
		part = binary.BigEndian.AppendUint64(part, next)
		next++
	}
	return part
}

// keep logs a group when its last part came.
func (g *groups) keep(topic string, id []byte, parts map[int][]byte) {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	known := g.group(topic, id)
	before := known.has
	for i, part := range parts {
		if known.parts[i] == nil {
			known.parts[i] = part
			known.has |= 1 << i
		}
	}
	if known.has == allParts && before != allParts {
		g.out.Info("All parts received", "group id", binary.BigEndian.Uint64(id))
	}
}

func (g *groups) group(topic string, id []byte) *group {
	key := topic + "\x00" + string(id)
	known, ok := g.known[key]
	if !ok {
		known = &group{}
		g.known[key] = known
	}
	return known
}

// received runs in the library's event loop, which must not be waited for in it.
func (g *groups) received(
	from peer.ID, peers map[peer.ID]peerParts, rpc *pb.PartialMessagesExtension,
) error {
	if len(rpc.GetGroupID()) != groupBytes {
		return errors.New("a group id of another length")
	}
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
		g.keep(rpc.GetTopicID(), rpc.GetGroupID(), parts)
		state.has |= message[0]
		state.told |= message[0]
	}
	peers[from] = state
	go g.tell(rpc.GetTopicID(), bytes.Clone(rpc.GetGroupID()))
	return nil
}

func decodeParts(id, message []byte) (map[int][]byte, error) {
	present := message[0]
	if len(message) != 1+bits.OnesCount8(present)*partBytes+groupBytes {
		return nil, errors.New("a partial message of another length")
	}
	if !bytes.HasSuffix(message, id) {
		return nil, errors.New("a partial message of another group")
	}
	parts, rest := map[int][]byte{}, message[1:]
	for i := range partCount {
		if present>>i&1 == 1 {
			parts[i] = bytes.Clone(rest[:partBytes])
			rest = rest[partBytes:]
		}
	}
	return parts, nil
}

func (g *groups) tell(topic string, id []byte) {
	if err := g.publish(topic, id, nil); err != nil {
		g.out.Error("cannot publish parts", "error", err.Error())
	}
}

// publish tells each peer what it does not know: metadata, and parts where it said what it has.
// Without chosen peers it tells those that the library names.
func (g *groups) publish(topic string, id []byte, chosen []peer.ID) error {
	tell := func(
		peers map[peer.ID]peerParts, requests func(peer.ID) bool,
	) iter.Seq2[peer.ID, partialmessages.PublishAction] {
		targets := chosen
		if targets == nil {
			for target := range peers {
				targets = append(targets, target)
			}
		}
		return func(yield func(peer.ID, partialmessages.PublishAction) bool) {
			for _, target := range targets {
				state := peers[target]
				action := g.actionFor(topic, id, &state, requests(target))
				peers[target] = state
				if !yield(target, action) {
					return
				}
			}
		}
	}
	return pubsub.PublishPartial(g.pubsub, topic, id, tell)
}

func (g *groups) actionFor(
	topic string, id []byte, state *peerParts, requests bool,
) partialmessages.PublishAction {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	known := g.group(topic, id)
	var action partialmessages.PublishAction
	if fresh := known.has &^ state.has; fresh != 0 && requests && state.heard {
		action.EncodedPartialMessage = encodeParts(id, known, fresh)
		state.has |= fresh
	}
	if !state.greeted || state.told != known.has {
		action.EncodedPartsMetadata = []byte{known.has}
		state.greeted, state.told = true, known.has
	}
	return action
}

func encodeParts(id []byte, known *group, chosen byte) []byte {
	message := []byte{chosen}
	for i, part := range known.parts {
		if chosen>>i&1 == 1 {
			message = append(message, part...)
		}
	}
	return append(message, id...)
}
