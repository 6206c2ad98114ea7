"""Connections: from a socket to streams with a protocol."""
