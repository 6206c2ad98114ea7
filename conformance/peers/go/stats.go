package main

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"time"
)

const (
	// A message of publish_many starts with a sequence number and a send time.
	stampBytes = 16
	// A send time further away than this is no send time: the message came from elsewhere.
	plausibleAge  = time.Hour
	plausibleSkew = time.Second
)

// stats count deliveries of other nodes' messages to the application. (This library delivers a
// node's own messages to its own subscriptions too, others do not: leaving them out here keeps the
// numbers comparable. Their `message` events are printed.)
type stats struct {
	mutex     sync.Mutex
	received  int64
	bytes     int64
	first     int64
	last      int64
	backwards int64
	newest    map[string]uint64 // author → newest sequence number
	latency   histogram
	cpuStart  float64
	every     int64
}

func newStats() *stats {
	s := &stats{}
	s.reset()
	return s
}

// reset starts the counters anew; what `progress` asked for stays.
func (s *stats) reset() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	used := readUsage()
	s.received, s.bytes, s.first, s.last, s.backwards = 0, 0, 0, 0, 0
	s.newest = map[string]uint64{}
	s.latency = histogram{}
	s.cpuStart = used.user + used.system
}

func (s *stats) reportEvery(n int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.every = n
}

// delivered counts a message; it returns how many there are when a progress event is due, else 0.
func (s *stats) delivered(author string, data []byte) int64 {
	now := time.Now().UnixNano()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.received++
	s.bytes += int64(len(data))
	if s.first == 0 {
		s.first = now
	}
	s.last = now
	if len(data) >= stampBytes {
		s.stamped(author, binary.BigEndian.Uint64(data), binary.BigEndian.Uint64(data[8:]), now)
	}
	if s.every > 0 && s.received%s.every == 0 {
		return s.received
	}
	return 0
}

func (s *stats) stamped(author string, sequence, sent uint64, now int64) {
	age := time.Duration(now - int64(sent))
	if age > plausibleAge || age < -plausibleSkew {
		return
	}
	s.latency.add(max(age, 0))
	if newest, known := s.newest[author]; known && sequence < newest {
		s.backwards++
		return
	}
	s.newest[author] = sequence
}

// report adds the counters and the process's use of the machine to an answer.
func (s *stats) report(answer fields) {
	used := readUsage()
	s.mutex.Lock()
	defer s.mutex.Unlock()
	answer["received"] = s.received
	answer["bytes"] = s.bytes
	answer["first_ns"] = s.first
	answer["last_ns"] = s.last
	answer["backwards"] = s.backwards
	answer["latency_us"] = s.latency.summary()
	answer["cpu_user_s"] = used.user
	answer["cpu_sys_s"] = used.system
	answer["cpu_s"] = used.user + used.system
	answer["cpu_since_reset_s"] = used.user + used.system - s.cpuStart
	answer["rss_bytes"] = used.rss
	answer["max_rss_bytes"] = used.maxRSS
}

// Each power of two is cut into this many steps, so that a percentile is off by at most 1/64.
const histogramSteps = 64

// histogram of durations in microseconds with a bounded relative error and constant size.
type histogram struct {
	counts [64 * histogramSteps]int64
	total  int64
	max    int64
}

func (h *histogram) add(d time.Duration) {
	us := d.Microseconds()
	h.counts[bucketOf(uint64(us))]++
	h.total++
	h.max = max(h.max, us)
}

// bucketOf is exact below histogramSteps and keeps the seven leading bits above.
func bucketOf(us uint64) int {
	shift := max(bits.Len64(us)-7, 0)
	return shift*histogramSteps + int(us>>shift)
}

// highest value of a bucket.
func highest(bucket int) int64 {
	shift := max(bucket/histogramSteps-1, 0)
	return int64(bucket-shift*histogramSteps+1)<<shift - 1
}

func (h *histogram) percentile(share float64) int64 {
	rank := int64(share*float64(h.total) + 0.999999)
	seen := int64(0)
	for bucket, count := range h.counts {
		seen += count
		if count > 0 && seen >= rank {
			return min(highest(bucket), h.max)
		}
	}
	return h.max
}

func (h *histogram) summary() fields {
	return fields{
		"count": h.total,
		"p50":   h.percentile(0.50),
		"p90":   h.percentile(0.90),
		"p99":   h.percentile(0.99),
		"max":   h.max,
	}
}
