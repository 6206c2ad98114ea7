package main

import (
	"encoding/binary"
	"log/slog"
	"strconv"
	"strings"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"
)

// tracer logs what is in each RPC that comes or goes, copies of messages included.
type tracer struct{ out *slog.Logger }

func (t *tracer) Trace(event *pb.TraceEvent) {
	switch event.GetType() {
	case pb.TraceEvent_RECV_RPC:
		rpc := event.GetRecvRPC()
		t.log("Received ", "from", rpc.GetReceivedFrom(), rpc.GetMeta())
	case pb.TraceEvent_SEND_RPC:
		rpc := event.GetSendRPC()
		t.log("Sent ", "to", rpc.GetSendTo(), rpc.GetMeta())
	}
}

func (t *tracer) log(action, preposition string, other []byte, meta *pb.TraceEvent_RPCMeta) {
	out := t.out.With("service", "gossipsub", preposition, peer.ID(other).String())
	for _, message := range meta.GetMessages() {
		out.Info(action+"Message", "topic", message.GetTopic(), "id", decimal(message.GetMessageID()))
	}
	for _, option := range meta.GetSubscription() {
		out.Info(action+"Subscription", "topic", option.GetTopic(), "subscribe", option.GetSubscribe())
	}
	control := meta.GetControl()
	for _, graft := range control.GetGraft() {
		out.Info(action+"Graft", "topic", graft.GetTopic())
	}
	for _, prune := range control.GetPrune() {
		out.Info(action+"Prune", "topic", prune.GetTopic())
	}
	for _, ihave := range control.GetIhave() {
		out.Info(action+"Ihave", "topic", ihave.GetTopic(), "ids", decimals(ihave.GetMessageIDs()))
	}
	for _, iwant := range control.GetIwant() {
		out.Info(action+"Iwant", "ids", decimals(iwant.GetMessageIDs()))
	}
	for _, idontwant := range control.GetIdontwant() {
		out.Info(action+"Idontwant", "ids", decimals(idontwant.GetMessageIDs()))
	}
}

// decimal reads an id as a big-endian number; ids that are no numbers are 0.
func decimal(id []byte) string {
	if len(id) != messageIDBytes {
		return "0"
	}
	return strconv.FormatUint(binary.BigEndian.Uint64(id), 10)
}

func decimals(ids [][]byte) string {
	texts := make([]string, len(ids))
	for place, id := range ids {
		texts[place] = decimal(id)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}
