package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	connectPatience = 15 * time.Second
	scoresPatience  = 5 * time.Second
)

// request is a command as it came in, with the fields of all commands but publish_many's.
type request struct {
	Command  string          `json:"cmd"`
	ID       json.RawMessage `json:"id"`
	Addr     *string         `json:"addr"`
	Peer     *string         `json:"peer"`
	Topic    *string         `json:"topic"`
	Data     *string         `json:"data_b64"`
	Prefix   string          `json:"prefix_b64"`
	Verdict  *string         `json:"verdict"`
	DelayMs  float64         `json:"delay_ms"`
	Score    *float64        `json:"score"`
	Every    *int64          `json:"every"`
	Received *int64          `json:"received"`
	Group    string          `json:"group_b64"`
	Parts    int             `json:"parts"`
	Message  json.RawMessage `json:"message"`
	Offset   int             `json:"offset_seconds"`

	line []byte
}

// A command answers with fields or says why not.
type command func(n *node, r *request) (fields, error)

var commands = map[string]command{
	"chorus_publish": (*node).cmdChorusPublish,
	"disconnect":     (*node).cmdDisconnect,
	"subscribe":      (*node).cmdSubscribe,
	"unsubscribe":    (*node).cmdUnsubscribe,
	"publish":        (*node).cmdPublish,
	"publish_stop":   (*node).cmdPublishStop,
	"progress":       (*node).cmdProgress,
	"peers":          (*node).cmdPeers,
	"mesh":           (*node).cmdMesh,
	"topic_peers":    (*node).cmdTopicPeers,
	"scores":         (*node).cmdScores,
	"app_score":      (*node).cmdAppScore,
	"validator":      (*node).cmdValidator,
	"partial_add":    (*node).cmdPartialAdd,
	"stats":          (*node).cmdStats,
	"reset_stats":    (*node).cmdResetStats,
}

// runCommands returns on `exit` and at the end of the input.
func runCommands(n *node, input io.Reader) {
	reader := bufio.NewReaderSize(input, 1<<16)
	for {
		line, err := reader.ReadBytes('\n')
		if len(line) > 1 && !n.handle(line) {
			return
		}
		if err != nil {
			return
		}
	}
}

// handle reports false when the node shall end.
func (n *node) handle(line []byte) bool {
	r := &request{line: line}
	if err := json.Unmarshal(line, r); err != nil {
		n.answer(r, nil, fmt.Errorf("not a command: %w", err))
		return true
	}
	switch r.Command {
	case "exit":
		n.answer(r, fields{}, nil)
		return false
	case "credit":
		if r.Received != nil {
			n.publisher.setCredit(*r.Received)
		}
	case "connect":
		go func() { n.answerWith((*node).cmdConnect, r) }()
	case "publish_many":
		n.startPublishMany(r)
	default:
		run, known := commands[r.Command]
		if !known {
			n.answer(r, nil, fmt.Errorf("unknown command %q", r.Command))
			return true
		}
		n.answerWith(run, r)
	}
	return true
}

func (n *node) answerWith(run command, r *request) {
	result, err := run(n, r)
	n.answer(r, result, err)
}

func (n *node) answer(r *request, result fields, err error) {
	event := fields{"event": "ok", "cmd": r.Command}
	for name, value := range result {
		event[name] = value
	}
	if err != nil {
		event = fields{"event": "error", "cmd": r.Command, "error": err.Error()}
	}
	if r.ID != nil {
		event["id"] = r.ID
	}
	n.out.send(event)
}

// need names a field the command cannot do without.
func need[T any](value *T, name string) (T, error) {
	if value == nil {
		var zero T
		return zero, fmt.Errorf("%s: missing", name)
	}
	return *value, nil
}

func (r *request) peerID() (peer.ID, error) {
	text, err := need(r.Peer, "peer")
	if err != nil {
		return "", err
	}
	id, err := peer.Decode(text)
	if err != nil {
		return "", fmt.Errorf("peer %q: %w", text, err)
	}
	return id, nil
}

func (n *node) cmdConnect(r *request) (fields, error) {
	addr, err := need(r.Addr, "addr")
	if err != nil {
		return nil, err
	}
	id, err := n.connect(addr, connectPatience)
	return fields{"peer": id.String()}, err
}

func (n *node) cmdDisconnect(r *request) (fields, error) {
	id, err := r.peerID()
	if err != nil {
		return nil, err
	}
	return nil, n.host.Network().ClosePeer(id)
}

func (n *node) cmdSubscribe(r *request) (fields, error) {
	topic, err := need(r.Topic, "topic")
	if err != nil {
		return nil, err
	}
	return nil, n.subscribe(topic)
}

func (n *node) cmdUnsubscribe(r *request) (fields, error) {
	topic, err := need(r.Topic, "topic")
	if err != nil {
		return nil, err
	}
	return nil, n.unsubscribe(topic)
}

func (n *node) cmdPublish(r *request) (fields, error) {
	topic, err := need(r.Topic, "topic")
	if err != nil {
		return nil, err
	}
	text, err := need(r.Data, "data_b64")
	if err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("data_b64: %w", err)
	}
	return nil, n.publish(n.ctx, topic, data)
}

// startPublishMany answers when the run is over.
func (n *node) startPublishMany(r *request) {
	if _, err := need(r.Topic, "topic"); err != nil {
		n.answer(r, nil, err)
		return
	}
	many := &run{Count: -1}
	if err := json.Unmarshal(r.line, many); err != nil {
		n.answer(r, nil, err)
		return
	}
	if many.Count == -1 {
		n.answer(r, nil, errors.New("count: missing"))
		return
	}
	ctx, err := n.publisher.begin(n.ctx, many)
	if err != nil {
		n.answer(r, nil, err)
		return
	}
	go func() {
		n.publishMany(ctx, many)
		n.publisher.end()
		n.answer(r, fields{
			"sent": many.sent, "failed": many.failed, "retries": 0,
			"aborted": many.aborted, "elapsed_ns": many.elapsed.Nanoseconds(),
		}, nil)
	}()
}

func (n *node) cmdPublishStop(*request) (fields, error) {
	n.publisher.stop()
	return nil, nil
}

func (n *node) cmdProgress(r *request) (fields, error) {
	every, err := need(r.Every, "every")
	if err != nil {
		return nil, err
	}
	if every < 0 {
		return nil, errors.New("every: must not be negative")
	}
	n.stats.reportEvery(every)
	return nil, nil
}

func (n *node) cmdPeers(*request) (fields, error) {
	return fields{"peers": n.peers()}, nil
}

func (n *node) cmdMesh(r *request) (fields, error) {
	topic, err := need(r.Topic, "topic")
	return fields{"peers": n.tracer.meshPeers(topic)}, err
}

func (n *node) cmdTopicPeers(r *request) (fields, error) {
	topic, err := need(r.Topic, "topic")
	if err != nil {
		return nil, err
	}
	return fields{"peers": sortedIDs(n.pubsub.ListPeers(topic))}, nil
}

func (n *node) cmdScores(*request) (fields, error) {
	if n.flags.score == nil {
		return nil, errors.New("peer scoring is off (start with --score)")
	}
	ctx, cancel := context.WithTimeout(n.ctx, scoresPatience)
	defer cancel()
	scores, err := n.flags.score.scores(ctx)
	return fields{"scores": scores}, err
}

func (n *node) cmdAppScore(r *request) (fields, error) {
	id, err := r.peerID()
	if err != nil {
		return nil, err
	}
	score, err := need(r.Score, "score")
	if err != nil {
		return nil, err
	}
	if n.flags.score == nil {
		return nil, errors.New("peer scoring is off (start with --score)")
	}
	n.flags.score.setAppScore(id, score)
	return nil, nil
}

func (n *node) cmdValidator(r *request) (fields, error) {
	topic, err := need(r.Topic, "topic")
	if err != nil {
		return nil, err
	}
	verdict, err := need(r.Verdict, "verdict")
	if err != nil {
		return nil, err
	}
	prefix, err := base64.StdEncoding.DecodeString(r.Prefix)
	if err != nil {
		return nil, fmt.Errorf("prefix_b64: %w", err)
	}
	if r.DelayMs < 0 {
		return nil, errors.New("delay_ms: must not be negative")
	}
	return nil, n.setRule(topic, verdict, prefix, duration(r.DelayMs))
}

func (n *node) cmdStats(*request) (fields, error) {
	answer := fields{}
	n.tracer.report(answer)
	n.stats.report(answer)
	return answer, nil
}

// cmdResetStats answers with the counters as they were until now.
func (n *node) cmdResetStats(r *request) (fields, error) {
	answer, err := n.cmdStats(r)
	n.tracer.reset()
	n.stats.reset()
	return answer, err
}
