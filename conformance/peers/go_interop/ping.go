package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

const addressKey = "listenerAddr"

// pingTimes are what the runner of transport-interop looks for; the three l's are its own.
type pingTimes struct {
	Handshake float64 `json:"handshakePlusOneRTTMillis"`
	Ping      float64 `json:"pingRTTMilllis"`
}

// runPing is a node of libp2p's transport-interop, told by the environment what to do.
func runPing() error {
	seconds, err := strconv.ParseFloat(variable("test_timeout_seconds", "180"), 64)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(
		context.Background(), time.Duration(seconds*float64(time.Second)))
	defer cancel()
	redis, err := (&net.Dialer{}).DialContext(ctx, "tcp", variable("redis_addr", "redis:6379"))
	if err != nil {
		return err
	}
	defer redis.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := redis.SetDeadline(deadline); err != nil {
			return err
		}
	}
	if os.Getenv("is_dialer") == "true" {
		return dialAndPing(ctx, redis)
	}
	return listenForPing(ctx, redis)
}

func variable(name, otherwise string) string {
	if value, set := os.LookupEnv(name); set {
		return value
	}
	return otherwise
}

func pingHost(options ...libp2p.Option) (host.Host, error) {
	return libp2p.New(append(options,
		libp2p.Transport(tcp.NewTCPTransport),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, yamux.DefaultTransport),
		libp2p.DisableRelay(),
		libp2p.DisableMetrics(),
		libp2p.UserAgent("gointerop"),
	)...)
}

func listenForPing(ctx context.Context, redis net.Conn) error {
	ip := variable("ip", "0.0.0.0")
	h, err := pingHost(libp2p.ListenAddrStrings(fmt.Sprintf("/ip4/%s/tcp/0", ip)))
	if err != nil {
		return err
	}
	defer h.Close()
	address := h.Network().ListenAddresses()[0].String()
	if ip == "0.0.0.0" { // nobody can dial that
		own := redis.LocalAddr().(*net.TCPAddr).IP.String()
		address = strings.Replace(address, ip, own, 1)
	}
	address += "/p2p/" + h.ID().String()
	if _, err := redisCommand(redis, "RPUSH", addressKey, address); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func dialAndPing(ctx context.Context, redis net.Conn) error {
	h, err := pingHost(libp2p.NoListenAddrs)
	if err != nil {
		return err
	}
	defer h.Close()
	popped, err := redisCommand(redis, "BLPOP", addressKey, "180")
	if err != nil {
		return err
	}
	if len(popped) != 2 {
		return errors.New("no address came")
	}
	info, err := peer.AddrInfoFromString(popped[1])
	if err != nil {
		return err
	}
	started := time.Now()
	if err := h.Connect(ctx, *info); err != nil {
		return err
	}
	result := <-ping.Ping(ctx, h, info.ID)
	if result.Error != nil {
		return result.Error
	}
	return json.NewEncoder(os.Stdout).Encode(pingTimes{
		Handshake: milliseconds(time.Since(started)), Ping: milliseconds(result.RTT)})
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// redisCommand gives the texts of an answer; a number has none.
func redisCommand(redis net.Conn, words ...string) ([]string, error) {
	command := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		command += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(redis, command); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(redis)
	kind, count, err := redisLine(reader)
	if err != nil || kind == ':' {
		return nil, err
	}
	var texts []string
	for range count {
		_, size, err := redisLine(reader)
		if err != nil || size < 0 {
			return nil, errors.Join(err, errors.New("no text"))
		}
		text := make([]byte, size+2)
		if _, err := io.ReadFull(reader, text); err != nil {
			return nil, err
		}
		texts = append(texts, string(text[:size]))
	}
	return texts, nil
}

func redisLine(reader *bufio.Reader) (kind byte, number int, err error) {
	line, err := reader.ReadString('\n')
	if err != nil {
		return 0, 0, err
	}
	if line[0] == '-' {
		return 0, 0, errors.New(strings.TrimSpace(line[1:]))
	}
	number, err = strconv.Atoi(strings.TrimSpace(line[1:]))
	return line[0], number, err
}
