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


async def run_matrix(
    targets: Sequence[str],
    *,
    commands: Mapping[str, Sequence[str]] | None = None,
    known: Known | None = None,
    jobs: int = JOBS,
    progress: Callable[[PairResult], None] = lambda pair: None,
) -> Matrix:
    """`commands` are those of targets that are none of our peers; the others are built first.

    PeerUnavailable or PeerFailed where a target cannot be had.
    """
    began = time.monotonic()
    known = Known.of_file() if known is None else known
    run = dict(commands or {})
    for name in targets:
        if name not in run:
            run[name] = await anyio.to_thread.run_sync(peer_command, name)
    versions = {name: await _versions(name, run[name]) for name in targets}
    pairs = [(dialler, listener) for dialler in targets for listener in targets]
    results: dict[tuple[str, str], PairResult] = {}
    places = anyio.CapacityLimiter(jobs)

    async def try_pair(dialler: str, listener: str) -> None:
        async with places:
            result = await run_pair(dialler, listener, commands=run, known=known)
        results[dialler, listener] = result
        progress(result)

    async with anyio.create_task_group() as tasks:
        for pair in pairs:
            tasks.start_soon(try_pair, *pair)
    here = report_of([], seed=0)
    return Matrix(
        made=here.made,
        machine=here.machine,
        seconds=time.monotonic() - began,
        versions=versions,
        steps=TITLES,
        pairs=tuple(results[pair] for pair in pairs),
    )


async def _versions(name: str, command: Sequence[str]) -> dict[str, str]:
    async with start_peer(name, command=command, start_timeout=START_SECONDS) as peer:
        versions = peer.ready.get("versions") or {}
        return {str(part): str(version) for part, version in versions.items()}
