"""Plans carried out on pretended nodes: what is asked of them in which order, and what is noted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from gossipsub.benchmarks.harness import burst, measuring, network
from gossipsub.benchmarks.harness.contestant import Contestant
from gossipsub.benchmarks.harness.ledger import Ledger
from gossipsub.benchmarks.harness.measuring import measure_alone, measure_stage, note_absence
from gossipsub.benchmarks.harness.plan import Wishes, stages
from gossipsub.benchmarks.harness.readings import NotEndured, Readings, Starter
from gossipsub.benchmarks.harness.results import Measurement
from gossipsub.benchmarks.harness.workload import Workload
from gossipsub.conformance.driver import PeerFailed
from tests.benchmarks.harness.pretended import RATE, RESIDENT_BYTES, World

pytestmark = pytest.mark.anyio

GO, JS = Contestant("go"), Contestant("js")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr(network, "start_peer", world.start_peer)
    monkeypatch.setattr(burst, "QUIET_SECONDS", 0.05)
    return world


def wishes(*workloads: str, contestants: Sequence[Contestant] = (GO,), **more: Any) -> Wishes:
    usual: dict[str, Any] = {
        "workloads": [Workload.named(name) for name in workloads or ("pair",)],
        "loads": ["flood"],
        "sizes": [1024],
        "paced_sizes": [1024],
        "contestants": contestants,
        "repeats": 1,
        "seconds": 0.1,
        "rate": 1e6,
    }
    return Wishes(**(usual | more))


async def measured(wanted: Wishes, told: list[str] | None = None) -> list[Measurement]:
    ledger = Ledger()
    commands = {each: [each.name] for each in wanted.contestants}
    done = 0

    def tell(what: str, ended: int) -> None:
        nonlocal done
        done += ended
        if told is not None and ended:
            told.append(what)

    planned = stages(wanted)
    for stage in planned:
        await measure_stage(stage, wanted, commands, ledger, tell)
    assert done == sum(stage.runs for stage in planned)
    return ledger.measurements()


async def test_a_flood_of_a_pair_gives_rate_costs_and_memory(world: World) -> None:
    (found,) = await measured(wishes(repeats=2))
    assert (found.workload, found.load, found.peer, found.size) == ("pair", "flood", "go", 1024)
    assert (found.signed, found.topics, found.failure) == (True, 1, "")
    figures = found.figures
    assert set(figures) == {
        *("lost", "window", "delivered", "cpu.publisher", "cpu.receiver"),
        *("duplicates", "rss", "rss.sum"),
    }
    assert {len(figure.samples) for figure in figures.values()} == {2}
    assert figures["lost"].most == 0
    assert figures["delivered"].unit == "per_s"
    assert figures["delivered"].median == pytest.approx(RATE, rel=0.5)
    assert figures["cpu.receiver"].unit == "us"
    assert (figures["rss"].median, figures["rss.sum"].median) == (
        RESIDENT_BYTES,
        2 * RESIDENT_BYTES,
    )
    assert world.up == 0
    ((_, options), _) = world.started
    assert (options["quiet"], options["sign"], options["params"]["subBuffer"]) == (True, None, 4096)


async def test_contestants_take_turns_in_every_repeat(world: World) -> None:
    told: list[str] = []
    found = await measured(wishes(contestants=[GO, JS], repeats=3), told)
    assert told == [f"pair 1024 B {name} flood" for name in ("go", "js") * 3]
    assert [each.peer for each in found] == ["go", "js"]


async def test_the_window_is_the_best_that_loses_nothing_and_more_is_never_sent(
    world: World,
) -> None:
    world.carries = 20
    (found,) = await measured(wishes())
    assert found.failure == ""
    assert found.figures["window"].samples == (16,)
    assert [each["window"] for each in world.published] == [16, 16, 64, 16, 16]


async def test_who_loses_messages_in_the_smallest_window_has_no_rate(world: World) -> None:
    world.carries = 10
    (found,) = await measured(wishes())
    assert found.failure.startswith("loses messages even where only 16 are under way: 28 published")
    assert found.figures == {}


async def test_a_run_that_loses_is_no_rate_and_the_next_one_has_half_the_window(
    world: World,
) -> None:
    def lose_in_the_first_run(what: str, ended: int) -> None:
        floods.append(what) if what.endswith("flood") and not ended else None
        world.carries = 100 if len(floods) == 1 else 10**6

    floods: list[str] = []
    ledger, wanted = Ledger(), wishes(window=128, repeats=2)
    for stage in stages(wanted):
        await measure_stage(stage, wanted, {GO: ["go"]}, ledger, lose_in_the_first_run)
    (found,) = ledger.measurements()
    assert found.figures["window"].samples == (128, 64)
    assert found.figures["lost"].least == 0 < found.figures["lost"].most
    assert len(found.figures["delivered"].samples) == 1
    assert found.failure.startswith("lost ")
    assert " messages with 128 under way: " in found.failure
    assert found.failure.endswith(" delivered, 0 copies")


async def test_a_relay_is_measured_at_half_of_its_rate_and_gently(world: World) -> None:
    found = await measured(wishes("relay", loads=["flood", "half", "gentle"]))
    flood, half, gentle = found
    assert [each.load for each in found] == ["flood", "half", "gentle"]
    assert "cpu.relay" in flood.figures
    assert half.figures["rate"].median == pytest.approx(flood.figures["delivered"].median / 2)
    assert set(gentle.figures) == {
        *("lost", "rate"),
        *("latency.p50", "latency.p90", "latency.p99", "latency.max"),
    }
    assert (gentle.figures["latency.p99"].median, gentle.figures["latency.p99"].unit) == (3, "ms")


async def test_in_a_mesh_costs_are_by_node_by_delivery_and_in_sum(world: World) -> None:
    (found,) = await measured(wishes("mesh-8", window=16))
    costs = {name: each.median for name, each in found.figures.items() if name[:4] == "cpu."}
    assert set(costs) == {"cpu.publisher", "cpu.node", "cpu.sum", "cpu.delivery"}
    assert costs["cpu.sum"] == pytest.approx(8 * costs["cpu.node"])
    assert costs["cpu.delivery"] == pytest.approx(costs["cpu.sum"] / 7)
    assert found.figures["delivered"].median == pytest.approx(7 * RATE, rel=0.5)
    assert world.most_under_way == 16


async def test_messages_are_spread_over_topics_that_all_are_in(world: World) -> None:
    (found,) = await measured(wishes(topics=[10], window=16))
    assert (found.topics, found.failure) == (10, "")
    topics = [each["topic"] for each in world.published]
    assert topics[:10] == [f"benchmark-{number}" for number in range(10)]
    assert len({each["count"] for each in world.published[-10:]}) == 1
    assert (world.most_under_way, world.credit_beyond) == (16, 0)


async def test_nodes_that_do_not_start_are_a_failure_of_theirs_alone(world: World) -> None:
    world.broken = ["js"]
    told: list[str] = []
    go, js = sorted(
        await measured(wishes(contestants=[JS, GO], repeats=2), told), key=lambda each: each.peer
    )
    assert (js.failure, js.figures) == ("the js peer closed its standard output", {})
    assert (go.failure, len(go.figures["delivered"].samples)) == ("", 2)
    assert world.up == 0


async def test_more_nodes_than_memory_is_free_for_are_not_started(world: World) -> None:
    world.resident_bytes = 10**15
    (found,) = await measured(wishes("mesh-50"))
    assert "50 nodes would take about 75000000.0 GB, and of memory" in found.failure
    assert len(world.started) == 1
    assert world.up == 0


async def test_what_was_measured_before_it_is_cancelled_is_kept_and_nodes_are_ended(
    world: World,
) -> None:
    ledger, wanted = Ledger(), wishes(repeats=100)
    (stage,) = stages(wanted)
    with anyio.CancelScope() as scope:

        def cancel_in_the_third_run(what: str, ended: int) -> None:
            (found,) = ledger.measurements() or [None]
            if found is not None and len(found.figures["delivered"].samples) == 2:
                scope.cancel()

        await measure_stage(stage, wanted, {GO: ["go"]}, ledger, cancel_in_the_third_run)
    assert scope.cancelled_caught
    (found,) = ledger.measurements()
    assert len(found.figures["delivered"].samples) == 2
    assert world.up == 0


async def test_who_is_not_there_says_why_in_every_table(world: World) -> None:
    ledger = Ledger()
    wanted = wishes("pair", "relay", loads=["flood", "half"], single=["idle"])
    note_absence(JS, "there is no node", wanted, ledger)
    assert [(each.workload, each.load, each.failure) for each in ledger.measurements()] == [
        ("idle", "", "there is no node"),
        ("pair", "flood", "there is no node"),
        ("relay", "flood", "there is no node"),
        ("relay", "half", "there is no node"),
    ]


async def test_the_cryptography_alone_is_measured_beside_every_repeat(world: World) -> None:
    ledger, wanted = Ledger(), wishes(repeats=3, window=16)
    (stage,) = stages(wanted)
    await measure_stage(stage, wanted, {GO: ["go"]}, ledger, lambda what, ended: None)
    assert {"sign.1024", "verify.1024", "seal.1024", "open.1024"} <= set(ledger.floor)
    assert {len(figure.samples) for figure in ledger.floor.values()} == {3}


async def test_of_what_did_not_endure_both_the_readings_and_the_reason_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def measure_single(workload: str, start: Starter, *, endurance: float) -> Readings:
        raise NotEndured(f"lost a message in {endurance:g} s", {"lost": (1.0, "count")})

    monkeypatch.setattr(measuring, "measure_single", measure_single)
    ledger, wanted = Ledger(), wishes(single=["endurance"], repeats=3, endurance=60.0)
    told: list[int] = []
    await measure_alone(
        "endurance", wanted, {GO: ["go"]}, ledger, lambda what, ended: told.append(ended)
    )
    (found,) = ledger.measurements()
    assert (found.failure, found.figures["lost"].samples) == ("lost a message in 60 s", (1.0,))
    assert sum(told) == 1  # whatever is repeated


async def test_measurements_without_messages_are_repeated_in_turns_unless_they_fail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    async def measure_single(
        workload: str, start: Starter, *, endurance: float
    ) -> dict[str, tuple[float, str]]:
        name = start(seed=1, start_timeout=1.0).name
        asked.append(name)
        if name == "js":
            raise PeerFailed("the js peer is tired")
        return {"cpu.idle": (float(len(asked)), "percent")}

    monkeypatch.setattr(measuring, "measure_single", measure_single)
    ledger = Ledger()
    wanted = wishes(contestants=[GO, JS], single=["idle"], repeats=2)
    commands = {GO: ["go"], JS: ["js"]}
    await measure_alone("idle", wanted, commands, ledger, lambda what, ended: None)
    assert asked == ["go", "js", "go"]
    go, js = ledger.measurements()
    assert (go.figures["cpu.idle"].samples, go.figures["cpu.idle"].unit) == ((1, 3), "percent")
    assert js.failure == "the js peer is tired"
