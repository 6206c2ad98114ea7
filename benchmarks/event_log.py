"""What an event log costs: appending, verifying, opening, asking.

`python -m gossipsub.benchmarks.event_log`: signed messages of 1 KiB, as agents log them, appended
at full speed from one thread, as an event loop does it, flushed at the end. CPU time of that thread
and of all threads together, and the wall's. "Busy" is the same while that thread computes between
its calls and never rests, so that the log's own has to come by the interpreter. The log is then
opened, verified and asked.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from gossipsub.benchmarks.measurement import environment
from gossipsub.chorus import (
    Delivery,
    Envelope,
    EventLog,
    EventLogReader,
    LogDurability,
    MessageType,
    Timestamp,
)
from gossipsub.chorus.log_mapping import log_data
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.rpc import Message

AGENTS = 12
THREADS = 300
_AT_ONCE = 256
"""Appended before the loop has a turn, as the most that one wake-up brings."""

Said = tuple[dict[str, object], SignedMessage]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gossipsub.benchmarks.event_log", description=__doc__)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=1024, help="bytes of an envelope")
    parser.add_argument("--repeats", type=int, default=3, help="of appending, a tenth as much each")
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args(arguments)
    result: dict[str, Any] = {"versions": environment("cryptography"), **vars(flags)}
    result["append"] = [
        {"durability": durability.value, "busy": busy, **_best(flags, durability, busy)}
        for durability in LogDurability
        for busy in (False, True)
    ]
    with tempfile.TemporaryDirectory() as folder:
        result |= anyio.run(_look_into, Path(folder), flags)
    print(json.dumps(result)) if flags.json else _print(result)
    return 0


def _print(result: dict[str, Any]) -> None:
    print(", ".join(f"{name} {value}" for name, value in result["versions"].items()))
    print(
        f"messages of {result['size']} B; microseconds per entry, the best of {result['repeats']}"
    )
    print("                 loop CPU   all CPU      wall   entries a group")
    for case in result["append"]:
        name = f"{case['durability']}{', busy' if case['busy'] else ''}"
        figures = f"{case['loop_us']:9.1f} {case['cpu_us']:9.1f} {case['wall_us']:9.1f}"
        print(f"{name:16}{figures} {case['group']:12.0f}")
    print(f"{result['entries']} entries: {result['bytes_per_entry']:.0f} B each on disk")
    print("verified in a second of CPU:", end=" ")
    print(f"{result['hashes']:.0f} with hashes and the newest head,", end=" ")
    print(f"{result['verified']:.0f} with indexes too,", end=" ")
    print(f"{result['signatures']:.0f} with every author's signature")
    print(f"opened in {result['open_s'] * 1e3:.0f} ms")
    for name, seconds in result["queries_s"].items():
        print(f"{name}: {seconds * 1e3:.2f} ms")


def _messages(count: int, size: int) -> list[Said]:
    """Of some agents in turn; one signature each will do, appending does not look at it."""
    keys = [PrivateKey.from_node_number(100 + number) for number in range(AGENTS)]
    said = []
    for number in range(count):
        key = keys[number % AGENTS]
        agent = str(key.public_key.peer_id())
        fields: dict[str, object] = {
            "task_id": f"task-{number % 50}",
            "progress": (number % 100) / 100,
            "status": "deploying",
            "steps": [f"step {step}" for step in range(4)],
            "text": "",
        }
        envelope = Envelope(
            (MessageType.TASK_PROGRESS, MessageType.STATUS_UPDATE)[number % 2],
            agent,
            Timestamp.from_unix_ns(1_735_787_045_000_000_000 + number * 1_000_000),
            fields,
            from_role="developer",
            project_id=f"project-{number % 7}",
            thread_id=f"thread-{number % THREADS}",
        )
        fields["text"] = "x" * max(0, size - len(envelope.encode()))
        message = Message(
            topic="CHORUS/coordination/v1",
            data=envelope.encode(),
            from_peer=bytes(key.public_key.peer_id()),
            seqno=number.to_bytes(8, "big"),
        )
        signed = SignedMessage(sign_message(message, key))
        delivery = Delivery(envelope, message.topic, signed.sender, signed, 0)
        said.append((log_data(delivery, "CHORUS"), signed))
    return said


def _best(flags: argparse.Namespace, durability: LogDurability, busy: bool) -> dict[str, float]:
    said = _messages(max(flags.entries // 10, 1), flags.size)
    runs = []
    for _ in range(flags.repeats):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(anyio.run(_append, Path(folder) / "log", said, durability, busy))
    return min(runs, key=lambda run: run["cpu_us"])


async def _append(
    path: Path, said: list[Said], durability: LogDurability, busy: bool
) -> dict[str, float]:
    """Microseconds for each entry, and how many were in a group."""
    key = PrivateKey.from_node_number(1)
    count = len(said)
    in_loop = elsewhere = 0.0
    async with EventLog.open(path, key=key, durability=durability) as log:
        started = time.perf_counter()
        cpu = time.process_time()
        for start in range(0, count, _AT_ONCE):
            before = time.thread_time()
            for data, signed in said[start : start + _AT_ONCE]:
                log.append("task_progress", data, signed=signed)
            in_loop += time.thread_time() - before
            before = time.thread_time()
            while int(str(log.statistics()["waiting"])) > 4 * _AT_ONCE:
                if not busy:
                    await anyio.sleep(0.001)
            elsewhere += time.thread_time() - before
        await log.flush()
        cpu = time.process_time() - cpu - elsewhere
        wall = time.perf_counter() - started
        groups = int(str(log.statistics()["groups"]))
    return {
        "loop_us": in_loop / count * 1e6,
        "cpu_us": cpu / count * 1e6,
        "wall_us": wall / count * 1e6,
        "group": count / groups,
    }


async def _look_into(folder: Path, flags: argparse.Namespace) -> dict[str, Any]:
    """Verification in CPU seconds, everything else by the wall's clock."""
    key = PrivateKey.from_node_number(1)
    path, genuine = folder / "log", folder / "genuine"
    said = _messages(min(flags.entries, 5_000), flags.size)
    await _fill(genuine, key, said, len(said))
    await _fill(path, key, said, flags.entries)
    opened = await _seconds(lambda: _open(path, key))
    tail = await _seconds(lambda: _open(path, key, check_entries=1), time.process_time)
    whole = await _seconds(lambda: _open(path, key, check_entries=flags.entries), time.process_time)
    async with EventLog.read(path) as log:
        with_tables = await _seconds(lambda: log.verify(signatures=False), time.process_time)
        queries = {
            "newest 64 of a thread": await _seconds(
                lambda: _ask(log, thread_id="thread-7", newest_first=True, limit=64)
            ),
            "64 of a project and an author": await _seconds(
                lambda: _ask(log, project_id="project-3", author=str(said[3][1].sender), limit=64)
            ),
            "a name that nobody has": await _seconds(lambda: _ask(log, project_id="none")),
            "the first 64 since a time": await _seconds(lambda: _ask(log, since=0, limit=64)),
            "a message by its origin": await _seconds(
                lambda: log.signed_message(said[5][1].origin)
            ),
        }
    async with EventLog.read(genuine) as log:
        everything = await _seconds(log.verify, time.process_time)
    return {
        "bytes_per_entry": path.stat().st_size / flags.entries,
        "hashes": flags.entries / (whole - tail),
        "verified": flags.entries / with_tables,
        "signatures": len(said) / everything,
        "open_s": opened,
        "queries_s": queries,
    }


async def _fill(path: Path, key: PrivateKey, said: list[Said], entries: int) -> None:
    """The messages again and again under other numbers, which makes their signatures wrong."""
    async with EventLog.open(path, key=key, durability=LogDurability.NORMAL) as log:
        for number in range(entries):
            data, signed = said[number % len(said)]
            if number >= len(said):
                signed = SignedMessage(replace(signed.wire, seqno=number.to_bytes(8, "big")))
            log.append("task_progress", data, signed=signed)
            if not number % 2048:
                await log.flush()
        await log.flush()


async def _open(path: Path, key: PrivateKey, **options: Any) -> None:
    async with EventLog.open(path, key=key, **options):
        pass


async def _ask(log: EventLogReader, **query: Any) -> None:
    async for _ in log.entries(**query):
        pass


async def _seconds(
    ask: Callable[[], Awaitable[object]], clock: Callable[[], float] = time.perf_counter
) -> float:
    """The least of three."""
    times = []
    for _ in range(3):
        started = clock()
        await ask()
        times.append(clock() - started)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
