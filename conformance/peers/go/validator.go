package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

var verdicts = map[string]pubsub.ValidationResult{
	"accept": pubsub.ValidationAccept,
	"reject": pubsub.ValidationReject,
	"ignore": pubsub.ValidationIgnore,
}

type rule struct {
	prefix []byte
	result pubsub.ValidationResult
	delay  time.Duration
}

// validator judges the messages of one topic: the newest rule whose prefix matches decides.
type validator struct {
	self peer.ID

	mutex sync.RWMutex
	rules []rule
}

// validate runs in a goroutine of its own for each message, so a delay holds up nobody else. A
// node's own messages are judged within publish: without the delay, which stands for work on what
// others sent and would hold up the commands here.
func (v *validator) validate(
	ctx context.Context, _ peer.ID, message *pubsub.Message,
) pubsub.ValidationResult {
	chosen := v.match(message.Data)
	if chosen.delay > 0 && message.ReceivedFrom != v.self {
		timer := time.NewTimer(chosen.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return pubsub.ValidationIgnore
		}
	}
	return chosen.result
}

func (v *validator) match(data []byte) rule {
	v.mutex.RLock()
	defer v.mutex.RUnlock()
	for i := len(v.rules) - 1; i >= 0; i-- {
		if bytes.HasPrefix(data, v.rules[i].prefix) {
			return v.rules[i]
		}
	}
	return rule{result: pubsub.ValidationAccept}
}

// add puts a rule in front of all others; an older one with the same prefix could never decide
// again and goes.
func (v *validator) add(r rule) {
	v.remove(r.prefix)
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.rules = append(v.rules, r)
}

func (v *validator) remove(prefix []byte) (left int) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	kept := make([]rule, 0, len(v.rules)+1)
	for _, r := range v.rules {
		if !bytes.Equal(r.prefix, prefix) {
			kept = append(kept, r)
		}
	}
	v.rules = kept
	return len(kept)
}

// setRule changes what the messages of a topic are judged by. `clear` without a prefix takes all
// rules of the topic away, with one only that prefix's; a topic without rules has no validator.
func (n *node) setRule(topic, verdict string, prefix []byte, delay time.Duration) error {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	v, registered := n.validators[topic]
	if verdict == "clear" {
		if !registered || (len(prefix) > 0 && v.remove(prefix) > 0) {
			return nil
		}
		delete(n.validators, topic)
		return n.pubsub.UnregisterTopicValidator(topic)
	}
	result, known := verdicts[verdict]
	if !known {
		return fmt.Errorf("verdict %q: must be accept, reject, ignore or clear", verdict)
	}
	if !registered {
		v = &validator{self: n.host.ID()}
		var options []pubsub.ValidatorOpt
		if limit := n.flags.params.validateThrottle; limit > 0 {
			options = append(options, pubsub.WithValidatorConcurrency(limit))
		}
		if err := n.pubsub.RegisterTopicValidator(topic, v.validate, options...); err != nil {
			return err
		}
		n.validators[topic] = v
	}
	v.add(rule{prefix, result, delay})
	return nil
}
