"""The matrix as JSON, as a table for terminals, and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from gossipsub.conformance.kit.report_markdown import MARKS
from gossipsub.conformance.kit.verdict import Verdict
from gossipsub.conformance.matrix.outcome import Matrix, PairResult, StepResult

FORMAT = "gossipsub interop matrix"
VERSION = 1
BAD = (Verdict.FAILED, Verdict.KNOWN)


def encode_json(matrix: Matrix) -> str:
    """With a line break at the end."""
    entries = {"format": FORMAT, "version": VERSION, **asdict(matrix)}
    return json.dumps(entries, indent=1, ensure_ascii=False, default=_verdict_text) + "\n"


def _verdict_text(value: object) -> str:
    if isinstance(value, Verdict):
        return value.value
    raise TypeError(f"no JSON: {value!r}")


# A table


def matrix_lines(matrix: Matrix) -> Iterator[str]:
    """Who dials is on the left, who listens above; below it what did not work."""
    names = list(matrix.versions)
    grid = [["dials \\ listens", *names]]
    grid += [[name, *(_cell_of(matrix, name, other) for other in names)] for name in names]
    widths = [max(len(row[column]) for row in grid) for column in range(len(names) + 1)]
    for row in grid:
        cells = zip(row, widths, strict=True)
        yield "  ".join(cell.ljust(width) for cell, width in cells).rstrip()
    for pair in matrix.pairs:
        for step in pair.with_verdict(*BAD, Verdict.SKIPPED):
            yield f"{pair.dialler} -> {pair.listener}: {step.step}: {step.verdict.value}"
            yield from (f"    {text}" for text in (step.reason, step.explanation) if text)
    yield f"{sum(pair.worked for pair in matrix.pairs)} of {_count(matrix)} steps work, " + (
        f"{matrix.seconds:.0f} s"
    )
    if matrix.not_run:
        yield f"not run: {_told(matrix.not_run, '->')}"


def _cell_of(matrix: Matrix, dialler: str, listener: str) -> str:
    for pair in matrix.pairs:
        if (pair.dialler, pair.listener) == (dialler, listener):
            return _sum(pair)
    return "not run"


def _told(pairs: Sequence[tuple[str, str]], arrow: str) -> str:
    return ", ".join(f"{dialler} {arrow} {listener}" for dialler, listener in pairs)


def _sum(pair: PairResult) -> str:
    lost = ", ".join(step.step for step in pair.with_verdict(*BAD))
    return f"{pair.worked}/{len(pair.steps)}" + (f" no {lost}" if lost else "")


def _count(matrix: Matrix) -> int:
    return sum(len(pair.steps) for pair in matrix.pairs)


# A page


def encode_markdown(matrix: Matrix) -> str:
    """Without a heading of its own, so that a page can take it in."""
    parts = [_made(matrix), _versions(matrix), _grid(matrix), _steps(matrix), _all(matrix)]
    sections = ["\n".join(part) for part in parts]
    told = "\n".join(_failures(matrix))
    return "\n\n".join([*sections, *([told] if told else [])]) + "\n"


def _made(matrix: Matrix) -> Iterator[str]:
    worked = sum(pair.worked for pair in matrix.pairs)
    yield f"Made {matrix.made[:10]} on {matrix.machine}, in {matrix.seconds:.0f} seconds."
    yield f"{worked:,} of {_count(matrix):,} steps work."
    if matrix.not_run:
        yield f"Cut short: not run are {_cell(_told(matrix.not_run, '→'))}."


def _versions(matrix: Matrix) -> Iterator[str]:
    yield from _head(["implementation", "versions"])
    for name, versions in matrix.versions.items():
        yield _row([name, ", ".join(f"{part} {version}" for part, version in versions.items())])


def _grid(matrix: Matrix) -> Iterator[str]:
    names = list(matrix.versions)
    yield from _head(["dials ↓ listens →", *names])
    for name in names:
        yield _row([f"**{name}**", *(_cell_of(matrix, name, other) for other in names)])


def _steps(matrix: Matrix) -> Iterator[str]:
    yield from _head(["step", "what is tried"])
    yield from (_row([name, title]) for name, title in matrix.steps.items())


def _all(matrix: Matrix) -> Iterator[str]:
    yield from _head(["dialler", "listener", "speak", *matrix.steps])
    for pair in matrix.pairs:
        spoken = ", ".join(step.observed for step in pair.steps if step.observed)
        marks = [MARKS[step.verdict] for step in pair.steps]
        yield _row([pair.dialler, pair.listener, spoken, *marks])


def _failures(matrix: Matrix) -> Iterator[str]:
    """One entry for all pairs that fail in the same way."""
    groups: dict[tuple[str, str], list[tuple[PairResult, StepResult]]] = {}
    for pair in matrix.pairs:
        for step in pair.with_verdict(*BAD, Verdict.SKIPPED):
            why = step.explanation or step.reason
            groups.setdefault((step.step, why), []).append((pair, step))
    for (name, why), members in groups.items():
        pairs = _told([(pair.dialler, pair.listener) for pair, _ in members], "→")
        word = {Verdict.SKIPPED: "not tried"}.get(members[0][1].verdict, "does not work")
        yield f"- **{name}** {word}: {_cell(pairs)}. {_cell(why)}"


def _head(cells: Sequence[str]) -> Iterator[str]:
    yield _row(cells)
    yield "|" + "---|" * len(cells)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
