"""Bytes to events and back: framing, the RPC codec, multistream-select, yamux, identify, ping."""
