"""Tables of what was measured: one for each workload, as rows of text; how they look is elsewhere.

What is shown of a figure is its median and, in brackets, least and most; ratios are of medians.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from gossipsub.benchmarks.harness.floor import floor_of
from gossipsub.benchmarks.harness.results import Figure, Measurement, Run

YARDSTICK = "go"
"""The implementation that the others are held against."""

FAST = "+fast"
"""What ends the name of our node with PyNaCl, whose floor is another."""

NOTHING = "-"
CPU, LATENCY, LAYER = "cpu.", "latency.", "layer."
LATENCIES = ("p50", "p90", "p99", "max")
RATE = "delivered"


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text. A row that repeats what stands above it leaves it out."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What goes below: why something has no figures, and what was lost."""


@dataclass(frozen=True, slots=True)
class Group:
    """Measurements that belong into one table: they differ in implementation and size alone."""

    workload: str
    load: str
    signed: bool
    topics: int

    @classmethod
    def of(cls, measurement: Measurement) -> Group:
        return cls(measurement.workload, measurement.load, measurement.signed, measurement.topics)

    def __str__(self) -> str:
        parts = [self.workload, self.load]
        if self.load:
            parts.append("signed" if self.signed else "unsigned")
            parts.append("" if self.topics == 1 else f"{self.topics} topics")
        return ", ".join(part for part in parts if part)


def tables_of(run: Run) -> Iterator[Table]:
    """In the order in which the workloads were measured first."""
    groups: dict[Group, list[Measurement]] = {}
    for measurement in run.measurements:
        groups.setdefault(Group.of(measurement), []).append(measurement)
    for group, members in groups.items():
        if not group.load:
            yield _plain_table(group, members)
            continue
        if _have(members, LATENCY):
            yield _latency_table(group, members)
        if _have(members, CPU) or not _have(members, LATENCY):
            yield _cost_table(group, members, run)
        if _have(members, LAYER):
            yield _layer_table(group, members)


def _have(members: Iterable[Measurement], kind: str) -> bool:
    return any(name.startswith(kind) for each in members for name in each.figures)


# Rates, and what they cost


def _cost_table(group: Group, members: Sequence[Measurement], run: Run) -> Table:
    table = Table(
        f"{group}: CPU of a process in us a message",
        (
            "size", "peer", "delivered a second", "x go", "role",
            "CPU", "x floor", "beyond", "x go",
        ),
        notes=[
            *_aside("messages under way", members, "window"),
            *_aside("memory of all nodes in MiB", members, "rss.sum", scale=1 << 20),
            *_losses(members),
            *_failures(members),
        ],
    )  # fmt: skip
    for size, of_size in _by_size(members):
        rows: list[tuple[str, ...]] = []
        for each in of_size:
            rows += _cost_rows(each, _yardstick(of_size), run)
        rows += _floor_rows(of_size, run)
        table.rows.extend((size if not number else "", *row) for number, row in enumerate(rows))
    return table


def _cost_rows(
    measurement: Measurement, yardstick: Measurement | None, run: Run
) -> Iterator[tuple[str, ...]]:
    theirs = yardstick.figures if yardstick else {}
    rate = measurement.figures.get(RATE)
    front: tuple[str, ...] = (
        label(measurement),
        shown(rate),
        ratio(rate, theirs.get(RATE)),
    )
    for name in _cpu_names(measurement):
        figure = measurement.figures[name]
        floor = _floor(run, name, measurement, fast=is_fast(measurement))
        yield (
            *front,
            name.removeprefix(CPU),
            shown(figure),
            NOTHING if floor is None else f"{figure.median / floor:.1f}",
            NOTHING if floor is None else number_text(figure.median - floor),
            ratio(figure, theirs.get(name)),
        )
        front = ("", "", "")
    if any(front):  # only a rate
        yield (*front, *[NOTHING] * 5)


def _floor_rows(of_size: Sequence[Measurement], run: Run) -> Iterator[tuple[str, ...]]:
    """The floors that the lines above are held against."""
    kinds = sorted({is_fast(each) for each in of_size if each.figures})
    for fast in kinds:
        front = "floor" + (FAST if fast else "")
        for name in dict.fromkeys(name for each in of_size for name in _cpu_names(each)):
            floor = _floor(run, name, of_size[0], fast=fast)
            if floor is not None:
                role = name.removeprefix(CPU)
                yield (front, "", "", role, number_text(floor), "1.0", "0", "")
                front = ""


def _floor(run: Run, name: str, measurement: Measurement, *, fast: bool) -> float | None:
    return floor_of(
        run.floor,
        name.removeprefix(CPU),
        measurement.size,
        fast=fast,
        signed=measurement.signed,
    )


def _cpu_names(measurement: Measurement) -> list[str]:
    return [name for name in measurement.figures if name.startswith(CPU)]


def is_fast(measurement: Measurement) -> bool:
    return measurement.peer.endswith(FAST)


# Latencies, and all that has no messages


def _latency_table(group: Group, members: Sequence[Measurement]) -> Table:
    columns = ["size", "peer", "sent a second"]
    for name in LATENCIES:
        columns += [name, "x go"] if name in ("p50", "p99") else [name]
    table = Table(
        f"{group}: latency in ms",
        tuple(columns),
        notes=_losses(members) + _failures(members),
    )
    for size, of_size in _by_size(members):
        for number, each in enumerate(each for each in of_size if each.figures):
            yardstick = _yardstick(of_size)
            rate = each.figures.get("rate")
            row = [size if not number else "", label(each), shown(rate)]
            for name in LATENCIES:
                figure = each.figures.get(LATENCY + name)
                row.append(shown(figure))
                if name in ("p50", "p99"):
                    theirs = yardstick.figures.get(LATENCY + name) if yardstick else None
                    row.append(ratio(figure, theirs))
            table.rows.append(tuple(row))
    return table


def _layer_table(group: Group, members: Sequence[Measurement]) -> Table:
    columns = ("size", "peer", "role", "layer", "us a message", "share")
    table = Table(f"{group}: where it goes", columns)
    for size, of_size in _by_size(members):
        for each in of_size:
            front = (size, label(each))
            for role, layers in layers_by_role(each).items():
                total = sum(figure.median for figure in layers.values())
                for number, (name, figure) in enumerate(layers.items()):
                    share = f"{figure.median / total:.0%}" if total else NOTHING
                    shown_role = role if not number else ""
                    table.rows.append((*front, shown_role, name, shown(figure), share))
                    front = ("", "")
    return table


def layers_by_role(measurement: Measurement) -> dict[str, dict[str, Figure]]:
    """Where the CPU of each role goes, the dearest first."""
    roles: dict[str, dict[str, Figure]] = {}
    for name, figure in measurement.figures.items():
        if name.startswith(LAYER):
            role, _, layer = name.removeprefix(LAYER).partition(".")
            roles.setdefault(role, {})[layer] = figure
    return {
        role: dict(sorted(layers.items(), key=lambda each: -each[1].median))
        for role, layers in roles.items()
    }


def _plain_table(group: Group, members: Sequence[Measurement]) -> Table:
    table = Table(str(group), ("figure", "peer", "", "unit", "x go"), notes=_failures(members))
    for name in dict.fromkeys(name for each in members for name in each.figures):
        front = name
        for each in members:
            figure = each.figures.get(name)
            if figure is not None:
                yardstick = _yardstick(members)
                theirs = yardstick.figures.get(name) if yardstick else None
                in_unit, unit = scaled(figure)
                table.rows.append((front, label(each), shown(in_unit), unit, ratio(figure, theirs)))
                front = ""
    return table


def scaled(figure: Figure) -> tuple[Figure, str]:
    """In the unit that it is shown in, and how that is called."""
    if figure.unit == "bytes":
        return Figure(tuple(each / 1024 for each in figure.samples), "KiB"), "KiB"
    return figure, {"percent": "%", "per_s": "a second", "count": ""}.get(figure.unit, figure.unit)


# Two runs


def compare(old: Run, new: Run) -> Iterator[Table]:
    """What both measured, side by side: below 1 the figure became smaller.

    A ratio with a `~` is of samples that overlap: it may be chance.
    """
    before = {_key(each): each for each in old.measurements}
    tables: dict[Group, Table] = {}
    for measurement in new.measurements:
        earlier = before.get(_key(measurement))
        if earlier is None:
            continue
        group = Group.of(measurement)
        table = tables.setdefault(
            group, Table(str(group), ("size", "peer", "figure", "old", "new", "ratio"))
        )
        front = (size_text(measurement.size), label(measurement))
        for name, figure in measurement.figures.items():
            if name in earlier.figures and (figure.most or earlier.figures[name].most):
                table.rows.append((*front, *_change(name, earlier.figures[name], figure)))
                front = ("", "")
    floors = Table("floor", ("operation", "size", "old", "new", "ratio"))
    for name, figure in new.floor.items():
        if name in old.floor:
            operation, _, size = name.partition(".")
            changed = _change("", old.floor[name], figure)[1:]
            floors.rows.append((operation, size_text(int(size)), *changed))
    found = [table for table in (*tables.values(), floors) if table.rows]
    yield from found or [Table("nothing that both runs measured", ())]


def _key(measurement: Measurement) -> tuple[Group, str, str, int]:
    return Group.of(measurement), measurement.peer, measurement.backend, measurement.size


def _change(name: str, old: Figure, new: Figure) -> tuple[str, str, str, str]:
    overlap = old.least <= new.most and new.least <= old.most
    doubt = " ~" if overlap and old.samples != new.samples else ""
    scaled_old, unit = scaled(old)
    scaled_new, _ = scaled(new)
    told = f"{name} ({unit})" if unit else name
    return told, shown(scaled_old), shown(scaled_new), ratio(new, old) + doubt


# Cells


def label(measurement: Measurement) -> str:
    """`python on trio`; the event loop is not named where it is the usual one."""
    usual = "uvloop" if is_fast(measurement) else "asyncio"
    if measurement.backend in ("", usual):
        return measurement.peer
    return f"{measurement.peer} on {measurement.backend}"


def size_text(size: int) -> str:
    if size >= 1024 and size % 1024 == 0:
        return f"{size // 1024} KiB"
    return f"{size} B" if size else ""


def shown(figure: Figure | None) -> str:
    """`238 (230-251)`: the median, and the ends where they differ."""
    if figure is None:
        return NOTHING
    ends = f"{number_text(figure.least)}-{number_text(figure.most)}"
    middle = number_text(figure.median)
    return middle if len(figure.samples) == 1 else f"{middle} ({ends})"


def ratio(figure: Figure | None, other: Figure | None) -> str:
    if figure is None or other is None or not other.median:
        return NOTHING
    return f"{figure.median / other.median:.2f}"


def number_text(number: float) -> str:
    """Three digits or all before the point: `3,910`, `23.8`, `6.40`; whole numbers as they are."""
    if number != round(number):
        for places in (2, 1):
            text = f"{number:.{places}f}"
            if len(text.lstrip("-")) <= len("6.40"):
                return text
    return f"{number:,.0f}"


# Rows


def _by_size(members: Sequence[Measurement]) -> Iterator[tuple[str, list[Measurement]]]:
    for size in sorted({each.size for each in members}):
        yield size_text(size), [each for each in members if each.size == size and each.figures]


def _yardstick(members: Iterable[Measurement]) -> Measurement | None:
    return next((each for each in members if each.peer == YARDSTICK), None)


def _aside(
    what: str, members: Sequence[Measurement], name: str, *, scale: float = 1.0
) -> Iterator[str]:
    """`messages under way: 256 B python 512, go 1,024; 1 KiB python 256`: the last of each, if
    any have the figure."""
    by_size: list[str] = []
    for size, of_size in _by_size(members):
        told = [
            f"{label(each)} {number_text(round(each.figures[name].samples[-1] / scale))}"
            for each in of_size
            if name in each.figures
        ]
        if told:
            by_size.append(f"{size} {', '.join(told)}")
    if by_size:
        yield f"{what}: {'; '.join(by_size)}"


def _losses(members: Iterable[Measurement]) -> list[str]:
    return [
        f"{label(each)} lost {number_text(lost.most)} messages of {size_text(each.size)}"
        for each in members
        if (lost := each.figures.get("lost")) is not None and lost.most
    ]


def _failures(members: Sequence[Measurement]) -> list[str]:
    """Each reason once; sizes are named where it is not that of all."""
    failed: dict[tuple[str, str], list[int]] = {}
    for each in members:
        if each.failure:
            failed.setdefault((label(each), each.failure), []).append(each.size)
    told = []
    for (name, failure), sizes in failed.items():
        of_all = len(sizes) == sum(label(each) == name for each in members)
        where = "" if of_all else f", {', '.join(map(size_text, sizes))}"
        told.append(f"{name}{where}: {failure}")
    return told
