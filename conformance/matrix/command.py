"""`gossipsub conformance matrix`: all pairs of implementations, and what works between them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import anyio

from gossipsub.conformance.build import PeerUnavailable
from gossipsub.conformance.driver import PEERS, PeerFailed
from gossipsub.conformance.kit.report_files import STDOUT, check_report_files, write_report
from gossipsub.conformance.kit.stopping import attend
from gossipsub.conformance.kit.verdict import Verdict
from gossipsub.conformance.matrix.grid import JOBS, Grid
from gossipsub.conformance.matrix.outcome import Matrix, PairResult
from gossipsub.conformance.matrix.report import encode_json, encode_markdown, matrix_lines

WORKED, FAILED, WRONG_CALL, NO_TARGET = 0, 1, 2, 3
"""Exit statuses: nothing failed that is not known to, something did, the call makes no sense, a
target is not to be had."""
DEFAULT_TARGETS = "python,go,go-old"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit status. SystemExit with status 2 for a wrong call."""
    options = _parser().parse_args(arguments)
    try:
        check_report_files([options.json, options.markdown])
    except OSError as error:
        return _complain(error, WRONG_CALL)
    try:
        return anyio.run(_work, options)
    except (PeerUnavailable, PeerFailed) as error:
        return _complain(error, NO_TARGET)


def _complain(what: object, status: int) -> int:
    print(f"gossipsub conformance matrix: {what}", file=sys.stderr)
    return status


async def _work(options: argparse.Namespace) -> int:
    grid = Grid(options.targets, jobs=options.jobs, progress=_progress(len(options.targets) ** 2))

    async def run() -> int:
        await grid.run()
        return _tell(options, grid.matrix())

    def stopped(how: str) -> None:
        matrix = grid.matrix()
        if matrix.pairs:
            _tell(options, matrix)
        rest, total = len(matrix.not_run), len(options.targets) ** 2
        _complain(f"{how}: {rest} of {total} pairs were not run", FAILED)

    return await attend(run, stopped)


def _tell(options: argparse.Namespace, matrix: Matrix) -> int:
    """Write the matrix in all its forms; the exit status that it stands for."""
    encoders: list[tuple[str | None, Callable[[Matrix], str]]] = [
        (options.json, encode_json),
        (options.markdown, encode_markdown),
    ]
    for file, encode in encoders:
        if file is not None:
            write_report(file, encode(matrix))
    if STDOUT not in (options.json, options.markdown):
        print("\n".join(matrix_lines(matrix)))
    return FAILED if matrix.failed else WORKED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gossipsub conformance matrix",
        description="Try every pair of GossipSub implementations, each dialling the other.",
        epilog="exit status: 0 all works but what is known, 1 not, 2 wrong call, 3 no such target, "
        "130 after Ctrl-C and 143 after SIGTERM, with a report of what was run",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--targets",
        type=_targets,
        default=_targets(DEFAULT_TARGETS),
        metavar="A,B,C",
        help=f"of {', '.join(PEERS)} (default: {DEFAULT_TARGETS})",
    )
    parser.add_argument("--jobs", type=_jobs, default=JOBS, help=f"pairs at once (default: {JOBS})")
    parser.add_argument("--json", metavar="FILE", help="- is standard output")
    parser.add_argument("--markdown", metavar="FILE", help="tables, and what does not work")
    return parser


def _targets(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in PEERS]
    if unknown or not names or len(set(names)) < len(names):
        what = f"no target is called {unknown[0]!r}" if unknown else "name each target once"
        raise argparse.ArgumentTypeError(f"{what}; there are {', '.join(PEERS)}")
    return names


def _jobs(text: str) -> int:
    if not (text.isdigit() and 1 <= int(text) <= 16):
        raise argparse.ArgumentTypeError("1 to 16")
    return int(text)


def _progress(total: int) -> Callable[[PairResult], None]:
    """Says on standard error what came of each pair."""
    done = 0

    def tell(pair: PairResult) -> None:
        nonlocal done
        done += 1
        bad = [step.step for step in pair.with_verdict(Verdict.FAILED)]
        known = [step.step for step in pair.with_verdict(Verdict.KNOWN)]
        marks = "".join(
            f"; {word}: {', '.join(steps)}"
            for word, steps in (("failed", bad), ("known", known))
            if steps
        )
        count = f"{pair.worked} of {len(pair.steps)} in {pair.seconds:.0f} s"
        print(
            f"{done} of {total}: {pair.dialler} -> {pair.listener}: {count}{marks}",
            file=sys.stderr,
            flush=True,
        )

    return tell
