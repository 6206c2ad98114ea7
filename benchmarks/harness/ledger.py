"""What was measured so far: samples by what they are of, until a run is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gossipsub.benchmarks.harness.results import Figure, Measurement


@dataclass(slots=True)
class _Page:
    """Samples of one measurement, by figure."""

    samples: dict[str, tuple[str, list[float]]] = field(default_factory=dict)
    failures: dict[str, None] = field(default_factory=dict)


class Ledger:
    """Owns the samples. Measurements keep the order in which they were first heard of."""

    def __init__(self) -> None:
        self._pages: dict[tuple[object, ...], tuple[Measurement, _Page]] = {}
        self.versions: dict[str, str] = {}
        self._floor: dict[str, Figure] = {}

    def note(self, of: Measurement, name: str, value: float, unit: str) -> None:
        """One sample of a figure of what `of` describes; its own figures do not matter."""
        _, samples = self._page(of).samples.setdefault(name, (unit, []))
        samples.append(value)

    def note_failure(self, of: Measurement, why: str) -> None:
        """Said once, however often it happens."""
        self._page(of).failures[why] = None

    def note_floor(self, samples: Mapping[str, Figure]) -> None:
        """Some more of them, by `operation.size`."""
        for name, figure in samples.items():
            earlier = self._floor[name].samples if name in self._floor else ()
            self._floor[name] = Figure((*earlier, *figure.samples), figure.unit)

    @property
    def floor(self) -> dict[str, Figure]:
        """The cryptography alone: samples of all repeats, of whatever was measured beside them."""
        return dict(self._floor)

    def note_versions(self, peer: str, versions: dict[str, str]) -> None:
        """Those of an implementation's parts."""
        self.versions.update({f"{peer}: {part}": text for part, text in versions.items()})

    def measurements(self) -> list[Measurement]:
        return [
            replace(
                of,
                figures={
                    name: Figure(tuple(samples), unit)
                    for name, (unit, samples) in page.samples.items()
                },
                failure="; ".join(page.failures),
            )
            for of, page in self._pages.values()
        ]

    def _page(self, of: Measurement) -> _Page:
        key = (of.workload, of.load, of.peer, of.backend, of.size, of.signed, of.topics)
        return self._pages.setdefault(key, (of, _Page()))[1]
