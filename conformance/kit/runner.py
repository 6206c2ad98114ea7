"""Runs cases against a target, several at once, each with its own node and its own deadline."""

from __future__ import annotations

import secrets
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import anyio

from gossipsub.conformance.build import PeerUnavailable
from gossipsub.conformance.driver import PeerError, PeerFailed, PeerLacks, start_peer
from gossipsub.conformance.kit.case import Case
from gossipsub.conformance.kit.results import Result, Run
from gossipsub.conformance.kit.target import Target
from gossipsub.conformance.kit.transcript import TRANSPORT_AREAS, transcript
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.kit.verdict import CannotTry, CompanionFailed, Deviation, Verdict
from gossipsub.conformance.scripted_gossip import received
from gossipsub.conformance.scripted_peer import ScriptedPeer, dial
from gossipsub.conformance.scripted_wire import WireError, WireTimeout, reach
from gossipsub.wire.errors import RemoteProtocolError

JOBS = 6
"""Cases under way at once."""

HELLO_SECONDS = 10.0
"""For a running node to say what it is subscribed to."""

MOST_TRIED_AGAIN = 20
"""Of cases that failed."""


async def run_cases(
    target: Target,
    cases: Sequence[Case],
    *,
    seed: int = 1,
    jobs: int = JOBS,
    versions: Mapping[str, str] | None = None,
    results: dict[str, Result] | None = None,
    progress: Callable[[Result], None] = lambda result: None,
) -> Run:
    """Try each case on the target, several at once; `progress` hears of each when it is done.

    `versions`, of `probe`, only go into the run's data. `results` is filled, by id, as results
    come: for who wants to know of them when the run is cancelled.
    """
    began = time.monotonic()
    outcomes = await try_cases(
        cases,
        lambda case: run_case(target, case, seed=seed),
        is_as_wanted=lambda result: result.verdict not in (Verdict.FAILED, Verdict.BROKEN),
        jobs=jobs,
        results=results,
        progress=progress,
    )
    return Run(
        target=target.name,
        address=target.address,
        versions=versions or {},
        seconds=round(time.monotonic() - began, 3),
        results=outcomes,
    )


async def try_cases(
    cases: Sequence[Case],
    run: Callable[[Case], Awaitable[Result]],
    *,
    is_as_wanted: Callable[[Result], bool],
    jobs: int,
    results: dict[str, Result] | None = None,
    progress: Callable[[Result], None],
) -> tuple[Result, ...]:
    """Several at once, in the end each in its place; `results` is filled meanwhile.

    What did not come out as wanted beside others is tried once more, alone: how busy the machine is
    is not the target's doing. Where so many cases fail that the target is to blame, none is.
    """
    found: dict[str, Result] = {} if results is None else results
    places = anyio.CapacityLimiter(jobs)

    async def try_one(case: Case) -> None:
        async with places:
            found[case.id] = result = await run(case)
        if is_as_wanted(result):
            progress(result)

    async with anyio.create_task_group() as tasks:
        for case in cases:
            tasks.start_soon(try_one, case)
    unwanted = [case for case in cases if not is_as_wanted(found[case.id])]
    for case in unwanted:
        if jobs > 1 and len(unwanted) <= MOST_TRIED_AGAIN:
            found[case.id] = _second(found[case.id], await run(case))
        progress(found[case.id])
    return tuple(found[case.id] for case in cases)


def _second(first: Result, second: Result) -> Result:
    """The second result, which tells of the first where they differ."""
    if first.verdict is second.verdict:
        return second
    difference = f"expected {first.expected}; came {first.came}" if first.expected else first.reason
    told = f"at first, beside other cases, {first.verdict.value}: {difference}"
    return replace(second, observed=(*second.observed, told))


async def probe(target: Target) -> dict[str, str]:
    """What the target says of its versions; of a running node nothing is known.

    PeerUnavailable or PeerFailed where it cannot be started or reached at all: to be told once,
    before each case says so.
    """
    if target.address is not None:
        try:
            async with reach(target.address):
                pass
        except WireError as error:
            raise PeerFailed(str(error)) from error
        await _check_topic(target.address, target.topic)
        return {}
    async with start_peer(target.name, command=target.command, start_timeout=60.0) as peer:
        return {str(name): str(version) for name, version in peer.ready["versions"].items()}


async def _check_topic(address: str, topic: str) -> None:
    """PeerFailed where the node says what it is subscribed to, and that is not it: else a third of
    the cases would fail, each in its own words. What goes wrong before is for cases to tell."""
    topics: list[str] | None = None
    with suppress(WireError, RemoteProtocolError):
        async with dial(address, seed=secrets.randbits(62)) as w:
            await w.serve_identify()
            await w.open_pubsub()
            await w.wait_pubsub(timeout=HELLO_SECONDS)
            with suppress(WireTimeout):
                await w.until(lambda: topic in _topics_of(w), "subscription", HELLO_SECONDS)
            topics = _topics_of(w)
    if topics is not None and topic not in topics:
        told = ", ".join(map(repr, topics[:10])) or "nothing"
        raise PeerFailed(f"the node says that it is subscribed to {told}; --topic is {topic!r}")


def _topics_of(w: ScriptedPeer) -> list[str]:
    return [each.topic for rpc in received(w) for each in rpc.subscriptions if each.subscribe]


async def run_case(
    target: Target, case: Case, *, seed: int = 1, keep_transcript: bool = False
) -> Result:
    """Try one case. Never raises for what the target or the case does. The transcript is kept
    where it did not pass, or if asked for."""
    began = time.monotonic()
    trial = Trial(target, seed=seed, case_id=case.id)
    if target.address is not None and not case.address:
        failure: Exception | None = CannotTry("needs control of the target")
    else:
        failure = await _failure(trial, case)
    verdict, expected, came, reason = _judge(failure, case)
    if case.id in target.known and verdict is Verdict.FAILED:
        verdict, reason = Verdict.KNOWN, target.known[case.id]
    elif case.id in target.known and verdict is Verdict.PASSED:
        reason = f"no longer deviates: {target.known[case.id]}"
    shown = keep_transcript or verdict not in (Verdict.PASSED, Verdict.SKIPPED)
    frames = case.rule.area in TRANSPORT_AREAS
    return Result(
        id=case.id,
        title=case.title,
        rule=case.rule.id,
        area=case.rule.area,
        level=case.rule.level,
        verdict=verdict,
        seconds=round(time.monotonic() - began, 3),
        expected=expected,
        came=came,
        reason=reason,
        observed=tuple(trial.observed),
        transcript=transcript(trial.journals, frames=frames) if shown else (),
    )


def _judge(failure: Exception | None, case: Case) -> tuple[Verdict, str, str, str]:
    """The verdict; of a failure, what was expected and what came; else the reason."""
    match failure:
        case None:
            return Verdict.PASSED, "", "", ""
        case CannotTry() | PeerLacks() | PeerUnavailable():
            return Verdict.SKIPPED, "", "", str(failure)
        case Deviation(expected=expected, came=came):
            return Verdict.FAILED, expected, came, ""
        case WireError() | RemoteProtocolError() | PeerFailed() | PeerError():
            return Verdict.FAILED, f"the target: {case.title}", str(failure), ""
        case CompanionFailed():
            return Verdict.BROKEN, "", "", f"a node beside the target failed: {failure}"
        case TimeoutError():
            return Verdict.FAILED, f"an end within {case.time_limit:g} s", "none", ""
        case _:
            return Verdict.BROKEN, "", "", "".join(traceback.format_exception(failure))


async def _failure(trial: Trial, case: Case) -> Exception | None:
    """What ended the script; else what showed when its peers were closed, or how nodes ended."""
    failure: Exception | None = None
    try:
        with anyio.fail_after(case.time_limit):
            async with trial:
                try:
                    await case.script(trial)
                except Exception as error:
                    failure = _first(error)
    except Exception as error:
        failure = failure or _first(error)
    crash = trial.crash()
    return crash if isinstance(crash, CompanionFailed) else failure or crash


def _first(error: Exception) -> Exception:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
