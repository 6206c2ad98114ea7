from __future__ import annotations

import logging
from contextlib import AsyncExitStack

import anyio
import pytest

from gossipsub import Host
from gossipsub.chorus import ChorusPubSub, MessageType
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.observers import Observers
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message


def a_delivery() -> Delivery:
    key = PrivateKey.generate()
    envelope = Envelope("news", str(key.peer_id()), Timestamp.from_unix_ns(0), {})
    signed = SignedMessage(sign_message(Message("t", envelope.encode(), seqno=bytes(8)), key))
    return Delivery(envelope, "t", key.peer_id(), signed, 0)


def test_an_observer_that_nobody_would_await_is_an_error() -> None:
    async def hear(delivery: Delivery) -> None:
        raise AssertionError("nobody awaits it")

    with pytest.raises(LocalProtocolError, match=r"^an observer is a plain function, not a cor"):
        Observers().add(hear)  # type: ignore[arg-type]


def test_each_is_told_in_order_even_where_another_fails(caplog: pytest.LogCaptureFixture) -> None:
    observers, told = Observers(), []
    observers.add(lambda delivery: told.append(("first", delivery)))
    observers.add(lambda delivery: 1 / 0)
    last = lambda delivery: told.append(("last", delivery))  # noqa: E731
    observers.add(last)
    delivery = a_delivery()
    with caplog.at_level(logging.ERROR):
        observers.tell(delivery)
    assert told == [("first", delivery), ("last", delivery)]
    assert [record.message[:18] for record in caplog.records] == ["an observer failed"]
    observers.remove(last)
    observers.tell(delivery)
    assert told[2:] == [("first", delivery)]


def test_what_is_no_observer_is_refused() -> None:
    observers = Observers()
    with pytest.raises(LocalProtocolError, match="not of type int"):
        observers.add(3)  # type: ignore[arg-type]
    with pytest.raises(LocalProtocolError, match="not added"):
        observers.remove(print)


@pytest.mark.anyio
async def test_own_and_others_messages_are_observed_with_their_signatures() -> None:
    async with AsyncExitStack() as stack:
        a, b = [await stack.enter_async_context(Host()) for _ in range(2)]
        alice, bob = [await stack.enter_async_context(ChorusPubSub(host)) for host in (a, b)]
        await a.connect(b.addresses[0])
        await alice.wait_for_peers(1, timeout=20)
        own: list[Delivery] = []
        seen: list[Delivery] = []
        heard = anyio.Event()
        alice.add_observer(own.append)
        bob.add_observer(seen.append)
        bob.set_bzzz_message_handler(lambda envelope, sender: heard.set())
        await alice.publish_bzzz_message(MessageType.TASK_CLAIM, {"task_id": "1"})
        with anyio.fail_after(20):
            await heard.wait()
        (sent,), (got,) = own, seen
        assert (sent.is_own, got.is_own) == (True, False)
        assert (sent.envelope, sent.sender, sent.topic) == (got.envelope, a.peer_id, got.topic)
        assert sent.signed == got.signed
        assert SignedMessage.decode(got.signed.encoded).is_genuine()
