"""What we want of our node's speed and size, and whether a run shows it.

This is the one place that says which figure, held against which other one, has to be above or below
what. Medians are compared: how far samples lie apart is for the reader to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gossipsub.benchmarks.harness.endurance import MAX_GROWTH_PERCENT, ROLES
from gossipsub.benchmarks.harness.floor import floor_of
from gossipsub.benchmarks.harness.results import Figure, Measurement, Run
from gossipsub.benchmarks.harness.table import (
    FAST,
    NOTHING,
    Table,
    number_text,
    scaled,
    shown,
    size_text,
)
from gossipsub.benchmarks.harness.workload import SIZES

OURS = ("python", f"python{FAST}")
PLAIN, FASTER = OURS
BULKY = tuple(size for size in SIZES if size >= 16384)
_COSTS = (("pair", "publisher"), ("relay", "relay"), ("pair", "receiver"))
"""Whose CPU is looked at in which workload."""
_KIB, _MB = 1024, 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Where in a run a figure stands."""

    peer: str
    workload: str
    load: str = ""
    size: int = 0
    figure: str

    def __str__(self) -> str:
        """`python+fast, relay, 1 KiB, cpu.relay`."""
        load = "" if self.load == "flood" else self.load
        parts = (self.peer, self.workload, load, size_text(self.size), self.figure)
        return ", ".join(part for part in parts if part)

    def within(self, run: Run) -> Figure | None:
        """None where it was not measured."""
        found = run.select(peer=self.peer, workload=self.workload, load=self.load, size=self.size)
        return next((each.figures[self.figure] for each in found if self._is_in(each)), None)

    def _is_in(self, measurement: Measurement) -> bool:
        usual = (measurement.signed, measurement.topics) == (True, 1)
        return usual and self.figure in measurement.figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """One figure, and where it has to be."""

    text: str
    of: Reading
    bound: float
    beside: str = ""
    """The implementation whose figure is the unit of the bound; nothing: it is a number."""
    is_least: bool = False
    """Whether the figure has to reach the bound, and not to stay within it."""
    beyond_floor_of: str = ""
    """The role whose cryptography does not count."""


@dataclass(frozen=True, slots=True)
class Judgement:
    aim: Aim
    measured: Figure | None
    bound: float | None
    """In the figure's unit; None where the implementation beside it was not measured."""

    @property
    def is_met(self) -> bool | None:
        """None where a figure is missing."""
        if self.measured is None or self.bound is None:
            return None
        if self.aim.is_least:
            return self.measured.median >= self.bound
        return self.measured.median <= self.bound


def judge(run: Run, aims: Iterable[Aim] | None = None) -> list[Judgement]:
    """Each aim, in their order; all of them unless some are named."""
    return [_judgement(aim, run) for aim in (all_aims() if aims is None else aims)]


def _judgement(aim: Aim, run: Run) -> Judgement:
    measured, bound = aim.of.within(run), aim.bound
    if aim.beyond_floor_of and measured is not None:
        is_fast = aim.of.peer.endswith(FAST)
        floor = floor_of(run.floor, aim.beyond_floor_of, aim.of.size, fast=is_fast)
        measured = None if floor is None else _less(measured, floor)
    if not aim.beside:
        return Judgement(aim, measured, bound)
    theirs = replace(aim.of, peer=aim.beside).within(run)
    return Judgement(aim, measured, None if theirs is None else theirs.median * bound)


def _less(figure: Figure, floor: float) -> Figure:
    return Figure(tuple(sample - floor for sample in figure.samples), figure.unit)


def all_aims() -> Iterator[Aim]:
    yield from _rates()
    yield from _costs()
    yield from _own_costs()
    yield from _latencies()
    yield from _without_messages()
    yield from _endurance()


def _rates() -> Iterator[Aim]:
    for workload in ("pair", "relay", "mesh-8"):
        for size in SIZES:
            yield Aim(
                text="with the extra `fast`, messages delivered a second are at least go's",
                of=_flood(FASTER, workload, size, "delivered"),
                beside="go",
                bound=1,
                is_least=True,
            )
    for peer in OURS:
        for other, times in (("py-libp2p", 10), ("js", 1)):
            yield Aim(
                text="a rate ten times py-libp2p's, and ahead of js",
                of=_flood(peer, "pair", 1024, "delivered"),
                beside=other,
                bound=times,
                is_least=True,
            )


def _costs() -> Iterator[Aim]:
    beside_go = "with the extra `fast`, CPU for a message is at most go's"
    beside_rust = "with the extra `fast`, CPU for a message is at most rust's from 16 KiB up"
    plain = "without extras it is 1.5 times go's at most, and from 16 KiB up at most go's"
    for text, peer, other, sizes in (
        (beside_go, FASTER, "go", SIZES),
        (beside_rust, FASTER, "rust", BULKY),
        (plain, PLAIN, "go", SIZES),
    ):
        for workload, role in _COSTS:
            for size in sizes:
                yield Aim(
                    text=text,
                    of=_flood(peer, workload, size, f"cpu.{role}"),
                    beside=other,
                    bound=1.5 if peer == PLAIN and size not in BULKY else 1,
                )


def _own_costs() -> Iterator[Aim]:
    text = "beyond the cryptography, 1 KiB takes 40 us to receive and 60 us to relay to one peer"
    for peer in OURS:
        for workload, role, bound in (("pair", "receiver", 40), ("relay", "relay", 60)):
            of = _flood(peer, workload, 1024, f"cpu.{role}")
            yield Aim(text=text, of=of, bound=bound, beyond_floor_of=role)
    for peer in OURS:
        for workload, figure in (("fan", "cpu.further_peer"), ("duplicates", "cpu.duplicate")):
            of = Reading(peer=peer, workload=workload, figure=figure)
            yield Aim(text="8 us for each further peer, and for each duplicate", of=of, bound=8)


def _latencies() -> Iterator[Aim]:
    for peer in OURS:
        for workload in ("pair", "relay"):
            yield Aim(
                text="at 50 messages a second the median latency is 1.5 times go's at most",
                of=_paced(peer, workload, "gentle", "p50"),
                beside="go",
                bound=1.5,
            )
    for peer in OURS:
        yield Aim(
            text="under half load, the 99th percentile through a relay is at most go's",
            of=_paced(peer, "relay", "half", "p99"),
            beside="go",
            bound=1,
        )


def _without_messages() -> Iterator[Aim]:
    for text, workload, figure, bound in (
        ("connecting takes 5 ms at most", "setup", "setup", 5),
        ("an idle connection takes 60 KiB at most", "memory", "rss.connection", 60 * _KIB),
        ("a node with 20 connections takes 45 MB at most", "memory", "rss.20", 45 * _MB),
        ("importing the package takes 150 ms at most", "startup", "import.gossipsub", 150),
        ("50 peers and 5 topics take 1 % of a core at most", "idle", "cpu.idle", 1),
    ):
        for peer in OURS:
            of = Reading(peer=peer, workload=workload, figure=figure)
            yield Aim(text=text, of=of, bound=bound)


def _endurance() -> Iterator[Aim]:
    text = "ten minutes at full speed lose no message, and memory does not grow"
    bounds = {"lost": 0.0, **{f"growth.{role}": MAX_GROWTH_PERCENT for role in ROLES}}
    for figure, bound in bounds.items():
        of = Reading(peer=FASTER, workload="endurance", figure=figure)
        yield Aim(text=text, of=of, bound=bound)


def _flood(peer: str, workload: str, size: int, figure: str) -> Reading:
    return Reading(peer=peer, workload=workload, load="flood", size=size, figure=figure)


def _paced(peer: str, workload: str, load: str, percentile: str) -> Reading:
    figure = f"latency.{percentile}"
    return Reading(peer=peer, workload=workload, load=load, size=1024, figure=figure)


def aims_tables(run: Run) -> Iterator[Table]:
    """How many are met of each kind, and one table for each kind with what was measured."""
    kinds: dict[str, list[Judgement]] = {}
    for each in judge(run):
        kinds.setdefault(each.aim.text, []).append(each)
    summary = Table("What we aim at", ("aim", "met", "of", "not measured"))
    for text, judgements in kinds.items():
        judged = [each for each in judgements if each.is_met is not None]
        if not judged:
            summary.notes.append(f"not measured at all: {text}")
            continue
        counts = (sum(each.is_met is True for each in judged), len(judged))
        missing = len(judgements) - len(judged)
        summary.rows.append((text, *map(str, counts), str(missing) if missing else ""))
    yield summary
    for text, judgements in kinds.items():
        rows = [_cells(each) for each in judgements if each.is_met is not None]
        if rows:
            yield Table(text, ("figure", "unit", "measured", "has to be", "x", "met"), rows)


def _cells(judgement: Judgement) -> tuple[str, ...]:
    aim, measured, bound = judgement.aim, judgement.measured, judgement.bound
    if measured is None or bound is None:
        raise ValueError("only what was measured has cells")
    scaled_figure, unit = scaled(measured)
    scaled_bound, _ = scaled(Figure((bound,), measured.unit))
    times = "" if aim.bound == 1 else f"{aim.bound:g} x "
    theirs = f" ({times}{aim.beside})" if aim.beside else ""
    word = "at least" if aim.is_least else "at most"
    return (
        str(aim.of) + (" beyond the floor" if aim.beyond_floor_of else ""),
        unit,
        shown(scaled_figure),
        f"{word} {number_text(scaled_bound.median)}{theirs}",
        f"{measured.median / bound:.2f}" if bound else NOTHING,
        "yes" if judgement.is_met else "no",
    )
