"""Hosts for programs of plain threads: the same names as in `gossipsub`, without async.

A host runs an event loop in a thread of its own. Everything here may be called from any thread
but that one. Functions of the application that a host calls, say message filters, run in the
host's thread and must be quick; only validators and stream handlers have worker threads.
"""

from __future__ import annotations

from gossipsub.threads.host import Host
from gossipsub.threads.peer_stream import PeerStream
from gossipsub.threads.readers import OverloadEvents, PeerEvents, Subscription
from gossipsub.threads.topic import Topic

__all__ = ["Host", "OverloadEvents", "PeerEvents", "PeerStream", "Subscription", "Topic"]
