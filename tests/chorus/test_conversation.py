from __future__ import annotations

from typing import Any

import pytest

from gossipsub.chorus.conversation import Conversation, Remark
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message

KEYS = [PrivateKey.from_seed(bytes([number]) * 32) for number in range(3)]
TOPIC = "hmmm/meta-discussion/v1"


def delivery(
    text: str = "hello", *, by: int = 0, kind: str = "meta_discussion", **fields: Any
) -> Delivery:
    key = KEYS[by]
    data = {"message": text, **fields.pop("data", {})}
    envelope = Envelope(kind, str(key.peer_id()), Timestamp.from_unix_ns(0), data, **fields)
    message = Message(TOPIC, envelope.encode(), seqno=bytes(8))
    signed = SignedMessage(sign_message(message, key), genuine=True)
    return Delivery(envelope, TOPIC, key.peer_id(), signed, 1_500_000_000)


def names(conversation: Conversation) -> list[str]:
    return [thread.name for thread in conversation.threads()]


def test_remarks_are_kept_by_thread_task_project_and_topic() -> None:
    conversation = Conversation()
    for each in (
        delivery(),
        delivery(project_id="atlas"),
        delivery(project_id="atlas", data={"task_id": "t1"}),
        delivery(thread_id="thread-9", data={"task_id": "t1"}, project_id="atlas"),
    ):
        conversation(each)
    assert names(conversation) == ["thread-9", "task t1", "project atlas", TOPIC]
    thread = conversation.threads(1)[0]
    assert (thread.topic, thread.project_id, thread.total) == (TOPIC, "atlas", 1)


def test_a_thread_shows_who_said_what_in_order() -> None:
    conversation = Conversation()
    conversation(delivery("one", by=1, from_role="Architect", priority="high"))
    conversation(delivery("two", by=2))
    conversation(delivery("three", by=2))
    (thread,) = conversation.threads()
    first, second = (str(KEYS[number].peer_id()) for number in (1, 2))
    assert thread.agents == (second, first)
    assert [remark.text for remark in thread.remarks] == ["one", "two", "three"]
    assert thread.remarks[0] == Remark(
        "1970-01-01T00:00:00Z", 1.5, first, "Architect", "meta_discussion", "one", "high",
        is_own=False, is_caught_up=False,
    )  # fmt: skip


def test_the_oldest_remarks_and_the_quietest_threads_are_forgotten() -> None:
    conversation = Conversation(max_threads=2, max_remarks=2)
    for text in ("1", "2", "3"):
        conversation(delivery(text, thread_id="a"))
    conversation(delivery(thread_id="b"))
    conversation(delivery("4", thread_id="a"))
    conversation(delivery(thread_id="c"))
    assert names(conversation) == ["c", "a"]
    thread = conversation.threads()[1]
    assert ([remark.text for remark in thread.remarks], thread.total) == (["3", "4"], 4)


def test_agents_that_are_spoken_of_are_called_by_their_names() -> None:
    bob = str(KEYS[1].peer_id())
    conversation = Conversation(name_of={bob: "Bob"}.__getitem__)
    conversation(delivery(kind="work_allocation", data={"task_id": "t", "agent_id": bob}))
    (thread,) = conversation.threads()
    assert thread.remarks[0].text == "gives t to Bob"


def test_heartbeats_are_no_conversation() -> None:
    conversation = Conversation()
    conversation(delivery(kind=MessageType.AVAILABILITY_BROADCAST))
    assert conversation.threads() == ()


def test_what_agents_write_is_cut() -> None:
    conversation = Conversation()
    conversation(delivery("x" * 5000, thread_id="y" * 5000, from_role="z" * 5000))
    (thread,) = conversation.threads()
    (remark,) = thread.remarks
    assert (len(thread.name), len(remark.text), len(remark.role)) == (128, 160, 128)


@pytest.mark.parametrize("bound", [0, -1, True, "3"])
def test_a_bound_is_a_number_of_at_least_one(bound: Any) -> None:
    with pytest.raises(LocalProtocolError, match="max_threads"):
        Conversation(max_threads=bound)
    with pytest.raises(LocalProtocolError, match="max_remarks"):
        Conversation(max_remarks=bound)
