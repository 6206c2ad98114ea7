"""Neighbours that lie, forge, flood and are silent waste a bounded amount, and are left alone."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import anyio
import pytest

from gossipsub import Host, PeerStream, ProtocolNotSupported, SignedMessage, StreamReset
from gossipsub.chorus import CatchUp, ChorusPubSub
from gossipsub.chorus.catch_up.asking import EMPTY_ANSWERS
from gossipsub.chorus.catch_up.frames import (
    PROTOCOL,
    Compare,
    GetMessages,
    Given,
    Listed,
    ListOrigins,
    Minutes,
    decode_answer,
    decode_request,
    encode_answer,
    encode_request,
)
from gossipsub.chorus.catch_up.holdings import minute_of
from gossipsub.chorus.catch_up.limits import CatchUpLimits
from gossipsub.chorus.catch_up.neighbours import CatchUpOutcome
from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.chorus.topics import COORDINATION_TOPIC, HMMM_TOPIC
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.testing.mesh import ON_THE_LOOP
from gossipsub.wire.framing import FrameReader, encode_frame
from gossipsub.wire.rpc import Message
from gossipsub.wire.varint import encode_uvarint
from tests.chorus.catch_up.nodes import Fleet, Node, PlainLog, clock, fleet, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

KEY = PrivateKey.from_node_number(7)
SMALL = CatchUpLimits(session_bytes=200_000, max_message_bytes=50_000)


@pytest.fixture(autouse=True)
def silent_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """A peer causes no more than DEBUG."""
    yield
    loud = [each for each in caplog.get_records("call") if each.levelno >= logging.WARNING]
    assert [each.getMessage() for each in loud] == []


def message(
    *, topic: str = COORDINATION_TOPIC, age: float = 0.0, number: int = 1, task: str = "9"
) -> SignedMessage:
    sent_at = Timestamp.from_unix_ns(clock() - int(age * 1e9))
    envelope = Envelope("task_claim", str(KEY.peer_id()), sent_at, {"task_id": task})
    unsigned = Message(topic, envelope.encode(), seqno=number.to_bytes(8, "big"))
    return SignedMessage(sign_message(unsigned, KEY))


class Frames:
    """The frames of a stream, without any care."""

    def __init__(self, stream: PeerStream) -> None:
        self.stream = stream
        self._reader = FrameReader(1 << 24)

    async def read(self) -> bytes | None:
        while (frame := self._reader.next_frame()) is None:
            data = await self.stream.receive()
            if not data:
                return None
            self._reader.receive_data(data)
        return frame

    async def write(self, frame: bytes) -> None:
        await self.stream.send(encode_frame(frame))


Lie = Callable[[Frames, object], Awaitable[None]]


class Liar:
    """Names one message in the minute it says, and answers what is asked for it by `give`."""

    def __init__(
        self, named: SignedMessage, give: Lie, *, age: float = 0.0, listed: Lie | None = None
    ) -> None:
        self.minute = minute_of(clock() - int(age * 1e9))
        self.named = named
        self.sessions = 0
        self._give = give
        self._listed = listed

    async def __call__(self, stream: PeerStream) -> None:
        self.sessions += 1
        frames = Frames(stream)
        while (frame := await frames.read()) is not None:
            request = decode_request(frame)
            match request:
                case Compare(topics=topics):
                    named = {each: {} for each in topics}
                    named[COORDINATION_TOPIC] = {self.minute: bytes(16)}
                    await frames.write(encode_answer(Minutes(named)))
                case ListOrigins():
                    if self._listed is not None:
                        await self._listed(frames, request)
                    else:
                        named = {self.minute: [self.named.origin]}
                        await frames.write(encode_answer(Listed(named, more=False)))
                case GetMessages():
                    await self._give(frames, request)


def giving(*given: SignedMessage) -> Lie:
    async def give(frames: Frames, request: object) -> None:
        messages = [each.encoded for each in given]
        await frames.write(encode_answer(Given(messages, more=False)))

    return give


def forged(genuine: SignedMessage) -> SignedMessage:
    data = genuine.data.replace(b'"9"', b'"6"')
    assert data != genuine.data
    return SignedMessage(replace(genuine.wire, data=data, encoding=None))


async def victim_of(nodes: Fleet, liar: Callable[[PeerStream], Awaitable[None]]) -> Node:
    """A node whose only neighbour is the liar, after the first session."""
    victim = await nodes.start(log=PlainLog(), limits=SMALL)
    await nodes.stranger(victim, serve=liar)
    await until(lambda: sum(victim.catch_up.statistics().sessions.values()) == 1)
    return victim


async def test_a_liar_that_gives_what_it_names_is_believed() -> None:
    """The other tests fail for what they say, and nothing else."""
    async with fleet() as nodes:
        victim = await nodes.start(log=PlainLog())
        await nodes.stranger(victim, serve=Liar(message(), giving(message())))
        await victim.catch_up.complete(timeout=60)
        assert victim.tasks() == ["9"]


MISDEEDS: dict[str, Callable[[], Liar]] = {
    "forged": lambda: Liar(message(), giving(forged(message()))),
    "not_asked_for": lambda: Liar(message(), giving(message(number=2))),
    "twice": lambda: Liar(message(), giving(message(), message())),
    "another_topic": lambda: Liar(message(), giving(message(topic=HMMM_TOPIC))),
    "another_time": lambda: Liar(message(), giving(message(age=300))),
    "outside_the_window": lambda: Liar(message(), giving(message(age=2 * 86400))),
    "no_message": lambda: Liar(message(), raw(b'{"messages":["AAAA"]}')),
    "no_answer": lambda: Liar(message(), raw(b'{"origins":{}}')),
    "no_json": lambda: Liar(message(), raw(b"[" * 100_000)),
    "no_object": lambda: Liar(message(), raw(b"[]")),
    "no_base64": lambda: Liar(message(), raw(b'{"messages":["?"]}')),
    "empty_pages": lambda: Liar(message(), raw(b'{"messages":[],"more":true}')),
    "ends_inside": lambda: Liar(message(), ending),
    "huge_frame": lambda: Liar(message(), huge),
    "other_minutes": lambda: Liar(message(), giving(), listed=raw(b'{"origins":{"1":[]}}')),
}


def raw(frame: bytes) -> Lie:
    async def give(frames: Frames, request: object) -> None:
        await frames.write(frame)

    return give


async def ending(frames: Frames, request: object) -> None:
    await frames.stream.send(encode_uvarint(100) + b"{")
    await frames.stream.send_eof()


async def huge(frames: Frames, request: object) -> None:
    await frames.stream.send(encode_uvarint(1 << 30))


@pytest.mark.parametrize("misdeed", list(MISDEEDS))
async def test_who_breaks_the_protocol_is_left_alone(misdeed: str) -> None:
    async with fleet() as nodes:
        liar = MISDEEDS[misdeed]()
        victim = await victim_of(nodes, liar)
        await anyio.sleep(50)
        assert victim.tasks() == []
        assert victim.catch_up.statistics().sessions == {CatchUpOutcome.MISBEHAVED: 1}
        assert liar.sessions == 1


async def test_an_honest_neighbour_is_heard_beside_one_that_forges() -> None:
    async with fleet() as nodes:
        honest = await nodes.start(log=PlainLog())
        await honest.say("honest")
        victim = await nodes.start(honest, log=PlainLog())
        await nodes.stranger(victim, serve=MISDEEDS["forged"]())
        await victim.catch_up.complete(timeout=60)
        assert victim.tasks() == ["honest"]
        assert len(victim.host.peers()) == 2


async def test_names_without_messages_are_soon_asked_for_no_more() -> None:
    asked = []

    async def name_many(frames: Frames, request: ListOrigins) -> None:
        author = KEY.peer_id()
        origins = [author + number.to_bytes(8, "big") for number in range(1000)]
        named = dict.fromkeys(request.minutes, origins)
        await frames.write(encode_answer(Listed(named, more=False)))

    async def give_nothing(frames: Frames, request: GetMessages) -> None:
        asked.append(request)
        await frames.write(encode_answer(Given([], more=False)))

    async with fleet() as nodes:
        liar = Liar(message(), give_nothing, listed=name_many)
        victim = await victim_of(nodes, liar)
        assert victim.catch_up.statistics().sessions[CatchUpOutcome.FAILED] == 1
        assert len(asked) == EMPTY_ANSWERS
        await anyio.sleep(100)
        assert liar.sessions <= 5


async def test_endless_pages_end_with_the_bytes_of_a_session() -> None:
    sent = 0

    async def name_for_ever(frames: Frames, request: ListOrigins) -> None:
        nonlocal sent
        number = 0
        while True:
            number += 1
            page = {request.minutes[0]: [number.to_bytes(46, "big")]}
            frame = encode_answer(Listed(page, more=True))
            await frames.write(frame)
            sent += len(frame)

    async with fleet() as nodes:
        liar = Liar(message(), giving(), listed=name_for_ever)
        victim = await victim_of(nodes, liar)
        assert victim.catch_up.statistics().sessions[CatchUpOutcome.FAILED] == 1
        # What was under way when the session ended fills a window and the buffers.
        assert sent < SMALL.session_bytes + 700_000


@pytest.mark.parametrize("speaks", [True, False])
async def test_a_silent_neighbour_holds_nobody_up(speaks: bool) -> None:
    async def be_silent(stream: PeerStream) -> None:
        await anyio.sleep(3000)

    async with fleet() as nodes:
        honest = await nodes.start(log=PlainLog())
        await honest.say("honest")
        victim = await nodes.start(honest, log=PlainLog())
        await nodes.stranger(victim, serve=be_silent if speaks else None)
        await victim.catch_up.complete(timeout=40)
        assert victim.tasks() == ["honest"]


# -- those that ask


async def open_session(nodes: Fleet, node: Node) -> Frames:
    host = await nodes.stranger(node)
    return Frames(await host.open_stream(node.host.peer_id, PROTOCOL))


def compare(topic: str = COORDINATION_TOPIC) -> bytes:
    return encode_request(
        Compare(minute_of(clock()) - 2000, minute_of(clock()) + 2000, {topic: {}})
    )


async def answer_of(frames: Frames) -> object:
    with anyio.fail_after(60):
        frame = await frames.read()
    return None if frame is None else decode_answer(frame)


async def test_an_asker_gets_what_is_there_and_no_more() -> None:
    async with fleet() as nodes:
        node = await nodes.start(log=PlainLog())
        await node.say("1")
        (held,) = node.observed
        minute = minute_of(held.envelope.timestamp.unix_ns)
        frames = await open_session(nodes, node)
        await frames.write(compare())
        answer = await answer_of(frames)
        assert list(answer.topics) == [COORDINATION_TOPIC]
        assert list(answer.topics[COORDINATION_TOPIC]) == [minute]
        await frames.write(encode_request(ListOrigins(COORDINATION_TOPIC, [minute, 5, minute])))
        assert await answer_of(frames) == Listed({minute: [held.signed.origin]}, more=False)
        asked = {minute: [bytes(46), held.signed.origin], minute + 1: [held.signed.origin]}
        await frames.write(encode_request(GetMessages(COORDINATION_TOPIC, asked)))
        assert await answer_of(frames) == Given([held.signed.encoded], more=False)
        await frames.write(compare("some/other/topic"))
        assert await answer_of(frames) == Minutes({})


async def test_what_the_log_has_forgotten_is_not_named_again() -> None:
    async with fleet() as nodes:
        log = PlainLog()
        node = await nodes.start(log=log)
        await node.say("1")
        (held,) = node.observed
        minute = minute_of(held.envelope.timestamp.unix_ns)
        frames = await open_session(nodes, node)
        await log.flush()
        log.messages.clear()
        asked = {minute: [held.signed.origin]}
        await frames.write(encode_request(GetMessages(COORDINATION_TOPIC, asked)))
        assert await answer_of(frames) == Given([], more=False)
        await frames.write(encode_request(ListOrigins(COORDINATION_TOPIC, [minute])))
        assert await answer_of(frames) == Listed({}, more=False)


async def test_sessions_end_with_catching_up() -> None:
    async with fleet() as nodes:
        network = nodes.network.machine()
        other = await nodes.stranger()
        async with (
            Host(network=network, config=ON_THE_LOOP) as host,
            ChorusPubSub(host, logger=PlainLog(), clock=clock) as chorus,
        ):
            await other.connect(host.addresses)
            async with CatchUp(chorus, clock=clock):
                frames = Frames(await other.open_stream(host.peer_id, PROTOCOL))
                await frames.write(compare())
                assert isinstance(await answer_of(frames), Minutes)
            with anyio.fail_after(1):
                assert await frames.read() is None
            with pytest.raises(ProtocolNotSupported):
                await other.open_stream(host.peer_id, PROTOCOL)


BAD_REQUESTS = {
    "no_request": b'{"compare":3}',
    "no_json": b"{" * 50_000,
    "too_large": b" " * 70_000,
    "other_topic": encode_request(ListOrigins("some/other/topic", [1])),
    "many_topics": encode_request(Compare(0, 1, {str(number): {} for number in range(17)})),
    "much_to_compare": encode_request(Compare(0, 5000, {"x": {}, "y": {}})),
    "many_minutes": encode_request(ListOrigins(COORDINATION_TOPIC, list(range(61)))),
    "many_origins": encode_request(GetMessages(COORDINATION_TOPIC, {1: [b"x"] * 257})),
    "long_origin": encode_request(GetMessages(COORDINATION_TOPIC, {1: [bytes(129)]})),
    "no_number": b'{"compare":{"first":0,"last":1,"topics":{"x":{"-1":""}}}}',
    "turned_minutes": b'{"compare":{"first":2,"last":1,"topics":{}}}',
    "text_for_a_minute": json.dumps(
        {"list": {"topic": COORDINATION_TOPIC, "minutes": ["1"]}}
    ).encode(),
}


@pytest.mark.parametrize("request_frame", list(BAD_REQUESTS.values()), ids=list(BAD_REQUESTS))
async def test_a_bad_request_ends_the_session(request_frame: bytes) -> None:
    async with fleet() as nodes:
        node = await nodes.start(log=PlainLog())
        frames = await open_session(nodes, node)
        await frames.write(request_frame)
        with pytest.raises(StreamReset):
            await answer_of(frames)


async def test_who_asks_too_often_is_turned_away() -> None:
    async with fleet() as nodes:
        node = await nodes.start(log=PlainLog(), limits=CatchUpLimits(sessions_per_minute=3))
        host = await nodes.stranger(node)
        answers = []
        for _ in range(5):
            async with await host.open_stream(node.host.peer_id, PROTOCOL) as stream:
                frames = Frames(stream)
                await frames.write(compare())
                answers.append(type(await answer_of(frames)).__name__)
            await anyio.sleep(1)
        assert answers == ["Minutes"] * 3 + ["Refused"] * 2
        assert node.catch_up.statistics().turned_away == 2


async def read_all(frames: Frames) -> None:
    while await frames.read() is not None:
        pass


async def test_an_asker_that_is_silent_or_does_not_read_is_ended() -> None:
    async with fleet() as nodes:
        node = await nodes.start(log=PlainLog())
        await node.say(*(f"{number} {'x' * 3000}" for number in range(200)))
        minute = minute_of(node.observed[0].envelope.timestamp.unix_ns)
        origins = [each.signed.origin for each in node.observed]
        silent = await open_session(nodes, node)
        greedy = await open_session(nodes, node)
        await greedy.write(compare())
        for _ in range(5):
            wanted = {minute: origins[:200]}
            await greedy.write(encode_request(GetMessages(COORDINATION_TOPIC, wanted)))
        await anyio.sleep(60)
        with pytest.raises(StreamReset):
            await silent.read()
        with pytest.raises(StreamReset):
            await read_all(greedy)
        assert node.catch_up.statistics().given < 400


async def test_what_the_log_has_forgotten_is_not_taken_a_second_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossipsub.chorus.intake.REMEMBERED_ORIGINS", 1)
    async with fleet() as nodes:
        a = await nodes.start(log=PlainLog())
        log = PlainLog()
        b = await nodes.start(a, log=log)
        await b.catch_up.complete(timeout=20)
        await a.say("1", "2", "3")
        await until(lambda: len(b.tasks()) == 3)
        await log.flush()
        log.messages.clear()
        frames = await open_session(nodes, b)
        asked: dict[int, list[bytes]] = {}
        for each in b.observed:
            minute = minute_of(each.envelope.timestamp.unix_ns)
            asked.setdefault(minute, []).append(each.signed.origin)
        await frames.write(encode_request(GetMessages(COORDINATION_TOPIC, asked)))
        assert await answer_of(frames) == Given([], more=False)
        await anyio.sleep(200)
        assert b.tasks() == ["1", "2", "3"]
        assert b.catch_up.statistics().taken == 0


@pytest.mark.parametrize("limit", ["MAX_REQUESTS", "MAX_COMPARED"])
async def test_an_asker_makes_the_other_side_work_for_a_while_and_no_longer(
    monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(f"gossipsub.chorus.catch_up.answering.{limit}", 4)
    async with fleet() as nodes:
        node = await nodes.start(log=PlainLog())
        await node.say("1")
        frames = await open_session(nodes, node)
        answers = 0
        with anyio.fail_after(20):
            while True:
                await frames.write(compare(COORDINATION_TOPIC))
                if not isinstance(await answer_of(frames), Minutes):
                    break
                answers += 1
        assert answers == (4 if limit == "MAX_REQUESTS" else 9)
