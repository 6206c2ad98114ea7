"""One pair: its nodes are started, the steps are tried one after the other, the nodes ended."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import anyio

from gossipsub.conformance.driver import (
    PeerError,
    PeerFailed,
    PeerLacks,
    PeerProcess,
    PeerTimeout,
    start_peer,
)
from gossipsub.conformance.kit.verdict import Verdict
from gossipsub.conformance.matrix.known import Known
from gossipsub.conformance.matrix.outcome import PairResult, StepResult
from gossipsub.conformance.matrix.steps import STEPS, TOPIC, Pair, Step
from gossipsub.wire.errors import GossipSubError

PARAMS: Mapping[str, object] = {
    "heartbeatMs": 300,
    "heartbeatInitialDelayMs": 100,
    "maxMessageSize": 1 << 20,
}
"""Of all nodes. One implementation beats every two minutes unless told otherwise, another takes no
message of 64 KiB."""
START_SECONDS = 30.0


async def run_pair(
    dialler: str, listener: str, *, commands: Mapping[str, Sequence[str]], known: Known
) -> PairResult:
    """Never raises for what the nodes do."""
    began = time.monotonic()

    def start(name: str, seed: int) -> PeerProcess:
        return start_peer(
            name, command=commands[name], seed=seed, params=PARAMS, start_timeout=START_SECONDS
        )

    steps: list[StepResult] = []
    a, b = start(dialler, 1), start(listener, 2)
    try:
        async with a, b:
            await a.command("subscribe", topic=TOPIC)
            pair = Pair(a, b, lambda: start(dialler, 3))
            for step in STEPS:
                steps.append(await _try(step, pair, steps))
    except GossipSubError as error:
        if len(steps) < len(STEPS):
            steps.append(_failed(STEPS[len(steps)], f"no node: {error}"))
        steps += [_not_tried(step, "no node") for step in STEPS[len(steps) :]]
    crash = a.crash or b.crash
    if crash and all(step.verdict is not Verdict.FAILED for step in steps):
        steps[-1] = _failed(STEPS[-1], crash)
    return PairResult(
        dialler=dialler,
        listener=listener,
        seconds=time.monotonic() - began,
        steps=tuple(known.explain(step, dialler, listener) for step in steps),
    )


async def _try(step: Step, pair: Pair, before: Sequence[StepResult]) -> StepResult:
    if before and before[0].verdict is not Verdict.PASSED:
        return _not_tried(step, "they are not connected")
    if pair.a.exit_status is not None or pair.b.exit_status is not None:
        return _not_tried(step, "a node has ended")
    began = time.monotonic()
    verdict, reason, observed = Verdict.PASSED, "", None
    with anyio.move_on_after(step.seconds) as scope:
        try:
            observed = await step.run(pair)
        except PeerLacks as error:
            verdict, reason = Verdict.SKIPPED, str(error)
        except PeerError as error:
            verdict, reason = Verdict.FAILED, str(error)
        except GossipSubError as error:
            verdict, reason = Verdict.FAILED, _first_line(error)
    if scope.cancelled_caught:
        verdict, reason = Verdict.FAILED, f"no end after {step.seconds:g} s"
    return StepResult(
        step=step.name,
        verdict=verdict,
        seconds=time.monotonic() - began,
        reason=reason,
        observed=observed or "",
    )


def _first_line(error: GossipSubError) -> str:
    """Without what a node printed meanwhile, unless it ended."""
    text = str(error)
    if isinstance(error, PeerFailed) and not isinstance(error, PeerTimeout):
        return text
    return text.split("; standard error:")[0].splitlines()[0]


def _failed(step: Step, reason: str) -> StepResult:
    return StepResult(step=step.name, verdict=Verdict.FAILED, seconds=0.0, reason=reason)


def _not_tried(step: Step, reason: str) -> StepResult:
    return StepResult(step=step.name, verdict=Verdict.SKIPPED, seconds=0.0, reason=reason)
