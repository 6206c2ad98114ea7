"""Pictures of what was measured, by matplotlib: a file for each question, if the run answers it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossipsub.benchmarks.harness.floor import floor_of
from gossipsub.benchmarks.harness.results import Figure, Measurement, Run
from gossipsub.benchmarks.harness.table import (
    CPU,
    FAST,
    LATENCIES,
    LATENCY,
    RATE,
    Group,
    is_fast,
    label,
    layers_by_role,
    size_text,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Picture

FORMATS = ("svg", "png")

_STYLES = {
    "python": ("#0072b2", "o"),
    "python+fast": ("#d55e00", "s"),
    "go": ("#009e73", "^"),
    "rust": ("#cc79a7", "D"),
    "js": ("#e69f00", "v"),
    "py-libp2p": ("#56b4e9", "P"),
    "go-old": ("#555555", "X"),
}
"""Colour and marker of each implementation, the same in all pictures. The colours are those of
Okabe and Ito, which people see apart who are blind to some; the markers serve print as well."""
_OTHER = ("#000000", "*")
_BACKEND_LINES = {"asyncio": "-", "uvloop": "-", "trio": ":", "": "-"}
_LAYER_COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#555555",
    "#bbbbbb",
)  # fmt: skip
_HATCHES = ("", "//", "..", "\\\\")
_FLOOR_GREY = "#777777"
_MESH = re.compile(r"mesh-([0-9]+)")
_WIDTH, _HEIGHT = 5.0, 3.8

Series = tuple[Measurement, list[tuple[float, Figure]]]
"""Of one implementation: what its figure is at each place of the axis."""


def write_plots(run: Run, folder: Path, *, format: str = "svg") -> list[Path]:
    """The files written, as `svg` or `png`; the folder is made if need be.

    ImportError where matplotlib is not installed, ValueError for another format, OSError where
    the files cannot be written.
    """
    if format not in FORMATS:
        raise ValueError(f"plots are {' or '.join(FORMATS)}, not {format!r}")
    try:
        from matplotlib import rc_context
    except ImportError as problem:
        raise ImportError("plots need matplotlib: pip install gossipsub[bench]") from problem
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with rc_context({"svg.hashsalt": "gossipsub", "font.size": 9, "axes.titlesize": 10}):
        for name, draw in PICTURES.items():
            picture = draw(run)
            if picture is not None:
                path = folder / f"{name}.{format}"
                metadata = {"Date": None} if format == "svg" else None  # equal runs, equal files
                picture.savefig(path, dpi=120, metadata=metadata)
                written.append(path)
    return written


# Pictures


def _throughput(run: Run) -> Picture | None:
    """A panel for each flood."""
    floods = {
        group: [each for each in members if RATE in each.figures]
        for group, members in _groups(run).items()
        if not _MESH.fullmatch(group.workload)
    }
    panels = [(group, members) for group, members in floods.items() if members]
    if not panels:
        return None
    picture, axes = _panels(len(panels), "Messages delivered a second, by their size")
    for place, (group, members) in zip(axes, panels, strict=True):
        _draw_lines(place, _by_size(members, RATE))
        _finish(place, str(group), "bytes of data in a message", "delivered a second")
        _size_axis(place, members)
    return picture


def _cpu(run: Run) -> Picture | None:
    """A panel for each flood and role, with the floor."""
    panels = [
        (group, role, members)
        for group, members in _groups(run).items()
        if group.load and not _MESH.fullmatch(group.workload)
        for role in _roles(members)
    ]
    if not panels:
        return None
    picture, axes = _panels(len(panels), "CPU of a process for a message, by its size")
    for place, (group, role, members) in zip(axes, panels, strict=True):
        _draw_lines(place, _by_size(members, CPU + role))
        for fast in sorted({is_fast(each) for each in members}):
            sizes = sorted({each.size for each in members})
            costs = [
                (size, cost)
                for size in sizes
                if (cost := floor_of(run.floor, role, size, fast=fast, signed=group.signed))
            ]
            if costs:
                name = f"floor{FAST if fast else ''}"
                line = ":" if fast else "--"
                place.plot(*zip(*costs, strict=True), line, color=_FLOOR_GREY, label=name)
        _finish(place, f"{group}: {role}", "bytes of data in a message", "µs of CPU a message")
        _size_axis(place, members)
    return picture


def _latency(run: Run) -> Picture | None:
    """A panel for each paced load and size: how long all but the slowest messages took."""
    panels: dict[tuple[Group, int], list[Measurement]] = {}
    for group, members in _groups(run).items():
        for each in members:
            if any(LATENCY + name in each.figures for name in LATENCIES):
                panels.setdefault((group, each.size), []).append(each)
    if not panels:
        return None
    picture, axes = _panels(len(panels), "Latency: from publishing to delivery")
    for place, ((group, size), members) in zip(axes, panels.items(), strict=True):
        series: list[Series] = [
            (
                each,
                [
                    (float(number), each.figures[LATENCY + name])
                    for number, name in enumerate(LATENCIES)
                    if LATENCY + name in each.figures
                ],
            )
            for each in members
        ]
        _draw_lines(place, series)
        title = f"{group}, {size_text(size)}"
        _finish(place, title, "so many messages had arrived", "ms after publishing")
        _scale_by_powers(place, "{x:g}")
        place.set_xticks(range(len(LATENCIES)), ["50 %", "90 %", "99 %", "slowest"])
    return picture


def _layers(run: Run) -> Picture | None:
    """A bar for each role of a measurement that was profiled; layers in the same order in all."""
    bars = [
        (f"{label(each)}, {Group.of(each)}, {size_text(each.size)}: {role}", layers)
        for each in run.measurements
        for role, layers in layers_by_role(each).items()
    ]
    if not bars:
        return None
    totals: Counter[str] = Counter()
    for _, layers in bars:
        totals.update({name: figure.median for name, figure in layers.items()})
    picture, (place,) = _panels(
        1, "CPU of a process for a message, by layer", height=1.6 + 0.35 * len(bars), width=9
    )
    start = [0.0] * len(bars)
    rows = range(len(bars))
    for number, (name, _) in enumerate(totals.most_common()):
        costs = [layers[name].median if name in layers else 0.0 for _, layers in bars]
        place.barh(
            rows,
            costs,
            left=start,
            color=_LAYER_COLOURS[number % len(_LAYER_COLOURS)],
            hatch=_HATCHES[number // len(_LAYER_COLOURS) % len(_HATCHES)],
            edgecolor="white",
            label=name,
        )
        start = [done + cost for done, cost in zip(start, costs, strict=True)]
    place.set_yticks(rows, [title for title, _ in bars])
    place.invert_yaxis()
    place.set_xlabel("µs of CPU a message")
    place.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return picture


def _scaling(run: Run) -> Picture | None:
    """Rates and costs of meshes, by how many nodes they have."""
    meshes = [
        (int(found[1]), each)
        for each in run.measurements
        if (found := _MESH.fullmatch(each.workload)) and RATE in each.figures
    ]
    sizes = sorted({each.size for _, each in meshes})
    questions = (
        (RATE, "delivered a second, all together"),
        (f"{CPU}delivery", "µs of CPU a delivery"),
    )
    panels = [
        (size, name, unit)
        for size in sizes
        for name, unit in questions
        if any(name in each.figures for _, each in meshes if each.size == size)
    ]
    if not panels:
        return None
    picture, axes = _panels(len(panels), "Random meshes, by their nodes (all on one machine)")
    for place, (size, name, unit) in zip(axes, panels, strict=True):
        of_size = [(nodes, each) for nodes, each in meshes if each.size == size]
        _draw_lines(place, _series(of_size, name))
        _finish(place, size_text(size), "nodes", unit)
        place.set_ylim(bottom=0)
        place.set_xticks(sorted({nodes for nodes, _ in of_size}))
    return picture


PICTURES: dict[str, Callable[[Run], Picture | None]] = {
    "throughput": _throughput,
    "cpu": _cpu,
    "latency": _latency,
    "layers": _layers,
    "scaling": _scaling,
}


# What they are made of


def _groups(run: Run) -> dict[Group, list[Measurement]]:
    groups: dict[Group, list[Measurement]] = {}
    for each in run.measurements:
        if each.figures:
            groups.setdefault(Group.of(each), []).append(each)
    return groups


def _roles(members: Iterable[Measurement]) -> list[str]:
    names = (name for each in members for name in each.figures if name.startswith(CPU))
    return [name.removeprefix(CPU) for name in dict.fromkeys(names)]


def _by_size(members: Iterable[Measurement], name: str) -> list[Series]:
    return _series(((each.size, each) for each in members), name)


def _series(placed: Iterable[tuple[float, Measurement]], name: str) -> list[Series]:
    """By implementation, each in the order of the axis."""
    series: dict[str, Series] = {}
    for place, each in sorted(placed, key=lambda pair: pair[0]):
        if name in each.figures:
            found = series.setdefault(label(each), (each, []))
            found[1].append((place, each.figures[name]))
    return list(series.values())


def _draw_lines(place: Axes, series: Iterable[Series]) -> None:
    """Medians, with the ends of what was measured as bars."""
    for measurement, points in series:
        colour, marker = _STYLES.get(measurement.peer, _OTHER)
        middles = [figure.median for _, figure in points]
        below = [figure.median - figure.least for _, figure in points]
        above = [figure.most - figure.median for _, figure in points]
        place.errorbar(
            [where for where, _ in points],
            middles,
            yerr=[below, above],
            color=colour,
            marker=marker,
            linestyle=_BACKEND_LINES.get(measurement.backend, "--"),
            capsize=3,
            label=label(measurement),
        )


def _panels(
    count: int, title: str, *, width: float = _WIDTH, height: float = _HEIGHT
) -> tuple[Picture, Sequence[Axes]]:
    from matplotlib.figure import Figure as Picture

    columns = min(count, 3)
    rows = -(-count // columns)
    picture = Picture(figsize=(width * columns, height * rows + 0.3), layout="constrained")
    picture.suptitle(title)
    grid: Any = picture.subplots(rows, columns, squeeze=False)
    places: list[Axes] = list(grid.flat)
    for place in places[count:]:
        place.remove()
    return picture, places[:count]


def _finish(place: Axes, title: str, across: str, up: str) -> None:
    place.set_title(title)
    place.set_xlabel(across)
    place.set_ylabel(up)
    place.grid(visible=True, alpha=0.3)
    place.legend(frameon=False)


def _size_axis(place: Axes, members: Iterable[Measurement]) -> None:
    """Both axes in powers: sizes reach over eight of them, costs and rates over several."""
    sizes = sorted({each.size for each in members})
    place.set_xscale("log", base=2)
    place.set_xticks(sizes, [size_text(size) for size in sizes], minor=False)
    _scale_by_powers(place, "{x:,.0f}")


def _scale_by_powers(place: Axes, numbers: str) -> None:
    """Upwards, with enough numbers to read from where it reaches over one power of ten only."""
    from matplotlib.ticker import LogLocator, NullFormatter

    place.set_yscale("log")
    place.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
    place.yaxis.set_major_formatter(numbers)
    place.yaxis.set_minor_formatter(NullFormatter())
