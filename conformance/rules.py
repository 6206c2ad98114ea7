"""The numbered rules of GossipSub and its transport, and which tests show which of them.

The catalogue is `rules.json`: what any implementation has to do, each rule with a test in words
and where it comes from. Tests name the rules they show with `@pytest.mark.rule("YMX-07")`, the
cases of the kit, which a test tries on our own node, with `@case("YMX-07")`. `uncovered.json`
gives the reason for each rule that has no test although it should.

`python -m gossipsub.conformance.rules` prints what is covered.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
"""The real folder, also when this module was found through the link in the package."""

Coverage = dict[str, list[str]]
"""Rule id → the tests that name it, as `tests/wire/test_yamux.py::test_name`, and the cases, as
`conformance/cases/yamux.py::name`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of the catalogue; `rules.json` says under "about" how the fields are meant."""

    id: str
    area: str
    level: str
    """`MUST`, `SHOULD` or `MAY`."""
    diff: bool
    """Implementations disagree; the text says which way to go."""
    kind: str
    """`unit`, `wire`, `live` or `sim`; empty for the traps."""
    rule: str
    test: str
    sources: tuple[str, ...]


def load_rules() -> dict[str, Rule]:
    """All rules by id, in the order of the catalogue."""
    entries = _read("rules.json")["rules"]
    rules = [Rule(**{**entry, "sources": tuple(entry["sources"])}) for entry in entries]
    return {rule.id: rule for rule in rules}


def load_areas() -> dict[str, str]:
    """The areas and their titles, in the order of the catalogue."""
    return dict(_read("rules.json")["areas"])


def load_reasons() -> dict[str, str]:
    """Why a rule has no test, for those where somebody gave a reason."""
    return dict(_read("uncovered.json"))


def find_tests() -> Path | None:
    """The folder of this project's tests; None where only the package is installed."""
    tests = HERE.parent / "tests"
    return tests if tests.is_dir() else None


def collect_coverage(tests: Path) -> Coverage:
    """Which tests name which rules, read from the source of all `test_*.py` below `tests`, and of
    the kit's cases beside it.

    Raises ValueError where a mark's arguments are not plain strings.
    """
    coverage: Coverage = {}
    cases = (tests.parent / "conformance" / "cases").glob("*.py")
    for path in [*sorted(tests.rglob("test_*.py")), *sorted(cases)]:
        name = path.relative_to(tests.parent).as_posix()
        source, read = path.read_text(encoding="utf-8"), _reader(path, tests)
        for rule, test in read(source, name):
            named = coverage.setdefault(rule, [])
            if test not in named:
                named.append(test)
    return coverage


def _reader(path: Path, tests: Path) -> Callable[[str, str], Iterator[tuple[str, str]]]:
    return rules_named if path.is_relative_to(tests) else rules_tried


def rules_tried(source: str, path: str) -> Iterator[tuple[str, str]]:
    """Pairs of rule and case for the cases in one file: `@case("YMX-07", also=("T3",))`; a second
    case of the same rule is `YMX-07b`."""
    for script in ast.parse(source, path).body:
        for call in getattr(script, "decorator_list", ()):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "case":
                also = [keyword.value for keyword in call.keywords if keyword.arg == "also"]
                named = [str(ast.literal_eval(call.args[0])).rstrip("bcdefghij")]
                for rules in also:
                    named += ast.literal_eval(rules)
                yield from ((rule, f"{path}::{getattr(script, 'name', '')}") for rule in named)


def rules_named(source: str, path: str) -> Iterator[tuple[str, str]]:
    """Pairs of rule and test for the marks in one test file.

    A mark on a class counts for each of its tests. One elsewhere in the module (`pytestmark`,
    a table of cases) counts for the file.
    """
    yield from _walk(ast.parse(source, path).body, path, path, ())


def _walk(
    body: Iterable[ast.stmt], path: str, label: str, inherited: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    for statement in body:
        if isinstance(statement, ast.ClassDef):
            of_class = (*inherited, *_marks(statement.decorator_list, path))
            yield from _walk(statement.body, path, f"{label}::{statement.name}", of_class)
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and (
            statement.name.startswith("test")
        ):
            for rule in (*inherited, *_marks([statement], path)):
                yield rule, f"{label}::{statement.name}"
        else:
            for rule in _marks([statement], path):
                yield rule, label


def _marks(nodes: Iterable[ast.AST], path: str) -> Iterator[str]:
    """The arguments of every `….mark.rule(…)` in these nodes."""
    for node in nodes:
        for call in ast.walk(node):
            if not (isinstance(call, ast.Call) and _is_rule_mark(call.func)):
                continue
            for argument in call.args:
                if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                    raise ValueError(f"{path}:{call.lineno}: a rule is named by a plain string")
                yield argument.value


def _is_rule_mark(function: ast.expr) -> bool:
    return (
        isinstance(function, ast.Attribute)
        and function.attr == "rule"
        and isinstance(function.value, ast.Attribute)
        and function.value.attr == "mark"
    )


def _read(name: str) -> Any:
    return json.loads((HERE / name).read_text(encoding="utf-8"))


def _area_lines(rules: Sequence[Rule], coverage: Coverage) -> Iterator[str]:
    """One line for each area: covered of total, for each level."""
    yield f"{'area':<28}{'covered':>10}{'MUST':>10}{'SHOULD':>10}{'MAY':>10}"
    titles = load_areas()
    rows = [
        (f"{area:<6}{title}", [rule for rule in rules if rule.area == area])
        for area, title in titles.items()
    ]
    for name, members in [*rows, ("all", list(rules))]:
        if not members:
            continue
        cells = [_share(members, coverage)]
        cells += [
            _share([rule for rule in members if rule.level == level], coverage)
            for level in ("MUST", "SHOULD", "MAY")
        ]
        yield f"{name:<28}" + "".join(f"{cell:>10}" for cell in cells)


def _share(rules: Sequence[Rule], coverage: Coverage) -> str:
    covered = sum(rule.id in coverage for rule in rules)
    return f"{covered}/{len(rules)}" if rules else "-"


def _rule_lines(
    rules: Iterable[Rule], coverage: Coverage, reasons: Mapping[str, str]
) -> Iterator[str]:
    for rule in rules:
        level = rule.level + (" DIFF" if rule.diff else "")
        yield f"{rule.id} [{level}{' ' + rule.kind if rule.kind else ''}] {rule.rule}"
        if rule.test and rule.id not in coverage:
            yield f"    test: {rule.test}"
        for test in coverage.get(rule.id, []):
            yield f"    {test}"
        if rule.id in reasons:
            yield f"    no test: {reasons[rule.id]}"


def _json_lines(
    rules: Iterable[Rule], coverage: Coverage, reasons: Mapping[str, str]
) -> Iterator[str]:
    for rule in rules:
        tests, reason = coverage.get(rule.id, []), reasons.get(rule.id)
        yield json.dumps({**asdict(rule), "tests": tests, "reason": reason}, ensure_ascii=False)


def _parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="gossipsub rules",
        description="Print the numbered rules and the tests that show them.",
    )
    parser.add_argument(
        "--area", action="append", metavar="AREA", help="only this area (NOI, YMX, …); repeatable"
    )
    parser.add_argument("--missing", action="store_true", help="only rules without a test")
    parser.add_argument("--list", action="store_true", help="each rule, not only the counts")
    parser.add_argument("--json", action="store_true", help="each rule as a JSON object in a line")
    parser.add_argument(
        "--tests", type=Path, metavar="FOLDER", help="read the marks here (default: the checkout's)"
    )
    parsed = parser.parse_args(arguments)
    areas = load_areas()
    for area in parsed.area or ():
        if area not in areas:
            parser.error(f"no area {area}; there are: {' '.join(areas)}")
    if parsed.tests is not None and not parsed.tests.is_dir():
        parser.error(f"no such folder: {parsed.tests}")
    return parsed


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parsed = _parse_arguments(arguments)
    tests = parsed.tests or find_tests()
    if tests is None:
        print("no tests here (installed package?): give --tests FOLDER", file=sys.stderr)
    coverage = collect_coverage(tests.resolve()) if tests else {}
    reasons = load_reasons()
    rules = [rule for rule in load_rules().values() if not parsed.area or rule.area in parsed.area]
    shown = [rule for rule in rules if not (parsed.missing and rule.id in coverage)]
    if parsed.json:
        for line in _json_lines(shown, coverage, reasons):
            print(line)
        return 0
    if parsed.list or parsed.missing or parsed.area:
        print("\n".join(_rule_lines(shown, coverage, reasons)), end="\n\n" if shown else "")
    print("\n".join(_area_lines(rules, coverage)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
