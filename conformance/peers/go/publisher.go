package main

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// run is one publish_many.
type run struct {
	Topic     string  `json:"topic"`
	Count     int64   `json:"count"`
	Size      int     `json:"size"`
	Window    int64   `json:"window"`
	Rate      float64 `json:"rate"`
	FirstSeq  uint64  `json:"first_seq"`
	TimeoutMs float64 `json:"timeout_ms"`

	arrived chan struct{} // a credit came
	stop    context.CancelFunc

	mutex  sync.Mutex
	credit int64

	sent, failed int64
	aborted      bool
	elapsed      time.Duration
}

func (r *run) check() error {
	switch {
	case r.Count < 0:
		return errors.New("count: must not be negative")
	case r.Size < stampBytes:
		return errors.New("size: must be at least 16")
	case r.Window < 0:
		return errors.New("window: must not be negative")
	case r.Rate < 0:
		return errors.New("rate: must not be negative")
	case r.TimeoutMs < 0:
		return errors.New("timeout_ms: must not be negative")
	}
	return nil
}

// publisher holds the running publish_many; credits and stops reach it from other commands.
type publisher struct {
	mutex   sync.Mutex
	running *run
}

// begin registers a run, so that a credit right behind the command already counts.
func (p *publisher) begin(ctx context.Context, r *run) (context.Context, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.running != nil {
		return nil, errors.New("another publish_many is running")
	}
	r.arrived = make(chan struct{}, 1)
	if r.TimeoutMs > 0 {
		ctx, r.stop = context.WithTimeout(ctx, duration(r.TimeoutMs))
	} else {
		ctx, r.stop = context.WithCancel(ctx)
	}
	p.running = r
	return ctx, nil
}

func (p *publisher) end() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.running.stop()
	p.running = nil
}

func (p *publisher) current() *run {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.running
}

func (p *publisher) stop() {
	if r := p.current(); r != nil {
		r.stop()
	}
}

func (p *publisher) setCredit(received int64) {
	r := p.current()
	if r == nil {
		return
	}
	r.mutex.Lock()
	r.credit = max(r.credit, received)
	r.mutex.Unlock()
	select {
	case r.arrived <- struct{}{}:
	default:
	}
}

func (r *run) credited() int64 {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.credit
}

// publishMany sends until the count is reached, the time is over or somebody stops it.
func (n *node) publishMany(ctx context.Context, r *run) {
	random := rand.NewChaCha8([32]byte{})
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], rand.Uint64())
	random.Seed(seed)
	start := time.Now()
	for i := int64(0); i < r.Count; i++ {
		if !r.waitForTurn(ctx, start, i) {
			r.aborted = true
			break
		}
		payload := make([]byte, r.Size)
		binary.BigEndian.PutUint64(payload, r.FirstSeq+uint64(i))
		_, _ = random.Read(payload[stampBytes:]) // never fails
		binary.BigEndian.PutUint64(payload[8:], uint64(time.Now().UnixNano()))
		if n.publish(ctx, r.Topic, payload) == nil {
			r.sent++
		} else {
			r.failed++
		}
	}
	r.elapsed = time.Since(start)
}

// waitForTurn reports false when the run is over before its next message is due.
func (r *run) waitForTurn(ctx context.Context, start time.Time, i int64) bool {
	if r.Rate > 0 {
		due := start.Add(time.Duration(float64(i) / r.Rate * float64(time.Second)))
		if pause := time.Until(due); pause > 0 && !sleep(ctx, pause) {
			return false
		}
	}
	for r.Window > 0 && r.sent-r.credited() >= r.Window {
		select {
		case <-r.arrived:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
