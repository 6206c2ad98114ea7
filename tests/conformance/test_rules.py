"""The catalogue of rules, the reading of marks, and the promise that no rule goes untested."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from gossipsub.conformance.kit.case import load_cases
from gossipsub.conformance.rules import (
    Coverage,
    Rule,
    collect_coverage,
    load_areas,
    load_reasons,
    load_rules,
    main,
    rules_named,
    rules_tried,
)
from gossipsub.conformance.rules import __file__ as rules_file

TESTS = Path(__file__).resolve().parent.parent


# The catalogue


def test_the_catalogue_is_complete_and_each_rule_stands_once() -> None:
    rules = load_rules().values()
    numbered = [rule for rule in rules if rule.area != "T"]
    assert len(numbered) == 415
    assert Counter(rule.level for rule in numbered) == {"MUST": 323, "SHOULD": 68, "MAY": 24}
    assert [rule.id for rule in rules if rule.area == "T"] == [f"T{n}" for n in range(1, 31)]


def test_every_rule_is_filled_in_and_its_area_is_known() -> None:
    areas = load_areas()
    for rule in load_rules().values():
        assert rule.area in areas
        assert rule.id.startswith(rule.area)
        assert rule.level in ("MUST", "SHOULD", "MAY")
        assert rule.rule
        assert (rule.kind in ("unit", "wire", "live", "sim") and rule.test) or rule.area == "T"
    assert set(areas) == {rule.area for rule in load_rules().values()}


def test_where_implementations_differ_is_told_with_the_cases_that_show_it() -> None:
    page = (TESTS.parent / "docs" / "conformance-differences.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z]+-\d+) \| .* \| ([-A-Za-z0-9, ]+) \|$", page, re.MULTILINE)
    cases = load_cases()
    assert {case for _, shown in rows for case in shown.split(", ")} <= set(cases)
    assert all(cases[shown.split(", ")[0]].rule.id == rule for rule, shown in rows)
    named = set(re.findall(r"[A-Z]+-\d+", page))
    assert {rule.id for rule in load_rules().values() if rule.diff} <= named


# Reading marks


def test_a_mark_is_read_from_function_class_parameter_and_module() -> None:
    source = """
import pytest
pytestmark = [pytest.mark.rule("A-01"), pytest.mark.timeout(3)]
CASES = [pytest.param(1, marks=pytest.mark.rule("A-02"))]

@pytest.mark.rule("A-03", "A-04")
async def test_one(): ...

@pytest.mark.rule("A-05")
class TestGroup:
    @pytest.mark.parametrize("n", [pytest.param(1, marks=pytest.mark.rule("A-06"))])
    def test_two(self, n): ...
    def helper(self): ...

@rule(n=integers())
def step(n): ...
"""
    assert list(rules_named(source, "tests/test_a.py")) == [
        ("A-01", "tests/test_a.py"),
        ("A-02", "tests/test_a.py"),
        ("A-03", "tests/test_a.py::test_one"),
        ("A-04", "tests/test_a.py::test_one"),
        ("A-05", "tests/test_a.py::TestGroup::test_two"),
        ("A-06", "tests/test_a.py::TestGroup::test_two"),
    ]


def test_a_case_names_its_rule_and_further_ones() -> None:
    source = """
@case("A-01", fault="deaf")
async def one(trial): ...

@case("A-01b", fault="mute", also=("A-02", "T3"))
async def two(trial): ...

@other("A-04")
async def three(trial): ...
"""
    assert list(rules_tried(source, "conformance/cases/a.py")) == [
        ("A-01", "conformance/cases/a.py::one"),
        ("A-01", "conformance/cases/a.py::two"),
        ("A-02", "conformance/cases/a.py::two"),
        ("T3", "conformance/cases/a.py::two"),
    ]


def test_a_rule_that_only_a_case_shows_is_covered() -> None:
    assert (
        "conformance/cases/ping.py::the_echo_is_of_32_bytes_however_they_are_cut"
        in (collect_coverage(TESTS)["PNG-05"])
    )


def test_a_rule_that_is_not_a_plain_string_is_an_error() -> None:
    source = "@pytest.mark.rule(NAME)\ndef test_one(): ..."
    with pytest.raises(ValueError, match=r"^tests/test_a\.py:1: a rule is named by a plain"):
        list(rules_named(source, "tests/test_a.py"))


def test_the_command_lists_the_tests_the_reasons_and_the_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tests" / "wire"
    folder.mkdir(parents=True)
    marked = '@pytest.mark.rule("PNG-01", "PNG-05")\ndef test_echo(): ...\n'
    (folder / "test_ping.py").write_text(marked, encoding="utf-8")
    tests = str(tmp_path / "tests")

    assert main(["--area", "PNG", "--tests", tests, "--json"]) == 0
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    by_id = {rule["id"]: rule["tests"] for rule in listed}
    assert by_id == {
        "PNG-01": ["tests/wire/test_ping.py::test_echo"],
        "PNG-02": [],
        "PNG-03": [],
        "PNG-04": [],
        "PNG-05": ["tests/wire/test_ping.py::test_echo"],
    }

    assert main(["--area", "PNG", "--tests", tests, "--missing"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed if line.startswith("PNG-")] == [
        "PNG-02",
        "PNG-03",
        "PNG-04",
    ]
    assert printed[-1].split() == ["all", "2/5", "2/4", "0/1", "-"]


def test_an_unknown_area_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--area", "NOPE"])
    assert stopped.value.code == 2
    assert "no area NOPE; there are: CFG WIRE" in capsys.readouterr().err


# The coverage of this project


def test_every_rule_named_by_a_test_is_in_the_catalogue() -> None:
    coverage, rules = collect_coverage(TESTS), load_rules()
    assert {name: tests for name, tests in coverage.items() if name not in rules} == {}


def test_every_reason_names_a_rule_and_says_something() -> None:
    rules = load_rules()
    for name, reason in load_reasons().items():
        assert name in rules
        assert len(reason) > 15, f"{name}: {reason!r} is no reason"


def unaccounted(
    rules: Mapping[str, Rule], coverage: Coverage, reasons: Mapping[str, str]
) -> list[str]:
    return [
        f"{rule.id} [{rule.level} {rule.kind}] {rule.rule[:90]}"
        for rule in rules.values()
        if rule.level in ("MUST", "SHOULD")
        if rule.id not in coverage and rule.id not in reasons
    ]


def test_each_must_and_should_has_a_test_or_a_reason() -> None:
    missing = unaccounted(load_rules(), collect_coverage(TESTS), load_reasons())
    assert not missing, f"{len(missing)} rules have neither:\n" + "\n".join(missing)


def test_a_rule_without_test_and_reason_is_noticed() -> None:
    png = {name: rule for name, rule in load_rules().items() if rule.area == "PNG"}
    covered = {"PNG-01": ["tests/test_a.py"], "PNG-02": ["tests/test_a.py"]}
    reasons = {"PNG-03": "some reason", "PNG-04": "some reason"}
    assert [line.split()[0] for line in unaccounted(png, covered, reasons)] == ["PNG-05"]


def test_no_reason_stands_for_a_rule_that_has_a_test() -> None:
    coverage, reasons = collect_coverage(TESTS), load_reasons()
    assert {name: coverage[name] for name in reasons if name in coverage} == {}


def test_without_the_tests_the_command_says_so_and_still_prints_the_rules(tmp_path: Path) -> None:
    for name in ("rules.py", "rules.json", "uncovered.json"):
        shutil.copy(Path(rules_file).with_name(name), tmp_path / name)
    command = [sys.executable, "-Xutf8", str(tmp_path / "rules.py"), "--area", "PNG"]
    ran = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert ran.stderr == "no tests here (installed package?): give --tests FOLDER\n"
    assert ran.returncode == 0
    assert ran.stdout.splitlines()[-1].split() == ["all", "0/5", "0/4", "0/1", "-"]
