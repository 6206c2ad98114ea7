"""Presence: this agent tells the others that it is there, and knows which of them are."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from random import Random

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from gossipsub.chorus.agent_card import MAX_CHARACTERS, AgentCard
from gossipsub.chorus.agent_part import AgentPart
from gossipsub.chorus.agent_table import OFFLINE, Agent, AgentTable, ChangeKind, PresenceChange
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.message_options import MessageOptions
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.chorus.topics import fold
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import GossipSubError, LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.presence")

GOODBYE_TIMEOUT = 1.0
"""Seconds for the goodbye."""


class Presence(AgentPart):
    """`async with Presence(chorus, agent=AgentCard(...)) as presence:` inside the `async with` of
    `chorus`, which must be open (LocalProtocolError).

    It tells roles and capabilities at the start and when they change, and sends a heartbeat
    (availability) every `interval` seconds, give or take a tenth; sooner, once, when somebody
    new comes, who would otherwise wait for it, and until the first one reached anybody. Leaving
    says goodbye.

    The others are known by whatever they say; see `AgentTable`. Who is silent for `gone_after`
    seconds (None: three intervals and a half) is gone. What another node told afterwards
    (catching up) counts for nothing here. At most `max_agents` are known.
    """

    def __init__(
        self,
        chorus: ChorusPubSub,
        *,
        agent: AgentCard,
        interval: float = 30.0,
        gone_after: float | None = None,
        max_agents: int = 1024,
        rng: Random | None = None,
    ) -> None:
        if not interval > 0:
            raise LocalProtocolError(f"interval is above 0: {interval}")
        _require_card(agent)
        gone_after = interval * 3.5 if gone_after is None else gone_after
        if not gone_after > interval:
            raise LocalProtocolError(f"need gone_after > interval: {gone_after}, {interval}")
        self.card = agent
        self.current_tasks = 0
        self.changes_lost = 0
        """Changes that a reader of `changes` was too slow for."""
        super().__init__(chorus)
        self._interval = interval
        self._table = AgentTable(gone_after=gone_after, bound=max_agents)
        self._rng = rng or Random()
        self._status: str | None = None
        self._readers: list[MemoryObjectSendStream[PresenceChange]] = []
        self._card_is_told = False
        self._may_hurry = True
        self._last_sent = 0.0
        self._next_at = 0.0
        self._sooner = anyio.Event()

    async def _open(self, stack: AsyncExitStack) -> None:
        self._card_is_told = False
        self._start_observing(stack)
        await self._tell()
        stack.push_async_callback(self._say_goodbye)
        tasks = await self._start_tasks(stack)
        tasks.start_soon(self._keep_telling)
        tasks.start_soon(self._keep_expiring)

    async def _say_goodbye(self) -> None:
        for reader in self._readers:
            reader.close()
        with anyio.move_on_after(GOODBYE_TIMEOUT, shield=True):
            try:
                await self._send_availability(OFFLINE, available=False)
            except (GossipSubError, ValueError) as failure:
                logger.warning("no goodbye was sent error=%s", failure)

    # -- the others ------------------------------------------------------------------------

    def agents(self) -> tuple[Agent, ...]:
        """The others that are there; those heard last at the end."""
        return self._table.agents()

    def agent(self, peer: PeerId) -> Agent | None:
        """That one, if it is there."""
        return self._table.find(peer)

    def with_role(self, role: str) -> tuple[Agent, ...]:
        """Those that say they hold the role; case, and spaces or underscores, do not matter."""
        wanted = fold(role)
        return tuple(a for a in self.agents() if wanted in map(fold, a.card.roles))

    def with_expertise(self, expertise: str) -> tuple[Agent, ...]:
        """Those that say they know the field; as `with_role`."""
        wanted = fold(expertise)
        return tuple(a for a in self.agents() if wanted in map(fold, a.card.expertise))

    @property
    def left_out(self) -> int:
        """Messages of agents that are not known, for `max_agents` are."""
        return self._table.left_out

    @contextmanager
    def changes(self, buffer: int = 256) -> Iterator[MemoryObjectReceiveStream[PresenceChange]]:
        """From now on, who joined, told something new, or is gone.

            with presence.changes() as changes:
                async for change in changes:
                    print(change.kind, change.agent.card.name)

        It ends when presence is left. For a reader that is `buffer` behind, further changes are
        lost and counted in `changes_lost`.
        """
        self._require_open()
        send, receive = anyio.create_memory_object_stream[PresenceChange](buffer)
        self._readers.append(send)
        try:
            yield receive
        finally:
            self._readers.remove(send)
            send.close()
            receive.close()

    # -- this one --------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """What the heartbeats say: the status given, or by the tasks: ready, working or busy; of
        an agent that takes none, present."""
        if self._status is not None:
            return self._status
        if not self.card.max_tasks:
            return "present"
        if self.current_tasks >= self.card.max_tasks:
            return "busy"
        return "working" if self.current_tasks else "ready"

    def update(
        self,
        *,
        card: AgentCard | None = None,
        current_tasks: int | None = None,
        status: str | None = None,
    ) -> None:
        """Change what is given. It is told soon, but no more often than thirty times in an
        interval. A `status` of "" means by the tasks again."""
        self._require_open()
        if current_tasks is not None and (type(current_tasks) is not int or current_tasks < 0):
            raise LocalProtocolError(f"current_tasks is a whole number from 0: {current_tasks!r}")
        if status is not None:
            _require_status(status)
        if card is not None:
            _require_card(card)
        if status == OFFLINE:
            raise LocalProtocolError("an agent is offline when it leaves presence")
        if card is not None and card != self.card:
            self.card = card
            self._card_is_told = False
        if current_tasks is not None:
            self.current_tasks = current_tasks
        if status is not None:
            self._status = status or None
        self._hurry(self._last_sent + self._interval / 30)

    # -- inside ----------------------------------------------------------------------------

    def _observe(self, delivery: Delivery) -> None:
        if delivery.is_own or delivery.is_caught_up:
            return
        now = anyio.current_time()
        change = self._table.hear(delivery.sender, delivery.envelope, now=now)
        if change is None:
            return
        self._report(change)
        if change.kind is ChangeKind.JOINED and self._may_hurry:
            # Once between two regular heartbeats: a crowd of newcomers must not make us shout.
            self._may_hurry = False
            self._hurry(now + self._rng.uniform(0, self._interval / 10))

    def _report(self, change: PresenceChange) -> None:
        for reader in self._readers:
            try:
                reader.send_nowait(change)
            except anyio.WouldBlock:
                self.changes_lost += 1

    def _hurry(self, at: float) -> None:
        if at < self._next_at:
            self._next_at = at
            self._sooner.set()

    async def _keep_telling(self) -> None:
        while True:
            regular = self._next_at
            while (wait := self._next_at - anyio.current_time()) > 0:
                self._sooner = anyio.Event()
                with anyio.move_on_after(wait):
                    await self._sooner.wait()
            if self._next_at == regular:
                self._may_hurry = True
            try:
                await self._tell()
            except (GossipSubError, ValueError) as error:
                logger.warning("no heartbeat was sent error=%s", error)
                self._card_is_told = False
                self._schedule(self._interval)

    async def _keep_expiring(self) -> None:
        while True:
            now = anyio.current_time()
            for change in self._table.expire(now=now):
                self._report(change)
            # Not for every agent by itself, where there are many.
            soonest = now + self._interval / 100
            await anyio.sleep_until(max(soonest, self._table.next_expiry(now=now)))

    async def _tell(self) -> None:
        self._last_sent = anyio.current_time()
        if not self._chorus.peers():
            # Nothing is said, for it would only fill this agent's own log.
            self._schedule(self._interval / 10)
            return
        # First, for all there is to know of a newcomer is in it.
        reached = await self._send_availability(
            self.status, available=self.current_tasks < self.card.max_tasks
        )
        self._schedule(self._interval if reached else self._interval / 10)
        if reached and not self._card_is_told:
            # Before it is sent, for it may change meanwhile.
            self._card_is_told = True
            await self._send_card()

    def _schedule(self, seconds: float) -> None:
        self._next_at = anyio.current_time() + seconds * self._rng.uniform(0.9, 1.1)

    async def _send_card(self) -> None:
        me = str(self._chorus.host.peer_id)
        said = self.card.to_data()
        role = self.card.roles[0] if self.card.roles else ""
        options = MessageOptions(from_role=role)
        if role:
            await self._chorus.publish_hmmm_message(
                MessageType.ROLE_ANNOUNCEMENT, {"agent_id": me, "role": role, **said}, options
            )
        await self._chorus.publish_bzzz_message(
            MessageType.CAPABILITY_BROADCAST, {"agent_id": me, **said}, options
        )

    async def _send_availability(self, status: str, *, available: bool) -> bool:
        """Whether it left for anybody. All of the card is in it, for those who came later."""
        me = str(self._chorus.host.peer_id)
        data = {
            "node_id": me,
            "status": status,
            "available_for_work": available,
            "current_tasks": self.current_tasks,
            "interval_seconds": self._interval,
            **self.card.to_data(),
        }
        result = await self._chorus.publish_bzzz_message(MessageType.AVAILABILITY_BROADCAST, data)
        return not result.reached_nobody


def _require_card(card: object) -> None:
    if not isinstance(card, AgentCard):
        raise LocalProtocolError(f"a card is an AgentCard, not of type {type(card).__name__}")


def _require_status(status: object) -> None:
    if not isinstance(status, str) or len(status) > MAX_CHARACTERS:
        raise LocalProtocolError(f"status is text of at most {MAX_CHARACTERS} characters")
