"""Watching a simulation: what happened, event by event, and a digest of all of it."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from gossipsub.router.effects import Trace
from gossipsub.wire.rpc import Message, Rpc
from gossipsub.wire.rpc_codec import encode_rpc

if TYPE_CHECKING:
    from gossipsub.testing.nodes import Node


class Observer:
    """Told of everything, in order; override what is of interest. It must change nothing.

    A simulation that is observed runs more slowly.
    """

    def connected(self, now: float, dialler: Node, listener: Node) -> None:
        """A connection opened."""

    def disconnected(self, now: float, one: Node, other: Node) -> None:
        """A connection closed; what was under way in it is lost."""

    def sent(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        """An RPC was handed to the sender's queue."""

    def dropped(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        """The queue did not take it, or gave it up for another."""

    def arrived(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        """An RPC is about to be given to the receiver's router."""

    def delivered(self, now: float, node: Node, message: Message, message_id: bytes) -> None:
        """A message reached the subscribers of a node, the publisher's own included."""

    def traced(self, now: float, node: Node, trace: Trace) -> None:
        """A router traced something: only with `GossipParams.tracing`."""

    def timer_handled(self, now: float, node: Node) -> None:
        """A router's timer ran, and what it caused is done: the end of a heartbeat, or of
        something smaller the router had to do in time."""


class EventLog(Observer):
    """All events as bytes, every RPC in its wire encoding, and the SHA-256 of the whole.

    Equal seeds give equal digests. With `keep` the lines are kept, to find the first difference
    where they do not.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self.lines: list[bytes] = []
        self._keep = keep
        self._hash = sha256()

    def digest(self) -> str:
        """SHA-256, in hexadecimal, of all that happened so far."""
        return self._hash.hexdigest()

    def connected(self, now: float, dialler: Node, listener: Node) -> None:
        self._note(f"{now!r} connected {dialler.index} {listener.index}")

    def disconnected(self, now: float, one: Node, other: Node) -> None:
        self._note(f"{now!r} disconnected {one.index} {other.index}")

    def sent(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        self._note(f"{now!r} sent {sender.index} {receiver.index} ", encode_rpc(rpc))

    def dropped(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        self._note(f"{now!r} dropped {sender.index} {receiver.index} ", encode_rpc(rpc))

    def arrived(self, now: float, sender: Node, receiver: Node, rpc: Rpc) -> None:
        self._note(f"{now!r} arrived {sender.index} {receiver.index} ", encode_rpc(rpc))

    def delivered(self, now: float, node: Node, message: Message, message_id: bytes) -> None:
        self._note(f"{now!r} delivered {node.index} ", message_id)

    def timer_handled(self, now: float, node: Node) -> None:
        self._note(f"{now!r} timer {node.index}")

    def _note(self, text: str, detail: bytes = b"") -> None:
        line = text.encode() + detail.hex().encode() + b"\n"
        self._hash.update(line)
        if self._keep:
            self.lines.append(line)
