package main

import (
	"bufio"
	"encoding/json"
	"io"
	"time"
)

// A driver that reads slowly holds up the node's own readers once this many lines wait.
const outputBuffer = 4096

type fields = map[string]any

// output writes events, one a line; it flushes as soon as nothing more waits.
type output struct {
	lines chan []byte
	done  chan struct{}
	end   chan struct{}
}

func newOutput(w io.Writer) *output {
	o := &output{
		lines: make(chan []byte, outputBuffer),
		done:  make(chan struct{}),
		end:   make(chan struct{}),
	}
	go o.run(bufio.NewWriterSize(w, 1<<16))
	return o
}

func (o *output) run(w *bufio.Writer) {
	defer close(o.done)
	for {
		select {
		case line := <-o.lines:
			if !o.write(w, line) {
				return
			}
		case <-o.end:
			for len(o.lines) > 0 {
				if !o.write(w, <-o.lines) {
					return
				}
			}
			return
		}
	}
}

// write reports whether the driver is still there.
func (o *output) write(w *bufio.Writer, line []byte) bool {
	_, err := w.Write(line)
	if err == nil && len(o.lines) == 0 {
		err = w.Flush()
	}
	return err == nil
}

func (o *output) send(event fields) {
	line, err := json.Marshal(event)
	if err != nil {
		line, _ = json.Marshal(fields{"event": "error", "error": "cannot encode: " + err.Error()})
	}
	select {
	case o.lines <- append(line, '\n'):
	case <-o.done:
	}
}

// close writes what waits, for at most so long.
func (o *output) close(patience time.Duration) {
	close(o.end)
	select {
	case <-o.done:
	case <-time.After(patience):
	}
}
