"""A status page of a running host, its snapshot and its metrics, over HTTP."""

from __future__ import annotations

from gossipsub.status.server import StatusServer

__all__ = ["StatusServer"]
