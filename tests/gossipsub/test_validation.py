"""The pipeline alone: what it reports for the messages handed to it."""

from __future__ import annotations

import functools
import gc
import itertools
import logging
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import anyio.lowlevel
import pytest

import gossipsub.pubsub.validation.pipeline
from gossipsub.crypto.ed25519 import verify_with_cryptography
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.pubsub.validation.overload import Overload, ValidationCounts
from gossipsub.pubsub.validation.pipeline import (
    BACKLOG,
    BATCH,
    INLINE,
    INLINE_BYTES,
    ValidationPipeline,
)
from gossipsub.pubsub.validation.registered import RegisteredValidator
from gossipsub.router.effects import Validate, Verdict
from gossipsub.timers import Timers
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


def registered(validator, *, timeout=None, concurrency=1024, inline=False, own=True):
    return RegisteredValidator(
        validator, timeout=timeout, concurrency=concurrency, inline=inline, own=own
    )


class Pipeline(ValidationPipeline):
    """With the verdicts it reports, by ticket and in their order."""

    def __init__(self, *, queue=256, throttle=1024, workers=2, ed25519=verify_with_cryptography):
        self.reports: dict[int, Verdict] = {}
        self.flushes = 0
        self.overload = Overload(Timers())
        super().__init__(
            queue=queue,
            throttle=throttle,
            workers=workers,
            ed25519=ed25519,
            report=self._note,
            batch_done=self._flushed,
            overload=self.overload,
        )

    def _note(self, ticket: int, verdict: Verdict) -> None:
        assert ticket not in self.reports
        self.reports[ticket] = verdict

    def _flushed(self) -> None:
        self.flushes += 1

    def offer(self, ticket: int, message: Message | None = None, *, peer: bytes = NEIGHBOUR):
        message = signed(ticket) if message is None else message
        self.submit(Validate(ticket, peer, message, origin_id(message)))
        self.wake_workers()

    def set_validator(self, topic: str, validator, **options):
        self.validators.set(topic, registered(validator, **options))

    def add_default(self, validator, **options):
        self.validators.add_default(registered(validator, **options))

    async def own(self, message: Message):
        return await self.validate_own(message, origin_id(message), ME)

    async def settled(self, count: int) -> None:
        with anyio.fail_after(20):
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
            pipeline.offer(ticket, message)
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
    real = gossipsub.pubsub.validation.pipeline.verify_batch

    def verify(messages, ed25519):
        calls.append((threading.current_thread(), len(messages)))
        return real(messages, ed25519)

    monkeypatch.setattr(gossipsub.pubsub.validation.pipeline, "verify_batch", verify)
    return calls


async def test_many_signatures_are_verified_in_batches_on_other_threads(verifications):
    pipeline = Pipeline(workers=2)
    count = 3 * BATCH + BACKLOG + 1
    for ticket in range(count):
        pipeline.offer(ticket)
    async with pipeline.running():
        await pipeline.settled(count)
    here = threading.current_thread()
    assert [size for thread, size in verifications if thread is not here] == [BATCH] * 4
    assert sum(size for thread, size in verifications if thread is here) == BACKLOG + 1 - BATCH
    assert list(pipeline.reports.items()) == [(n, Verdict.ACCEPT) for n in range(count)]
    assert pipeline.flushes == len(verifications)


async def test_few_signatures_are_verified_where_they_are(verifications):
    pipeline = Pipeline(workers=2)
    for ticket in range(BACKLOG):
        pipeline.offer(ticket)
    async with pipeline.running():
        await pipeline.settled(BACKLOG)
    assert verifications == [(threading.current_thread(), INLINE)] * (BACKLOG // INLINE)


async def test_in_a_short_queue_fewer_are_many(verifications):
    pipeline = Pipeline(queue=BACKLOG)
    for ticket in range(BACKLOG):
        pipeline.offer(ticket)
    async with pipeline.running():
        await pipeline.settled(BACKLOG)
    assert any(thread is not threading.current_thread() for thread, _ in verifications)


async def test_workers_that_wait_are_woken_where_many_come(monkeypatch):
    together = threading.Barrier(2)
    real = gossipsub.pubsub.validation.pipeline.verify_batch

    def verify(messages, ed25519):
        if len(messages) == BATCH:
            together.wait(10)
        return real(messages, ed25519)

    monkeypatch.setattr(gossipsub.pubsub.validation.pipeline, "verify_batch", verify)
    count = BACKLOG + BATCH + 1
    async with Pipeline(workers=2).running() as pipeline:
        for ticket in range(count):
            pipeline.offer(ticket)
        await pipeline.settled(count)
    assert not together.broken


@pytest.mark.parametrize("workers", [0, 2])
async def test_signatures_are_verified_by_what_the_host_chose(workers):
    asked = []

    def verify(public_key, signature, data):
        asked.append(public_key)
        return verify_with_cryptography(public_key, signature, data)

    count = BATCH + 1
    async with Pipeline(workers=workers, ed25519=verify).running() as pipeline:
        for ticket in range(count):
            pipeline.offer(ticket)
        await pipeline.settled(count)
    assert asked == [KEY.public_key.data] * count


async def test_only_as_many_batches_are_verified_at_once_as_there_are_workers(monkeypatch):
    at_once, most, lock = 0, 0, threading.Lock()
    real = gossipsub.pubsub.validation.pipeline.verify_batch

    def verify(messages, ed25519):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        good = real(messages, ed25519)
        with lock:
            at_once -= 1
        return good

    monkeypatch.setattr(gossipsub.pubsub.validation.pipeline, "verify_batch", verify)
    pipeline = Pipeline(workers=2)
    for ticket in range(200):
        pipeline.offer(ticket)
    async with pipeline.running():
        await pipeline.settled(200)
    assert most <= 2


async def test_messages_are_judged_in_the_order_they_came_whoever_verifies_first(monkeypatch):
    second_is_verified = threading.Event()
    real = gossipsub.pubsub.validation.pipeline.verify_batch

    def verify(messages, ed25519):
        if messages[0] is signed(0):
            assert second_is_verified.wait(5)
        good = real(messages, ed25519)
        if messages[0] is signed(BATCH):
            second_is_verified.set()
        return good

    monkeypatch.setattr(gossipsub.pubsub.validation.pipeline, "verify_batch", verify)
    pipeline = Pipeline(workers=2)
    for ticket in range(BACKLOG + 2 * BATCH):
        pipeline.offer(ticket)
    async with pipeline.running():
        await pipeline.settled(BACKLOG + 2 * BATCH)
    assert list(pipeline.reports) == list(range(BACKLOG + 2 * BATCH))


async def test_a_worker_that_waits_is_woken_by_the_next_message():
    async with Pipeline(workers=2).running() as pipeline:
        for ticket in range(300):
            pipeline.offer(ticket)
            if ticket % 7 == 0:
                await pipeline.settled(ticket + 1)
            elif ticket % 3 == 0:
                await anyio.lowlevel.checkpoint()
        await pipeline.settled(300)
    assert list(pipeline.reports) == list(range(300))


# -- without a worker


def offered(*messages: Message, **options) -> Pipeline:
    pipeline = Pipeline(**options)
    for ticket, message in enumerate(messages):
        pipeline.submit(Validate(ticket, NEIGHBOUR, message, origin_id(message)))
    return pipeline


@pytest.mark.parametrize("workers", [0, 2])
def test_little_that_no_validator_judges_is_judged_at_once(workers):
    anonymous = Message("t", b"anonymous")  # here only where the signature policy allows it
    genuine = [signed(number) for number in range(INLINE - 2)]
    pipeline = offered(forged(100), anonymous, *genuine, workers=workers)
    assert pipeline.begin()
    verdicts = [Verdict.INVALID_SIGNATURE, *[Verdict.ACCEPT] * (INLINE - 1)]
    assert list(pipeline.reports.items()) == list(enumerate(verdicts))
    assert not pipeline.begin()


@pytest.mark.parametrize(
    "messages",
    [
        [signed(number) for number in range(INLINE + 1)],
        [Message("t", bytes(INLINE_BYTES)), Message("t", b"1")],
    ],
    ids=["many", "large"],
)
async def test_much_is_left_to_workers(messages):
    pipeline = offered(*messages)
    assert not pipeline.begin()
    assert pipeline.reports == {}
    async with pipeline.running():
        await pipeline.settled(len(messages))


def test_what_a_validator_judges_is_left_to_workers_with_all_that_came_with_it():
    pipeline = offered(signed(1), signed(2, "judged"))
    pipeline.set_validator("judged", lambda message: True)
    assert not pipeline.begin()
    assert pipeline.reports == {}


async def test_in_one_turn_no_more_is_judged_at_once_than_is_little():
    async with Pipeline().running() as pipeline:
        numbers = itertools.count()

        def come(count: int) -> bool:
            for number in itertools.islice(numbers, count):
                pipeline.submit(Validate(number, NEIGHBOUR, signed(number), b"%d" % number))
            return pipeline.begin()

        assert [come(INLINE - 2), come(1), come(2), come(1)] == [True, True, False, False]
        assert len(pipeline.reports) == INLINE - 1
        await pipeline.settled(INLINE + 2)
        await anyio.wait_all_tasks_blocked()
        assert come(INLINE)
    assert list(pipeline.reports) == list(range(2 * INLINE + 2))


async def test_nothing_overtakes_what_a_worker_verifies(monkeypatch):
    may_end = threading.Event()
    real = gossipsub.pubsub.validation.pipeline.verify_batch

    def verify(messages, ed25519):
        assert may_end.wait(5)
        return real(messages, ed25519)

    monkeypatch.setattr(gossipsub.pubsub.validation.pipeline, "verify_batch", verify)
    large = sign_message(Message("t", bytes(INLINE_BYTES + 1), seqno=bytes(8)), KEY)
    pipeline = offered(large)
    async with pipeline.running():
        while pipeline.queue:
            await anyio.sleep(0.001)
        pipeline.submit(Validate(1, NEIGHBOUR, signed(1), b"later"))
        assert not pipeline.begin()
        assert pipeline.reports == {}
        may_end.set()
        await pipeline.settled(2)
    assert list(pipeline.reports) == [0, 1]


# -- bounds


@pytest.mark.rule("VAL-09")
async def test_a_full_queue_refuses_a_message_and_takes_it_later():
    pipeline = Pipeline(queue=1)
    pipeline.offer(1)
    pipeline.offer(2)
    assert pipeline.reports == {2: Verdict.QUEUE_FULL}
    assert pipeline.overload.totals() == ValidationCounts(queue_full=1)
    async with pipeline.running():
        await pipeline.settled(2)
        pipeline.offer(3, signed(2))
        await pipeline.settled(3)
    assert pipeline.reports == {2: Verdict.QUEUE_FULL, 1: Verdict.ACCEPT, 3: Verdict.ACCEPT}


async def test_a_message_of_another_topic_takes_the_place_of_the_newest_of_a_flooded_one():
    pipeline = Pipeline(queue=4)
    for ticket in range(1, 5):
        pipeline.offer(ticket)
    pipeline.offer(5, signed(5, "calm"))
    assert pipeline.reports == {4: Verdict.QUEUE_FULL}
    async with pipeline.running():
        await pipeline.settled(5)
    assert list(pipeline.reports) == [4, 1, 2, 3, 5]
    assert pipeline.overload.by_topic({})["t"].queue_full == 1


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
        assert pipeline.reports == {2: Verdict.THROTTLED}
        assert pipeline.overload.totals() == ValidationCounts(throttled=1)
        answer.set()
        await pipeline.settled(2)
        assert pipeline.reports[1] is Verdict.ACCEPT
        pipeline.offer(3)
        await pipeline.settled(3)
    assert pipeline.reports[3] is Verdict.ACCEPT
    assert pipeline.overload.totals() == ValidationCounts(throttled=1)


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
    began, ended = [], []

    async def never(message):
        began.append(message.data)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(message.data)

    pipeline = Pipeline()
    pipeline.set_validator("t", never)
    async with pipeline.running():
        for ticket in range(3):
            pipeline.offer(ticket)
        with anyio.fail_after(20):
            while len(began) < 3:
                await anyio.sleep(0.001)
    assert (sorted(ended), pipeline.reports, caplog.records) == ([b"0", b"1", b"2"], {}, [])


@pytest.mark.filterwarnings("always")
async def test_what_waits_behind_an_inline_validator_ends_with_the_pipeline_unasked(recwarn):
    """A coroutine that is dropped without a word is a warning."""
    began = anyio.Event()

    async def never(message):
        began.set()
        await anyio.sleep_forever()

    pipeline = Pipeline()
    pipeline.add_default(lambda message: accepts_later(message))
    pipeline.add_default(never, inline=True)
    async with pipeline.running():
        pipeline.offer(0)
        with anyio.fail_after(20):
            await began.wait()
    gc.collect()
    assert [str(each.message) for each in recwarn] == []


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
        pipeline.validators.remove("t")
        pipeline.offer(2)
        await pipeline.settled(2)
        pipeline.set_validator("t", Judge(Verdict.IGNORE))
        pipeline.offer(3)
        await pipeline.settled(3)
    assert list(pipeline.reports.values()) == [Verdict.REJECT, Verdict.ACCEPT, Verdict.IGNORE]
    pipeline.validators.remove("t")
    with pytest.raises(LocalProtocolError) as refused:
        pipeline.validators.remove("t")
    assert str(refused.value) == "the topic has no validator: t"


async def test_a_validator_is_a_function():
    with pytest.raises(LocalProtocolError) as refused:
        registered(5)
    assert str(refused.value) == "a validator is a function: 5"


async def test_own_messages_are_judged_by_the_same_validator():
    pipeline = Pipeline()
    assert await pipeline.own(signed(1)) is None
    for said, verdict in OUTCOMES:
        for form in (Judge(said), Judge(said).later):
            pipeline.set_validator("t", form)
            refusal = await pipeline.own(signed(1))
            assert (Verdict.ACCEPT if refusal is None else refusal.verdict) is verdict
            pipeline.validators.remove("t")


@pytest.mark.parametrize("form", ["plain", "asynchronous"])
async def test_a_validator_that_has_nothing_to_say_about_own_messages_is_not_asked(form):
    asked = []

    def refuse(message):
        asked.append(message.data)
        return False

    async def refuse_later(message):
        return refuse(message)

    pipeline = Pipeline()
    validator = refuse if form == "plain" else refuse_later
    pipeline.set_validator("t", validator, own=False)
    assert await pipeline.own(signed(1)) is None
    assert asked == []
    async with pipeline.running():
        pipeline.offer(2)
        await pipeline.settled(1)
    assert (asked, pipeline.reports) == ([b"2"], {2: Verdict.REJECT})

    # The others are.
    pipeline.add_default(Judge(Verdict.IGNORE))
    refusal = await pipeline.own(signed(3))
    assert refusal is not None
    assert refusal.verdict is Verdict.IGNORE
    assert asked == [b"2"]


# -- several validators on a message


OUTCOME_OF = {
    "accept": Verdict.ACCEPT,
    "ignore": Verdict.IGNORE,
    "throttled": Verdict.THROTTLED,
    "reject": Verdict.REJECT,
}
"""The later one outweighs the earlier."""
PAIRS = list(itertools.product(OUTCOME_OF, repeat=2))


async def occupied(message):
    if message.data == b"0":
        await anyio.sleep_forever()
    return True


@pytest.mark.rule("VAL-06")
@pytest.mark.parametrize("form", ["asynchronous", "plain", "mixed"])
@pytest.mark.parametrize(("default", "own"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
async def test_all_must_accept_and_reject_beats_throttled_beats_ignore(default, own, form):
    """An asynchronous validator is throttled by its concurrency, of which message 0 has all."""
    pipeline = Pipeline()

    def add(register, said, is_async):
        if said == "throttled" and is_async:
            register(occupied, concurrency=1)
        else:
            register(Judge(OUTCOME_OF[said]).later if is_async else Judge(OUTCOME_OF[said]))

    add(pipeline.add_default, default, form == "asynchronous")
    add(lambda *a, **o: pipeline.set_validator("t", *a, **o), own, form != "plain")
    async with pipeline.running():
        pipeline.offer(0)
        pipeline.offer(1)
        with anyio.fail_after(5):
            while 1 not in pipeline.reports:
                await anyio.sleep(0.001)
    rank = list(OUTCOME_OF)
    assert pipeline.reports[1] is OUTCOME_OF[max(default, own, key=rank.index)]


@pytest.mark.rule("VAL-06")
async def test_plain_validators_are_asked_in_turn_until_one_rejects():
    asked = []

    def judge_named(name, verdict):
        def judge(message):
            asked.append((name, message.topic))
            return verdict

        return judge

    pipeline = Pipeline()
    pipeline.add_default(judge_named("first", Verdict.IGNORE))
    pipeline.add_default(judge_named("second", True))
    pipeline.set_validator("t", judge_named("own", False))
    pipeline.set_validator("u", judge_named("other's", True))
    async with pipeline.running():
        pipeline.offer(1)
        pipeline.offer(2, signed(2, "u"))
        await pipeline.settled(2)
    assert asked == [
        ("first", "t"), ("second", "t"), ("own", "t"),
        ("first", "u"), ("second", "u"), ("other's", "u"),
    ]  # fmt: skip
    assert pipeline.reports == {1: Verdict.REJECT, 2: Verdict.IGNORE}


@pytest.mark.rule("VAL-06")
async def test_after_a_rejection_no_other_validator_starts():
    started = []

    async def later(message):
        started.append(message.data)
        return True

    pipeline = Pipeline()
    pipeline.add_default(later)
    pipeline.add_default(lambda message: later(message))  # called, but never awaited
    pipeline.set_validator("t", Judge(False))
    async with pipeline.running():
        pipeline.offer(1)
        await pipeline.settled(1)
    assert (pipeline.reports, started) == ({1: Verdict.REJECT}, [])


@pytest.mark.rule("VAL-06")
async def test_asynchronous_validators_run_together_and_a_rejection_ends_the_others():
    both, ended = [], []

    async def waits(message):
        both.append("waits")
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(message.data)

    async def rejects(message):
        while not both:
            await anyio.sleep(0.001)
        return False

    pipeline = Pipeline()
    pipeline.add_default(rejects)
    pipeline.set_validator("t", waits)
    async with pipeline.running():
        pipeline.offer(1)
        await pipeline.settled(1)
        assert (pipeline.reports, ended) == ({1: Verdict.REJECT}, [b"1"])
        pipeline.offer(2, signed(2, "other"))
        await pipeline.settled(2)


async def test_a_default_validator_is_added_and_removed_once(caplog):
    judge = Judge(False)
    pipeline = Pipeline()
    table = pipeline.validators
    pipeline.add_default(judge.later)
    pipeline.add_default(accepts)
    for again in (judge.later, accepts):
        with pytest.raises(LocalProtocolError) as refused:
            pipeline.add_default(again)
        name = again.__qualname__
        assert str(refused.value) == f"it is a default validator already: {name}"
    table.remove_default(judge.later)
    assert await pipeline.own(signed(1)) is None
    with pytest.raises(LocalProtocolError) as refused:
        table.remove_default(judge.later)
    assert str(refused.value) == f"it is no default validator: {judge.later!r}"


# -- options


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"timeout": 0}, "a validator's timeout must be positive: 0"),
        ({"timeout": -1.0}, "a validator's timeout must be positive: -1.0"),
        ({"timeout": float("nan")}, "a validator's timeout must be positive: nan"),
        ({"timeout": "1"}, "a validator's timeout must be positive: '1'"),
        ({"timeout": True}, "a validator's timeout must be positive: True"),
        ({"concurrency": 0}, "a validator's concurrency is at least 1: 0"),
        ({"concurrency": 1.5}, "a validator's concurrency is at least 1: 1.5"),
        ({"concurrency": True}, "a validator's concurrency is at least 1: True"),
        ({"inline": 1}, "inline must be True or False: 1"),
        ({"own": 0}, "own must be True or False: 0"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options, complaint):
    with pytest.raises(LocalProtocolError) as refused:
        registered(accepts, **options)
    assert str(refused.value) == complaint


@pytest.mark.rule("VAL-07")
@pytest.mark.parametrize("inline", [False, True])
async def test_a_validator_that_takes_too_long_is_cancelled_and_the_message_ignored(inline):
    cancelled = []

    async def slow(message):
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            cancelled.append(message.data)
            raise

    pipeline = Pipeline()
    pipeline.set_validator("t", slow, timeout=0.01, inline=inline)
    async with pipeline.running():
        pipeline.offer(1)
        await pipeline.settled(1)
    assert (pipeline.reports, cancelled) == ({1: Verdict.IGNORE}, [b"1"])
    assert pipeline.overload.totals() == ValidationCounts(timeouts=1)


@pytest.mark.rule("VAL-07")
@pytest.mark.parametrize("said", [True, Verdict.REJECT])
async def test_what_a_validator_says_when_it_is_cancelled_counts(said):
    async def answers_in_the_end(message):
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            return said

    pipeline = Pipeline()
    pipeline.set_validator("t", answers_in_the_end, timeout=0.01)
    async with pipeline.running():
        pipeline.offer(1)
        await pipeline.settled(1)
        pipeline.offer(2, signed(2, "other"))
        await pipeline.settled(2)
    assert pipeline.reports[1] is (Verdict.ACCEPT if said is True else Verdict.REJECT)
    assert pipeline.overload.totals() == ValidationCounts()


@pytest.mark.rule("VAL-07")
async def test_one_that_is_quick_enough_is_not_disturbed_by_its_timeout():
    pipeline = Pipeline()
    pipeline.set_validator("t", accepts_later, timeout=30)
    pipeline.add_default(accepts, timeout=30)
    async with pipeline.running():
        pipeline.offer(1)
        await pipeline.settled(1)
    assert pipeline.reports == {1: Verdict.ACCEPT}


@pytest.mark.rule("VAL-08", "VAL-07")
async def test_a_validator_has_its_own_limit_of_calls_beside_the_limit_of_all():
    answer = anyio.Event()

    async def waits(message):
        await answer.wait()
        return True

    pipeline = Pipeline(throttle=3)
    pipeline.set_validator("t", waits, concurrency=2)
    pipeline.set_validator("u", waits)
    async with pipeline.running():
        for ticket in range(3):
            pipeline.offer(ticket)
        await pipeline.settled(1)
        assert pipeline.reports == {2: Verdict.THROTTLED}
        pipeline.offer(3, signed(3, "u"))
        pipeline.offer(4, signed(4, "u"))
        await pipeline.settled(2)
        assert pipeline.reports == {2: Verdict.THROTTLED, 4: Verdict.THROTTLED}
        answer.set()
        await pipeline.settled(5)
        pipeline.offer(5, signed(2))  # the throttled one again
        await pipeline.settled(6)
    assert [pipeline.reports[ticket] for ticket in (0, 1, 3, 5)] == [Verdict.ACCEPT] * 4
    counts = pipeline.overload.by_topic({})
    assert (counts["t"].throttled, counts["u"].throttled) == (1, 1)


@pytest.mark.rule("VAL-07")
async def test_messages_keep_their_order_past_an_inline_validator_and_past_no_other():
    orders = []
    for inline in (True, False):
        others_are_judged = anyio.Event()

        async def first_is_slow(message, inline=inline, others=others_are_judged):
            if message.data == b"0":
                await (anyio.sleep(0.02) if inline else others.wait())
            return True

        pipeline = Pipeline()
        pipeline.set_validator("t", first_is_slow, inline=inline)
        async with pipeline.running():
            for ticket in range(3 * BATCH):
                pipeline.offer(ticket)
            await pipeline.settled(3 * BATCH if inline else 3 * BATCH - 1)
            others_are_judged.set()
            await pipeline.settled(3 * BATCH)
        orders.append(list(pipeline.reports))
    assert orders[0] == list(range(3 * BATCH))
    assert orders[1][-1] == 0


async def test_while_an_inline_validator_waits_little_more_is_verified_than_waits(verifications):
    answer = anyio.Event()

    async def waits(message):
        await answer.wait()
        return True

    pipeline = Pipeline(workers=2, queue=1000)
    pipeline.set_validator("t", waits, inline=True)
    async with pipeline.running():
        for ticket in range(20 * BATCH):
            pipeline.offer(ticket, signed(ticket % 100))
        await anyio.sleep(0.1)
        assert sum(size for _, size in verifications) <= 5 * BATCH
        answer.set()
        await pipeline.settled(20 * BATCH)
    assert list(pipeline.reports) == list(range(20 * BATCH))


async def test_what_came_before_does_not_wait_with_an_inline_validator():
    flushed = []

    async def waits(message):
        flushed.append(pipeline.flushes)
        return True

    pipeline = Pipeline()
    pipeline.set_validator("slow", waits, inline=True)
    async with pipeline.running():
        pipeline.offer(1, signed(1, "quick"))
        pipeline.offer(2, signed(2, "slow"))
        await pipeline.settled(2)
    assert flushed == [1]


# -- own messages


async def test_own_messages_pass_all_validators_at_no_limit():
    async def never(message):
        await anyio.sleep_forever()

    pipeline = Pipeline(throttle=1)
    pipeline.add_default(accepts)
    pipeline.set_validator("t", occupied, concurrency=1, timeout=0.5)
    pipeline.set_validator("u", never)
    async with pipeline.running():
        pipeline.offer(1, signed(1, "u"))
        await anyio.sleep(0.01)
        assert await pipeline.own(signed(1)) is None
    pipeline.add_default(Judge(Verdict.IGNORE))
    assert str(await pipeline.own(signed(1))).endswith("says IGNORE")
    pipeline.add_default(Judge(False).later)
    assert str(await pipeline.own(signed(1))) == "the validator Judge.later says REJECT"


@pytest.mark.parametrize(
    ("validator", "complaint"),
    [
        (fails_later, "the validator fails_later says IGNORE (it failed)"),
        (occupied, "the validator occupied says IGNORE (no verdict in time)"),
        (Judge(None).later, "the validator Judge.later says IGNORE (it returned no verdict)"),
        (Judge(Verdict.THROTTLED).later, "the validator Judge.later says THROTTLED"),
    ],
)
async def test_who_refuses_an_own_message_is_named_and_why(validator, complaint):
    pipeline = Pipeline()
    pipeline.set_validator("t", validator, timeout=0.01)
    assert str(await pipeline.own(signed(0))) == complaint


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # trio has no other way to cancel
@pytest.mark.parametrize("inline", [False, True])
async def test_a_publishers_task_that_is_cancelled_the_way_of_asyncio_ends(inline, caplog):
    import asyncio

    pipeline = Pipeline()
    pipeline.add_default(accepts_later, inline=inline)
    pipeline.set_validator("t", occupied, inline=inline)
    task = asyncio.ensure_future(pipeline.own(signed(0)))
    await anyio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caplog.records == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_validator_whose_own_wait_was_cancelled_does_not_pass_an_own_message():
    async def awaits_what_was_cancelled(message):
        import asyncio

        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    pipeline = Pipeline()
    pipeline.add_default(awaits_what_was_cancelled)
    pipeline.set_validator("t", accepts_later)
    refusal = await pipeline.own(signed(0))
    assert refusal is not None
    assert refusal.verdict is Verdict.IGNORE


# -- without threads, and with large messages


async def test_without_workers_no_thread_is_used_and_everybody_else_has_turns(verifications):
    count = BACKLOG + 2 * INLINE + 8
    pipeline = Pipeline(workers=0)
    for ticket in range(count):
        pipeline.offer(ticket)
    async with pipeline.running():
        await pipeline.settled(count)
    here = threading.current_thread()
    assert {thread for thread, _ in verifications} == {here}
    assert [size for _, size in verifications] == [INLINE] * (count // INLINE) + [8]
    assert list(pipeline.reports.items()) == [(n, Verdict.ACCEPT) for n in range(count)]


async def test_a_large_message_is_not_verified_where_everybody_waits(verifications):
    large = sign_message(Message("t", bytes(INLINE_BYTES + 1), seqno=bytes(8)), KEY)
    async with Pipeline().running() as pipeline:
        pipeline.offer(1, large)
        await pipeline.settled(1)
    ((thread, size),) = verifications
    assert (thread is threading.current_thread(), size) == (False, 1)


async def test_plain_validators_that_take_long_let_everybody_else_have_turns():
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    seen = []

    def slow(message):
        seen.append(turns)
        until = time.perf_counter() + 0.006
        while time.perf_counter() < until:
            pass
        return True

    pipeline = Pipeline()
    pipeline.set_validator("t", slow)
    for ticket in range(8):
        pipeline.offer(ticket)
    async with pipeline.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await pipeline.settled(8)
        tasks.cancel_scope.cancel()
    assert len(set(seen)) >= 4  # how often each task is scheduled is not ours to say
