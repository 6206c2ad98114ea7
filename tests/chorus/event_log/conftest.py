"""What the tests of the event log share: messages of agents, and logs that hold some."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from gossipsub.chorus import Envelope, EventLogger, MessageType, Timestamp
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.rpc import Message

START = 1_735_787_045_000_000_000
"""2025-01-02T03:04:05Z"""
TOPIC = "CHORUS/coordination/v1"


class Agent:
    """Signs envelopes; the numbers of its messages count from 0."""

    def __init__(self, number: int) -> None:
        self.key = PrivateKey.from_node_number(number)
        self.name = str(self.key.public_key.peer_id())
        self._seqno = 0

    def say(
        self,
        data: Mapping[str, Any],
        *,
        type: MessageType = MessageType.TASK_PROGRESS,
        topic: str = TOPIC,
        at: int = START,
        project_id: str = "",
        thread_id: str = "",
    ) -> tuple[Envelope, SignedMessage]:
        envelope = Envelope(
            type,
            self.name,
            Timestamp.from_unix_ns(at),
            data,
            project_id=project_id,
            thread_id=thread_id,
        )
        message = sign_message(
            Message(
                from_peer=bytes(self.key.public_key.peer_id()),
                data=envelope.encode(),
                seqno=self._seqno.to_bytes(8, "big"),
                topic=topic,
            ),
            self.key,
        )
        self._seqno += 1
        return envelope, SignedMessage(message)


def log_data(envelope: Envelope, topic: str = "CHORUS") -> dict[str, Any]:
    """As the document writes it."""
    return {
        "message_type": str(envelope.type),
        "from_peer": envelope.from_peer,
        "timestamp": envelope.timestamp.text,
        "data": envelope.data,
        "topic": topic,
        "project_id": envelope.project_id,
        "thread_id": envelope.thread_id,
    }


def append_messages(log: EventLogger, agent: Agent, count: int, **said: Any) -> list[SignedMessage]:
    """`count` more messages of the agent, a second apart."""
    messages = []
    for number in range(count):
        envelope, signed = agent.say(
            {"task_id": f"task-{number}"}, at=START + number * 10**9, **said
        )
        log.append("task_progress", log_data(envelope), signed=signed)
        messages.append(signed)
    return messages


@pytest.fixture(name="append_messages")
def append_messages_fixture() -> Callable[..., list[SignedMessage]]:
    return append_messages


@pytest.fixture(name="log_data")
def log_data_fixture() -> Callable[..., dict[str, Any]]:
    return log_data


class Clock:
    """Stands still unless it is set."""

    def __init__(self, now: int = START) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def node() -> Agent:
    return Agent(1)


@pytest.fixture
def alice() -> Agent:
    return Agent(2)


@pytest.fixture
def bob() -> Agent:
    return Agent(3)
