// Holds our trace files against go-libp2p-pubsub's own types and tracers.
//
//	go run . > vectors.json    events as go's JSONTracer and PBTracer write them
//	go run . read FILE         the events of a protobuf trace, as JSON lines
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-msgio/pbio"
)

const maxEvent = 1 << 20 // as go-libp2p-pubsub-tracer reads them

var (
	me    = []byte{0x00, 0x24, 0x08, 0x01, 0xff, 0xfe}
	other = []byte{0x12, 0x20, 0x80, 0x00}
	id    = []byte("\x00id\xff")
)

func ptr[T any](value T) *T { return &value }

func meta() *pb.TraceEvent_RPCMeta {
	topic := ptr("t")
	return &pb.TraceEvent_RPCMeta{
		Messages: []*pb.TraceEvent_MessageMeta{
			{MessageID: id, Topic: topic},
			{MessageID: []byte{}, Topic: ptr("")},
		},
		Subscription: []*pb.TraceEvent_SubMeta{
			{Subscribe: ptr(true), Topic: topic},
			{Subscribe: ptr(false), Topic: ptr("a<b>&\u2028\u00fc")},
		},
		Control: &pb.TraceEvent_ControlMeta{
			Ihave:     []*pb.TraceEvent_ControlIHaveMeta{{Topic: topic, MessageIDs: [][]byte{id, other}}},
			Iwant:     []*pb.TraceEvent_ControlIWantMeta{{MessageIDs: [][]byte{id}}},
			Graft:     []*pb.TraceEvent_ControlGraftMeta{{Topic: topic}},
			Prune:     []*pb.TraceEvent_ControlPruneMeta{{Topic: topic, Peers: [][]byte{other}}, {Topic: topic}},
			Idontwant: []*pb.TraceEvent_ControlIDontWantMeta{{MessageIDs: [][]byte{id}}},
		},
	}
}

func events() []*pb.TraceEvent {
	topic := ptr("quote \" backslash \\ tab \t nul \x00 del \x7f")
	list := []*pb.TraceEvent{
		{Type: pb.TraceEvent_PUBLISH_MESSAGE.Enum(),
			PublishMessage: &pb.TraceEvent_PublishMessage{MessageID: id, Topic: topic}},
		{Type: pb.TraceEvent_REJECT_MESSAGE.Enum(),
			RejectMessage: &pb.TraceEvent_RejectMessage{MessageID: id, ReceivedFrom: other,
				Reason: ptr(pubsub.RejectValidationFailed), Topic: topic}},
		{Type: pb.TraceEvent_DUPLICATE_MESSAGE.Enum(),
			DuplicateMessage: &pb.TraceEvent_DuplicateMessage{MessageID: id, ReceivedFrom: other, Topic: topic}},
		{Type: pb.TraceEvent_DELIVER_MESSAGE.Enum(),
			DeliverMessage: &pb.TraceEvent_DeliverMessage{MessageID: id, ReceivedFrom: other, Topic: topic}},
		{Type: pb.TraceEvent_ON_NEW_OUTBOUND_STREAM.Enum(),
			OnNewOutboundStream: &pb.TraceEvent_OnNewOutboundStream{PeerID: other, Proto: ptr("/meshsub/1.2.0")}},
		{Type: pb.TraceEvent_ON_CLOSED_OUTBOUND_STREAM.Enum(),
			OnClosedOutboundStream: &pb.TraceEvent_OnClosedOutboundStream{PeerID: other}},
		{Type: pb.TraceEvent_RECV_RPC.Enum(),
			RecvRPC: &pb.TraceEvent_RecvRPC{ReceivedFrom: other, Meta: meta()}},
		{Type: pb.TraceEvent_SEND_RPC.Enum(),
			SendRPC: &pb.TraceEvent_SendRPC{SendTo: other, Meta: &pb.TraceEvent_RPCMeta{}}},
		{Type: pb.TraceEvent_DROP_RPC.Enum(),
			DropRPC: &pb.TraceEvent_DropRPC{SendTo: other,
				Meta: &pb.TraceEvent_RPCMeta{Control: &pb.TraceEvent_ControlMeta{}}}},
		{Type: pb.TraceEvent_JOIN.Enum(), Join: &pb.TraceEvent_Join{Topic: topic}},
		{Type: pb.TraceEvent_LEAVE.Enum(), Leave: &pb.TraceEvent_Leave{Topic: ptr("")}},
		{Type: pb.TraceEvent_GRAFT.Enum(), Graft: &pb.TraceEvent_Graft{PeerID: other, Topic: topic}},
		{Type: pb.TraceEvent_PRUNE.Enum(), Prune: &pb.TraceEvent_Prune{PeerID: other, Topic: topic}},
	}
	for i, event := range list {
		event.PeerID = me
		event.Timestamp = ptr(int64(1_700_000_000_123_456_789) + int64(i))
	}
	return list
}

// traced gives the events to one of go's tracers, and returns the file it has written.
func traced(folder, name string, open func(string) (pubsub.EventTracer, func(), error)) []byte {
	path := filepath.Join(folder, name)
	tracer, done, err := open(path)
	check(err)
	for _, event := range events() {
		tracer.Trace(event)
	}
	done()
	// A tracer closes its file in the background; the file is whole once it has stopped growing.
	var body []byte
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		time.Sleep(200 * time.Millisecond)
		now, err := os.ReadFile(path)
		check(err)
		if len(now) > 0 && bytes.Equal(now, body) {
			return body
		}
		body = now
	}
	log.Fatal("the tracer wrote nothing")
	return nil
}

func write() {
	folder, err := os.MkdirTemp("", "traceformat")
	check(err)
	defer os.RemoveAll(folder)
	asJSON := traced(folder, "go.json", func(path string) (pubsub.EventTracer, func(), error) {
		tracer, err := pubsub.NewJSONTracer(path)
		return tracer, tracer.Close, err
	})
	asProtobuf := traced(folder, "go.pb", func(path string) (pubsub.EventTracer, func(), error) {
		tracer, err := pubsub.NewPBTracer(path)
		return tracer, tracer.Close, err
	})
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", " ")
	check(out.Encode(map[string][]byte{"json": asJSON, "protobuf": asProtobuf}))
}

func read(path string) {
	file, err := os.Open(path)
	check(err)
	in := pbio.NewDelimitedReader(file, maxEvent)
	out := json.NewEncoder(os.Stdout)
	for {
		var event pb.TraceEvent
		err := in.ReadMsg(&event)
		if errors.Is(err, io.EOF) {
			return
		}
		check(err)
		check(out.Encode(&event))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	switch {
	case len(os.Args) == 1:
		write()
	case len(os.Args) == 3 && os.Args[1] == "read":
		read(os.Args[2])
	default:
		log.Fatal("usage: traceformat [read FILE]")
	}
}
