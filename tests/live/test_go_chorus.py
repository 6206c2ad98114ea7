"""Agents of ours and a Go program with the document's struct say all message types to each other.

The Go program writes and reads with encoding/json alone; it tells what it understood.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import anyio
import pytest

import gossipsub.conformance
from gossipsub import Host, Topic
from gossipsub.chorus import ChorusPubSub, Envelope, MessageType, Timestamp
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.message_type import CONTEXT_TYPES, COORDINATION_TYPES, HMMM_TOPIC_TYPES
from gossipsub.chorus.topics import CONTEXT_TOPIC, COORDINATION_TOPIC, HMMM_TOPIC
from gossipsub.conformance.driver import PeerProcess, start_peer

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(900),  # the first test may have to build the go peer
    pytest.mark.usefixtures("go_peer_available"),
]

PATIENCE = 30.0
TOPICS = {
    COORDINATION_TOPIC: COORDINATION_TYPES,
    HMMM_TOPIC: HMMM_TOPIC_TYPES,
    CONTEXT_TOPIC: CONTEXT_TYPES,
}
HOMES = {kind: topic for topic, kinds in TOPICS.items() for kind in kinds}

HARD = {
    "integers": [0, -1, 2**53, -(2**53), 2**53 - 1, 10**15],
    "floats": [0.1, -0.0, 0.1 + 0.2, 1e20, 1e21, -1.5e300, 1e-6, 1e-7, 5e-324, 2**0.5],
    "limits": [1.7976931348623157e308, 2.2250738585072014e-308],
    "text": "Größe, e\u0301, 日本, 😀👩\u200d🚀, \u2028\u2029",
    "control": "\u0000\u001f\u007f\u0085\ufeff\ufffd\uffff",
    "markup": "<b class='x'>R&D</b> \"quoted\" \\ / \b\f\n\r\t",
    "nested": {"z": {"y": [[], {}, [None, True, False, ""]]}, "a": {"<&>": "\u2028"}},
    "": "no key",
    "B": 1, "a": 2, "é": 3, "\uffff": 4, "😀": 5,
}  # fmt: skip
"""What implementations of JSON like to disagree about."""

MOMENTS = (
    "2025-01-02T03:04:05.123456789+05:30",
    "2025-01-02T03:04:05.1-12:00",
    "2025-01-02T03:04:05.000000001Z",
    "1969-12-31T23:59:59.999999999Z",
    "9999-12-31T23:59:59+23:59",
    "2024-02-29T00:00:00Z",
)
EVERY_FIELD: dict[str, Any] = {
    "hop_count": 3,
    "from_role": "Größter <Architect> & \u2028",
    "to_roles": ("Senior Developer", "", "😀"),
    "required_expertise": ("distributed_systems", "C&C"),
    "project_id": "project-789",
    "priority": "high",
    "thread_id": "thread\u0000abc",
}


NEEDED: dict[str, dict[str, object]] = {
    "task_announcement": {"task_id": "task-123", "capabilities": ["deployment", "kubernetes"]},
    "task_claim": {"task_id": "task-123"},
    "task_progress": {"task_id": "task-123", "progress": 0.5},
    "task_complete": {"task_id": "task-123", "result": "success"},
    "dependency_alert": {"task_id": "task-123"},
    "escalation_trigger": {"reason": "nobody knows"},
    "expertise_request": {"question": "How to handle distributed transactions?"},
    "status_update": {"status": "in_progress", "completion": 0.45},
    "work_allocation": {"task_id": "task-123"},
    "mentorship_request": {"topic": "concurrency"},
    "project_update": {"project_id": "project-789", "blockers": []},
    "deliverable_ready": {"deliverable": "report.pdf"},
    "context_usage": {"context_path": "/project/docs/api.md", "usage_count": 5},
    "context_relevance": {"context_path": "/project/docs/api.md", "relevance_score": 0.92},
    "slurp_event_generated": {"event_id": "evt-123", "consensus": True},
    "slurp_event_ack": {"event_id": "evt-123"},
}
"""What messages of these types make no sense without."""


def data_of(kind: str) -> dict[str, object]:
    return {"hard": HARD, "kind": str(kind), **NEEDED.get(kind, {})}


@asynccontextmanager
async def go_agent(*hosts: Host) -> AsyncIterator[PeerProcess]:
    """The Go program, subscribed to the three topics and known to be by these hosts."""
    async with start_peer("go", seed=1, arguments=["--chorus"]) as go:
        for topic in TOPICS:
            await go.command("subscribe", topic=topic)
        for host in hosts:
            await go.command("connect", addr=host.addresses[0])
        yield go


async def understood(go: PeerProcess, count: int) -> list[dict[str, Any]]:
    """What the Go program took `count` messages for, in the order of their types."""
    events = [await go.wait_event("message", timeout=PATIENCE) for _ in range(count)]
    for event in events:
        assert "error" not in event["chorus"], event["chorus"]["error"]
        # Encoded again, it is to the byte what it was: nothing was lost or understood otherwise.
        assert base64.b64decode(event["chorus"]["data_b64"]) == event["data"]
    return [event["chorus"] for event in events]


def as_go_says(envelope: Envelope) -> dict[str, Any]:
    """The fields of the Go struct."""
    return {
        "Type": envelope.type,
        "From": envelope.from_peer,
        "Timestamp": envelope.timestamp.text,
        "Data": envelope.data,
        "HopCount": envelope.hop_count,
        "FromRole": envelope.from_role,
        "ToRoles": list(envelope.to_roles) or None,
        "RequiredExpertise": list(envelope.required_expertise) or None,
        "ProjectID": envelope.project_id,
        "Priority": envelope.priority,
        "ThreadID": envelope.thread_id,
    }


def unix_ns(told: dict[str, Any]) -> int:
    return int(told["seconds"]) * 10**9 + int(told["nanoseconds"])


async def test_go_understands_all_31_types_of_ours_to_the_byte() -> None:
    now = 1735787045123456789
    async with (
        Host() as host,
        ChorusPubSub(host, clock=lambda: now) as chorus,
        go_agent(host) as go,
    ):
        await chorus.wait_for_peers(1, timeout=PATIENCE)
        publishers = {
            COORDINATION_TOPIC: chorus.publish_bzzz_message,
            HMMM_TOPIC: chorus.publish_hmmm_message,
            CONTEXT_TOPIC: chorus.publish_context_feedback_message,
        }
        for kind in MessageType:
            await publishers[HOMES[kind]](kind, data_of(kind))
        told = {one["message"]["Type"]: one for one in await understood(go, len(MessageType))}
        assert told.keys() == set(MessageType)
        for kind in MessageType:
            sent = Envelope(kind, str(host.peer_id), Timestamp.from_unix_ns(now), data_of(kind))
            assert told[kind]["message"] == as_go_says(sent)
            assert base64.b64decode(told[kind]["data_b64"]) == sent.encode()
            assert unix_ns(told[kind]) == now


async def test_go_understands_every_field_and_every_time_of_ours() -> None:
    async with Host() as host:
        topic: Topic = await host.join(COORDINATION_TOPIC)
        async with topic.subscribe(), go_agent(host) as go:
            await topic.wait_for_peers(1, timeout=PATIENCE)
            for moment in MOMENTS:
                sent = Envelope(
                    "task_stolen", str(host.peer_id), Timestamp(moment), HARD, **EVERY_FIELD
                )
                await topic.publish(sent.encode())
                (told,) = await understood(go, 1)
                assert told["message"] == as_go_says(sent)
                assert unix_ns(told) == sent.timestamp.unix_ns


class Heard:
    """An observer that passes on what it is told, whatever roles it is for."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[Delivery](64)

    def __call__(self, delivery: Delivery) -> None:
        self._send.send_nowait(delivery)

    async def next(self) -> Delivery:
        with anyio.fail_after(PATIENCE):
            return await self._receive.receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._send.close()
        self._receive.close()


@asynccontextmanager
async def agent_that_hears_go() -> AsyncIterator[tuple[Heard, PeerProcess]]:
    async with Host() as host, ChorusPubSub(host) as chorus, go_agent(host) as go:
        with Heard() as heard:
            chorus.add_observer(heard)
            await chorus.wait_for_peers(1, timeout=PATIENCE)
            for topic in TOPICS:
                await go.wait_answer(
                    "topic_peers", lambda answer: str(host.peer_id) in answer["peers"], topic=topic
                )
            yield heard, go
            assert chorus.dead_letters() == ()


async def test_we_understand_all_31_types_of_go_to_the_byte() -> None:
    async with agent_that_hears_go() as (heard, go):
        for number, kind in enumerate(MessageType):
            # By the clock of Go, in zones from 12 hours behind to 14 hours ahead.
            offset = -43200 + number * 3180
            said = await go.command(
                "chorus_publish",
                topic=HOMES[kind],
                message={"type": kind, "data": data_of(kind)},
                offset_seconds=offset - offset % 60,
            )
            delivery = await heard.next()
            envelope = delivery.envelope
            assert envelope == Envelope(
                kind, go.peer_id, Timestamp(said["message"]["Timestamp"]), data_of(kind)
            )
            assert (type(envelope.type), delivery.topic) == (MessageType, HOMES[kind])
            assert str(delivery.sender) == go.peer_id
            assert envelope.encode() == base64.b64decode(said["data_b64"])
            assert envelope.timestamp.unix_ns == unix_ns(said)


async def test_we_understand_every_field_and_every_time_of_go() -> None:
    async with agent_that_hears_go() as (heard, go):
        for moment in MOMENTS:
            message = {"type": "task_stolen", "timestamp": moment, "data": HARD, **EVERY_FIELD}
            said = await go.command("chorus_publish", topic=COORDINATION_TOPIC, message=message)
            envelope = (await heard.next()).envelope
            assert envelope == Envelope(
                "task_stolen", go.peer_id, Timestamp(moment), HARD, **EVERY_FIELD
            )
            assert envelope.encode() == base64.b64decode(said["data_b64"])
            assert envelope.timestamp.unix_ns == unix_ns(said)


async def test_what_is_left_out_is_left_out_both_ways() -> None:
    async with agent_that_hears_go() as (heard, go):
        said = await go.command(
            "chorus_publish",
            topic=COORDINATION_TOPIC,
            message={"type": "task_stolen", "data": None, "to_roles": [], "priority": ""},
        )
        envelope = (await heard.next()).envelope
        timestamp = Timestamp(said["message"]["Timestamp"])
        assert envelope == Envelope("task_stolen", go.peer_id, timestamp, None)
        assert envelope.encode() == base64.b64decode(said["data_b64"])


def test_both_go_programs_have_the_same_struct() -> None:
    root = Path(gossipsub.conformance.__file__).resolve().parent
    structs = [
        (root / path).read_text(encoding="utf-8").partition("type Message struct {")[2]
        for path in ("peers/go/chorus.go", "vectors/chorus_envelope/main.go")
    ]
    assert len({struct.partition("}\n")[0] for struct in structs}) == 1
