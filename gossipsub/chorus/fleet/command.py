"""`gossipsub chorus fleet`: agents in processes of their own index the files of a folder."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio

from gossipsub.chorus.fleet.index import list_files
from gossipsub.chorus.fleet.supervisor import AgentProcess, Fleet, FleetFailed

MAX_AGENTS = 32


def main(arguments: Sequence[str]) -> int:
    """0 when every file is in the index; 1 when some are not or the fleet failed."""
    parser = argparse.ArgumentParser(prog="gossipsub chorus fleet", description=__doc__)
    parser.add_argument("folder", type=Path, help="its files are indexed, hidden ones left out")
    parser.add_argument("--result", type=Path, default=Path("index.json"), help="(index.json)")
    parser.add_argument("--agents", type=int, default=4, help="processes (4)")
    parser.add_argument(
        "--kill", type=int, default=0, metavar="N", help="kill N of them at work, and restart them"
    )
    parser.add_argument(
        "--state", type=Path, help="folder for keys and logs; with the same one it goes on"
    )
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds (600)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    flags = parser.parse_args(list(arguments))
    if not flags.folder.is_dir():
        parser.error(f"not a folder: {flags.folder}")
    if not flags.result.parent.is_dir():
        parser.error(f"not in a folder: {flags.result}")
    if not 2 <= flags.agents <= MAX_AGENTS:
        parser.error(f"--agents: 2 to {MAX_AGENTS}")
    if not 0 <= flags.kill < flags.agents:
        parser.error("--kill: fewer than there are agents")
    if not 0 < flags.timeout <= 1e6:
        parser.error("--timeout: more than 0 seconds")
    try:
        return anyio.run(_run, flags)
    except KeyboardInterrupt:
        return 130


async def _run(flags: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as temporary:
        show = _Show(flags.json)
        state = (flags.state or Path(temporary)).absolute()
        try:
            async with Fleet(flags.folder.absolute(), state) as fleet:
                return await _index(fleet, flags, show)
        except FleetFailed as error:
            print(f"gossipsub chorus fleet: {error}", file=sys.stderr)
            return 1


async def _index(fleet: Fleet, flags: argparse.Namespace, show: _Show) -> int:
    """Agent 0 announces a task for each file, all carry them out."""
    files = len(list_files(flags.folder))
    announcer = await fleet.start(share=(0, 1), result=str(flags.result.absolute()))
    async with anyio.create_task_group() as tasks:
        for _ in range(flags.agents - 1):
            tasks.start_soon(fleet.start)
    show.line(f"{flags.agents} agents share out {files} files")
    for number in range(flags.kill):
        victim = fleet.agents[-1 - number]
        target = files * (number + 1) // (flags.kill + 2)
        await fleet.wait_until(
            _reached(announcer, target),
            timeout=flags.timeout,
        )
        await fleet.kill(victim)
        show.line(f"{victim.name} is killed, {announcer.completed} files are done")
        await fleet.restart(victim)
    await fleet.wait_until(lambda: announcer.result is not None, timeout=flags.timeout)
    result = announcer.result or {}
    show.result(result, flags.result)
    return 1 if result["failed"] else 0


def _reached(announcer: AgentProcess, completed: int) -> Callable[[], bool]:
    return lambda: announcer.completed >= completed or announcer.result is not None


class _Show:
    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._started = time.monotonic()

    def line(self, text: str) -> None:
        if not self._as_json:
            print(f"{time.monotonic() - self._started:6.2f}s  {text}", flush=True)

    def result(self, result: dict[str, Any], path: Path) -> None:
        if self._as_json:
            summary = {
                "files": result["files"],
                "failed": result["failed"],
                "result": str(path),
                "seconds": time.monotonic() - self._started,
            }
            print(json.dumps(summary))
            return
        for name, error in result["failed"].items():
            self.line(f"{name!r}: {error}")
        self.line(f"{result['files']} files are in {path}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
