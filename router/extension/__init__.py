"""Gossipsub v1.3: extensions, and partial messages."""
