package main

import (
	"context"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
)

const mdnsConnectTimeout = 30 * time.Second

// nearby dials whomever mDNS finds, as applications of the library do.
type nearby struct {
	ctx  context.Context
	host host.Host
}

func (n nearby) HandlePeerFound(info peer.AddrInfo) {
	ctx, cancel := context.WithTimeout(n.ctx, mdnsConnectTimeout)
	defer cancel()
	_ = n.host.Connect(ctx, info) // whether it worked is told by the connection's event
}

// startMDNS has the host and others on the same network find each other, on all interfaces.
func startMDNS(ctx context.Context, h host.Host) (io.Closer, error) {
	service := mdns.NewMdnsService(h, "", nearby{ctx, h})
	return service, service.Start()
}
