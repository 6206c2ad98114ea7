"""A node's part in catching up: what it holds, whom it asks, and what it answers."""

from __future__ import annotations

import logging
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from types import MappingProxyType, TracebackType
from typing import Self

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from gossipsub.chorus.catch_up.answering import Answering
from gossipsub.chorus.catch_up.asking import Asking, Taken
from gossipsub.chorus.catch_up.frame_stream import SessionFull
from gossipsub.chorus.catch_up.frames import PROTOCOL
from gossipsub.chorus.catch_up.holdings import Holdings, minute_of
from gossipsub.chorus.catch_up.limits import DEFAULT_LIMITS, CatchUpLimits
from gossipsub.chorus.catch_up.message_log import StoredMessages
from gossipsub.chorus.catch_up.neighbours import CatchUpOutcome, Neighbours
from gossipsub.chorus.catch_up.statistics import CatchUpStatistics
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.errors import MalformedEnvelope
from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.crypto.peer_id import PeerId
from gossipsub.peer_events import PeerEvents
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.streams.peer_stream import PeerStream
from gossipsub.validators.token_buckets import TokenBuckets
from gossipsub.wake import Wake
from gossipsub.wire.errors import GossipSubError, LocalProtocolError, RemoteProtocolError

logger = logging.getLogger("gossipsub.chorus.catch_up")

LOOK = 1.0
"""Seconds between two looks at the topics that are joined."""
SETTLE = 0.1
"""Seconds in which changes of neighbours are gathered."""
NS = 10**9
READ_AT_ONCE = 64
"""Messages of the log, which may be some hundred KiB each."""


class CatchUp:
    """Asks neighbours for what this node did not hear, and gives them what they did not.

    `async with CatchUp(chorus) as catch_up:` right inside the `async with` of `chorus`, before
    anything is published. Messages come as their authors signed them, are judged as others are,
    and reach the log, the observers and the handlers through `chorus.catch_up`. Neighbours are
    asked when they appear, when a topic is joined, and every `limits.interval` one of them.

    Others are given what is in the event log of `chorus`; without a log that gives messages back
    this node only asks. `clock` gives nanoseconds since 1970. LocalProtocolError where the host
    catches up already.
    """

    def __init__(
        self,
        chorus: ChorusPubSub,
        *,
        limits: CatchUpLimits = DEFAULT_LIMITS,
        clock: Callable[[], int] = time.time_ns,
        rng: random.Random | None = None,
    ) -> None:
        self._chorus = chorus
        self._host = chorus.host
        self._limits = limits
        self._clock = clock
        self._stored = StoredMessages(chorus.get_hypercore_log())
        self._holdings = Holdings(limits.max_messages)
        self._neighbours = Neighbours(
            interval=limits.interval, rng=rng or random.Random(secrets.randbits(64))
        )
        self._claimed: set[bytes] = set()
        self._serving: dict[anyio.CancelScope, None] = {}
        self._visits: TokenBuckets | None = None
        self._topics: tuple[str, ...] = ()
        self._sessions: Counter[CatchUpOutcome] = Counter()
        self._under_way = 0
        self._taken = self._refused = self._served = self._turned_away = self._given = 0
        self._wake = Wake()
        self._remembered = anyio.Event()
        self._progress = anyio.Event()
        self._exit: AsyncExitStack | None = None

    # -- life ------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._visits is not None:
            raise LocalProtocolError("it is opened once; make another")
        limits = self._limits
        self._visits = TokenBuckets(
            limits.sessions_per_minute / 60,
            limits.sessions_per_minute,
            bytes_per_second=None,
            burst_bytes=None,
            capacity=1024,
            clock=anyio.current_time,
        )
        async with AsyncExitStack() as stack:
            self._topics = self._joined()
            self._chorus.add_observer(self._observe)
            stack.callback(self._chorus.remove_observer, self._observe)
            self._host.set_stream_handler(
                PROTOCOL,
                self._serve,
                max_streams=limits.sessions_served,
                max_streams_per_peer=2,
            )
            stack.callback(self._stop_serving)
            events = await stack.enter_async_context(self._host.peer_events())
            tasks = await stack.enter_async_context(anyio.create_task_group())
            tasks.start_soon(self._run, tasks, events)
            stack.callback(tasks.cancel_scope.cancel)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stack, self._exit = self._exit, None
        if stack is not None:
            # Not told of `error`, which would come out of a task group wrapped.
            await stack.__aexit__(None, None, None)

    def _stop_serving(self) -> None:
        with suppress(LocalProtocolError):  # where the host was closed first
            self._host.set_stream_handler(PROTOCOL, None)
        for scope in self._serving:
            scope.cancel()

    # -- for the application ---------------------------------------------------------------

    async def complete(self, *, timeout: float) -> None:
        """Return when all neighbours that are there have been asked, and at least one has given
        all that it had and this node lacked. TimeoutError after `timeout` seconds, as for a node
        that is alone; LocalProtocolError when it is not open."""
        with anyio.fail_after(timeout):
            while not (self._neighbours.is_complete and self._topics == self._joined()):
                if self._exit is None:
                    raise LocalProtocolError("open it first: async with CatchUp(chorus)")
                await self._progress.wait()

    def statistics(self) -> CatchUpStatistics:
        """What has happened since it was opened, in numbers."""
        return CatchUpStatistics(
            remembered=len(self._holdings),
            sessions=MappingProxyType(dict(self._sessions)),
            taken=self._taken,
            refused=self._refused,
            served=self._served,
            turned_away=self._turned_away,
            given=self._given,
        )

    # -- what this node holds --------------------------------------------------------------

    def _observe(self, delivery: Delivery) -> None:
        self._hold(delivery.topic, delivery.envelope.timestamp.unix_ns, delivery.signed.origin)

    def _hold(self, topic: str, sent_at: int, origin: bytes) -> None:
        first, last = self._window()
        if first <= minute_of(sent_at) <= last:
            self._holdings.add(topic, minute_of(sent_at), origin)

    def _window(self) -> tuple[int, int]:
        """The first and the last minute that matter."""
        now = self._clock()
        first = minute_of(now - int(self._limits.window * NS))
        last = minute_of(now + int(self._limits.max_ahead * NS))
        return max(first, self._holdings.horizon, 0), last

    async def _remember(self) -> None:
        """Look through the log for what was said before this node was opened."""
        now = self._clock()
        start = now - int(self._limits.window * NS)
        if (kept_since := await self._stored.kept_since()) is not None:
            # What was dropped before that was heard in an earlier life.
            self._holdings.horizon = minute_of(kept_since)
        end = now + int(self._limits.max_ahead * NS)
        origins = await self._stored.between(start, end)
        origins = origins[-self._limits.max_messages :]
        for first in range(0, len(origins), READ_AT_ONCE):
            for signed in await self._stored.get_all(origins[first : first + READ_AT_ONCE]):
                await anyio.lowlevel.checkpoint()  # a large one takes milliseconds
                if signed is None:
                    continue
                try:
                    envelope = Envelope.decode(signed.data)
                except MalformedEnvelope:
                    continue
                self._hold(signed.topic, envelope.timestamp.unix_ns, signed.origin)

    def _joined(self) -> tuple[str, ...]:
        return self._chorus.topics_of_envelopes()

    # -- asking ----------------------------------------------------------------------------

    async def _run(self, tasks: TaskGroup, events: PeerEvents) -> None:
        await self._remember()
        self._remembered.set()
        tasks.start_soon(self._watch, events)
        self._meet()
        while True:
            now = anyio.current_time()
            self._look(now)
            while self._under_way < self._limits.sessions:
                peer = self._neighbours.take_due(now)
                if peer is None:
                    break
                self._under_way += 1
                tasks.start_soon(self._ask, peer)
            due = self._neighbours.next_due()
            pause = LOOK if due is None else min(max(due - now, 0.01), LOOK)
            with anyio.move_on_after(pause):
                await self._wake.wait()

    async def _watch(self, events: PeerEvents) -> None:
        """Neighbours are read anew when any of them came, went, or joined or left a topic."""
        async for _ in events:
            await anyio.sleep(SETTLE)
            while len(events):
                events.take()
            self._meet()
            self._wake.set()

    def _meet(self) -> None:
        topics = set(self._joined())
        peers = [info.peer for info in self._host.peers() if topics.intersection(info.topics)]
        self._neighbours.present(peers, anyio.current_time())
        self._tell_progress()

    def _look(self, now: float) -> None:
        self._holdings.forget_before(self._window()[0])
        joined = self._joined()
        if set(joined) - set(self._topics):
            self._neighbours.hurry(now)
            self._meet()
        self._topics = joined

    async def _ask(self, peer: PeerId) -> None:
        outcome = CatchUpOutcome.FAILED
        try:
            outcome = await self._session(peer)
        finally:
            self._under_way -= 1
            self._sessions[outcome] += 1
            self._neighbours.asked(peer, outcome, anyio.current_time())
            self._tell_progress()
            self._wake.set()

    async def _session(self, peer: PeerId) -> CatchUpOutcome:
        asking: Asking | None = None
        limits = self._limits
        try:
            with anyio.fail_after(limits.session_timeout):
                stream = await self._host.open_stream(peer, PROTOCOL, timeout=limits.answer_timeout)
                async with stream:
                    # The oldest minute may be half gone on the other side.
                    first, last = self._window()
                    asking = Asking(
                        stream,
                        limits=limits,
                        holdings=self._holdings,
                        receiver=self,
                        first=first + 1,
                        last=last,
                    )
                    await asking.run(self._joined())
        except RemoteProtocolError as error:
            logger.debug("a neighbour misbehaved peer=%s error=%s", peer.short(), error)
            return CatchUpOutcome.MISBEHAVED
        except (GossipSubError, TimeoutError) as error:
            logger.debug("a session failed peer=%s error=%s", peer.short(), error or "too slow")
            return (
                CatchUpOutcome.MORE
                if asking is not None and asking.is_worth_it
                else CatchUpOutcome.FAILED
            )
        is_left = any(self.lacks(*each) for each in asking.left)
        return CatchUpOutcome.MORE if is_left else CatchUpOutcome.COMPLETE

    # What a session asks of it: `asking.Receiver`.

    def lacks(self, topic: str, minute: int, origin: bytes) -> bool:
        """Whether this node wants the message."""
        return not self._holdings.has(topic, minute, origin) and not self._chorus.is_known(origin)

    def claim(self, origin: bytes) -> bool:
        """Whether a session is to ask for it; False while another does."""
        if origin in self._claimed:
            return False
        self._claimed.add(origin)
        return True

    def release(self, origins: Iterable[bytes]) -> None:
        """They are asked for no more."""
        self._claimed.difference_update(origins)

    def take(self, signed: SignedMessage, minute: int) -> Taken:
        """Judge a genuine message of that minute."""
        refused = self._refusals()
        if self._chorus.catch_up(signed):
            self._taken += 1
            return Taken.NEW
        if self._chorus.is_known(signed.origin):
            taken = Taken.KNOWN
        elif self._refusals() > refused:
            self._refused += 1
            taken = Taken.REFUSED
        elif signed.topic not in self._joined():
            return Taken.REFUSED  # it was left meanwhile
        else:
            return Taken.NO_ROOM
        self._holdings.add(signed.topic, minute, signed.origin)
        if taken is Taken.REFUSED:
            self._holdings.withhold(signed.topic, minute, signed.origin)
        return taken

    def _refusals(self) -> int:
        return sum(self._chorus.statistics().refused.values())

    def _tell_progress(self) -> None:
        self._progress.set()
        self._progress = anyio.Event()

    # -- answering -------------------------------------------------------------------------

    async def _serve(self, stream: PeerStream) -> None:
        answering = Answering(
            stream,
            limits=self._limits,
            holdings=self._holdings,
            stored=self._stored,
            topics=frozenset(self._joined()),
        )
        if self._visits is None or not self._visits.take(stream.peer, 0):
            self._turned_away += 1
            await answering.refuse("too many sessions")
            return
        if not self._stored.are_there:
            await answering.refuse("no log here")
            return
        # Before that, what it says it holds would not be all.
        with anyio.move_on_after(self._limits.answer_timeout / 2):
            await self._remembered.wait()
        if not self._remembered.is_set():
            await answering.refuse("the log is being read")
            return
        self._served += 1
        try:
            with anyio.fail_after(self._limits.session_timeout) as scope:
                self._serving[scope] = None
                await answering.run()
        except SessionFull as error:
            raise RemoteProtocolError(str(error), fatal_to="stream") from error
        finally:
            self._serving.pop(scope, None)
            self._given += answering.given
