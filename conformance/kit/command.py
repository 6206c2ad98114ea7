"""`gossipsub conformance`: numbered cases against a target, and what came of them."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import anyio

from gossipsub.conformance.build import PeerUnavailable
from gossipsub.conformance.driver import PeerFailed
from gossipsub.conformance.kit.arguments import WrongCall, parse_arguments, targets_of
from gossipsub.conformance.kit.case import Case, choose_cases, load_cases
from gossipsub.conformance.kit.comparison import joined
from gossipsub.conformance.kit.control import run_controls
from gossipsub.conformance.kit.explanation import explain_case
from gossipsub.conformance.kit.progress import Progress
from gossipsub.conformance.kit.report_files import STDOUT, check_report_files, write_report
from gossipsub.conformance.kit.report_html import encode_html
from gossipsub.conformance.kit.report_json import decode_report, encode_report
from gossipsub.conformance.kit.report_junit import encode_junit
from gossipsub.conformance.kit.report_markdown import encode_markdown
from gossipsub.conformance.kit.report_text import report_lines, result_lines
from gossipsub.conformance.kit.results import Report
from gossipsub.conformance.kit.runner import run_case
from gossipsub.conformance.kit.session import Session
from gossipsub.conformance.kit.stopping import attend
from gossipsub.conformance.kit.target import Target
from gossipsub.conformance.kit.verdict import Verdict
from gossipsub.conformance.kit.warm_start import WarmStart, WarmStartFailed
from gossipsub.conformance.matrix.command import main as run_matrix_command
from gossipsub.conformance.rules import load_areas

PASSED, FAILED, WRONG_CALL, NO_TARGET = 0, 1, 2, 3
"""Exit statuses: nothing failed, something did, the call makes no sense, no target to be had.
`cli/exit_status.py` has those of signals."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["matrix"]:
        return run_matrix_command(words[1:])
    options = parse_arguments(words)
    try:
        check_report_files(_files(options))
        if options.compare:
            return _compare(options)
        cases = [_explained(options.explain)] if options.explain is not None else _chosen(options)
        targets = targets_of(options)
    except (OSError, ValueError) as error:
        return _complain(error, WRONG_CALL)
    if options.list:
        print("\n".join(_case_line(case) for case in cases))
        return PASSED
    try:
        with WarmStart() as start:
            return anyio.run(_work, options, cases, targets, start)
    except (PeerUnavailable, PeerFailed, WarmStartFailed) as error:
        return _complain(error, NO_TARGET)


def _complain(what: object, status: int = FAILED) -> int:
    print(f"gossipsub conformance: {what}", file=sys.stderr)
    return status


def _chosen(options: Namespace) -> list[Case]:
    """All where none is named; ValueError where the names stand for no case."""
    if options.only == []:
        raise WrongCall("--only names no case")
    return choose_cases(options.only or [])


def _explained(id: str) -> Case:
    """ValueError where it is the id of no case."""
    if id not in load_cases():
        raise WrongCall(f"there is no case {id}")
    return load_cases()[id]


def _compare(options: Namespace) -> int:
    """Reports made before, as one. OSError and ValueError where they cannot be read."""
    texts = [Path(file).read_text(encoding="utf-8") for file in options.compare]
    report = joined([decode_report(text) for text in texts])
    return _tell(options, report)


async def _work(
    options: Namespace, cases: Sequence[Case], targets: Sequence[Target], start: WarmStart
) -> int:
    if options.explain is not None:
        return await attend(lambda: _explain(options, cases[0], targets[0]), _complain)
    if options.self_test:
        return await attend(lambda: _test_itself(options, cases, start), _complain)
    warm = [_warm(target, start) for target in targets]
    session = Session(warm, cases, seed=options.seed, jobs=options.jobs)

    async def run() -> int:
        await session.run()
        return _tell(options, session.report())

    def stopped(how: str) -> None:
        report = session.report()
        if any(run.results for run in report.runs):
            _tell(options, report)
        rest = sum(len(run.not_run) for run in report.runs)
        _complain(f"{how}: {rest} of {len(cases) * len(targets)} cases were not run")

    return await attend(run, stopped)


async def _explain(options: Namespace, case: Case, target: Target) -> int:
    result = await run_case(target, case, seed=options.seed, keep_transcript=True)
    print("\n".join(explain_case(case, result, target.name)))
    return FAILED if result.verdict in (Verdict.FAILED, Verdict.BROKEN) else PASSED


def _warm(target: Target, start: WarmStart) -> Target:
    """Our own node as a fork of one process; others as they are."""
    is_ours = target.name == "python" and target.command is None and target.address is None
    return replace(target, command=start.command()) if is_ours else target


def _files(options: Namespace) -> list[str | None]:
    return [options.json, options.junit, options.html, options.markdown]


def _tell(options: Namespace, report: Report) -> int:
    """Write the report in all its forms; the exit status that it stands for. Where a file cannot be
    written any more the others are, and the terminal has it all: nothing of a long run is lost."""
    titles = load_areas()
    forms: list[Callable[[], str]] = [
        lambda: encode_report(report),
        lambda: encode_junit(report),
        lambda: encode_html(report, titles),
        lambda: encode_markdown(report, titles),
    ]
    is_lost = False
    for file, encode in zip(_files(options), forms, strict=True):
        if file is not None:
            try:
                write_report(file, encode())
            except OSError as error:
                if file == STDOUT:
                    raise
                is_lost = True
                _complain(error)
    if STDOUT not in _files(options):
        print("\n".join(report_lines(report, titles, transcripts=options.transcript)))
    return FAILED if is_lost or any(run.failed for run in report.runs) else PASSED


async def _test_itself(options: Namespace, cases: Sequence[Case], start: WarmStart) -> int:
    """Each case on the node with its fault; it must fail."""
    progress = Progress("self-test", len(cases), good=Verdict.FAILED)
    results = await run_controls(
        cases, start, seed=options.seed, jobs=options.jobs, progress=progress.tell
    )
    progress.end()
    bad = [result for result in results if result.verdict is not Verdict.FAILED]
    for result in bad:
        print(f"{result.id} did not fail on the node with its fault, but {result.verdict.value}")
        print("\n".join(result_lines(result, transcripts=options.transcript)))
    print(f"{len(results) - len(bad)} of {len(results)} cases can fail")
    return FAILED if bad else PASSED


def _case_line(case: Case) -> str:
    alone = "address" if case.address else "control"
    return f"{case.id:<10}{case.rule.level:<8}{alone:<9}{case.title}"


if __name__ == "__main__":
    sys.exit(main())
