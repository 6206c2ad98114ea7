package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	scoreInspectEvery = 100 * time.Millisecond
	// The library refuses shorter times than this, though it can work with them; cases that must
	// not wait for seconds need them, so they are put in place behind the check.
	shortestChecked = time.Second
)

// topicScoring is one entry of `topics`; the defaults stand in newTopicScoring.
type topicScoring struct {
	TopicWeight                     float64 `json:"topicWeight"`
	TimeInMeshWeight                float64 `json:"timeInMeshWeight"`
	TimeInMeshQuantumMs             float64 `json:"timeInMeshQuantumMs"`
	TimeInMeshCap                   float64 `json:"timeInMeshCap"`
	FirstMessageDeliveriesWeight    float64 `json:"firstMessageDeliveriesWeight"`
	FirstMessageDeliveriesDecay     float64 `json:"firstMessageDeliveriesDecay"`
	FirstMessageDeliveriesCap       float64 `json:"firstMessageDeliveriesCap"`
	MeshMessageDeliveriesWeight     float64 `json:"meshMessageDeliveriesWeight"`
	MeshMessageDeliveriesDecay      float64 `json:"meshMessageDeliveriesDecay"`
	MeshMessageDeliveriesCap        float64 `json:"meshMessageDeliveriesCap"`
	MeshMessageDeliveriesThreshold  float64 `json:"meshMessageDeliveriesThreshold"`
	MeshMessageDeliveriesWindowMs   float64 `json:"meshMessageDeliveriesWindowMs"`
	MeshMessageDeliveriesActivation float64 `json:"meshMessageDeliveriesActivationMs"`
	MeshFailurePenaltyWeight        float64 `json:"meshFailurePenaltyWeight"`
	MeshFailurePenaltyDecay         float64 `json:"meshFailurePenaltyDecay"`
	InvalidMessageDeliveriesWeight  float64 `json:"invalidMessageDeliveriesWeight"`
	InvalidMessageDeliveriesDecay   float64 `json:"invalidMessageDeliveriesDecay"`
}

func newTopicScoring() *topicScoring {
	return &topicScoring{
		TopicWeight:      1,
		TimeInMeshWeight: 0.01, TimeInMeshQuantumMs: 1000, TimeInMeshCap: 100,
		FirstMessageDeliveriesWeight: 1, FirstMessageDeliveriesDecay: 0.5,
		FirstMessageDeliveriesCap:      100,
		InvalidMessageDeliveriesWeight: -10, InvalidMessageDeliveriesDecay: 0.9,
	}
}

func (t *topicScoring) params() *pubsub.TopicScoreParams {
	return &pubsub.TopicScoreParams{
		TopicWeight:                     t.TopicWeight,
		TimeInMeshWeight:                t.TimeInMeshWeight,
		TimeInMeshQuantum:               duration(t.TimeInMeshQuantumMs),
		TimeInMeshCap:                   t.TimeInMeshCap,
		FirstMessageDeliveriesWeight:    t.FirstMessageDeliveriesWeight,
		FirstMessageDeliveriesDecay:     t.FirstMessageDeliveriesDecay,
		FirstMessageDeliveriesCap:       t.FirstMessageDeliveriesCap,
		MeshMessageDeliveriesWeight:     t.MeshMessageDeliveriesWeight,
		MeshMessageDeliveriesDecay:      t.MeshMessageDeliveriesDecay,
		MeshMessageDeliveriesCap:        t.MeshMessageDeliveriesCap,
		MeshMessageDeliveriesThreshold:  t.MeshMessageDeliveriesThreshold,
		MeshMessageDeliveriesWindow:     duration(t.MeshMessageDeliveriesWindowMs),
		MeshMessageDeliveriesActivation: duration(t.MeshMessageDeliveriesActivation),
		MeshFailurePenaltyWeight:        t.MeshFailurePenaltyWeight,
		MeshFailurePenaltyDecay:         t.MeshFailurePenaltyDecay,
		InvalidMessageDeliveriesWeight:  t.InvalidMessageDeliveriesWeight,
		InvalidMessageDeliveriesDecay:   t.InvalidMessageDeliveriesDecay,
	}
}

// scoringJSON is --score; the defaults stand in parseScoring.
type scoringJSON struct {
	Topics                      map[string]json.RawMessage `json:"topics"`
	TopicScoreCap               float64                    `json:"topicScoreCap"`
	AppSpecificWeight           float64                    `json:"appSpecificWeight"`
	AppScores                   map[string]float64         `json:"appScores"`
	IPColocationFactorWeight    float64                    `json:"ipColocationFactorWeight"`
	IPColocationFactorThreshold int                        `json:"ipColocationFactorThreshold"`
	BehaviourPenaltyWeight      float64                    `json:"behaviourPenaltyWeight"`
	BehaviourPenaltyThreshold   float64                    `json:"behaviourPenaltyThreshold"`
	BehaviourPenaltyDecay       float64                    `json:"behaviourPenaltyDecay"`
	DecayIntervalMs             float64                    `json:"decayIntervalMs"`
	DecayToZero                 float64                    `json:"decayToZero"`
	RetainScoreMs               float64                    `json:"retainScoreMs"`
	Thresholds                  thresholdsJSON             `json:"thresholds"`
}

type thresholdsJSON struct {
	Gossip             float64 `json:"gossip"`
	Publish            float64 `json:"publish"`
	Graylist           float64 `json:"graylist"`
	AcceptPX           float64 `json:"acceptPX"`
	OpportunisticGraft float64 `json:"opportunisticGraft"`
}

// scoring holds the score parameters, the application's own scores and the newest snapshot.
type scoring struct {
	params        pubsub.PeerScoreParams
	thresholds    pubsub.PeerScoreThresholds
	everyTopic    *pubsub.TopicScoreParams // the entry `*`; nil: none
	named         map[string]bool          // topics with an entry of their own
	decayInterval time.Duration

	mutex    sync.Mutex
	app      map[peer.ID]float64
	snapshot map[peer.ID]*pubsub.PeerScoreSnapshot
	taken    chan struct{} // closed when the next snapshot is there
}

func parseScoring(text []byte) (*scoring, error) {
	raw := scoringJSON{
		AppSpecificWeight: 1, IPColocationFactorThreshold: 1,
		BehaviourPenaltyWeight: -1, BehaviourPenaltyThreshold: 6, BehaviourPenaltyDecay: 0.9,
		DecayIntervalMs: 1000, DecayToZero: 0.01, RetainScoreMs: 10_000,
		Thresholds: thresholdsJSON{-10, -50, -80, 10, 1},
	}
	if err := decodeStrict(text, &raw); err != nil {
		return nil, err
	}
	s := &scoring{app: map[peer.ID]float64{}, taken: make(chan struct{})}
	if err := s.readTopics(raw.Topics); err != nil {
		return nil, err
	}
	for text, number := range raw.AppScores {
		id, err := peer.Decode(text)
		if err != nil {
			return nil, fmt.Errorf("appScores: %q: %w", text, err)
		}
		s.app[id] = number
	}
	if raw.DecayIntervalMs <= 0 {
		return nil, fmt.Errorf("decayIntervalMs: must be above 0")
	}
	s.fill(&raw)
	return s, nil
}

func (s *scoring) fill(raw *scoringJSON) {
	s.decayInterval = duration(raw.DecayIntervalMs)
	s.params.TopicScoreCap = raw.TopicScoreCap
	s.params.AppSpecificScore = s.appScore
	s.params.AppSpecificWeight = raw.AppSpecificWeight
	s.params.IPColocationFactorWeight = raw.IPColocationFactorWeight
	s.params.IPColocationFactorThreshold = raw.IPColocationFactorThreshold
	s.params.BehaviourPenaltyWeight = raw.BehaviourPenaltyWeight
	s.params.BehaviourPenaltyThreshold = raw.BehaviourPenaltyThreshold
	s.params.BehaviourPenaltyDecay = raw.BehaviourPenaltyDecay
	s.params.DecayInterval = max(s.decayInterval, shortestChecked)
	s.params.DecayToZero = raw.DecayToZero
	s.params.RetainScore = duration(raw.RetainScoreMs)
	s.thresholds.GossipThreshold = raw.Thresholds.Gossip
	s.thresholds.PublishThreshold = raw.Thresholds.Publish
	s.thresholds.GraylistThreshold = raw.Thresholds.Graylist
	s.thresholds.AcceptPXThreshold = raw.Thresholds.AcceptPX
	s.thresholds.OpportunisticGraftThreshold = raw.Thresholds.OpportunisticGraft
}

func (s *scoring) readTopics(topics map[string]json.RawMessage) error {
	s.params.Topics = map[string]*pubsub.TopicScoreParams{}
	s.named = map[string]bool{}
	if topics == nil {
		s.everyTopic = newTopicScoring().params()
	}
	for _, name := range sortedKeys(topics) {
		entry := newTopicScoring()
		if err := decodeStrict(topics[name], entry); err != nil {
			return fmt.Errorf("topics: %q: %w", name, err)
		}
		if name == "*" {
			s.everyTopic = entry.params()
		} else {
			s.params.Topics[name] = entry.params()
			s.named[name] = true
		}
	}
	return nil
}

// options turn scoring on. The last one runs after the library checked the parameters and before
// it reads them.
func (s *scoring) options() []pubsub.Option {
	wanted := map[string]time.Duration{}
	for name, topic := range s.params.Topics {
		wanted[name] = topic.MeshMessageDeliveriesActivation
		topic.MeshMessageDeliveriesActivation = max(wanted[name], shortestChecked)
	}
	return []pubsub.Option{
		pubsub.WithPeerScore(&s.params, &s.thresholds),
		pubsub.WithPeerScoreInspect(s.inspect, scoreInspectEvery),
		func(*pubsub.PubSub) error {
			s.params.DecayInterval = s.decayInterval
			for name, activation := range wanted {
				s.params.Topics[name].MeshMessageDeliveriesActivation = activation
			}
			return nil
		},
	}
}

// joined gives a topic without an entry of its own the parameters of `*`. To be called before the
// topic is subscribed to: until then the library reads nothing of them.
func (s *scoring) joined(topic *pubsub.Topic) error {
	if s.named[topic.String()] || s.everyTopic == nil {
		return nil
	}
	copied := *s.everyTopic
	copied.MeshMessageDeliveriesActivation = max(
		copied.MeshMessageDeliveriesActivation, shortestChecked)
	if err := topic.SetScoreParams(&copied); err != nil {
		return err
	}
	copied.MeshMessageDeliveriesActivation = s.everyTopic.MeshMessageDeliveriesActivation
	return nil
}

func (s *scoring) appScore(id peer.ID) float64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.app[id]
}

func (s *scoring) setAppScore(id peer.ID, score float64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.app[id] = score
}

func (s *scoring) inspect(snapshot map[peer.ID]*pubsub.PeerScoreSnapshot) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.snapshot = snapshot
	close(s.taken)
	s.taken = make(chan struct{})
}

// scores waits for the next snapshot, so that it shows what happened before the question.
func (s *scoring) scores(ctx context.Context) (map[string]any, error) {
	s.mutex.Lock()
	taken := s.taken
	s.mutex.Unlock()
	select {
	case <-taken:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s.mutex.Lock()
	snapshot := s.snapshot
	s.mutex.Unlock()
	scores := make(map[string]any, len(snapshot))
	for id, one := range snapshot {
		scores[id.String()] = describe(one)
	}
	return scores, nil
}

func describe(snapshot *pubsub.PeerScoreSnapshot) map[string]any {
	topics := make(map[string]any, len(snapshot.Topics))
	for name, topic := range snapshot.Topics {
		topics[name] = map[string]any{
			"time_in_mesh_ms":            topic.TimeInMesh.Seconds() * 1000,
			"first_message_deliveries":   topic.FirstMessageDeliveries,
			"mesh_message_deliveries":    topic.MeshMessageDeliveries,
			"invalid_message_deliveries": topic.InvalidMessageDeliveries,
		}
	}
	return map[string]any{
		"score":                snapshot.Score,
		"app_specific_score":   snapshot.AppSpecificScore,
		"ip_colocation_factor": snapshot.IPColocationFactor,
		"behaviour_penalty":    snapshot.BehaviourPenalty,
		"topics":               topics,
	}
}

func duration(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// decodeStrict refuses keys the target has no field for.
func decodeStrict(text []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.More() {
		return fmt.Errorf("text after the JSON value")
	}
	return nil
}
