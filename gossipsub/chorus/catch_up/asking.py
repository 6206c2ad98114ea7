"""The side of a session that asks: it finds out what it lacks of what a neighbour has, and takes
what is its authors' own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import islice
from typing import Protocol, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from gossipsub.chorus.catch_up.frame_stream import FrameStream
from gossipsub.chorus.catch_up.frames import (
    MAX_COMPARED,
    MAX_MINUTES,
    MAX_ORIGINS,
    MAX_TOPIC_BYTES,
    MAX_TOPICS,
    Answer,
    Compare,
    Digests,
    GetMessages,
    Given,
    Listed,
    ListOrigins,
    Minutes,
    Refused,
    Request,
    decode_answer,
    encode_request,
)
from gossipsub.chorus.catch_up.holdings import MINUTE_NS, Holdings, minute_of
from gossipsub.chorus.catch_up.limits import CatchUpLimits
from gossipsub.chorus.envelope import Envelope, EnvelopeLimits
from gossipsub.chorus.errors import MalformedEnvelope
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.streams.peer_stream import PeerStream
from gossipsub.wire.errors import GossipSubError, RemoteProtocolError

READ_ANYTHING = EnvelopeLimits(max_bytes=1 << 30, max_depth=256, max_hop_count=1 << 31)
"""To find an envelope's timestamp; whether it is taken is decided elsewhere."""
EMPTY_ANSWERS = 3
"""A neighbour that gives nothing of what it named so often has other things to do, or lies."""
FRAME_BYTES = 128 << 10
"""Of an answer, beside the largest message in base64."""
ROOM_PAUSE = 0.25
"""Seconds until messages are offered again that there was no room for."""
MESSAGE_BYTES = 200
"""About what a message takes beside its data: author, signature, topic, name."""
LEAST_USE = 8
"""What is read may be so many times what is taken."""
FIRST_STEP = 4
"""Minutes in the first list of a session; more or fewer in the next, as there is much in them."""
MANY = 1000
"""Messages in one list."""
TURN = 16
"""Messages taken before everybody else has a turn."""

Item = TypeVar("Item")
Wanted = dict[bytes, int]
"""Origins that are lacking, with the minute each was named in."""


class Taken(Enum):
    """What became of a message."""

    NEW = "new"
    KNOWN = "known"
    REFUSED = "refused"
    NO_ROOM = "no room"


class Receiver(Protocol):
    """Where messages go, and who else is asking for some."""

    def lacks(self, topic: str, minute: int, origin: bytes) -> bool:
        """Whether this node wants the message."""

    def claim(self, origin: bytes) -> bool:
        """Whether this session is to ask for it; False while another does."""

    def release(self, origins: Iterable[bytes]) -> None:
        """They are asked for no more."""

    def take(self, signed: SignedMessage, minute: int) -> Taken:
        """Judge a genuine message of that minute."""


class NeighbourRefused(GossipSubError):
    """It answers nothing more in this session: says why."""


class Asking:
    """One session with one neighbour."""

    def __init__(
        self,
        stream: PeerStream,
        *,
        limits: CatchUpLimits,
        holdings: Holdings,
        receiver: Receiver,
        first: int,
        last: int,
    ) -> None:
        """Minutes from `first` to `last` are asked for."""
        largest = FRAME_BYTES + limits.max_message_bytes * 4 // 3
        self._frames = FrameStream(stream, limits, max_frame_bytes=largest)
        self._holdings = holdings
        self._receiver = receiver
        self._first, self._last = first, last
        self._empty_answers = 0
        self.named = 0
        """Messages that the neighbour has and this node lacked."""
        self.taken = 0
        self._taken_bytes = 0
        self.left: list[tuple[str, int, bytes]] = []
        """What another session was asking for."""

    @property
    def is_worth_it(self) -> bool:
        """Whether enough of what was read were messages that this node lacked."""
        return self.taken > 0 and self._taken_bytes * LEAST_USE >= self._frames.bytes_read

    async def run(self, topics: Iterable[str]) -> None:
        """Compare and take all of it, the oldest first.

        RemoteProtocolError where the neighbour does not keep to the protocol, or gives what is
        not as its author signed it; NeighbourRefused, SessionFull, StreamReset; TimeoutError
        where it is silent.
        """
        askable = (topic for topic in topics if len(topic.encode()) <= MAX_TOPIC_BYTES)
        for some in _in_parts(askable, MAX_TOPICS):
            step = MAX_COMPARED // len(some)
            for first in range(self._first, self._last + 1, step):
                last = min(first + step - 1, self._last)
                theirs = await self._compare(some, first, last)
                for topic, digests in theirs.items():
                    minutes = self._differing(topic, digests, first, last)
                    await self._catch_up_topic(topic, minutes)

    async def _compare(self, topics: Sequence[str], first: int, last: int) -> Mapping[str, Digests]:
        hours = {topic: self._holdings.hours(topic, first, last) for topic in topics}
        answer = await self._ask(Compare(first, last, hours))
        if not isinstance(answer, Minutes) or not answer.topics.keys() <= hours.keys():
            raise _broken("an answer to another question")
        return answer.topics

    def _differing(self, topic: str, theirs: Digests, first: int, last: int) -> list[int]:
        ours = self._holdings.minutes(topic, first, last)
        return [
            minute
            for minute, digest in sorted(theirs.items())
            if first <= minute <= last and ours.get(minute) != digest
        ]

    async def _catch_up_topic(self, topic: str, minutes: Sequence[int]) -> None:
        """A few minutes at a time: what is named is to be given in the same session, while quiet
        hours are not to take many round trips."""
        start, step = 0, FIRST_STEP
        while start < len(minutes):
            lacking = await self._list(topic, minutes[start : start + step])
            start += step
            step = min(step * 2, MAX_MINUTES) if len(lacking) < MANY else max(step // 2, 1)
            for some in _in_parts(lacking.items(), MAX_ORIGINS):
                await self._get_claimed(topic, dict(some))

    async def _get_claimed(self, topic: str, lacking: Wanted) -> None:
        wanted = {
            origin: minute
            for origin, minute in lacking.items()
            if self._is_ours_to_ask(topic, minute, origin)
        }
        if wanted:
            try:
                await self._get(topic, wanted)
            finally:
                self._receiver.release(wanted)

    def _is_ours_to_ask(self, topic: str, minute: int, origin: bytes) -> bool:
        # Asked again here: it may have come meanwhile, from wherever.
        if not self._receiver.lacks(topic, minute, origin):
            return False
        if self._receiver.claim(origin):
            return True
        self.left.append((topic, minute, origin))
        return False

    async def _list(self, topic: str, minutes: Sequence[int]) -> Wanted:
        lacking: Wanted = {}
        answer = await self._ask(ListOrigins(topic, minutes))
        while True:
            if not isinstance(answer, Listed) or not answer.origins.keys() <= set(minutes):
                raise _broken("an answer to another question")
            for minute, origins in answer.origins.items():
                for origin in origins:
                    if origin not in lacking and self._receiver.lacks(topic, minute, origin):
                        lacking[origin] = minute
                        self.named += 1
            if not answer.more:
                return lacking
            if not answer.origins:
                raise _broken("an empty page")
            answer = await self._read()

    async def _get(self, topic: str, wanted: Wanted) -> None:
        by_minute: dict[int, list[bytes]] = {}
        for origin, minute in wanted.items():
            by_minute.setdefault(minute, []).append(origin)
        open_questions = dict(wanted)
        answer = await self._ask(GetMessages(topic, by_minute))
        while True:
            if not isinstance(answer, Given):
                raise _broken("an answer to another question")
            # Signatures take 110 us each.
            checked = await anyio.to_thread.run_sync(
                _check, answer.messages, topic, open_questions, limiter=None
            )
            await self._take(checked)
            if not answer.more:
                break
            if not answer.messages:
                raise _broken("an empty page")
            answer = await self._read()
        if len(open_questions) == len(wanted):
            self._empty_answers += 1
            if self._empty_answers >= EMPTY_ANSWERS:
                raise NeighbourRefused("it does not give what it names")

    async def _take(self, checked: Sequence[tuple[SignedMessage, int]]) -> None:
        for number, (signed, minute) in enumerate(checked):
            while (taken := self._receiver.take(signed, minute)) is Taken.NO_ROOM:
                await anyio.sleep(ROOM_PAUSE)
            if taken is Taken.NEW:
                self.taken += 1
                self._taken_bytes += len(signed.data) + MESSAGE_BYTES
            if number % TURN == TURN - 1:
                await anyio.lowlevel.checkpoint()

    async def _ask(self, request: Request) -> Answer:
        await self._frames.write(encode_request(request))
        return await self._read()

    async def _read(self) -> Answer:
        frame = await self._frames.read()
        if frame is None:
            raise _broken("the end")
        answer = decode_answer(frame)
        if isinstance(answer, Refused):
            raise NeighbourRefused(answer.reason)
        return answer


def _check(
    messages: Sequence[bytes], topic: str, open_questions: Wanted
) -> list[tuple[SignedMessage, int]]:
    """What was asked for and is genuine, with its minute, the oldest first. RemoteProtocolError
    for anything else. Runs in a thread."""
    checked: list[tuple[int, SignedMessage, int]] = []
    for encoded in messages:
        try:
            signed = SignedMessage.decode(encoded)
        except RemoteProtocolError as error:
            raise _broken("no signed message") from error
        named = open_questions.pop(signed.origin, None)
        if named is None or signed.topic != topic:
            raise _broken("a message nobody asked for")
        if not signed.is_genuine():
            raise _broken("a forged message")
        try:
            sent_at = Envelope.decode(signed.data, READ_ANYTHING).timestamp.unix_ns
        except MalformedEnvelope:
            sent_at = named * MINUTE_NS  # it will be refused, and be asked for no more
        if minute_of(sent_at) != named:
            raise _broken("a message of another time")
        checked.append((sent_at, signed, named))
    checked.sort(key=lambda each: each[0])
    return [(signed, minute) for _, signed, minute in checked]


def _in_parts(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def _broken(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"catch-up: {what}", fatal_to="stream")
