"""Our node passes every case, go differs only as it is known to, and every case can fail."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gossipsub.conformance.cases.message_ids import ID_FORMS
from gossipsub.conformance.driver import PEERS
from gossipsub.conformance.faults.fault import load_faults
from gossipsub.conformance.kit.case import choose_cases, load_cases
from gossipsub.conformance.kit.control import run_controls
from gossipsub.conformance.kit.deviations import known_deviations
from gossipsub.conformance.kit.results import Result
from gossipsub.conformance.kit.runner import run_cases
from gossipsub.conformance.kit.target import named_target
from gossipsub.conformance.kit.verdict import Verdict
from gossipsub.conformance.kit.warm_start import WarmStart
from gossipsub.conformance.rules import load_rules
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.rpc import Message

DOCS = Path(__file__).resolve().parents[2] / "docs"
JOBS = 16
"""Cases at once: they wait more than they work."""
GOOD = (Verdict.PASSED, Verdict.SKIPPED, Verdict.KNOWN)

MAY_SKIP = {"SCORE-22"}
"""What cannot be tried on our node on every machine: it needs an address besides loopback."""

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def start() -> Iterator[WarmStart]:
    with WarmStart() as start:
        yield start


def told(results: Iterable[Result]) -> list[str]:
    """What pytest shows of those that are not as they should be."""
    return [
        "\n".join([f"{r.id} {r.verdict.value}", r.expected, r.came, r.reason, *r.transcript])
        for r in results
    ]


async def test_our_node_passes_every_case(start: WarmStart) -> None:
    target = replace(named_target("python"), command=start.command())
    run = await run_cases(target, choose_cases([]), jobs=JOBS)
    bad = [result for result in run.results if result.verdict is not Verdict.PASSED]
    skipped = [r for r in bad if r.verdict is Verdict.SKIPPED and r.id in MAY_SKIP]
    assert told(result for result in bad if result not in skipped) == []


@pytest.mark.usefixtures("go_peer_available", "old_go_peer_available")
@pytest.mark.parametrize("target", ["go", "go-old"])
async def test_go_differs_only_as_it_is_known_to(target: str) -> None:
    run = await run_cases(named_target(target), choose_cases([]), jobs=JOBS)
    assert told(r for r in run.results if r.verdict not in GOOD) == []
    passed = {result.id for result in run.results if result.verdict is Verdict.PASSED}
    assert passed & set(known_deviations(target)) == set()


async def test_no_case_passes_on_a_node_with_its_fault(start: WarmStart) -> None:
    results = await run_controls(choose_cases([]), start, jobs=JOBS)
    assert told(r for r in results if r.verdict is not Verdict.FAILED) == []


async def test_every_case_has_a_fault_and_every_fault_a_case() -> None:
    assert {case.fault for case in load_cases().values()} == set(load_faults())


def test_every_rule_that_shows_from_outside_has_a_case_or_a_reason_on_the_page() -> None:
    page = (DOCS / "conformance-kit.md").read_text(encoding="utf-8")
    excused = page.partition("**What is no case.**")[2].partition("\n## ")[0]
    tried = {case.rule.id for case in load_cases().values()}
    tried |= {rule for case in load_cases().values() for rule in case.also}
    outside = {rule.id for rule in load_rules().values() if rule.kind in ("wire", "live")}
    assert set(re.findall(r"[A-Z]+-\d+", excused)) == outside - tried


@pytest.mark.parametrize("target", PEERS)
def test_what_a_target_is_known_to_fail_is_a_case_and_has_a_reason(target: str) -> None:
    for case, reason in known_deviations(target).items():
        assert case in load_cases()
        assert len(reason) > 40, f"{case}: {reason!r} is no reason"


@pytest.mark.rule("MID-01")
def test_the_ids_that_libraries_make_are_told_apart() -> None:
    """Of one message, by the catalogue's vector: the specification's form, js's, rust's, nim's."""
    text = "12D3KooWGyLzSt9g4U9TdHYDvVWAs5Ht4WrocgoyqPxxvnqAL8qw"
    key = "080112206a4eb44e0d714b2a2d48263d75cf52d30bef9d9ae2a9feb7daf1775fe731065a"
    number = (11).to_bytes(8, "big")
    message = Message("t", b"", from_peer=PeerId.parse(text), seqno=number)
    assert [form(message) for form in ID_FORMS.values()] == [
        bytes.fromhex(f"0024{key}") + number,
        bytes.fromhex(key) + number,
        f"{text}11".encode(),
        f"000000000000000b{text}".encode(),
    ]
