"""Carries a plan out: networks up, each contestant in turn, samples into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from statistics import median

import anyio.to_thread

from gossipsub.benchmarks.harness.burst import Burst, send_burst
from gossipsub.benchmarks.harness.contestant import Contestant
from gossipsub.benchmarks.harness.flood import Flood, find_flood, message_rate
from gossipsub.benchmarks.harness.floor import measure_floor
from gossipsub.benchmarks.harness.gentle import latencies_ms, send_paced
from gossipsub.benchmarks.harness.layers import layer_figures, take_profiles
from gossipsub.benchmarks.harness.ledger import Ledger
from gossipsub.benchmarks.harness.network import Network, open_network
from gossipsub.benchmarks.harness.plan import Stage, Wishes, stages
from gossipsub.benchmarks.harness.readings import NotEndured, Readings, Starter
from gossipsub.benchmarks.harness.results import Figure, Measurement
from gossipsub.benchmarks.harness.single import measure_single
from gossipsub.conformance.build import PeerUnavailable
from gossipsub.conformance.driver import PeerProcess, peer_command, start_peer
from gossipsub.wire.errors import GossipSubError

Commands = Mapping[Contestant, Sequence[str]]
Tell = Callable[[str, int], None]
"""Told what is done next, and how many runs have ended since it was last told."""


async def find_commands(
    contestants: Iterable[Contestant], tell: Tell
) -> tuple[dict[Contestant, list[str]], dict[Contestant, str]]:
    """What runs a node of each, built on first use; and why some cannot take part."""
    commands: dict[Contestant, list[str]] = {}
    missing: dict[Contestant, str] = {}
    for contestant in contestants:
        tell(f"building {contestant.title}", 0)
        try:
            if why := contestant.missing():
                raise PeerUnavailable(contestant.title, why)
            commands[contestant] = await anyio.to_thread.run_sync(
                peer_command, contestant.target, abandon_on_cancel=True
            )
        except PeerUnavailable as error:
            missing[contestant] = error.reason.splitlines()[0]
    return commands, missing


def note_absence(contestant: Contestant, why: str, wishes: Wishes, ledger: Ledger) -> None:
    """In every table that it would have been in."""
    for workload in wishes.single:
        ledger.note_failure(_measurement(contestant, workload), why)
    for stage in stages(wishes):
        for load in stage.loads:
            ledger.note_failure(_measurement_in(stage, load, contestant, wishes), why)


async def measure_stage(
    stage: Stage, wishes: Wishes, commands: Commands, ledger: Ledger, tell: Tell
) -> None:
    """Never raises for what nodes do; that is noted as a failure of their implementation."""
    async with AsyncExitStack() as stack:
        racers: list[_Racer] = []
        for contestant in stage.contestants:
            racer = _Racer(contestant, stage, wishes, ledger)
            tell(racer.title, 0)
            try:
                network = await stack.enter_async_context(
                    open_network(
                        contestant,
                        stage.workload,
                        command=commands[contestant],
                        seed=wishes.seed,
                        signed=wishes.signed,
                        topics=stage.topics,
                    )
                )
                await racer.warm_up(network)
            except GossipSubError as error:
                racer.give_up(error, stage.loads)
                tell(racer.title, stage.repeats * len(stage.loads))
                continue
            racers.append(racer)
        for repeat in range(stage.repeats):
            if racers:  # beside them, since the machine is not always as fast
                ledger.note_floor(await anyio.to_thread.run_sync(_sample_floor, stage.size))
            for racer in list(racers):
                left = stage.repeats - repeat
                if not await _take_turn(racer, stage, left, tell):
                    racers.remove(racer)


async def measure_alone(
    workload: str, wishes: Wishes, commands: Commands, ledger: Ledger, tell: Tell
) -> None:
    """One of the measurements in one piece, of all contestants in turns; as `measure_stage`."""
    failed: set[Contestant] = set()
    for _ in range(wishes.repeats_of(workload)):
        for contestant in wishes.contestants:
            tell(f"{workload} {contestant.title}", 0)
            if contestant not in failed:
                of = _measurement(contestant, workload)
                readings: Readings = {}
                try:
                    readings = await measure_single(
                        workload, _starter(contestant, commands), endurance=wishes.endurance
                    )
                except GossipSubError as error:
                    readings = error.readings if isinstance(error, NotEndured) else {}
                    ledger.note_failure(of, first_line(error))
                    failed.add(contestant)
                for name, (value, unit) in readings.items():
                    ledger.note(of, name, value, unit)
            tell(f"{workload} {contestant.title}", 1)


def _sample_floor(size: int) -> dict[str, Figure]:
    return measure_floor([size], repeats=1)


def _starter(contestant: Contestant, commands: Commands) -> Starter:
    def start(
        *, seed: int, start_timeout: float, params: Mapping[str, object] | None = None
    ) -> PeerProcess:
        return start_peer(
            contestant.title,
            command=commands[contestant],
            seed=seed,
            params=params,
            quiet=True,
            arguments=contestant.arguments,
            start_timeout=start_timeout,
        )

    return start


async def _take_turn(racer: _Racer, stage: Stage, left: int, tell: Tell) -> bool:
    """All loads once; False where the racer cannot go on in the repeats that are left."""
    for number, load in enumerate(stage.loads):
        tell(f"{racer.title} {load}", 0)
        try:
            await racer.run(load)
        except GossipSubError as error:
            racer.give_up(error, [load])
            tell(racer.title, left * len(stage.loads) - number)
            return False
        tell(f"{racer.title} {load}", 1)
    return True


@dataclass(slots=True)
class _Ready:
    network: Network
    flood: Flood
    message_rate: float = 0.0
    """Of the last flood."""


class _Racer:
    """One contestant in one stage."""

    def __init__(
        self, contestant: Contestant, stage: Stage, wishes: Wishes, ledger: Ledger
    ) -> None:
        self._contestant = contestant
        self._stage = stage
        self._wishes = wishes
        self._ledger = ledger
        self._ready: _Ready | None = None
        self.title = f"{stage.workload.name} {stage.size} B {contestant.title}"

    async def warm_up(self, network: Network) -> None:
        versions = network.publisher.ready["versions"]
        self._ledger.note_versions(self._contestant.title, versions)
        plan = await find_flood(
            network,
            size=self._stage.size,
            seconds=self._wishes.seconds,
            window=self._wishes.window,
        )
        self._ready = _Ready(network, plan)

    async def run(self, load: str) -> None:
        """One run, and its samples. GossipSubError where it fails."""
        ready = self._ready
        if ready is None:
            raise RuntimeError("warm_up comes first")
        if load == "flood":
            await self._flood(ready)
        else:
            await self._send_paced(ready, load)

    async def _flood(self, ready: _Ready) -> None:
        plan = ready.flood
        if self._wishes.profile:
            await take_profiles(ready.network)  # from now on
        burst = await send_burst(
            ready.network, size=self._stage.size, count=plan.count, window=plan.window
        )
        self._note("flood", {"lost": burst.lost, "window": plan.window}, "count")
        if burst.lost:
            self._ledger.note_failure(
                self._of("flood"),
                f"lost {burst.lost} of {plan.count} messages with {plan.window} under way: "
                f"{burst.account}",
            )
            ready.flood = replace(plan, window=max(plan.window // 2, 1))
            return
        ready.message_rate = message_rate(burst)
        self._note("flood", {"delivered": burst.rate}, "per_s")
        self._note("flood", _cpu_us(ready.network, burst), "us")
        profiles = await take_profiles(ready.network) if self._wishes.profile else None
        if profiles is not None:
            layers = layer_figures(profiles, self._stage.workload, burst.count)
            self._note("flood", layers, "us")
        self._note("flood", {"duplicates": burst.duplicates / burst.count}, "count")
        resident = [float(stats["rss_bytes"]) for stats in burst.stats]
        self._note("flood", {"rss": median(resident), "rss.sum": sum(resident)}, "bytes")

    async def _send_paced(self, ready: _Ready, load: str) -> None:
        rate = self._wishes.rate
        if load == "half":
            rate = (ready.message_rate or ready.flood.rate) / 2
        burst = await send_paced(
            ready.network, size=self._stage.size, rate=rate, seconds=self._wishes.seconds
        )
        self._note(load, {"lost": burst.lost}, "count")
        self._note(load, {"rate": rate}, "per_s")
        latencies = latencies_ms(ready.network, burst)
        self._note(load, {f"latency.{name}": value for name, value in latencies.items()}, "ms")

    def give_up(self, error: GossipSubError, loads: Iterable[str]) -> None:
        for load in loads:
            self._ledger.note_failure(self._of(load), first_line(error))

    def _note(self, load: str, values: Mapping[str, float], unit: str) -> None:
        for name, value in values.items():
            self._ledger.note(self._of(load), name, value, unit)

    def _of(self, load: str) -> Measurement:
        return _measurement_in(self._stage, load, self._contestant, self._wishes)


def _measurement(contestant: Contestant, workload: str) -> Measurement:
    return Measurement(workload=workload, peer=contestant.name, backend=contestant.backend)


def _measurement_in(stage: Stage, load: str, contestant: Contestant, wishes: Wishes) -> Measurement:
    return replace(
        _measurement(contestant, stage.workload.name),
        load=load,
        size=stage.size,
        signed=wishes.signed,
        topics=stage.topics,
    )


def _cpu_us(network: Network, burst: Burst) -> dict[str, float]:
    """By role; of several nodes in a role their mean."""
    workload = network.workload
    found = {"cpu.publisher": burst.cpu_us(0)}
    if workload.is_mesh:
        found["cpu.node"] = _mean(burst, workload.receivers)
        total = sum(burst.cpu_us(number) for number in range(workload.nodes))
        return {**found, "cpu.sum": total, "cpu.delivery": total / len(workload.receivers)}
    if workload.relays:
        found["cpu.relay"] = _mean(burst, workload.relays)
    return {**found, "cpu.receiver": _mean(burst, workload.receivers)}


def _mean(burst: Burst, numbers: Sequence[int]) -> float:
    return sum(burst.cpu_us(number) for number in numbers) / len(numbers)


def first_line(error: GossipSubError) -> str:
    """Without what a node printed meanwhile."""
    return str(error).split("; standard error:")[0].splitlines()[0]
