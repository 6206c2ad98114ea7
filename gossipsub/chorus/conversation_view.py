"""What the status page shows of a conversation: who is there, what was said, what was refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import anyio

from gossipsub.chorus.conversation import Conversation, Remark, Thread

if TYPE_CHECKING:
    from gossipsub.chorus.agent_card import AgentCard
    from gossipsub.chorus.presence import Presence
    from gossipsub.chorus.pubsub import ChorusPubSub

MAX_AGENTS = 200
MAX_THREADS = 30
MAX_REMARKS = 50
"""Of a thread."""
MAX_ITEMS = 16
"""Roles, or fields of expertise, of an agent."""


class ConversationView:
    """`StatusServer(host, conversation=ConversationView(chorus, conversation, presence))`.

    Calling it gives what JSON can hold: this agent and the 199 heard last, by name, and 30 threads
    with the last 50 remarks of each; how many were left out is told. Without `presence` agents
    have no names. `clock` gives seconds since 1970. To be called in the event loop.
    """

    def __init__(
        self,
        chorus: ChorusPubSub,
        conversation: Conversation,
        presence: Presence | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._chorus = chorus
        self._conversation = conversation
        self._presence = presence
        self._clock = clock

    def __call__(self) -> Mapping[str, object]:
        now = self._clock()
        agents, left_out = self._agents(now)
        threads = [_thread(thread) for thread in self._conversation.threads(MAX_THREADS)]
        refused = self._chorus.statistics().refused
        return {
            "peer_id": str(self._chorus.host.peer_id),
            "taken_at": now,
            "agents": agents,
            "agents_left_out": left_out,
            "threads": threads,
            "threads_left_out": self._conversation.thread_count - len(threads),
            "refused": {reason.value: count for reason, count in refused.items() if count},
        }

    def _agents(self, now: float) -> tuple[list[dict[str, Any]], int]:
        presence = self._presence
        if presence is None:
            return [], 0
        peer = str(self._chorus.host.peer_id)
        told = (presence.status, presence.current_tasks)
        me = _row(peer, presence.card, *told, last_seen=now, is_me=True)
        loop_now = anyio.current_time()
        known = presence.agents()
        newest = known[-(MAX_AGENTS - 1) :]
        others = [
            _row(
                str(agent.peer),
                agent.card,
                agent.status,
                agent.current_tasks,
                last_seen=now - (loop_now - agent.last_seen),
                is_me=False,
            )
            for agent in newest
        ]
        # In an order that stays, whoever spoke last.
        others.sort(key=lambda row: (not row["name"], row["name"].casefold(), row["peer"]))
        return [me, *others], len(known) - len(newest)


_REMARK = tuple(field.name for field in fields(Remark))
_THREAD = tuple(field.name for field in fields(Thread))


def _thread(thread: Thread) -> dict[str, Any]:
    # dataclasses.asdict would take 14 times as long: 11 ms for all of them.
    told = {name: getattr(thread, name) for name in _THREAD}
    told["remarks"] = [
        {name: getattr(remark, name) for name in _REMARK}
        for remark in thread.remarks[-MAX_REMARKS:]
    ]
    return told


def _row(
    peer: str, card: AgentCard, status: str, tasks: int, *, last_seen: float, is_me: bool
) -> dict[str, Any]:
    return {
        "peer": peer,
        "name": card.name,
        "roles": list(card.roles[:MAX_ITEMS]),
        "expertise": list(card.expertise[:MAX_ITEMS]),
        "status": status,
        # Who never said how it is doing has not said how much it can do either.
        "tasks": tasks if status else None,
        "capacity": card.max_tasks if status else None,
        "last_seen": last_seen,
        "is_me": is_me,
    }
