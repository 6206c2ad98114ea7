"""The pipeline alone: what it reports for the messages handed to it."""

from __future__ import annotations

import functools
import logging
import threading
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest

import gossipsub.pubsub.validation
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.pubsub.validation import BATCH, INLINE, ValidationPipeline
from gossipsub.router.effects import Validate, Verdict
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message

pytestmark = pytest.mark.anyio

KEY = PrivateKey.from_seed(bytes(31) + b"\x01")
ME = KEY.peer_id()
NEIGHBOUR = b"neighbour"


@functools.cache
def signed(number: int, topic: str = "t") -> Message:
    return sign_message(Message(topic, b"%d" % number, seqno=number.to_bytes(8, "big")), KEY)


def forged(number: int) -> Message:
    return replace(signed(number), data=b"changed", encoding=None)


def origin_id(message: Message) -> bytes:
    return (message.from_peer or b"") + (message.seqno or b"")


class Pipeline(ValidationPipeline):
    """With the verdicts it reports, by ticket and in their order."""

    def __init__(self, *, queue=256, throttle=1024, workers=2):
        self.reports: dict[int, Verdict] = {}
        self.flushes = 0
        super().__init__(
            queue=queue,
            throttle=throttle,
            workers=workers,
            report=self._note,
            batch_done=self._flushed,
        )

    def _note(self, ticket: int, verdict: Verdict) -> None:
        assert ticket not in self.reports
        self.reports[ticket] = verdict

    def _flushed(self) -> None:
        self.flushes += 1

    def offer(self, ticket: int, message: Message | None = None) -> bool:
        message = signed(ticket) if message is None else message
        return self.submit(Validate(ticket, NEIGHBOUR, message, origin_id(message)))

    async def settled(self, count: int) -> None:
        with anyio.fail_after(5):
            while len(self.reports) < count:
                await anyio.sleep(0.001)

    @asynccontextmanager
    async def running(self):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.run)
            await anyio.sleep(0.001)
            yield self
            tasks.cancel_scope.cancel()


async def judge(validator, *messages: Message) -> list[Verdict]:
    pipeline = Pipeline()
    pipeline.set_validator("t", validator)
    async with pipeline.running():
        for ticket, message in enumerate(messages or (signed(0),)):
            assert pipeline.offer(ticket, message)
        await pipeline.settled(len(messages) or 1)
    return list(pipeline.reports.values())


# -- signatures


@pytest.mark.rule("VAL-03")
async def test_without_a_validator_a_good_signature_is_enough():
    async with Pipeline().running() as pipeline:
        pipeline.offer(1, signed(1))
        pipeline.offer(2, forged(2))
        pipeline.offer(3, Message("t", b"anonymous"))
        await pipeline.settled(3)
    assert pipeline.reports == {
        1: Verdict.ACCEPT,
        2: Verdict.INVALID_SIGNATURE,
        3: Verdict.ACCEPT,
    }


async def test_no_validator_sees_a_forged_message():
    seen = []
    verdicts = await judge(lambda message: seen.append(message.data) or True, forged(1), signed(2))
    assert verdicts == [Verdict.INVALID_SIGNATURE, Verdict.ACCEPT]
    assert seen == [b"2"]


@pytest.fixture
def verifications(monkeypatch):
    """Each call that verifies: the thread's name and how many messages."""
    calls: list[tuple[threading.Thread, int]] = []
    real = gossipsub.pubsub.validation.verify_batch

    def verify(messages):
        calls.append((threading.current_thread(), len(messages)))
        return real(messages)

    monkeypatch.setattr(gossipsub.pubsub.validation, "verify_batch", verify)
    return calls


async def test_many_signatures_are_verified_in_batches_on_other_threads(verifications):
    pipeline = Pipeline(workers=2)
    for ticket in range(100):
        assert pipeline.offer(ticket)
    async with pipeline.running():
        await pipeline.settled(100)
    here = threading.current_thread()
    assert sorted(size for _, size in verifications) == [100 - 3 * BATCH, BATCH, BATCH, BATCH]
    assert all(thread is not here for thread, _ in verifications)
    assert list(pipeline.reports.items()) == [(n, Verdict.ACCEPT) for n in range(100)]
    assert pipeline.flushes == 4


async def test_few_signatures_are_verified_where_they_are(verifications):
    pipeline = Pipeline(workers=1)
    for ticket in range(INLINE):
        pipeline.offer(ticket)
    async with pipeline.running():
        await pipeline.settled(INLINE)
    assert verifications == [(threading.current_thread(), INLINE)]


async def test_only_as_many_batches_are_verified_at_once_as_there_are_workers(monkeypatch):
    at_once, most, lock = 0, 0, threading.Lock()
    real = gossipsub.pubsub.validation.verify_batch

    def verify(messages):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        good = real(messages)
        with lock:
            at_once -= 1
        return good

    monkeypatch.setattr(gossipsub.pubsub.validation, "verify_batch", verify)
    pipeline = Pipeline(workers=2)
    for ticket in range(200):
        pipeline.offer(ticket)
    async with pipeline.running():
        await pipeline.settled(200)
    assert most <= 2


async def test_messages_are_judged_in_the_order_they_came_whoever_verifies_first(monkeypatch):
    second_is_verified = threading.Event()
    real = gossipsub.pubsub.validation.verify_batch

    def verify(messages):
        if messages[0] is signed(0):
            assert second_is_verified.wait(5)
        good = real(messages)
        if messages[0] is signed(BATCH):
            second_is_verified.set()
        return good

    monkeypatch.setattr(gossipsub.pubsub.validation, "verify_batch", verify)
    pipeline = Pipeline(workers=2)
    for ticket in range(2 * BATCH):
        pipeline.offer(ticket)
    async with pipeline.running():
        await pipeline.settled(2 * BATCH)
    assert list(pipeline.reports) == list(range(2 * BATCH))


async def test_a_worker_that_waits_is_woken_by_the_next_message():
    async with Pipeline(workers=2).running() as pipeline:
        for ticket in range(300):
            assert pipeline.offer(ticket)
            if ticket % 7 == 0:
                await pipeline.settled(ticket + 1)
            elif ticket % 3 == 0:
                await anyio.lowlevel.checkpoint()
        await pipeline.settled(300)
    assert list(pipeline.reports) == list(range(300))


# -- bounds


async def test_a_full_queue_refuses_a_message_and_takes_it_later():
    pipeline = Pipeline(queue=1)
    assert pipeline.offer(1)
    assert not pipeline.offer(2)
    assert (len(pipeline), pipeline.queue_full, pipeline.reports) == (1, 1, {})
    async with pipeline.running():
        await pipeline.settled(1)
        assert pipeline.offer(2)
        await pipeline.settled(2)
    assert pipeline.reports == {1: Verdict.ACCEPT, 2: Verdict.ACCEPT}


async def test_a_queue_three_quarters_full_is_behind_until_half_empty():
    pipeline = Pipeline(queue=8)
    states = []
    for ticket in range(8):
        pipeline.offer(ticket)
        states.append((pipeline.is_behind(), pipeline.has_caught_up()))
    assert states == [(False, True)] * 4 + [(False, False)] + [(True, False)] * 3


@pytest.mark.rule("VAL-08")
async def test_above_the_throttle_a_message_is_dropped_and_the_one_before_is_not_disturbed():
    answer = anyio.Event()

    async def slow(message):
        await answer.wait()
        return True

    pipeline = Pipeline(throttle=1)
    pipeline.set_validator("t", slow)
    async with pipeline.running():
        pipeline.offer(1)
        pipeline.offer(2)
        await pipeline.settled(1)
        assert (pipeline.reports, pipeline.throttled) == ({2: Verdict.THROTTLED}, 1)
        answer.set()
        await pipeline.settled(2)
        assert pipeline.reports[1] is Verdict.ACCEPT
        pipeline.offer(3)
        await pipeline.settled(3)
    assert (pipeline.reports[3], pipeline.throttled) == (Verdict.ACCEPT, 1)


async def test_the_throttle_counts_asynchronous_validators_only():
    async def never(message):
        await anyio.sleep_forever()

    pipeline = Pipeline(throttle=1)
    pipeline.set_validator("slow", never)
    pipeline.set_validator("t", lambda message: True)
    pipeline.set_validator("hidden", lambda message: never(message))
    async with pipeline.running():
        pipeline.offer(1, signed(1, "slow"))
        pipeline.offer(2, signed(2, "t"))
        pipeline.offer(3, signed(3, "hidden"))
        pipeline.offer(4, signed(4, "unchecked"))
        await pipeline.settled(3)
    assert pipeline.reports == {2: Verdict.ACCEPT, 3: Verdict.THROTTLED, 4: Verdict.ACCEPT}


async def test_a_slow_validator_holds_up_no_other_message():
    answer = anyio.Event()

    async def by_content(message):
        if message.data == b"0":
            await answer.wait()
        return True

    pipeline = Pipeline()
    pipeline.set_validator("t", by_content)
    async with pipeline.running():
        for ticket in range(100):
            pipeline.offer(ticket)
        await pipeline.settled(99)
        assert 0 not in pipeline.reports
        answer.set()
        await pipeline.settled(100)


# -- the user's validators


def accepts(message):
    return True


async def accepts_later(message):
    await anyio.lowlevel.checkpoint()
    return True


class Judge:
    def __init__(self, verdict):
        self.verdict = verdict

    def __call__(self, message):
        return self.verdict

    async def later(self, message):
        return self.verdict


FORMS = {
    "function": accepts,
    "lambda": lambda message: True,
    "coroutine_function": accepts_later,
    "object": Judge(True),
    "bound_coroutine_function": Judge(True).later,
    "partial": functools.partial(lambda verdict, message: verdict, True),
    "function_that_returns_an_awaitable": lambda message: accepts_later(message),
}


@pytest.mark.rule("VAL-05")
@pytest.mark.parametrize("validator", FORMS.values(), ids=FORMS)
async def test_a_validator_may_have_any_of_these_forms(validator):
    assert await judge(validator) == [Verdict.ACCEPT]


OUTCOMES = [
    (True, Verdict.ACCEPT),
    (Verdict.ACCEPT, Verdict.ACCEPT),
    (False, Verdict.REJECT),
    (Verdict.REJECT, Verdict.REJECT),
    (Verdict.IGNORE, Verdict.IGNORE),
    (Verdict.THROTTLED, Verdict.THROTTLED),
]


@pytest.mark.rule("VAL-03")
@pytest.mark.parametrize(("said", "verdict"), OUTCOMES)
async def test_the_verdict_is_what_the_validator_says(said, verdict):
    assert await judge(Judge(said)) == [verdict]
    assert await judge(Judge(said).later) == [verdict]


class Odd:
    def __eq__(self, other):
        raise ValueError("not comparable")

    def __bool__(self):
        raise ValueError("no truth value")


NONSENSE = [
    None,
    1,
    0,
    "accept",
    b"",
    Odd(),
    [],
    Verdict,
    Verdict.INVALID_SIGNATURE,
    Verdict.QUEUE_FULL,
]


@pytest.mark.rule("VAL-18")
@pytest.mark.parametrize("said", NONSENSE, ids=lambda said: type(said).__name__)
async def test_what_is_no_verdict_ignores_the_message_and_is_logged_by_name(said, caplog):
    assert await judge(Judge(said).later) == [Verdict.IGNORE]
    assert await judge(Judge(said).__call__) == [Verdict.IGNORE]
    told = [(record.levelno, record.getMessage()) for record in caplog.records]
    assert told == [
        (logging.ERROR, "a validator returned no verdict name=Judge.later"),
        (logging.ERROR, "a validator returned no verdict name=Judge.__call__"),
    ]


def fails(message):
    raise KeyError("mine")


async def fails_later(message):
    await anyio.lowlevel.checkpoint()
    raise KeyError("mine")


async def fails_in_a_group(message):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fails_later, message)


async def times_out(message):
    with anyio.fail_after(0.001):
        await anyio.sleep_forever()


def cancels(message):
    raise anyio.get_cancelled_exc_class()


@pytest.mark.rule("VAL-18")
@pytest.mark.parametrize("validator", [fails, fails_later, fails_in_a_group, times_out])
async def test_an_exception_ignores_the_message_and_is_logged_by_name(validator, caplog):
    pipeline = Pipeline()
    pipeline.set_validator("t", validator)
    async with pipeline.running():
        pipeline.offer(1)
        await pipeline.settled(1)
        pipeline.offer(2, signed(2, "other"))  # and everything goes on
        await pipeline.settled(2)
    assert pipeline.reports == {1: Verdict.IGNORE, 2: Verdict.ACCEPT}
    told = [
        (record.levelno, record.getMessage(), record.exc_info is not None)
        for record in caplog.records
    ]
    assert told == [(logging.ERROR, f"a validator failed name={validator.__name__}", True)]


@pytest.mark.rule("VAL-18")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio lets nobody make its Cancelled
async def test_a_cancellation_a_validator_brings_up_does_not_end_the_pipeline(caplog):
    async def awaits_what_was_cancelled(message):
        import asyncio

        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    pipeline = Pipeline()
    pipeline.set_validator("sync", cancels)
    pipeline.set_validator("async", awaits_what_was_cancelled)
    async with pipeline.running():
        pipeline.offer(1, signed(1, "sync"))
        pipeline.offer(2, signed(2, "async"))
        await pipeline.settled(2)
        pipeline.offer(3)
        await pipeline.settled(3)
    assert pipeline.reports == {1: Verdict.IGNORE, 2: Verdict.IGNORE, 3: Verdict.ACCEPT}
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


async def test_validators_under_way_end_with_the_pipeline(caplog):
    ended = []

    async def never(message):
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(message.data)

    pipeline = Pipeline()
    pipeline.set_validator("t", never)
    async with pipeline.running():
        for ticket in range(3):
            pipeline.offer(ticket)
        await anyio.sleep(0.02)
    assert (sorted(ended), pipeline.reports, caplog.records) == ([b"0", b"1", b"2"], {}, [])


async def test_a_validator_sees_the_message_with_its_origin_and_who_brought_it():
    seen = []
    await judge(lambda message: seen.append(message) or True, signed(7))
    assert seen == [
        ReceivedMessage(
            topic="t",
            data=b"7",
            sender=ME,
            received_from=PeerId(NEIGHBOUR),
            message_id=ME + (7).to_bytes(8, "big"),
            seqno=(7).to_bytes(8, "big"),
        )
    ]


@pytest.mark.rule("VAL-05")
async def test_a_topic_has_one_validator_which_can_be_taken_away():
    pipeline = Pipeline()
    pipeline.set_validator("t", Judge(False))
    with pytest.raises(LocalProtocolError) as refused:
        pipeline.set_validator("t", accepts)
    assert str(refused.value) == "the topic has a validator already: t"
    pipeline.set_validator("u", accepts)
    async with pipeline.running():
        pipeline.offer(1)
        await pipeline.settled(1)
        pipeline.set_validator("t", None)
        pipeline.offer(2)
        await pipeline.settled(2)
        pipeline.set_validator("t", Judge(Verdict.IGNORE))
        pipeline.offer(3)
        await pipeline.settled(3)
    assert list(pipeline.reports.values()) == [Verdict.REJECT, Verdict.ACCEPT, Verdict.IGNORE]
    pipeline.set_validator("t", None)
    with pytest.raises(LocalProtocolError) as refused:
        pipeline.set_validator("t", None)
    assert str(refused.value) == "the topic has no validator: t"


async def test_a_validator_is_a_function():
    with pytest.raises(LocalProtocolError) as refused:
        Pipeline().set_validator("t", 5)
    assert str(refused.value) == "a validator is a function: 5"


async def test_own_messages_are_judged_by_the_same_validator():
    pipeline = Pipeline()
    assert await pipeline.validate_own(signed(1), origin_id(signed(1)), ME) is Verdict.ACCEPT
    for said, verdict in OUTCOMES:
        for form in (Judge(said), Judge(said).later):
            pipeline.set_validator("t", form)
            assert await pipeline.validate_own(signed(1), origin_id(signed(1)), ME) is verdict
            pipeline.set_validator("t", None)
