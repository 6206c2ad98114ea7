"""A simulated node: the router that runs on it, and what a restart leaves in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from gossipsub.pubsub.partial import PartialHandler
from gossipsub.router.effects import SendRpc, Validate, Verdict
from gossipsub.router.params import GossipParams
from gossipsub.router.router import Router
from gossipsub.testing.links import Link, Pipe
from gossipsub.wire.rpc import Rpc

VerdictFunction = Callable[["Node", Validate], Verdict]
"""Says what becomes of a message at a node; stands for signature check and validators."""
DelayFunction = Callable[["Node", Validate], float]
"""Seconds a node takes to validate a message."""
OutgoingFunction = Callable[[SendRpc], Rpc | None]
"""What a node sends in place of the RPC its router wants sent; None for nothing.

An RPC is shared between peers: to send a changed one, build a new one."""


@dataclass(slots=True, eq=False)
class Node:
    """One node; made by `Network.add_node`. Nodes compare by identity."""

    index: int
    id: bytes
    params: GossipParams
    protocols: tuple[str, ...]
    ip: str
    rng: Random
    """Drives the router, over all its lives."""
    router: Router
    validation_delay: float | DelayFunction = 0.0
    verdict: VerdictFunction | None = None
    outgoing: OutgoingFunction | None = None
    is_running: bool = True
    started: float = 0.0
    """When its router was made: then and `heartbeat_initial_delay` later is its first heartbeat."""
    topics: dict[str, None] = field(default_factory=dict)
    """Topics subscribed to, taken up again after a restart."""
    links: dict[Node, Link] = field(default_factory=dict)
    """Neighbours, also while one of both is stopped."""
    direct: dict[bytes, None] = field(default_factory=dict)
    """Direct peers by id, known again after a restart."""
    pipes: dict[bytes, Pipe] = field(default_factory=dict)
    """Open connections, by the peer's id: the direction away from this node."""
    timer_tick: int = -1
    """Tick of the pending timer event, negative for none."""
    next_seqno: int = 1
    partial_handlers: dict[str, PartialHandler] = field(default_factory=dict)
    """Who hears of partial messages, by topic; set by `PartialTopic`."""

    def __repr__(self) -> str:
        return f"Node({self.index})"

    def protocol_with(self, other: Node) -> str:
        """The protocol of the stream from this node to another."""
        for protocol in self.protocols:
            if protocol in other.protocols:
                return protocol
        raise ValueError(f"{self!r} and {other!r} have no protocol in common")
