"""GossipSub for Python: a mesh of peers that publish and subscribe, and CHORUS on top of it."""

from __future__ import annotations
