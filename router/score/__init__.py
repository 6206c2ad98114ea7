"""Peer scores: what peers do, and what it earns and costs them."""
