"""What a run of the benchmark found, as it is stored and as tables and plots read it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any, Self

from gossipsub.wire.errors import GossipSubError

FORMAT = 1
"""Counts up when the meaning of a stored field changes."""


class ResultsError(GossipSubError):
    """A file that is not a run of this benchmark; says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One quantity, measured once in each repeat."""

    samples: tuple[float, ...]
    unit: str
    """`us` (microseconds), `ms`, `s`, `per_s`, `bytes`, `percent` or `count`."""

    @property
    def least(self) -> float:
        return min(self.samples)

    @property
    def median(self) -> float:
        return median(self.samples)

    @property
    def most(self) -> float:
        return max(self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One workload on nodes of one implementation."""

    workload: str
    """`pair`, `relay`, `mesh-8`, `mesh-20`, `mesh-50`, `setup`, `memory`, `idle`, `startup`."""
    load: str = ""
    """`flood`, `gentle`, or nothing where no messages are sent."""
    peer: str
    """The implementation, with what was switched on: `python`, `python+fast`, `go`."""
    backend: str = ""
    """Of our own node: `asyncio`, `uvloop` or `trio`."""
    size: int = 0
    """Bytes of a message's data."""
    signed: bool = True
    topics: int = 1
    figures: Mapping[str, Figure] = field(default_factory=dict)
    """By name: `cpu.publisher`, `cpu.relay`, `cpu.receiver` (CPU of a process for each message),
    `delivered` (a second, summed over receivers), `latency.p50`, `latency.p99`, `lost`,
    `rss`, `layer.receiver.noise` (from a profiled run: CPU by role and layer) and so on."""
    failure: str = ""
    """Why there are no figures, or not all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything one call of the command measured."""

    date: str
    seed: int
    repeats: int
    machine: str
    versions: Mapping[str, str]
    """Of Python, our requirements, and every implementation as its peer reports them."""
    floor: Mapping[str, Figure] = field(default_factory=dict)
    """The cryptography alone, by `operation.size`: `verify.1024`, `verify_fast.1024`, `sign.1024`,
    `seal.1024`, `open.1024`."""
    measurements: Sequence[Measurement] = ()

    def select(self, **wanted: Any) -> Iterator[Measurement]:
        """The measurements of which every named field has the value."""
        for measurement in self.measurements:
            if all(getattr(measurement, name) == value for name, value in wanted.items()):
                yield measurement

    def to_json(self) -> str:
        """One line for each measurement, so that two runs can be compared by eye."""
        head = {
            "format": FORMAT,
            "date": self.date,
            "seed": self.seed,
            "repeats": self.repeats,
            "machine": self.machine,
            "versions": dict(self.versions),
            "floor": {name: _figure_to_plain(figure) for name, figure in self.floor.items()},
        }
        lines = [json.dumps(_measurement_to_plain(each)) for each in self.measurements]
        opening = json.dumps(head, indent=1).removesuffix("\n}")
        return opening + ',\n "measurements": [\n' + ",\n".join(lines) + "\n ]\n}\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """ResultsError where it is something else."""
        try:
            plain = json.loads(text)
            if plain["format"] != FORMAT:
                raise ResultsError(f"format {plain['format']!r}, not {FORMAT}")
            return cls(
                date=plain["date"],
                seed=plain["seed"],
                repeats=plain["repeats"],
                machine=plain["machine"],
                versions=plain["versions"],
                floor={name: _plain_to_figure(each) for name, each in plain["floor"].items()},
                measurements=tuple(_plain_to_measurement(each) for each in plain["measurements"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ResultsError(f"not the results of a benchmark: {error!r}") from error


def merged(runs: Sequence[Run]) -> Run:
    """All that some runs measured, those of later ones first; what else they say is of the last."""
    measurements = [each for run in reversed(runs) for each in run.measurements]
    floor = {name: figure for run in runs for name, figure in run.floor.items()}
    return replace(runs[-1], measurements=measurements, floor=floor)


def _figure_to_plain(figure: Figure) -> dict[str, Any]:
    return {
        "unit": figure.unit,
        "min": figure.least,
        "median": figure.median,
        "max": figure.most,
        "samples": list(figure.samples),
    }


def _plain_to_figure(plain: Mapping[str, Any]) -> Figure:
    return Figure(tuple(float(each) for each in plain["samples"]), plain["unit"])


def _measurement_to_plain(measurement: Measurement) -> dict[str, Any]:
    return {
        "workload": measurement.workload,
        "load": measurement.load,
        "peer": measurement.peer,
        "backend": measurement.backend,
        "size": measurement.size,
        "signed": measurement.signed,
        "topics": measurement.topics,
        "figures": {name: _figure_to_plain(each) for name, each in measurement.figures.items()},
        "failure": measurement.failure,
    }


def _plain_to_measurement(plain: Mapping[str, Any]) -> Measurement:
    figures = {name: _plain_to_figure(each) for name, each in plain["figures"].items()}
    return Measurement(**{**plain, "figures": figures})
