"""A network of routers in virtual time: a discrete-event simulation of the real thing.

Each node runs the very `Router` that the host runs; only the driver around it is another. Nothing
here reads a clock or global randomness: one seed decides everything, and equal seeds give equal
events under any PYTHONHASHSEED.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from random import Random
from typing import Any

from gossipsub.router.effects import (
    Connect,
    Deliver,
    Disconnect,
    Effect,
    PublishReceipt,
    SendRpc,
    Trace,
    Unqueue,
    Validate,
    Verdict,
)
from gossipsub.router.params import GossipParams, SignaturePolicy
from gossipsub.router.router import Router
from gossipsub.testing.agenda import Agenda
from gossipsub.testing.deliveries import Deliveries, Publication
from gossipsub.testing.links import Link
from gossipsub.testing.nodes import DelayFunction, Node, OutgoingFunction, VerdictFunction
from gossipsub.testing.observer import Observer
from gossipsub.testing.partial_topic import PARTIAL, hear
from gossipsub.testing.report import Report, make_report
from gossipsub.testing.traffic import TrafficCounter
from gossipsub.testing.transport import Transport
from gossipsub.wire.rpc import Message

SIGNATURE = bytes(64)
"""Stands for a signature: nothing is signed or verified, `Node.verdict` says what is genuine."""


class Network:
    """Nodes, the connections between them, and what is still to happen.

    `params` hold for all nodes that are not given their own. Time is rounded to ticks, a
    millisecond by default. Nodes beat at phases of their own, drawn at random, as they do in
    life, unless `in_step`. `observer` is told of every event.
    """

    def __init__(
        self,
        *,
        seed: object = 0,
        params: GossipParams | None = None,
        link: Link | None = None,
        ticks_per_second: int = 1000,
        in_step: bool = False,
        observer: Observer | None = None,
    ) -> None:
        self.seed = str(seed)
        self.params = params or GossipParams()
        self.link = link or Link()
        """For connections made without a link of their own, those by peer exchange too."""
        self.rng = Random(f"{self.seed} network")
        """For whoever builds the network: topologies, churn, choice of publishers."""
        self.nodes: list[Node] = []
        self.by_id: dict[bytes, Node] = {}
        self._in_step = in_step
        self._observer = observer
        self._agenda = Agenda(ticks_per_second=ticks_per_second)
        self._transport = Transport(
            self._agenda, rng=Random(f"{self.seed} links"), observer=observer
        )
        self._deliveries = Deliveries()
        self._events = 0
        self._report_start = 0.0
        self._audiences: dict[str, tuple[int, ...]] = {}

    @property
    def now(self) -> float:
        """Virtual seconds since the start."""
        return self._agenda.now

    # Nodes

    def add_node(
        self,
        *,
        params: GossipParams | None = None,
        protocols: tuple[str, ...] | None = None,
        ip: str | None = None,
        validation_delay: float | DelayFunction = 0.0,
        verdict: VerdictFunction | None = None,
        outgoing: OutgoingFunction | None = None,
        new_router: Callable[..., Router] = Router,
    ) -> Node:
        """Start a node.

        `protocols` are those it offers, best first; `("/floodsub/1.0.0",)` makes a floodsub node.
        Its messages take `validation_delay` seconds to validate; `verdict` judges them, else all
        are accepted; `outgoing` may change what it sends. `new_router` may be a `Recorder`'s.
        """
        index = len(self.nodes)
        rng = Random(f"{self.seed} node {index}")
        params = params or self.params
        if not self._in_step:
            delay = params.heartbeat_initial_delay + rng.random() * params.heartbeat_interval
            params = replace(params, heartbeat_initial_delay=delay)
        # The multihash of an Ed25519 key: 38 bytes, like nearly all peer ids.
        peer = b"\x00\x24\x08\x01\x12\x20" + sha256(f"node {index}".encode()).digest()
        node = Node(
            index=index,
            id=peer,
            params=params,
            protocols=protocols or params.protocols,
            ip=ip or f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}",
            rng=rng,
            router=new_router(params, me=peer, rng=rng, now=self.now),
            started=self.now,
            validation_delay=validation_delay,
            verdict=verdict,
            outgoing=outgoing,
        )
        self.nodes.append(node)
        self.by_id[peer] = node
        self._arm(node)
        return node

    def add_nodes(self, count: int, **options: Any) -> list[Node]:
        """Start several nodes alike; options as for `add_node`."""
        return [self.add_node(**options) for _ in range(count)]

    def stop(self, node: Node) -> None:
        """End a node: its connections close, and its router's memory is lost."""
        if not node.is_running:
            return
        node.is_running = False
        for pipe in list(node.pipes.values()):
            self._close(node, pipe.receiver)
        self._deliveries.departed(node.index, None, self.now)
        self._audiences.clear()

    def start(self, node: Node) -> None:
        """Start a stopped node again: an empty router with the same id, the same subscriptions,
        and connections, dialled by this node, to those of its neighbours that run."""
        if node.is_running:
            return
        node.is_running = True
        node.router = Router(
            node.params, me=node.id, rng=node.rng, now=self.now, direct_peers=list(node.direct)
        )
        node.started = self.now
        node.timer_tick = -1
        for topic in node.topics:
            node.router.subscribe(topic, now=self.now)
        self._audiences.clear()
        for neighbour, link in node.links.items():
            if neighbour.is_running and neighbour.id not in node.pipes:
                self._open(node, neighbour, link)
        self.settle(node)

    # Connections

    def connect(self, dialler: Node, listener: Node, *, link: Link | None = None) -> None:
        """Connect two nodes, at once; for `dialler` the connection is outbound.

        While one of both is stopped the connection is only noted, for its start. ValueError if
        they are connected already, are the same, or have no protocol in common.
        """
        if dialler is listener or listener in dialler.links:
            raise ValueError(f"cannot connect {dialler!r} to {listener!r} (again)")
        link = link or self.link
        dialler.protocol_with(listener)
        dialler.links[listener] = listener.links[dialler] = link
        if dialler.is_running and listener.is_running:
            self._open(dialler, listener, link)

    def disconnect(self, one: Node, other: Node) -> None:
        """Close a connection for good; what is under way is lost. No effect without one."""
        one.links.pop(other, None)
        other.links.pop(one, None)
        if other.id in one.pipes:
            self._close(one, other)

    def add_direct_peer(self, node: Node, other: Node) -> None:
        """Make `other` a direct peer of `node`, which then dials it; usually this is mutual."""
        node.direct[other.id] = None
        if node.is_running:
            node.router.add_direct_peer(other.id, now=self.now)
            self.settle(node)

    def change_link(self, one: Node, other: Node, link: Link) -> None:
        """Give a connection other properties. What is under way arrives as it would have, and
        before what is sent from now on. ValueError without a connection, or with a bandwidth
        before or after: queues cannot change."""
        self._transport.change_link(one, other, link)

    def _open(self, dialler: Node, listener: Node, link: Link) -> None:
        dialler.pipes[listener.id] = self._transport.new_pipe(dialler, listener, link)
        listener.pipes[dialler.id] = self._transport.new_pipe(listener, dialler, link)
        if self._observer is not None:
            self._observer.connected(self.now, dialler, listener)
        for node, peer, outbound in ((dialler, listener, True), (listener, dialler, False)):
            node.router.peer_connected(
                peer.id,
                protocol=node.protocol_with(peer),
                outbound=outbound,
                ip=peer.ip,
                now=self.now,
            )
            self.settle(node)

    def _close(self, one: Node, other: Node) -> None:
        if self._observer is not None:
            self._observer.disconnected(self.now, one, other)
        for node, peer in ((one, other), (other, one)):
            node.pipes.pop(peer.id).is_open = False
        for node, peer in ((one, other), (other, one)):
            if node.is_running:
                node.router.peer_disconnected(peer.id, now=self.now)
                self.settle(node)

    # The application

    def subscribe(self, node: Node, topic: str) -> None:
        """Join a topic, at once or, for a stopped node, at its start."""
        node.topics[topic] = None
        self._audiences.pop(topic, None)
        if node.is_running:
            node.router.subscribe(topic, now=self.now)
            self.settle(node)

    def unsubscribe(self, node: Node, topic: str) -> None:
        """Leave a topic."""
        node.topics.pop(topic, None)
        self._audiences.pop(topic, None)
        if node.is_running:
            node.router.unsubscribe(topic, now=self.now)
            self._deliveries.departed(node.index, topic, self.now)
            self.settle(node)

    def publish(
        self, node: Node, topic: str, size: int = 1024, *, data: bytes | None = None
    ) -> PublishReceipt | None:
        """Publish `data`, or `size` bytes that differ from message to message (if 16 or more).

        None where the node is stopped: then nothing is published.
        """
        if not node.is_running:
            return None
        number, node.next_seqno = node.next_seqno, node.next_seqno + 1
        seqno = number.to_bytes(8, "big")
        if data is None:
            data = (node.index.to_bytes(8, "big") + seqno).ljust(size, b"\0")[:size]
        if node.params.signature_policy is SignaturePolicy.STRICT_SIGN:
            message = Message(topic, data, node.id, seqno, SIGNATURE)
        else:
            message = Message(topic, data)
        receipt = node.router.publish(message, now=self.now)
        if not receipt.duplicate:
            publication = Publication(
                receipt.message_id, topic, node.index, self.now, self._audience(topic)
            )
            self._deliveries.published(publication, len(self.nodes))
        self.settle(node)
        return receipt

    def _audience(self, topic: str) -> tuple[int, ...]:
        audience = self._audiences.get(topic)
        if audience is None:
            audience = self._audiences[topic] = tuple(
                node.index for node in self.nodes if node.is_running and topic in node.topics
            )
        return audience

    # Time

    def at(self, time: float, action: Callable[[], object]) -> None:
        """Call `action` at a time; ValueError if that is past."""
        if time < self.now:
            raise ValueError(f"{time} is past: now is {self.now}")
        self._agenda.call(self._agenda.nearest(time), action)

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Call `action` after some seconds."""
        self.at(self.now + seconds, action)

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self.run_until(self.now + seconds)

    def run_until(self, time: float) -> None:
        """Do all that is to happen up to and including a time."""
        agenda, observer = self._agenda, self._observer
        last = agenda.nearest(time)
        while (bucket := agenda.next_bucket(last)) is not None:
            now = agenda.tick / agenda.ticks_per_second
            self._events += len(bucket)
            for pipe, what in bucket:
                if pipe is None:
                    what()
                elif pipe.is_open:
                    node = pipe.receiver
                    if observer is not None:
                        observer.arrived(now, pipe.sender, node, what)
                    node.router.receive_rpc(pipe.sender_id, what, now=now)
                    effects = node.router.effects()
                    # Most RPCs cause nothing: duplicates, and gossip about known messages.
                    if effects:
                        self._perform(node, effects, now)
                        self._arm(node)
        agenda.tick = last

    # Driving one router

    def settle(self, node: Node) -> None:
        """Perform what inputs to the node's router caused."""
        effects = node.router.effects()
        if effects:
            self._perform(node, effects, self.now)
        self._arm(node)

    def _perform(self, node: Node, effects: list[Effect], now: float) -> None:
        """Perform effects, and those that performing them causes."""
        router = node.router
        while effects:
            for effect in effects:
                if isinstance(effect, SendRpc):
                    self._transport.send(node, effect)
                elif isinstance(effect, Unqueue):
                    self._transport.unqueue(node, effect)
                elif isinstance(effect, Validate):
                    self._validate(node, effect, now)
                elif isinstance(effect, Deliver):
                    self._deliver(node, effect, now)
                elif isinstance(effect, Trace) and self._observer is not None:
                    self._observer.traced(now, node, effect)
                elif isinstance(effect, Connect):
                    dial = partial(self._dial, node, router, effect.peer)
                    self._agenda.call(self._agenda.tick, dial)
                elif isinstance(effect, Disconnect):
                    hang_up = partial(self._hang_up, node, router, effect.peer)
                    self._agenda.call(self._agenda.tick, hang_up)
                elif isinstance(effect, PARTIAL):
                    hear(self, node, effect)
            effects = router.effects()

    def _validate(self, node: Node, effect: Validate, now: float) -> None:
        verdict = Verdict.ACCEPT if node.verdict is None else node.verdict(node, effect)
        delay = node.validation_delay
        if callable(delay):
            delay = delay(node, effect)
        if delay <= 0.0:
            node.router.validation_result(effect.ticket, verdict, now=now)
            return
        finish = partial(self._validated, node, node.router, effect.ticket, verdict)
        self._agenda.call(self._agenda.nearest(now + delay), finish)

    def _validated(self, node: Node, router: Router, ticket: int, verdict: Verdict) -> None:
        if node.is_running and node.router is router:
            router.validation_result(ticket, verdict, now=self.now)
            self.settle(node)

    def _deliver(self, node: Node, effect: Deliver, now: float) -> None:
        self._deliveries.delivered(effect.message_id, node.index, now)
        if self._observer is not None:
            self._observer.delivered(now, node, effect.message, effect.message_id)

    def _dial(self, node: Node, router: Router, peer: bytes) -> None:
        """A router asks for a connection; a peer it cannot reach is as good as none."""
        other = self.by_id.get(peer)
        if other is None or not (node.is_running and other.is_running):
            return
        if node.router is router and other is not node and other not in node.links:
            self.connect(node, other)

    def _hang_up(self, node: Node, router: Router, peer: bytes) -> None:
        other = self.by_id.get(peer)
        if other is not None and node.router is router:
            self.disconnect(node, other)

    def _arm(self, node: Node) -> None:
        """Make sure that a timer event is there for the router's next deadline."""
        deadline = node.router.next_deadline()
        if deadline == math.inf or not node.is_running:
            return
        tick = self._agenda.not_before(deadline)
        if node.timer_tick < 0 or tick < node.timer_tick:
            node.timer_tick = tick
            self._agenda.call(tick, partial(self._fire, node, node.router))

    def _fire(self, node: Node, router: Router) -> None:
        if node.router is not router or not node.is_running:
            return
        if self._agenda.tick != node.timer_tick:  # an earlier one took its place
            return
        node.timer_tick = -1
        router.handle_timer(now=self.now)
        self.settle(node)
        if self._observer is not None:
            self._observer.timer_handled(self.now, node)

    # Results

    def delivered_to(self, message_id: bytes) -> dict[Node, float]:
        """The nodes a message was delivered to, with the time of the first delivery; the
        publisher among them if it is subscribed. Empty for an unknown id."""
        publication = self._deliveries.publications.get(message_id)
        if publication is None:
            return {}
        times = publication.times
        return {self.nodes[index]: time for index, time in enumerate(times) if time >= 0.0}

    def missed_by(self, message_id: bytes) -> list[Node]:
        """Nodes that were subscribed, stayed, and did not get a message."""
        publication = self._deliveries.publications[message_id]
        missed = self._deliveries.missed_by(publication, self._patience())
        return [self.nodes[index] for index in missed]

    def restart_report(self) -> None:
        """Forget what was counted so far, as after a warm-up."""
        self._transport.traffic = TrafficCounter()
        self._deliveries = Deliveries()
        self._events = 0
        self._report_start = self.now

    def report(self) -> Report:
        """What happened so far, or since `restart_report`."""
        return make_report(
            self._deliveries,
            self._transport.traffic,
            nodes=len(self.nodes),
            seconds=self.now - self._report_start,
            events=self._events,
            heartbeat=self.params.heartbeat_interval,
            patience=self._patience(),
        )

    def _patience(self) -> float:
        """Seconds in which a message can come: then it has left the message caches."""
        return self.params.lazy.history_length * self.params.heartbeat_interval
