"""All pairs of some implementations, each with itself too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import anyio
import anyio.to_thread

from gossipsub.conformance.driver import peer_command, start_peer
from gossipsub.conformance.kit.results import report_of
from gossipsub.conformance.matrix.known import Known
from gossipsub.conformance.matrix.outcome import Matrix, PairResult
from gossipsub.conformance.matrix.pairing import START_SECONDS, run_pair
from gossipsub.conformance.matrix.steps import TITLES

JOBS = 2
"""Pairs at once; a pair is two processes, for a while three."""


class Grid:
    """The pairs of some implementations, and what came of those that have been tried."""

    def __init__(
        self,
        targets: Sequence[str],
        *,
        commands: Mapping[str, Sequence[str]] | None = None,
        known: Known | None = None,
        jobs: int = JOBS,
        progress: Callable[[PairResult], None] = lambda pair: None,
    ) -> None:
        """`commands` are those of targets that are none of our peers; the others are built."""
        self._targets = list(targets)
        self._commands = dict(commands or {})
        self._known = Known.of_file() if known is None else known
        self._jobs = jobs
        self._progress = progress
        self._versions: dict[str, dict[str, str]] = {}
        self._results: dict[tuple[str, str], PairResult] = {}
        self._began = time.monotonic()

    async def run(self) -> None:
        """Try all pairs. PeerUnavailable or PeerFailed, before any, where a target cannot be had.
        May be cancelled, which ends all nodes."""
        for name in self._targets:
            if name not in self._commands:
                self._commands[name] = await anyio.to_thread.run_sync(peer_command, name)
        for name in self._targets:
            self._versions[name] = await _versions(name, self._commands[name])
        places = anyio.CapacityLimiter(self._jobs)

        async def try_pair(dialler: str, listener: str) -> None:
            async with places:
                result = await run_pair(
                    dialler, listener, commands=self._commands, known=self._known
                )
            self._results[dialler, listener] = result
            self._progress(result)

        async with anyio.create_task_group() as tasks:
            for pair in self._pairs():
                tasks.start_soon(try_pair, *pair)

    def matrix(self) -> Matrix:
        """Of the pairs that have been tried."""
        here = report_of([], seed=0)
        return Matrix(
            made=here.made,
            machine=here.machine,
            seconds=time.monotonic() - self._began,
            versions={name: self._versions.get(name, {}) for name in self._targets},
            steps=TITLES,
            pairs=tuple(self._results[pair] for pair in self._pairs() if pair in self._results),
            not_run=tuple(pair for pair in self._pairs() if pair not in self._results),
        )

    def _pairs(self) -> list[tuple[str, str]]:
        return [(dialler, listener) for dialler in self._targets for listener in self._targets]


async def _versions(name: str, command: Sequence[str]) -> dict[str, str]:
    async with start_peer(name, command=command, start_timeout=START_SECONDS) as peer:
        versions = peer.ready.get("versions") or {}
        return {str(part): str(version) for part, version in versions.items()}
