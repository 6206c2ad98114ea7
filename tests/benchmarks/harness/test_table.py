"""Tables of made-up runs, whole."""

from __future__ import annotations

from typing import Any

import pytest

from gossipsub.benchmarks.harness.results import Figure, Measurement
from gossipsub.benchmarks.harness.table import Table, compare, number_text, size_text, tables_of
from tests.benchmarks.harness.made_up import run, us


def pair(peer: str, *, publisher: float, receiver: float, **named: Any) -> Measurement:
    figures = {
        "delivered": Figure((1e6 / receiver,), "per_s"),
        "cpu.publisher": us(publisher, publisher - 10, publisher + 10),
        "cpu.receiver": us(receiver),
        "lost": Figure((0.0,), "count"),
    }
    fields = {"workload": "pair", "load": "flood", "size": 1024, "figures": figures}
    return Measurement(**{**fields, "peer": peer, **named})


def test_a_flood_shows_rate_cost_by_role_and_what_is_beyond_the_floor() -> None:
    (table,) = tables_of(
        run(
            pair("python", publisher=200, receiver=250),
            pair("python+fast", publisher=150, receiver=130, backend="uvloop"),
            pair("go", publisher=100, receiver=125),
        )
    )
    assert table.title == "pair, flood, signed: CPU of a process in us a message"
    assert table.columns == (
        "size", "peer", "delivered a second", "x go", "role", "CPU", "x floor", "beyond", "x go",
    )  # fmt: skip
    assert table.rows == [
        ("1 KiB", "python", "4,000", "0.50", "publisher", "200 (190-210)", "5.0", "160", "2.00"),
        ("", "", "", "", "receiver", "250", "2.4", "145", "2.00"),
        ("", "python+fast", "7,692", "0.96", "publisher", "150 (140-160)", "3.8", "110", "1.50"),
        ("", "", "", "", "receiver", "130", "2.0", "65", "1.04"),
        ("", "go", "8,000", "1.00", "publisher", "100 (90-110)", "2.5", "60", "1.00"),
        ("", "", "", "", "receiver", "125", "1.2", "20", "1.00"),
        ("", "floor", "", "", "publisher", "40", "1.0", "0", ""),
        ("", "", "", "", "receiver", "105", "1.0", "0", ""),
        ("", "floor+fast", "", "", "publisher", "40", "1.0", "0", ""),
        ("", "", "", "", "receiver", "65", "1.0", "0", ""),
    ]
    assert table.notes == []


def test_what_has_no_yardstick_and_no_floor_has_a_dash() -> None:
    mesh = pair("rust", publisher=1, receiver=1, figures={"cpu.node": us(400)}, workload="mesh-8")
    (table,) = tables_of(run(mesh, floor={}))
    assert table.rows == [("1 KiB", "rust", "-", "-", "node", "400", "-", "-", "-")]


def test_a_rate_alone_is_shown() -> None:
    only = {"delivered": Figure((5000.0,), "per_s")}
    (table,) = tables_of(run(pair("go", publisher=1, receiver=1, figures=only)))
    assert table.rows == [("1 KiB", "go", "5,000", "1.00", "-", "-", "-", "-", "-")]


def test_unsigned_messages_and_many_topics_are_tables_of_their_own() -> None:
    signed = pair("go", publisher=1, receiver=1)
    unsigned = pair("go", publisher=1, receiver=1, signed=False)
    many = pair("go", publisher=1, receiver=1, topics=10)
    assert [table.title.partition(":")[0] for table in tables_of(run(signed, unsigned, many))] == [
        "pair, flood, signed",
        "pair, flood, unsigned",
        "pair, flood, signed, 10 topics",
    ]


def test_another_event_loop_than_the_usual_is_named() -> None:
    measurements = [
        pair(peer, publisher=1, receiver=1, backend=backend)
        for peer, backend in (
            ("python", "asyncio"), ("python", "uvloop"), ("python", "trio"),
            ("python+fast", "uvloop"), ("python+fast", "trio"),
        )
    ]  # fmt: skip
    (table,) = tables_of(run(*measurements, floor={}))
    assert [row[1] for row in table.rows if row[1]] == [
        "python", "python on uvloop", "python on trio", "python+fast", "python+fast on trio",
    ]  # fmt: skip


def test_how_many_were_under_way_and_what_memory_all_nodes_take_stands_below() -> None:
    def measured(peer: str, size: int, window: float) -> Measurement:
        figures = {
            "window": Figure((1.0, window), "count"),
            "rss.sum": Figure((100.4 * 2**20,), "bytes"),
        }
        return pair(peer, publisher=1, receiver=1, size=size, figures=figures)

    wide = [measured("python", 256, 2048), measured("go", 256, 64), measured("go", 1024, 32)]
    (table,) = tables_of(run(*wide))
    assert table.notes == [
        "messages under way: 256 B python 2,048, go 64; 1 KiB go 32",
        "memory of all nodes in MiB: 256 B python 100, go 100; 1 KiB go 100",
    ]


def test_losses_and_failures_stand_below_and_each_reason_once() -> None:
    lossy = pair("go", publisher=1, receiver=1, figures={"lost": Figure((0.0, 3.0), "count")})
    absent = [
        pair("rust", publisher=1, receiver=1, size=size, figures={}, failure="no cargo")
        for size in (256, 1024)
    ]
    late = pair("js", publisher=1, receiver=1, size=256, figures={}, failure="took too long")
    (table,) = tables_of(run(lossy, *absent, late, pair("js", publisher=1, receiver=1)))
    assert table.notes == [
        "go lost 3 messages of 1 KiB",
        "rust: no cargo",
        "js, 256 B: took too long",
    ]


def test_a_workload_that_nobody_could_run_says_why() -> None:
    (table,) = tables_of(run(pair("js", publisher=1, receiver=1, figures={}, failure="no node")))
    assert (table.rows, table.notes) == ([], ["js: no node"])


def test_latencies_are_held_against_the_yardstick_at_p50_and_p99() -> None:
    def gentle(peer: str, scale: float) -> Measurement:
        parts = {"p50": 1.0, "p90": 2.0, "p99": 4.0, "max": 8.0}
        figures = {f"latency.{n}": Figure((scale * v,), "ms") for n, v in parts.items()}
        figures["rate"] = Figure((50.0,), "per_s")
        return pair(peer, publisher=1, receiver=1, figures=figures, load="gentle")

    (table,) = tables_of(run(gentle("python", 0.75), gentle("go", 0.5)))
    assert table.title == "pair, gentle, signed: latency in ms"
    assert table.columns == (
        "size", "peer", "sent a second", "p50", "x go", "p90", "p99", "x go", "max",
    )  # fmt: skip
    assert table.rows == [
        ("1 KiB", "python", "50", "0.75", "1.50", "1.50", "3", "1.50", "6"),
        ("", "go", "50", "0.50", "1.00", "1", "2", "1.00", "4"),
    ]


def test_layers_have_a_table_with_their_shares_of_each_role() -> None:
    layers = {
        "layer.publisher.noise": us(25.0),
        "layer.publisher.router": us(75.0),
        "layer.receiver.noise": us(60.0),
    }
    tables = list(tables_of(run(pair("python", publisher=1, receiver=1, figures=layers))))
    assert tables[-1].title == "pair, flood, signed: where it goes"
    assert tables[-1].rows == [
        ("1 KiB", "python", "publisher", "router", "75", "75%"),
        ("", "", "", "noise", "25", "25%"),
        ("", "", "receiver", "noise", "60", "100%"),
    ]


def test_what_sends_no_messages_is_one_line_a_figure_and_peer() -> None:
    def memory(peer: str, each: int) -> Measurement:
        figures = {"connection": Figure((each * 1024.0,), "bytes"), "idle": Figure((2,), "percent")}
        return Measurement(workload="memory", peer=peer, figures=figures)

    (table,) = tables_of(run(memory("python", 60), memory("go", 40)))
    assert table == Table(
        "memory",
        ("figure", "peer", "", "unit", "x go"),
        [
            ("connection", "python", "60", "KiB", "1.50"),
            ("", "go", "40", "KiB", "1.00"),
            ("idle", "python", "2", "%", "1.00"),
            ("", "go", "2", "%", "1.00"),
        ],
    )


def test_two_runs_are_compared_where_both_measured_the_same() -> None:
    old = run(pair("python", publisher=200, receiver=250), pair("go", publisher=9, receiver=9))
    new = run(
        pair("python", publisher=195, receiver=125),
        pair("python", publisher=1, receiver=1, size=256),
        pair("go", publisher=9, receiver=9, signed=False),
        floor={"sign.1024": us(19)},
    )
    ours, floor = compare(old, new)
    assert ours.title == "pair, flood, signed"
    assert ours.rows == [
        ("1 KiB", "python", "delivered (a second)", "4,000", "8,000", "2.00"),
        ("", "", "cpu.publisher (us)", "200 (190-210)", "195 (185-205)", "0.97 ~"),
        ("", "", "cpu.receiver (us)", "250", "125", "0.50"),
    ]
    assert floor.rows == [("sign", "1 KiB", "38", "19", "0.50")]


def test_runs_that_have_nothing_in_common_say_so() -> None:
    (table,) = compare(run(pair("go", publisher=1, receiver=1)), run(floor={}))
    assert table == Table("nothing that both runs measured", ())


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (3, "3"), (0.068, "0.07"), (6.4, "6.40"), (23.81, "23.8"), (9.997, "10.0"),
     (99.96, "100"), (238.4, "238"), (3910.2, "3,910"), (-12.34, "-12.3")],
)  # fmt: skip
def test_numbers_have_three_digits_or_all_before_the_point(number: float, text: str) -> None:
    assert number_text(number) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, ""), (256, "256 B"), (1024, "1 KiB"), (1500, "1500 B")]
)
def test_sizes_are_told_in_kibibytes_where_they_are_whole(size: int, text: str) -> None:
    assert size_text(size) == text
