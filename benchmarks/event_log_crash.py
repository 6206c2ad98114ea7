"""A process that writes an event log is killed at random moments, again and again.

`python -m gossipsub.benchmarks.event_log_crash`: one log, gone on with after each kill (SIGKILL).
The writer appends numbered entries in bursts of up to 300 and flushes now and then; the log keeps
only the newest so that it is pruned and catalogued meanwhile. After each kill the log has to open,
its whole chain has to verify, its numbers have to be without a gap, and the last number that
`flush` confirmed has to be there. Exit status 1 where it is not so.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import anyio

from gossipsub.benchmarks.measurement import environment
from gossipsub.chorus import EventLog, EventLogError, LogDurability, LogRetention
from gossipsub.crypto.keys import PrivateKey

KEPT = 4_000
_KEY_NUMBER = 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gossipsub.benchmarks.event_log_crash")
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--longest", type=float, default=0.4, help="seconds before a kill")
    parser.add_argument(
        "--durability", default="FULL", choices=[each.value for each in LogDurability]
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        result = kill_often(
            Path(folder) / "log",
            kills=flags.kills,
            longest=flags.longest,
            durability=LogDurability(flags.durability),
            seed=flags.seed,
        )
    result = {"versions": environment("cryptography"), **vars(flags), **result}
    if flags.json:
        print(json.dumps(result))
    else:
        _print(result)
    return 1 if result["broken"] else 0


def _print(result: dict[str, Any]) -> None:
    print(", ".join(f"{name} {value}" for name, value in result["versions"].items()))
    print(f"seed {result['seed']}, {result['durability']}, {result['kills']} kills")
    print(f"entries written {result['entries']}, pruned {result['pruned']}")
    print(
        f"appended and not there after a kill: {result['lost']}, confirmed ones {result['broken']}"
    )
    for complaint in result["complaints"]:
        print(complaint)


def kill_often(
    path: Path, *, kills: int, longest: float, durability: LogDurability, seed: int
) -> dict[str, Any]:
    """Kill a writer of the log at `path` so often; what was found afterwards, in numbers."""
    rng = Random(seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gossipsub.chorus.event_log.event_log"])
    complaints: list[str] = []
    lost = 0
    entries, first = 0, 1
    for number in range(kills):
        ours, theirs = context.Pipe(duplex=False)
        writer = context.Process(
            target=_write, args=(str(path), durability.value, rng.random(), theirs), daemon=True
        )
        writer.start()
        theirs.close()
        if not ours.poll(60.0):
            raise RuntimeError("the writer did not open its log within a minute")
        time.sleep(rng.random() * longest)
        writer.kill()
        writer.join()
        appended, confirmed = _last_words(ours)
        try:
            first, entries = anyio.run(_examine, path)
        except EventLogError as error:
            complaints.append(f"kill {number}: {error}")
            break
        if confirmed > entries:
            complaints.append(f"kill {number}: {confirmed} was confirmed, {entries} is the last")
        lost += max(0, appended - entries)
    return {
        "entries": entries,
        "pruned": first - 1,
        "lost": lost,
        "broken": len(complaints),
        "complaints": complaints,
    }


def _last_words(told: Connection) -> tuple[int, int]:
    """The last numbers appended and confirmed."""
    appended = confirmed = 0
    try:
        while told.poll():
            appended, confirmed = told.recv()
    except (EOFError, OSError):  # it died while it spoke
        pass
    return appended, confirmed


async def _examine(path: Path) -> tuple[int, int]:
    """First and last number in the log; EventLogError where it is not in order."""
    async with EventLog.open(path, key=PrivateKey.from_node_number(_KEY_NUMBER)) as log:
        await log.verify(signatures=False)
        expected = first = 0
        async for entry in log.entries():
            number = entry.data["number"]
            if expected and number != expected:
                raise EventLogError(f"{number} follows {expected - 1}")
            first = first or entry.index
            expected = entry.index + 1
            if number != entry.index:
                raise EventLogError(f"{number} is at {entry.index}")
    return first or 1, max(expected - 1, 0)


def _write(path: str, durability: str, seed: float, tell: Connection) -> None:
    """The process that is killed."""
    anyio.run(_write_on, path, LogDurability(durability), Random(seed), tell.send)


async def _write_on(
    path: str,
    durability: LogDurability,
    rng: Random,
    tell: Callable[[tuple[int, int]], None],
) -> None:
    async with EventLog.open(
        path,
        key=PrivateKey.from_node_number(_KEY_NUMBER),
        durability=durability,
        retention=LogRetention(max_entries=KEPT),
    ) as log:
        number = confirmed = int(str(log.statistics()["last_index"]))
        tell((number, confirmed))
        while True:
            for _ in range(rng.randrange(300)):
                number += 1
                log.append("network_event", {"number": number, "text": "x" * rng.randrange(2000)})
            tell((number, confirmed))
            if rng.random() < 0.5:
                await log.flush()
                confirmed = number
                tell((number, confirmed))
            else:
                await anyio.sleep(rng.random() * 0.03)


if __name__ == "__main__":
    sys.exit(main())
