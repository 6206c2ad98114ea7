from __future__ import annotations

import pytest

from gossipsub.chorus import Envelope, MessageType, Timestamp
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.thread_history import Thread, ThreadHistory
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message

KEY = PrivateKey.from_seed(bytes(32))


def said(
    thread: str,
    text: str = "",
    kind: str = MessageType.META_DISCUSSION,
    *,
    at: int = 0,
    received_at: int = 0,
) -> Delivery:
    me = KEY.peer_id()
    data = {"message": text}
    envelope = Envelope(kind, str(me), Timestamp.from_unix_ns(at), data, thread_id=thread)
    message = Message("topic", envelope.encode(), seqno=bytes(8))
    signed = SignedMessage(sign_message(message, KEY))
    return Delivery(envelope, "topic", me, signed, received_at)


def texts(thread: Thread | None) -> list[object]:
    kept = () if thread is None else thread.kept
    return [(Envelope.decode(signed.data).data or {})["message"] for signed in kept]


def history(*, messages: int = 3, threads: int = 4, max_bytes: int = 10_000) -> ThreadHistory:
    return ThreadHistory(messages=messages, threads=threads, max_bytes=max_bytes)


def test_the_newest_messages_of_each_thread_are_kept() -> None:
    threads = history()
    for number in range(5):
        threads.note(said("t", str(number)), now=number)
    thread = threads.note(said("u", "x"), now=9)
    assert thread == threads.find("u")
    found = threads.find("t")
    assert found is not None
    assert (found.count, found.started_at, found.topic) == (5, 0, "topic")
    assert texts(found) == ["2", "3", "4"]
    assert threads.find("v") is None


def test_what_belongs_to_no_thread_is_not_kept() -> None:
    threads = history()
    assert threads.note(said(""), now=0) is None
    assert threads.note(said("x" * 257), now=0) is None


def test_a_conclusion_from_the_future_settles_nothing_that_is_said_later() -> None:
    threads = history()
    end = MessageType.COORDINATION_COMPLETE
    threads.note(said("t", "", end, at=10**18, received_at=1000), now=0)
    assert threads.is_concluded("t", after=1000)
    assert not threads.is_concluded("t", after=1001)
    threads.note(said("u", "", end, at=500, received_at=1000), now=0)
    assert threads.is_concluded("u", after=500)
    assert not threads.is_concluded("u", after=501)


def test_a_thread_ends_with_its_conclusion() -> None:
    threads = history()
    threads.note(said("t", "a"), now=0)
    assert threads.note(said("t", "", MessageType.COORDINATION_COMPLETE), now=1) is None
    assert threads.find("t") is None
    assert threads.note(said("t", "b"), now=2) is not None
    found = threads.find("t")
    assert found is not None
    assert (found.count, found.started_at, texts(found)) == (1, 2, ["b"])
    assert threads.note(said("new", "", MessageType.COORDINATION_COMPLETE), now=1) is None


def test_conclusions_are_remembered_with_their_times() -> None:
    threads = history(threads=2)
    for thread in ("a", "b", "c"):
        threads.note(said(thread, "", MessageType.COORDINATION_COMPLETE), now=0)  # said at 0
    assert [threads.is_concluded(thread, after=0) for thread in "abcd"] == [
        False,
        True,
        True,
        False,
    ]
    assert not threads.is_concluded("c", after=1)


def test_when_it_is_full_the_quietest_threads_are_forgotten() -> None:
    threads = history(threads=2)
    for thread in ("a", "b", "a", "c"):
        threads.note(said(thread, thread), now=0)
    assert [texts(threads.find(thread)) for thread in "abc"] == [["a", "a"], [], ["c"]]


def test_the_bytes_of_all_are_bounded() -> None:
    threads = history(messages=100, max_bytes=3000)
    for number in range(100):
        for thread in "abc":
            threads.note(said(thread, f"{number}" + "x" * 300), now=0)
    kept = [len(texts(threads.find(thread))) for thread in "abc"]
    assert 5 <= sum(kept) <= 9
    assert kept[-1] > 0
    threads.note(said("huge", "x" * 5000), now=0)
    assert [texts(threads.find(thread)) for thread in "abc"] == [[], [], []]
    assert texts(threads.find("huge")) == []


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="at least 1 message, thread and byte"):
        history(messages=0)
