from __future__ import annotations

import asyncio
import logging

import anyio
import anyio.lowlevel
import pytest

from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.handlers import HandlerCalls, Handlers
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.payloads import TaskClaim, TaskComplete
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message

pytestmark = pytest.mark.anyio

SENDER = PeerId(b"\x00\x01x")
ENVELOPE = Envelope(MessageType.TASK_CLAIM, "f", Timestamp.from_unix_ns(0), {})
SIGNED = SignedMessage(Message("t", b"", from_peer=SENDER, seqno=bytes(8), signature=b""))
DELIVERY = Delivery(ENVELOPE, "t", SENDER, SIGNED, 0)


def plain(envelope: Envelope, sender: PeerId) -> None:
    assert (envelope, sender) == (ENVELOPE, SENDER)


async def slow(envelope: Envelope, sender: PeerId) -> None:
    await anyio.lowlevel.checkpoint()
    plain(envelope, sender)


def failing(envelope: Envelope, sender: PeerId) -> None:
    raise ValueError("no")


async def failing_late(envelope: Envelope, sender: PeerId) -> None:
    await anyio.lowlevel.checkpoint()
    raise ValueError("no")


@pytest.mark.parametrize("handler", [plain, slow])
async def test_plain_and_async_handlers_are_run(handler: object) -> None:
    assert await HandlerCalls().call(handler, DELIVERY)  # type: ignore[arg-type]


@pytest.mark.parametrize("handler", [failing, failing_late])
async def test_a_failure_is_logged_with_the_name_and_goes_no_further(
    handler: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert not await HandlerCalls().call(handler, DELIVERY)  # type: ignore[arg-type]
    (record,) = caplog.records
    name = handler.__name__  # type: ignore[attr-defined]
    assert record.getMessage() == f"a handler failed name={name} type=task_claim"
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ValueError)


@pytest.mark.parametrize(("data", "level"), [({}, "DEBUG"), ({"task_id": "t"}, "ERROR")])
async def test_a_bad_payload_of_another_agent_is_no_error_of_the_handler_that_reads_it(
    data: dict[str, object], level: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def read_and_answer(envelope: Envelope, sender: PeerId) -> None:
        TaskClaim.from_data(envelope.data)
        TaskComplete(task_id="")  # the handler's own mistake

    said = Envelope(MessageType.TASK_CLAIM, "f", Timestamp.from_unix_ns(0), data)
    assert not await HandlerCalls().call(read_and_answer, Delivery(said, "t", SENDER, SIGNED, 0))
    assert [record.levelname for record in caplog.records] == [level]


async def test_cancelling_a_handler_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    async def endless(envelope: Envelope, sender: PeerId) -> None:
        scope.cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as scope:
        await HandlerCalls().call(endless, DELIVERY)
    assert scope.cancelled_caught
    assert caplog.records == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # whose futures can be cancelled alone
async def test_what_a_handler_waits_for_may_be_cancelled_and_ends_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def waiting(envelope: Envelope, sender: PeerId) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    assert not await HandlerCalls().call(waiting, DELIVERY)
    (record,) = caplog.records
    assert record.getMessage().startswith("a handler failed name=")


def test_the_handler_of_a_type_goes_before_the_one_of_all_others() -> None:
    handlers = Handlers()
    assert handlers.find("task_claim") is None
    handlers.set(plain, None)
    handlers.set(failing, [MessageType.TASK_CLAIM, "task_stolen"])
    assert handlers.find("task_claim") is failing
    assert handlers.find(MessageType.TASK_CLAIM) is failing
    assert handlers.find("task_stolen") is failing
    assert handlers.find("task_progress") is plain
    handlers.set(None, ["task_claim", "never_set"])
    assert handlers.find("task_claim") is plain
    handlers.set(None, None)
    assert handlers.find("task_claim") is None


def test_a_handler_that_cannot_be_called_is_an_error() -> None:
    with pytest.raises(LocalProtocolError, match=r"^a handler is a function, not of type str$"):
        Handlers().set("plain", None)  # type: ignore[arg-type]
