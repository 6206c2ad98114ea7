"""What a case's script is given: the target, scripted peers to send at it, and how to say what is
expected.

All that it opens is closed when the script has ended, newest first. Whatever a scripted peer's
wait does not see, and every command the target refuses, is a deviation: say before what was
expected with `expecting`.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Self, TypeVar

import anyio

from gossipsub.conformance.driver import (
    CRASH,
    PeerError,
    PeerFailed,
    PeerLacks,
    PeerProcess,
    PeerTimeout,
    peer_command,
    start_peer,
)
from gossipsub.conformance.kit.node import Companion, Node
from gossipsub.conformance.kit.target import Target
from gossipsub.conformance.kit.verdict import CannotTry, CompanionFailed, Deviation, RefusesStart
from gossipsub.conformance.scripted_listener import ScriptedListener, listen
from gossipsub.conformance.scripted_peer import ScriptedPeer, dial, echo_pings
from gossipsub.conformance.scripted_wire import YAMUX, Journal, Wire, WireError, reach
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.ping import PROTOCOL as PING

T = TypeVar("T")

PROTOCOLS = ("/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0", "/floodsub/1.0.0")
"""What scripted peers speak unless the case says otherwise."""

WRONG_FLAG = 2
"""The exit status of a test peer that does not know a flag, or cannot start with what it says:
with parameters, say, that contradict others which it has no way to set. A go program that panics
has it too."""

PARAMS: Mapping[str, object] = {
    "D": 6,
    "Dlo": 5,
    "Dhi": 12,
    "Dscore": 4,
    "Dout": 2,
    "Dlazy": 6,
    "gossipFactor": 0.25,
    "historyLength": 5,
    "historyGossip": 3,
    "heartbeatInitialDelayMs": 100,
    "fanoutTTLMs": 60_000,
    "pruneBackoffMs": 60_000,
    "unsubscribeBackoffMs": 10_000,
    "graftFloodThresholdMs": 10_000,
    "iwantFollowupMs": 30_000,
    "seenTTLMs": 120_000,
    "floodPublish": False,
    "doPX": False,
    "prunePeers": 16,
}
"""A started node's parameters unless the case says otherwise. Those that a target has no
counterpart for do not matter to a case that does not name them. They are the usual ones, but that
no promise is broken meanwhile: scripted peers offer what they do not have, to see what was read."""


class Dial:
    """A `connect` under way."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.error: str | None = None
        """Why it failed; None for one that succeeded, or is under way."""


class Trial:
    """One run of one case. An async context manager; the runner makes it."""

    def __init__(self, target: Target, *, seed: int, case_id: str) -> None:
        self.target = target
        self.rng = random.Random(f"{seed} {case_id}")
        """All that a script chooses at random."""
        self.journals: dict[str, Journal] = {}
        """What passed, by who saw it: nodes' commands, each scripted peer's frames."""
        self.observed: list[str] = []
        self._expected: list[str] = []
        self._stack = AsyncExitStack()
        self._next_seed = 1
        # Whoever runs already remembers peers, their backoffs and messages: of cases beside this
        # one, and of runs before. So there these peers are strangers each time.
        self._strangers = 0 if target.address is None else secrets.randbits(48) << 14
        self._started: list[tuple[type[Node], PeerProcess]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        await self._stack.__aexit__(*exc_info)

    def crash(self) -> CompanionFailed | PeerFailed | None:
        """To be asked when all is closed: whose process ended by itself, and how. PeerFailed of the
        target; CompanionFailed, which says nothing of the target, goes before it."""
        crashes = [(kind, process.crash) for kind, process in self._started if process.crash]
        for kind, crash in sorted(crashes, key=lambda each: each[0] is not Companion):
            return CompanionFailed(crash) if kind is Companion else PeerFailed(crash)
        return None

    # -- nodes -----------------------------------------------------------------------------

    async def start(
        self,
        *,
        subscribed: bool = False,
        params: Mapping[str, object] | None = None,
        score: Mapping[str, object] | None = None,
        arguments: Sequence[str] = (),
        **flags: Any,
    ) -> Node:
        """The node under test, started for this case; `subscribed` to its `topic`. `flags` are
        those of `start_peer` (sign, msgid, protocol, seed, quiet).

        CannotTry where the target lacks one of the parameters named here (with 0 it is as if it
        had them), or is a running node and anything was asked for that only a started one can
        have; RefusesStart where it says that it cannot start with what the case wants.
        """
        if self.target.address is not None:
            if params or score is not None or arguments or flags:
                raise CannotTry("needs parameters of its own, and the target runs already")
            node = Node(
                self.target.address,
                topic=self.target.topic,
                heartbeat=self.target.heartbeat,
                process=None,
            )
            if subscribed:
                node.topics.add(node.topic)
        else:
            node = await self._start(self.target, params, score, arguments, flags)
            if subscribed:
                await node.command("subscribe", topic=node.topic)
        self.journals[f"node {len(self.journals) + 1}"] = node.journal
        return node

    async def companion(self, *, params: Mapping[str, object] | None = None, **flags: Any) -> Node:
        """A node of this project beside the target, for cases that need two that work.

        CompanionFailed where it does not start; what it cannot do later ends the case so as well.
        """
        command = tuple(peer_command("python"))
        ours = Target(name="companion", command=command, heartbeat=self.target.heartbeat)
        try:
            node = await self._start(ours, params, None, (), flags, kind=Companion)
        except (PeerFailed, CannotTry) as error:
            raise CompanionFailed(str(error)) from error
        self.journals[f"companion {len(self.journals) + 1}"] = node.journal
        return node

    async def _start(
        self,
        target: Target,
        params: Mapping[str, object] | None,
        score: Mapping[str, object] | None,
        arguments: Sequence[str],
        flags: Mapping[str, Any],
        *,
        kind: type[Node] = Node,
    ) -> Node:
        heartbeat_ms = round(target.heartbeat * 1000)
        wanted = {**PARAMS, "heartbeatMs": heartbeat_ms, **(params or {})}
        peer = start_peer(
            target.name,
            command=target.command,
            params=wanted,
            score=score,
            arguments=arguments,
            start_timeout=30.0,
            **flags,
        )
        try:
            process = await self._stack.enter_async_context(peer)
            self._started.append((kind, process))
        except PeerFailed as error:
            asks_for_more = params or flags or arguments or score is not None
            is_refused = error.exit_status == WRONG_FLAG and not CRASH.search(str(error))
            if is_refused and asks_for_more:
                raise RefusesStart(f"refused to start so: {error}") from error
            raise
        named = {name for name, value in (params or {}).items() if value != 0}
        lacking = named & set(process.ready.get("unsupported_params", ()))
        if lacking:
            raise CannotTry(f"the target has no parameter {', '.join(sorted(lacking))}")
        if not process.addresses:
            raise PeerFailed("the target tells no address that it can be reached at")
        return kind(
            process.addresses[0],
            topic=target.topic,
            heartbeat=float(wanted["heartbeatMs"]) / 1000,  # type: ignore[arg-type]
            process=process,
        )

    # -- scripted peers --------------------------------------------------------------------

    async def reach(self, node: Node, *, local_host: str | None = None) -> Wire:
        """A bare TCP connection to the node: nothing said yet."""
        wire = await self._stack.enter_async_context(reach(node.address, local_host=local_host))
        self._watch(wire.journal)
        return wire

    async def upgrade(
        self,
        node: Node,
        *,
        seed: int | None = None,
        muxers: tuple[str, ...] = (YAMUX,),
        local_host: str | None = None,
    ) -> ScriptedPeer:
        """A scripted peer with a connection to the node, up to yamux; no stream, no identify."""
        w = await self._stack.enter_async_context(
            dial(node.address, seed=self._seed(seed), muxers=muxers, local_host=local_host)
        )
        self._watch(w.journal)
        return w

    async def peer(
        self,
        node: Node,
        *,
        seed: int | None = None,
        protocols: Sequence[str] = PROTOCOLS,
        local_host: str | None = None,
    ) -> ScriptedPeer:
        """W: connected, identified, with a pubsub stream each way; in no topic. The target was
        dialled. Loopback addresses besides 127.0.0.1 may be given as W's (`local_host`)."""
        w = await self.upgrade(node, seed=seed, local_host=local_host)
        await self._open_pubsub(node, w, protocols)
        return w

    async def listener(self, *, seed: int | None = None) -> ScriptedListener:
        """Somebody to be dialled; `accept` is the script's."""
        return await self._stack.enter_async_context(listen(seed=self._seed(seed)))

    async def dialled_peer(
        self, node: Node, *, seed: int | None = None, protocols: Sequence[str] = PROTOCOLS
    ) -> ScriptedPeer:
        """As `peer`, but the target dialled: an outbound peer of it."""
        listener = await self.listener(seed=seed)
        await self.dials(node, listener.address)
        w = await self._stack.enter_async_context(listener.accept(timeout=10))
        self._watch(w.journal)
        await self._open_pubsub(node, w, protocols)
        return w

    async def dialled_wire(
        self, node: Node, *, seed: int | None = None, peer_id: str | None = None
    ) -> tuple[Wire, Dial]:
        """A bare TCP connection that the target dialled, nothing said yet, and what comes of it
        for the target, which expects `peer_id` there if one is given."""
        listener = await self.listener(seed=seed)
        address, _, own = listener.address.rpartition("/")
        dial = await self.dials(node, f"{address}/{peer_id or own}")
        wire = await self._stack.enter_async_context(listener.accept_wire(timeout=10))
        self._watch(wire.journal)
        return wire, dial

    async def dials(self, node: Node, address: str) -> Dial:
        """Tell the node to connect, and wait for nothing. That it cannot be told so ends the
        case."""
        tasks = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(tasks.cancel_scope.cancel)
        dial = Dial()

        async def connect() -> None:
            try:
                await node.command("connect", addr=address)
            except PeerLacks:
                raise
            except (PeerError, PeerTimeout) as error:
                dial.error = str(error)  # whoever waits for the connection says it did not come
            dial.ended.set()

        tasks.start_soon(connect)
        return dial

    async def _open_pubsub(self, node: Node, w: ScriptedPeer, protocols: Sequence[str]) -> None:
        with self.expecting("identify, and a pubsub stream each way"):
            w.serve(PING, handler=echo_pings)  # rust echoes nothing to who refuses it
            await w.serve_identify(protocols)
            await w.open_pubsub(*protocols)
            await w.wait_pubsub(timeout=10)
        if node.topics:  # before, js has no stream yet to send its answers on
            with self.expecting("a hello: the topics that it is subscribed to"):
                await w.until(lambda: bool(w.journal.received("rpc")), "RPC", timeout=10)

    def watch(self, name: str, journal: Journal) -> None:
        """Put a journal into the transcript that the script opened itself."""
        self.journals[name] = journal

    def _watch(self, journal: Journal) -> None:
        number = sum(name.startswith("W") for name in self.journals) + 1
        self.journals[f"W{number}"] = journal

    def _seed(self, seed: int | None) -> int:
        if seed is None:
            seed, self._next_seed = 1000 + self._next_seed, self._next_seed + 1
        return self._strangers + seed

    # -- saying what is expected -----------------------------------------------------------

    @contextmanager
    def expecting(self, what: str) -> Iterator[None]:
        """Waits that see nothing in here, and what a peer must not send, are deviations from
        `what`."""
        self._expected.append(what)
        try:
            yield
        except PeerLacks:
            raise
        except (WireError, RemoteProtocolError, PeerError, PeerTimeout) as error:
            raise Deviation(what, str(error)) from error
        finally:
            self._expected.pop()

    def check(self, holds: object, expected: str, came: object) -> None:
        """Deviation unless `holds`."""
        if not holds:
            raise Deviation(expected, came if isinstance(came, str) else repr(came))

    def equal(self, what: str, came: T, expected: T) -> None:
        """Deviation unless both are equal."""
        self.check(came == expected, f"{what}: {expected!r}", f"{what}: {came!r}")

    def observe(self, what: str) -> None:
        """Note which of several ways that the specification leaves open the target goes."""
        self.observed.append(what)

    async def heartbeats(self, count: float, node: Node) -> None:
        """Let so many of the node's heartbeats pass."""
        await anyio.sleep(count * node.heartbeat)
