"""GossipSub itself: a deterministic machine without I/O."""
