package main

import (
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
)

// What the tracer's methods were called before they were named after streams.

func (t *tracer) AddPeer(p peer.ID, proto protocol.ID) { t.OnNewOutboundStream(p, proto) }
func (t *tracer) RemovePeer(p peer.ID)                 { t.OnClosedOutboundStream(p) }
