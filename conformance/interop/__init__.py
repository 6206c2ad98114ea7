"""The public experiments of GossipSub implementations (libp2p/test-plans, `gossipsub-interop`)."""
