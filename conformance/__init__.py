"""Peers and cases that hold any GossipSub implementation to the specification."""
