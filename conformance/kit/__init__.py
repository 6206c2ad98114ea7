"""Runs numbered cases against a GossipSub implementation and says what it does."""
