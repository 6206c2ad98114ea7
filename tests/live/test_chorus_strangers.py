"""Agents with all their parts hear what a stranger makes up: it reaches nobody's log, and stops
nothing."""

from __future__ import annotations

import json
import logging
from random import Random
from typing import Any

import anyio
import pytest

from gossipsub.chorus import (
    AcknowledgedPublisher,
    AgentCard,
    Conversation,
    Escalation,
    EscalationDesk,
    ExpertiseResponse,
    MessageType,
    MetaDiscussion,
    Payload,
    Presence,
    Requests,
    ThreadLimits,
    Tracing,
)
from gossipsub.chorus.envelope import Envelope
from gossipsub.crypto.peer_id import PeerId
from tests.chorus.agents import PATIENCE, Collector, agent_and_outsider

pytestmark = pytest.mark.anyio

FIELDS = (
    "task_id", "request_id", "delivery_id", "acknowledge", "delivery_ids", "asked", "traceparent",
    "tracestate", "roles", "expertise", "capabilities", "status", "name", "current_tasks",
    "max_tasks", "available_for_work", "question", "reason", "answer", "message", "role",
)  # fmt: skip
TEXTS = (
    "", "1", "t", "x" * 65, "x" * 300, "\x00", "é" * 300, "offline", "<&>", "İΣ",
    f"00-{'a' * 32}-{'b' * 16}-01", "a=b,c=d",
)  # fmt: skip
SCALARS = (None, True, 0, -1, 2**53, 10**300, 1e308, -0.0, *TEXTS)
TIMES = ("2025-01-02T03:04:05Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59")
KINDS = (
    *MessageType, *[MessageType.EXPERTISE_REQUEST] * 9, *[MessageType.ESCALATION_TRIGGER] * 9,
    "acknowledgement", "unknown", "",
)  # fmt: skip
MESSAGES = 400


def some(random: Random, depth: int = 0) -> object:
    kind = random.randrange(6) if depth < 4 else 5
    if kind == 0:
        return [some(random, depth + 1) for _ in range(random.randrange(4))]
    if kind == 1:
        return data(random, depth + 1)
    return random.choice(SCALARS)


def data(random: Random, depth: int = 0) -> dict[str, object]:
    return {random.choice(FIELDS): some(random, depth) for _ in range(random.randrange(6))}


def made_up(random: Random, sender: PeerId, number: int) -> bytes:
    said: dict[str, Any] = {
        "type": random.choice(KINDS),
        "from": str(sender),
        "timestamp": random.choice(TIMES),
        "data": data(random) | ({"request_id": str(number)} if random.random() < 0.5 else {}),
    }
    for field in ("from_role", "thread_id", "project_id", "priority"):
        if random.random() < 0.3:
            said[field] = random.choice((*TEXTS, "<" * 100_000))
    if random.random() < 0.2:
        said["to_roles"] = random.choice((["t"], ["T", "x"], [""], []))
    return json.dumps(said, ensure_ascii=random.random() < 0.5).encode()


async def test_nothing_a_stranger_makes_up_is_logged_or_stops_anything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def decide(escalation: Escalation) -> Payload:
        return MetaDiscussion(message="so be it")

    async def serve(envelope: Envelope, sender: PeerId) -> Payload:
        return ExpertiseResponse(answer="this")

    random = Random(5)
    with caplog.at_level(logging.WARNING):
        async with (
            agent_and_outsider() as (_host, chorus, outsider),
            Presence(chorus, agent=AgentCard(name="ada")) as presence,
            Requests(chorus) as requests,
            AcknowledgedPublisher(chorus),
            EscalationDesk(
                chorus, decide, limits=ThreadLimits(messages=5), per_minute=10_000, repeat_after=0
            ) as desk,
            Tracing(chorus),
        ):
            conversation, last = Conversation(), Collector()
            chorus.add_observer(conversation)
            chorus.set_role("t")
            chorus.set_bzzz_message_handler(lambda envelope, sender: None)
            chorus.set_bzzz_message_handler(last, "last")
            requests.serve(MessageType.EXPERTISE_REQUEST, serve)
            for number in range(MESSAGES):
                await outsider.publish(made_up(random, outsider.peer, number))
            await outsider.publish(outsider.envelope("last"))
            await last.wait()
            with anyio.fail_after(PATIENCE):
                while not (requests.statistics().served and desk.statistics().decided):
                    await anyio.sleep(0.01)
            assert [agent.peer for agent in presence.agents()] == [outsider.peer]
            assert conversation.threads()
    assert caplog.messages == []
