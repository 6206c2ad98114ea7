// Gointerop is a node of the public GossipSub experiments (libp2p/test-plans, gossipsub-interop) on
// go-libp2p: it carries out a script of instructions and writes JSON lines. With -ping it is one of
// transport-interop instead.
//
// Its number is that of the host name, node%d. The exit status is 0 at the end of the script, 1 when
// an instruction failed, and 2 when the command or the script is wrong.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	started := time.Now()
	path := flag.String("params", "", "the script, params.json")
	awaitStart := flag.Bool("await-start", false, "begin when a line comes on standard input")
	asPing := flag.Bool("ping", false, "be a node of transport-interop, by environment variables")
	flag.Parse()
	if *asPing {
		if err := runPing(); err != nil {
			fail(exitFailed, err)
		}
		return
	}
	number, err := nodeNumber()
	if err != nil {
		fail(exitUsage, err)
	}
	script, err := readScript(*path, number)
	if err != nil {
		fail(exitUsage, fmt.Errorf("%s: %w", *path, err))
	}
	out := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	node, err := newNode(number, out)
	if err != nil {
		fail(exitFailed, err)
	}
	if *awaitStart {
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			fail(exitFailed, errors.New("the start was called off"))
		}
		started = time.Now()
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := node.run(ctx, started, script); err != nil {
		fail(exitFailed, err)
	}
}

func nodeNumber() (int, error) {
	name, err := os.Hostname()
	if err != nil {
		return 0, err
	}
	var number int
	if _, err := fmt.Sscanf(name, "node%d", &number); err != nil || number < 0 {
		return 0, fmt.Errorf("the host name must be node and a number: %q", name)
	}
	return number, nil
}

func fail(status int, err error) {
	fmt.Fprintln(os.Stderr, "gointerop: "+err.Error())
	os.Exit(status)
}
