"""Streams of the application's own protocols over a host's connections."""
