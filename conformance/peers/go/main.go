// Gopeer is a GossipSub node on go-libp2p that a driver steers by JSON lines on standard input.
//
// One line is one command, one line of output is one event or one answer; the full interface is
// described in the conformance kit's documentation. Only TCP, Noise and yamux are spoken, only on
// the address given: no relay, AutoNAT, port mapping or address discovery, and mDNS only where asked
// for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

const exitUsage = 2

// flags are the command line, checked but not yet turned into library options.
type flags struct {
	listen   string
	seed     *uint64
	floodsub bool
	params   *params
	score    *scoring
	msgID    string
	sign     string
	quiet    bool

	partial       string
	testExtension bool
	mdns          bool
	chorus        bool
}

func main() {
	parsed, err := parseFlags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fail(exitUsage, err)
	}
	out := newOutput(os.Stdout)
	ctx, cancel := context.WithCancel(context.Background())
	node, err := startNode(ctx, parsed, out)
	if err != nil {
		var usage usageError
		if errors.As(err, &usage) {
			fail(exitUsage, err)
		}
		fail(1, err)
	}
	out.send(node.readyEvent())
	runCommands(node, os.Stdin)
	cancel()
	out.close(time.Second)
	node.close(time.Second)
}

func fail(status int, err error) {
	text := strings.ReplaceAll(strings.TrimSpace(err.Error()), "\n", "; ")
	fmt.Fprintln(os.Stderr, "gopeer: "+text)
	os.Exit(status)
}

// usageError marks what the command line got wrong, whoever noticed it (exit status 2).
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func parseFlags(args []string) (*flags, error) {
	f := &flags{}
	set := flag.NewFlagSet("gopeer", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&f.listen, "listen", "/ip4/127.0.0.1/tcp/0", "multiaddr to listen on")
	seed := set.String("seed", "", "number that decides the key (default: a random key)")
	protocol := set.String("protocol", "gossipsub", "gossipsub or floodsub")
	paramsJSON := set.String("params", "{}", "router parameters as JSON")
	scoreJSON := set.String("score", "", "peer score parameters as JSON (default: no scoring)")
	set.StringVar(&f.msgID, "msgid", "default", "message ids: default, content or library")
	set.StringVar(&f.sign, "sign", "strict", "signing: strict, none, lax or author")
	noSign := set.Bool("no-sign", false, "the same as --sign none")
	set.BoolVar(&f.quiet, "quiet", false, "count messages, print no message events")
	set.StringVar(&f.partial, "partial", "off", "partial messages: off, support or request")
	set.BoolVar(&f.testExtension, "test-extension", false, "announce the test extension")
	set.BoolVar(&f.mdns, "mdns", false, "find peers on the local network, and be found")
	set.BoolVar(&f.chorus, "chorus", false, "tell what messages say as CHORUS envelopes")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			set.SetOutput(os.Stderr)
			set.PrintDefaults()
		}
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	if *noSign {
		f.sign = "none"
	}
	if *seed != "" {
		number, err := strconv.ParseUint(*seed, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("--seed %q is not a number from 0 to 2^64-1", *seed)
		}
		f.seed = &number
	}
	return f, f.check(*protocol, *paramsJSON, *scoreJSON)
}

func (f *flags) check(protocol, paramsJSON, scoreJSON string) (err error) {
	if err := oneOf("--protocol", protocol, "gossipsub", "floodsub"); err != nil {
		return err
	}
	if err := oneOf("--msgid", f.msgID, "default", "content", "library"); err != nil {
		return err
	}
	if err := oneOf("--sign", f.sign, "strict", "none", "lax", "author"); err != nil {
		return err
	}
	if err := oneOf("--partial", f.partial, "off", "support", "request"); err != nil {
		return err
	}
	f.floodsub = protocol == "floodsub"
	if f.floodsub && (f.partial != "off" || f.testExtension) {
		return errors.New("--partial and --test-extension need --protocol gossipsub")
	}
	if f.params, err = parseParams([]byte(paramsJSON), f.floodsub); err != nil {
		return fmt.Errorf("--params: %w", err)
	}
	if scoreJSON == "" {
		return nil
	}
	if f.floodsub {
		return errors.New("--score needs --protocol gossipsub")
	}
	if f.score, err = parseScoring([]byte(scoreJSON)); err != nil {
		return fmt.Errorf("--score: %w", err)
	}
	return nil
}

func oneOf(flagName, value string, allowed ...string) error {
	for _, candidate := range allowed {
		if value == candidate {
			return nil
		}
	}
	return fmt.Errorf("%s %q: must be one of %s", flagName, value, strings.Join(allowed, ", "))
}
