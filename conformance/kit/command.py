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
from gossipsub.conformance.kit.case import Case, choose_cases
from gossipsub.conformance.kit.comparison import joined
from gossipsub.conformance.kit.control import run_controls
from gossipsub.conformance.kit.explanation import explain_case
from gossipsub.conformance.kit.progress import Progress
from gossipsub.conformance.kit.report_html import encode_html
from gossipsub.conformance.kit.report_json import decode_report, encode_report
from gossipsub.conformance.kit.report_junit import encode_junit
from gossipsub.conformance.kit.report_markdown import encode_markdown
from gossipsub.conformance.kit.report_text import report_lines, result_lines
from gossipsub.conformance.kit.results import Report, Run, report_of
from gossipsub.conformance.kit.runner import probe, run_case, run_cases
from gossipsub.conformance.kit.target import Target
from gossipsub.conformance.kit.verdict import Verdict
from gossipsub.conformance.kit.warm_start import WarmStart, WarmStartFailed
from gossipsub.conformance.matrix.command import main as run_matrix_command
from gossipsub.conformance.rules import load_areas

PASSED, FAILED, WRONG_CALL, NO_TARGET = 0, 1, 2, 3
"""Exit statuses: nothing failed, something did, the call makes no sense, no target to be had."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["matrix"]:
        return run_matrix_command(words[1:])
    options = parse_arguments(words)
    if options.compare:
        return _compare(options)
    try:
        cases = choose_cases([options.explain] if options.explain else options.only)
        targets = targets_of(options)
        _check_files(options)
    except (WrongCall, ValueError) as error:
        print(f"gossipsub conformance: {error}", file=sys.stderr)
        return WRONG_CALL
    if options.list:
        print("\n".join(_case_line(case) for case in cases))
        return PASSED
    try:
        with WarmStart() as start:
            return anyio.run(_work, options, cases, targets, start)
    except (PeerUnavailable, PeerFailed, WarmStartFailed) as error:
        print(f"gossipsub conformance: {error}", file=sys.stderr)
        return NO_TARGET


def _compare(options: Namespace) -> int:
    """Reports made before, as one."""
    try:
        texts = [Path(file).read_text(encoding="utf-8") for file in options.compare]
        report = joined([decode_report(text) for text in texts])
    except (OSError, ValueError) as error:
        print(f"gossipsub conformance: {error}", file=sys.stderr)
        return WRONG_CALL
    _write(options, report)
    return FAILED if any(run.failed for run in report.runs) else PASSED


async def _work(
    options: Namespace, cases: Sequence[Case], targets: Sequence[Target], start: WarmStart
) -> int:
    if options.explain:
        result = await run_case(targets[0], cases[0], seed=options.seed, keep_transcript=True)
        print("\n".join(explain_case(cases[0], result, targets[0].name)))
        return PASSED
    if options.self_test:
        return await _test_itself(options, cases, start)
    runs = [await _run(options, _warm(target, start), cases) for target in targets]
    report = report_of(runs, seed=options.seed)
    _write(options, report)
    return FAILED if any(run.failed for run in runs) else PASSED


def _warm(target: Target, start: WarmStart) -> Target:
    """Our own node as a fork of one process; others as they are."""
    is_ours = target.name == "python" and target.command is None and target.address is None
    return replace(target, command=start.command()) if is_ours else target


async def _run(options: Namespace, target: Target, cases: Sequence[Case]) -> Run:
    versions = await probe(target)
    progress = Progress(target.name, len(cases))
    run = await run_cases(
        target,
        cases,
        seed=options.seed,
        jobs=options.jobs,
        versions=versions,
        progress=progress.tell,
    )
    progress.end()
    return run


def _write(options: Namespace, report: Report) -> None:
    titles = load_areas()
    written: list[tuple[str | None, Callable[[], str]]] = [
        (options.json, lambda: encode_report(report)),
        (options.junit, lambda: encode_junit(report)),
        (options.html, lambda: encode_html(report, titles)),
        (options.markdown, lambda: encode_markdown(report, titles)),
    ]
    for file, encode in written:
        if file is not None:
            _put(file, encode())
    if "-" not in [file for file, _ in written]:
        print("\n".join(report_lines(report, titles, transcripts=options.transcript)))


def _put(file: str, text: str) -> None:
    # A target's JSON can hold half a surrogate pair, which no encoding has bytes for.
    text = text.encode("utf-8", "backslashreplace").decode()
    if file == "-":
        sys.stdout.write(text)
    else:
        Path(file).write_text(text, encoding="utf-8")


def _check_files(options: Namespace) -> None:
    """WrongCall where a report has no place to go: not to be found out after a long run."""
    for file in (options.json, options.junit, options.html, options.markdown):
        if file not in (None, "-") and (Path(file).is_dir() or not Path(file).parent.is_dir()):
            raise WrongCall(f"cannot write a report to {file}: a folder, or in none")


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
