package main

import (
	"sort"
	"sync"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// Peers announce topics as they please; beyond this many, further ones are not listed.
const maxKnownTopics = 10_000

// tracer listens to the library's inner events: it counts, and it keeps the mesh, which the
// library shows in no other way.
type tracer struct {
	stats *stats

	duplicates  atomic.Int64
	rpcIn       atomic.Int64
	rpcOut      atomic.Int64
	rpcDropped  atomic.Int64
	undelivered atomic.Int64

	mutex      sync.Mutex
	rejections map[string]int64
	mesh       map[string]map[peer.ID]struct{}
	protocols  map[peer.ID]protocol.ID
	announced  map[string]struct{}
}

var _ pubsub.RawTracer = (*tracer)(nil)

func newTracer(s *stats) *tracer {
	return &tracer{
		stats:      s,
		rejections: map[string]int64{},
		mesh:       map[string]map[peer.ID]struct{}{},
		protocols:  map[peer.ID]protocol.ID{},
		announced:  map[string]struct{}{},
	}
}

func (t *tracer) OnNewOutboundStream(p peer.ID, proto protocol.ID) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.protocols[p] = proto
}

// OnClosedOutboundStream: the router drops the peer from every mesh without a Prune.
func (t *tracer) OnClosedOutboundStream(p peer.ID) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	delete(t.protocols, p)
	for _, peers := range t.mesh {
		delete(peers, p)
	}
}

func (t *tracer) Join(topic string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.mesh[topic] = map[peer.ID]struct{}{}
}

func (t *tracer) Leave(topic string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	delete(t.mesh, topic)
}

func (t *tracer) Graft(p peer.ID, topic string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if peers, joined := t.mesh[topic]; joined {
		peers[p] = struct{}{}
	}
}

func (t *tracer) Prune(p peer.ID, topic string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	delete(t.mesh[topic], p)
}

func (t *tracer) RejectMessage(_ *pubsub.Message, reason string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.rejections[reason]++
}

func (t *tracer) RecvRPC(rpc *pubsub.RPC) {
	t.rpcIn.Add(1)
	if len(rpc.GetSubscriptions()) == 0 {
		return
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for _, announcement := range rpc.GetSubscriptions() {
		if len(t.announced) < maxKnownTopics {
			t.announced[announcement.GetTopicid()] = struct{}{}
		}
	}
}

func (t *tracer) DuplicateMessage(*pubsub.Message)     { t.duplicates.Add(1) }
func (t *tracer) SendRPC(*pubsub.RPC, peer.ID)         { t.rpcOut.Add(1) }
func (t *tracer) DropRPC(*pubsub.RPC, peer.ID)         { t.rpcDropped.Add(1) }
func (t *tracer) UndeliverableMessage(*pubsub.Message) { t.undelivered.Add(1) }
func (t *tracer) ValidateMessage(*pubsub.Message)      {}
func (t *tracer) DeliverMessage(*pubsub.Message)       {}
func (t *tracer) ThrottlePeer(peer.ID)                 {}
func (t *tracer) SendRPCCompleted(*pubsub.RPC, peer.ID, time.Duration) {
}

func (t *tracer) meshPeers(topic string) []string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	peers := make([]peer.ID, 0, len(t.mesh[topic]))
	for p := range t.mesh[topic] {
		peers = append(peers, p)
	}
	return sortedIDs(peers)
}

func (t *tracer) protocolOf(p peer.ID) (protocol.ID, bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	proto, open := t.protocols[p]
	return proto, open
}

func (t *tracer) announcedTopics() []string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return sortedKeys(t.announced)
}

// reset starts the counters anew.
func (t *tracer) reset() {
	for _, counter := range []*atomic.Int64{
		&t.duplicates, &t.rpcIn, &t.rpcOut, &t.rpcDropped, &t.undelivered,
	} {
		counter.Store(0)
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.rejections = map[string]int64{}
}

// report adds the counters to an answer.
func (t *tracer) report(answer fields) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	reasons := make(map[string]int64, len(t.rejections))
	total := int64(0)
	for reason, count := range t.rejections {
		reasons[reason] = count
		total += count
	}
	answer["rejected"] = total
	answer["rejections"] = reasons
	answer["throttled"] = reasons[pubsub.RejectValidationThrottled] +
		reasons[pubsub.RejectValidationQueueFull]
	answer["duplicates"] = t.duplicates.Load()
	answer["rpc_in"] = t.rpcIn.Load()
	answer["rpc_out"] = t.rpcOut.Load()
	answer["rpc_dropped"] = t.rpcDropped.Load()
	answer["undelivered"] = t.undelivered.Load()
}

func sortedIDs(peers []peer.ID) []string {
	texts := make([]string, 0, len(peers))
	for _, p := range peers {
		texts = append(texts, p.String())
	}
	sort.Strings(texts)
	return texts
}
