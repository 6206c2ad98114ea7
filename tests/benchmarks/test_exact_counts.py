"""What a message takes of every node, in counts that are the same on every machine.

`exact_counts.json` has them: for each shape, way of sending and node the events of all messages
together, and for one message the calls of functions in Python by layer. After a change that is
meant to be seen there, `make counts` writes it anew; look at what git shows before you commit it.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from typing import Any

import anyio
import pytest

from gossipsub.testing.virtual_time import run_in_virtual_time
from tests.benchmarks.census import (
    BURSTS,
    MESSAGES,
    ROLES,
    SIZE,
    STORED,
    Census,
    counted,
    traffic,
)

BYTES = 512 << 10
BLOCKS = {"pair": 18, "relay": 30}
"""Small objects that one remembered message may leave in all nodes of a chain together."""
CALLBACKS = {"publisher": 2, "receiver": 2.5}
"""Of asyncio for one message over TCP, where messages come one by one."""
COPIES = {"pair": 7.5, "relay": 11}
"""How often a large message may be in memory at one time, in all nodes and between them."""

every_run = pytest.mark.parametrize(
    ("shape", "way"), [(shape, way) for shape in ROLES for way in BURSTS]
)


@pytest.fixture(scope="module")
def stored() -> Any:
    return json.loads(STORED.read_text(encoding="utf-8"))


def of_protocols(events: dict[str, int]) -> dict[str, int]:
    """Without what depends on the versions of Python and anyio."""
    return {name: number for name, number in events.items() if not name.startswith("asyncio")}


@every_run
def test_messages_take_as_many_frames_parses_and_effects_as_are_known(
    shape: str, way: str, stored: Any
) -> None:
    for role, now in counted(shape, way).items():
        known = stored[shape][way][role]
        assert of_protocols(now["events"]) == of_protocols(known["events"]), f"{role}: {now}"
        for name, number in now["events"].items():
            assert number <= known["events"].get(name, 0), f"more of {name} in the {role}"
        calls, known_calls = sum(now["calls"].values()), sum(known["calls"].values())
        assert calls <= known_calls, f"more calls in the {role}: {now['calls']}"


@pytest.mark.parametrize("shape", ROLES)
def test_under_trio_single_messages_take_the_same(shape: str, stored: Any) -> None:
    for role, now in counted(shape, "one by one", "trio").items():
        known = stored[shape]["one by one"][role]["events"]
        assert of_protocols(now["events"]) == of_protocols(known)


def test_over_tcp_asyncio_needs_no_task_and_no_timer_for_a_message() -> None:
    """In real time: a write for each, and little more of anything, whatever the machine does."""
    census = Census()

    async def main() -> None:
        async with traffic("pair", SIZE, over_tcp=True) as send:
            await send(10, 1)
            with census.taken():
                await send(MESSAGES, 1)

    anyio.run(main)
    little = MESSAGES // 4
    for role, callbacks in CALLBACKS.items():
        events = census.events[role]
        assert events["asyncio: tasks"] == 0
        assert events["asyncio: timers"] <= little, f"{role}: {events}"
        assert events["asyncio: callbacks"] <= MESSAGES * callbacks + little, f"{role}: {events}"
    sent, received = census.events["publisher"], census.events["receiver"]
    assert MESSAGES <= sent["socket writes"] <= MESSAGES + little
    assert received["socket reads"] <= MESSAGES + little


def test_what_is_known_keeps_what_the_design_promises(stored: Any) -> None:
    """Whoever writes the counts anew hears of it here."""
    for shape, ways in stored.items():
        for way, nodes in ways.items():
            for role, known in nodes.items():
                events = known["events"]
                assert "asyncio: tasks" not in events  # no task for a message
                assert "timers" not in events
                verified = 0 if role == "publisher" else MESSAGES
                assert events.get("signatures verified", 0) == verified, (shape, way)
                assert events.get("signatures made", 0) == MESSAGES - verified
                assert events.get("protobuf parses", 0) <= 2 * MESSAGES
                # Of what a node seals the messages are nearly all.
                if role != "receiver":
                    assert events["bytes sealed"] < MESSAGES * (SIZE + 300)


@pytest.mark.parametrize("shape", ROLES)
def test_a_message_that_is_remembered_leaves_few_objects(shape: str) -> None:
    async def main() -> float:
        async with traffic(shape, SIZE) as send:
            await send(2 * MESSAGES, 1)
            gc.collect()
            before = sys.getallocatedblocks()
            await send(MESSAGES, 1)
            gc.collect()
            return (sys.getallocatedblocks() - before) / MESSAGES

    assert run_in_virtual_time(main) <= BLOCKS[shape]


@pytest.mark.parametrize("shape", ROLES)
def test_a_large_message_is_in_memory_only_a_few_times(shape: str) -> None:
    async def main() -> float:
        async with traffic(shape, BYTES) as send:
            await send(2, 1)
            gc.collect()
            tracemalloc.start()
            try:
                before, _ = tracemalloc.get_traced_memory()
                await send(1, 1)
                return (tracemalloc.get_traced_memory()[1] - before) / BYTES
            finally:
                tracemalloc.stop()

    assert run_in_virtual_time(main) <= COPIES[shape]
