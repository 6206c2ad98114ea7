"""Aims judged in made-up runs: which figure is held against which, and how verdicts look."""

from __future__ import annotations

from typing import Any

import pytest

from gossipsub.benchmarks.harness.aims import Aim, Judgement, Reading, aims_tables, judge
from gossipsub.benchmarks.harness.results import Figure, Measurement, Run
from tests.benchmarks.harness.made_up import run, us

PAIR = Reading(peer="python", workload="pair", load="flood", size=1024, figure="cpu.receiver")


def pair(peer: str, *samples: float, **named: Any) -> Measurement:
    fields = {"workload": "pair", "load": "flood", "size": 1024}
    return Measurement(
        **{**fields, "peer": peer, "figures": {"cpu.receiver": us(*samples)}, **named}
    )


def judged(found: Run, **fields: Any) -> Judgement:
    aim = Aim(**{"text": "as fast as can be", "of": PAIR, "bound": 1.0, **fields})
    (judgement,) = judge(found, [aim])
    return judgement


@pytest.mark.parametrize(
    ("bound", "is_least", "is_met"),
    [(100, False, True), (99, False, False), (100, True, True), (101, True, False)],
)
def test_the_median_is_held_against_a_number(bound: float, is_least: bool, is_met: bool) -> None:
    judgement = judged(run(pair("python", 100, 1, 1000)), bound=bound, is_least=is_least)
    assert (judgement.bound, judgement.is_met) == (bound, is_met)


@pytest.mark.parametrize(("theirs", "is_met"), [(80.0, True), (79.0, False)])
def test_or_against_so_many_times_that_of_another_implementation(
    theirs: float, is_met: bool
) -> None:
    found = run(pair("python", 120), pair("go", theirs))
    judgement = judged(found, beside="go", bound=1.5)
    assert (judgement.bound, judgement.is_met) == (theirs * 1.5, is_met)


@pytest.mark.parametrize(("peer", "beyond"), [("python", 95.0), ("python+fast", 135.0)])
def test_beyond_the_floor_is_without_the_cryptography_of_the_library_that_verifies(
    peer: str, beyond: float
) -> None:
    of = Reading(peer=peer, workload="pair", load="flood", size=1024, figure="cpu.receiver")
    judgement = judged(run(pair(peer, 200)), of=of, bound=100, beyond_floor_of="receiver")
    assert judgement.measured == us(beyond)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    other_topics = pair("go", 1, topics=10)
    unsigned = pair("python", 1, signed=False)
    assert judged(run(other_topics, unsigned)).is_met is None
    assert judged(run(pair("python", 1), other_topics), beside="go").is_met is None
    assert judged(run(pair("python", 1), floor={}), beyond_floor_of="receiver").is_met is None


def test_tables_count_what_is_met_and_show_what_was_measured() -> None:
    rates = [
        Measurement(
            workload="pair", load="flood", peer=peer, size=1024,
            figures={"delivered": Figure((rate, rate + 100), "per_s")},
        )
        for peer, rate in (("python", 9000), ("python+fast", 11000), ("go", 10000), ("js", 10000))
    ]  # fmt: skip
    memory = Measurement(
        workload="memory", peer="python", figures={"rss.20": Figure((49e6,), "bytes")}
    )
    summary, *tables = aims_tables(run(*rates, memory))
    assert summary.columns == ("aim", "met", "of", "not measured")
    assert summary.rows == [
        ("with the extra `fast`, messages delivered a second are at least go's", "1", "1", "11"),
        ("a rate ten times py-libp2p's, and ahead of js", "1", "2", "2"),
        ("a node with 20 connections takes 45 MB at most", "0", "1", "1"),
    ]
    assert [table.title for table in tables] == [row[0] for row in summary.rows]
    assert "not measured at all: connecting takes 5 ms at most" in summary.notes
    assert [table.rows for table in tables] == [
        [
            ("python+fast, pair, 1 KiB, delivered", "a second", "11,050 (11,000-11,100)",
             "at least 10,050 (go)", "1.10", "yes"),
        ],
        [
            ("python, pair, 1 KiB, delivered", "a second", "9,050 (9,000-9,100)",
             "at least 10,050 (js)", "0.90", "no"),
            ("python+fast, pair, 1 KiB, delivered", "a second", "11,050 (11,000-11,100)",
             "at least 10,050 (js)", "1.10", "yes"),
        ],
        [("python, memory, rss.20", "KiB", "47,852", "at most 43,945", "1.09", "no")],
    ]  # fmt: skip


def test_an_aim_of_nothing_has_no_ratio() -> None:
    lost = Measurement(
        workload="endurance", peer="python+fast", figures={"lost": Figure((0.0,), "count")}
    )
    _, table = aims_tables(run(lost))
    assert table.rows == [("python+fast, endurance, lost", "", "0", "at most 0", "-", "yes")]
