"""What a status server answers: the pages, the snapshot, the conversation, the metrics."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread

from gossipsub.metrics import HostCollector
from gossipsub.snapshot import SLICE
from gossipsub.status.page import page
from gossipsub.wire.errors import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from gossipsub.host import Host

Conversation = Callable[[], Mapping[str, object]]
"""Gives what agents said, as JSON can hold it: `gossipsub.chorus.ConversationView`."""

PEERS, MOST_PEERS = 200, 1000
"""Peers in a snapshot: where the request does not say, and at most."""
FRESH = 1.0
"""Seconds for which an answer is given again: many readers cost no more than one."""
PIECE_BYTES = 65536

_PEERS_QUERY = re.compile(r"peers=([0-9]{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    kind: str
    pieces: tuple[bytes, ...]
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def length(self) -> int:
        return sum([len(piece) for piece in self.pieces])


def error(status: int, sentence: str, *headers: tuple[str, str]) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", (f"{sentence}\n".encode(),), headers)


class Answers:
    """One host's. What takes work is made once for all who ask within a second."""

    def __init__(self, host: Host, conversation: Conversation | None) -> None:
        self._host = host
        self._conversation = conversation
        self._pages = {"/": "page"} | (
            {} if conversation is None else {"/conversation": "conversation"}
        )
        self._lock = anyio.Lock()
        self._made: dict[str, tuple[float, Answer]] = {}

    async def to(self, path: str, query: str) -> Answer:
        if path in self._pages:
            shown = page(self._pages[path], has_conversation=self._conversation is not None)
            headers = (("Content-Security-Policy", shown.policy),)
            return Answer(200, "text/html; charset=utf-8", (shown.html,), headers)
        try:
            return await self._read(path, query)
        except LocalProtocolError as problem:
            return error(503, str(problem))  # the host is closed

    async def _read(self, path: str, query: str) -> Answer:
        if path == "/snapshot.json":
            asked = _PEERS_QUERY.fullmatch(query) if query else None
            if query and asked is None:
                return error(400, "the only parameter is peers=NUMBER")
            peers = PEERS if asked is None else min(int(asked[1]), MOST_PEERS)
            return await self._fresh(f"snapshot {peers}", lambda: self._snapshot(peers))
        if path == "/metrics":
            return await self._fresh("metrics", self._metrics)
        if path == "/conversation.json" and self._conversation is not None:
            return await self._fresh("conversation", partial(_said, self._conversation))
        there_are = "/snapshot.json and /metrics"
        if self._conversation is not None:
            there_are = "/snapshot.json, /conversation, /conversation.json and /metrics"
        return error(404, f"there are /, {there_are}")

    async def _fresh(self, name: str, make: Callable[[], Awaitable[Answer]]) -> Answer:
        async with self._lock:
            now = time.monotonic()
            self._made = {
                key: (at, made) for key, (at, made) in self._made.items() if now - at < FRESH
            }
            if name not in self._made:
                answer = await make()
                self._made[name] = (time.monotonic(), answer)
            return self._made[name][1]

    async def _snapshot(self, peers: int) -> Answer:
        snapshot = await self._host.snapshot(max_peers=peers)
        pieces: list[bytes] = []
        gathered: list[str] = []
        size, began = 0, time.perf_counter()
        for text in snapshot.json_pieces():
            gathered.append(text)
            size += len(text)
            if size >= PIECE_BYTES:
                pieces.append("".join(gathered).encode())
                gathered, size = [], 0
            if time.perf_counter() - began > SLICE:
                await anyio.lowlevel.checkpoint()
                began = time.perf_counter()
        pieces.append("".join(gathered).encode())
        return Answer(200, "application/json", tuple(pieces))

    async def _metrics(self) -> Answer:
        try:
            from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        except ImportError:
            return error(501, "metrics need prometheus_client: pip install gossipsub[metrics]")
        registry = CollectorRegistry()
        registry.register(HostCollector(self._host))
        # Hundreds of topics take tens of milliseconds to write down: not in the event loop.
        text = await anyio.to_thread.run_sync(generate_latest, registry)
        return Answer(200, CONTENT_TYPE_LATEST, (text,))


async def _said(conversation: Conversation) -> Answer:
    # Some hundred KiB take milliseconds to write down.
    text = await anyio.to_thread.run_sync(partial(json.dumps, conversation(), ensure_ascii=False))
    return Answer(200, "application/json", (text.encode("utf-8", "replace"),))
