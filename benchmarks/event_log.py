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
from pathlib import Path
from typing import Any

import anyio

from gossipsub.benchmarks.measurement import environment
from gossipsub.chorus import Delivery, Envelope, EventLog, LogDurability, MessageType, Timestamp
from gossipsub.chorus.log_mapping import log_data
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.rpc import Message

AGENTS = 12
THREADS = 300
AIM_APPEND_US = 15.0
AIM_VERIFIED = 100_000
"""Entries a second, hashes alone."""
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
        result |= anyio.run(_look_into, Path(folder) / "log", flags)
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
    print(f"verified a second: {result['verified']:.0f} with hashes and tables,", end=" ")
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


async def _look_into(path: Path, flags: argparse.Namespace) -> dict[str, Any]:
    key = PrivateKey.from_node_number(1)
    some = _messages(min(flags.entries, 10_000), flags.size)
    async with EventLog.open(path, key=key) as log:
        for number in range(flags.entries):
            data, signed = some[number % len(some)]
            # Each message once; the rest are entries like them that came in none.
            log.append("task_progress", data, signed=signed if number < len(some) else None)
            if not number % 4096:
                await log.flush()
        await log.flush()
    opened = await _seconds(lambda: _open(path, key))
    async with EventLog.open(path, key=key) as log:
        hashes = await _seconds(lambda: log.verify(signatures=False))
        everything = await _seconds(log.verify)
        queries = {
            "newest 64 of a thread": await _seconds(
                lambda: _ask(log, thread_id="thread-7", newest_first=True, limit=64)
            ),
            "64 of a project and an author": await _seconds(
                lambda: _ask(log, project_id="project-3", author=str(some[3][1].sender), limit=64)
            ),
            "a name that nobody has": await _seconds(lambda: _ask(log, project_id="none")),
            "the last 64 by time": await _seconds(lambda: _ask(log, since=0, limit=64)),
            "a message by its origin": await _seconds(
                lambda: log.signed_message(some[5][1].origin)
            ),
        }
    return {
        "bytes_per_entry": path.stat().st_size / flags.entries,
        "verified": flags.entries / hashes,
        "signatures": len(some) / (everything - hashes),
        "open_s": opened,
        "queries_s": queries,
    }


async def _open(path: Path, key: PrivateKey) -> None:
    async with EventLog.open(path, key=key):
        pass


async def _ask(log: EventLog, **query: Any) -> None:
    async for _ in log.entries(**query):
        pass


async def _seconds(ask: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await ask()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
