"""The side of a session that answers: it tells what it holds, and gives it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from gossipsub.chorus.catch_up.frame_stream import FrameStream
from gossipsub.chorus.catch_up.frames import (
    MAX_COMPARED,
    MAX_LISTED,
    MAX_REQUEST_BYTES,
    Answer,
    Compare,
    GetMessages,
    Given,
    Listed,
    ListOrigins,
    Minutes,
    Refused,
    Request,
    decode_request,
    encode_answer,
)
from gossipsub.chorus.catch_up.holdings import MINUTES_PER_HOUR, Holdings
from gossipsub.chorus.catch_up.limits import CatchUpLimits
from gossipsub.chorus.catch_up.message_log import StoredMessages
from gossipsub.streams.peer_stream import PeerStream
from gossipsub.wire.errors import RemoteProtocolError

PAGE_BYTES = 64 << 10
"""Of messages in one frame, unless one alone is larger."""
ENOUGH = "enough for one session"
MAX_REQUESTS = 4096
"""In one session; who takes 8 MiB of the smallest messages sends a tenth of that."""
MAX_LOOKS = 4
"""So many times is all that is held compared in one session; an asker does so once."""


class Answering:
    """One session, from the first request to the asker's end."""

    def __init__(
        self,
        stream: PeerStream,
        *,
        limits: CatchUpLimits,
        holdings: Holdings,
        stored: StoredMessages,
        topics: Collection[str],
    ) -> None:
        self._frames = FrameStream(stream, limits, max_frame_bytes=MAX_REQUEST_BYTES)
        self._limits = limits
        self._holdings = holdings
        self._stored = stored
        self._topics = topics
        self._page_bytes = min(PAGE_BYTES, limits.session_bytes // 8)
        self._has_refused = False
        self._looks = MAX_LOOKS * holdings.minutes_held + MAX_COMPARED
        """Digests of minutes that may still be looked at."""
        self.given = 0
        """Messages."""

    async def run(self) -> None:
        """Answer until the asker ends. RemoteProtocolError where it does not keep to the
        protocol, StreamReset, TimeoutError where it is silent or does not read."""
        for _ in range(MAX_REQUESTS):
            frame = await self._frames.read()
            if frame is None:
                return
            await self._answer(decode_request(frame))
            if self._has_refused:
                return
        await self.refuse(ENOUGH)

    async def refuse(self, reason: str) -> None:
        """Tell why nothing is answered."""
        self._has_refused = True
        await self._frames.write(encode_answer(Refused(reason)))

    async def _answer(self, request: Request) -> None:
        match request:
            case Compare():
                await self._write(self._compare(request))
                if self._looks < 0:
                    await self.refuse(ENOUGH)
            case ListOrigins(topic, minutes):
                self._require_shared(topic)
                for listed in self._list(topic, minutes):
                    await self._write(listed)
            case GetMessages():
                self._require_shared(request.topic)
                await self._give(request)

    def _compare(self, asked: Compare) -> Minutes:
        differing = {}
        for topic, hours in asked.topics.items():
            if topic not in self._topics:
                continue
            ours = self._holdings.hours(topic, asked.first, asked.last)
            minutes = self._holdings.minutes(topic, asked.first, asked.last)
            self._looks -= len(minutes)
            differing[topic] = {
                minute: digest
                for minute, digest in minutes.items()
                if hours.get(minute // MINUTES_PER_HOUR) != ours[minute // MINUTES_PER_HOUR]
            }
        return Minutes(differing)

    def _list(self, topic: str, minutes: Collection[int]) -> Iterator[Listed]:
        page: dict[int, list[bytes]] = {}
        count = 0
        for minute in minutes:
            for origin in self._holdings.origins(topic, minute):
                page.setdefault(minute, []).append(origin)
                count += 1
                if count >= MAX_LISTED:
                    yield Listed(page, more=True)
                    page, count = {}, 0
        yield Listed(page, more=False)

    async def _give(self, asked: GetMessages) -> None:
        page: list[bytes] = []
        size = 0
        for minute, origins in asked.origins.items():
            for origin in origins:
                encoded = await self._find(asked.topic, minute, origin)
                if encoded is None:
                    continue
                if page and size + len(encoded) > self._page_bytes:
                    await self._write(Given(page, more=True))
                    if self._has_refused:
                        return
                    page, size = [], 0
                page.append(encoded)
                size += len(encoded)
        await self._write(Given(page, more=False))

    async def _find(self, topic: str, minute: int, origin: bytes) -> bytes | None:
        if not self._holdings.gives(topic, minute, origin):
            return None
        signed = await self._stored.get(origin)
        if signed is None or signed.topic != topic:
            self._holdings.withhold(topic, minute, origin)  # the log has forgotten it
            return None
        encoded = signed.encoded
        return encoded if len(encoded) <= self._limits.max_message_bytes else None

    async def _write(self, answer: Answer) -> None:
        if self._has_refused:
            return
        frame = encode_answer(answer)
        if not self._frames.has_room_for(len(frame)):
            await self.refuse(ENOUGH)
            return
        await self._frames.write(frame)
        if isinstance(answer, Given):
            self.given += len(answer.messages)

    def _require_shared(self, topic: str) -> None:
        if topic not in self._topics:
            raise RemoteProtocolError("catch-up: a topic that is not shared", fatal_to="stream")
