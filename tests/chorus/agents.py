"""What the live tests of CHORUS share: agents on hosts of their own, and what they hear."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import MappingProxyType
from typing import Any

import anyio
import anyio.lowlevel

from gossipsub import Host, SignedMessage, Topic
from gossipsub.chorus import ChorusPubSub, Envelope, Timestamp
from gossipsub.chorus.topics import COORDINATION_TOPIC
from gossipsub.crypto.peer_id import PeerId

PATIENCE = 20.0
NOW = 1735787045123456789
NOW_TEXT = "2025-01-02T03:04:05.123456789Z"


class Collector:
    """A handler that keeps what it gets and can be waited for."""

    def __init__(self) -> None:
        self.got: list[tuple[Envelope, PeerId]] = []
        self._changed = anyio.Event()

    def __call__(self, envelope: Envelope, sender: PeerId) -> None:
        self.got.append((envelope, sender))
        self._changed.set()

    async def wait(self, count: int = 1) -> list[tuple[Envelope, PeerId]]:
        with anyio.fail_after(PATIENCE):
            while len(self.got) < count:
                self._changed = anyio.Event()
                await self._changed.wait()
        return self.got


@asynccontextmanager
async def two_agents(
    *, each: Sequence[Mapping[str, Any]] = ({}, {}), **options: Any
) -> AsyncIterator[tuple[ChorusPubSub, ChorusPubSub]]:
    """With the same options, and those of `each`."""
    async with (
        Host() as a,
        Host() as b,
        ChorusPubSub(a, **options, **each[0]) as alice,
        ChorusPubSub(b, **options, **each[1]) as bob,
    ):
        await a.connect(b.addresses[0])
        await alice.wait_for_peers(1, timeout=PATIENCE)
        await bob.wait_for_peers(1, timeout=PATIENCE)
        yield alice, bob


class Outsider:
    """A host without CHORUS that publishes whatever it likes to the coordination topic."""

    def __init__(self, host: Host, topic: Topic) -> None:
        self.peer = host.peer_id
        self.address = host.addresses[0]
        self.publish = topic.publish
        self.sign = topic.sign
        self.publish_signed = topic.publish_signed
        self.wait_for_peers = topic.wait_for_peers

    def envelope(
        self,
        kind: str = "task_claim",
        data: Mapping[str, object] = MappingProxyType({"task_id": "1"}),
        **fields: Any,
    ) -> bytes:
        return Envelope(kind, str(self.peer), Timestamp(NOW_TEXT), data, **fields).encode()


@asynccontextmanager
async def agent_and_outsider(
    *, relayed: bool = False, **options: Any
) -> AsyncIterator[tuple[Host, ChorusPubSub, Outsider]]:
    """With `relayed`, a third host without validators stands between the two."""
    async with AsyncExitStack() as stack:
        hosts = [await stack.enter_async_context(Host()) for _ in range(3 if relayed else 2)]
        chorus = await stack.enter_async_context(ChorusPubSub(hosts[0], **options))
        topics = []
        for host, neighbour in zip(hosts[1:], hosts, strict=False):
            topic = await host.join(COORDINATION_TOPIC)
            await stack.enter_async_context(topic.subscribe())
            await host.connect(neighbour.addresses[0])
            topics.append(topic)
        await topics[0].wait_for_peers(2 if relayed else 1, timeout=PATIENCE)
        await topics[-1].wait_for_peers(1, timeout=PATIENCE)
        yield hosts[0], chorus, Outsider(hosts[-1], topics[-1])


class ListLogger:
    """An event log that keeps everything in a list and nothing durably."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Mapping[str, object], SignedMessage | None]] = []
        self.flushed = 0

    def append(
        self, log_type: str, data: Mapping[str, object], *, signed: SignedMessage | None = None
    ) -> None:
        self.entries.append((log_type, data, signed))

    async def flush(self) -> None:
        await anyio.lowlevel.checkpoint()
        self.flushed = len(self.entries)

    def statistics(self) -> Mapping[str, object]:
        return {"entries": len(self.entries)}

    def contains(self, origin: bytes) -> bool:
        return any(signed is not None and signed.origin == origin for *_, signed in self.entries)


class StarRedactor:
    """Writes stars for "secret", and keeps the labels it was given."""

    def __init__(self) -> None:
        self.labels: list[Mapping[str, str]] = []

    def redact_map_with_labels(
        self, payload: dict[str, Any], labels: Mapping[str, str]
    ) -> dict[str, Any]:
        self.labels.append(labels)
        for name, value in payload.items():
            payload[name] = self._starred(value)
        return payload

    def redact_text_with_labels(self, text: str, labels: Mapping[str, str]) -> str:
        self.labels.append(labels)
        return text.replace("secret", "***")

    def _starred(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("secret", "***")
        if isinstance(value, dict):
            return {name: self._starred(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._starred(item) for item in value]
        return value


class BrokenRedactor:
    """Fails at everything."""

    def redact_map_with_labels(
        self, payload: dict[str, Any], labels: Mapping[str, str]
    ) -> dict[str, Any]:
        raise RuntimeError("out of ink")

    def redact_text_with_labels(self, text: str, labels: Mapping[str, str]) -> str:
        raise RuntimeError("out of ink")
