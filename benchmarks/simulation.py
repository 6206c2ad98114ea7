"""How fast the simulator runs, and what the simulated network does meanwhile.

`python -m gossipsub.benchmarks.simulation --nodes 1000`: nodes with 20 links each, a message of
1 KiB a second from a random node. Virtual seconds per CPU second of this process (other processes
on the machine do not disturb that), events per second, memory, and the report of the simulation.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import pstats
import resource
import sys
import time
from dataclasses import asdict
from typing import Any

from gossipsub.benchmarks.measurement import environment
from gossipsub.testing import Link
from gossipsub.testing.scenarios import TOPIC, Setup, build, load

GENERATION_0 = 200_000
"""Objects made between two garbage collections. The simulator makes no cycles to speak of, and
with Python's default a tenth of the time goes into looking for them."""


def main(arguments: list[str] | None = None) -> int:
    flags = _parse(arguments)
    setup = Setup(
        nodes=flags.nodes,
        links=flags.links,
        link=Link(
            latency=flags.latency,
            jitter=flags.jitter,
            loss=flags.loss,
            bandwidth=flags.bandwidth,
        ),
        messages=round(flags.rate * flags.seconds),
        rate=flags.rate,
        size=flags.size,
        seed=flags.seed,
    )
    profiler = cProfile.Profile() if flags.profile else None
    thresholds = gc.get_threshold()
    gc.set_threshold(GENERATION_0, 20, 100)
    try:
        result = measure(setup, profiler)
    finally:
        gc.set_threshold(*thresholds)
    if flags.json:
        print(json.dumps(result))
    else:
        _print(result)
    if profiler is not None:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(30)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gossipsub.benchmarks.simulation", description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--links", type=int, default=20, help="connections of a node")
    parser.add_argument("--rate", type=float, default=1.0, help="messages a second, in all")
    parser.add_argument("--seconds", type=float, default=30.0, help="virtual seconds with load")
    parser.add_argument("--size", type=int, default=1024, help="bytes of data in a message")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds, one way")
    parser.add_argument("--jitter", type=float, default=0.01, help="seconds more or less")
    parser.add_argument("--loss", type=float, default=0.0, help="share of RPCs dropped by senders")
    parser.add_argument("--bandwidth", type=float, help="bytes per second of a link")
    parser.add_argument("--seed", default="0")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    return parser.parse_args(arguments)


def measure(setup: Setup, profiler: cProfile.Profile | None = None) -> dict[str, Any]:
    """Build a network, let it settle, and run it under load; the load alone is measured."""
    started = time.process_time()
    network = build(setup)
    network.run_for(setup.warm_up)
    settled = time.process_time()
    network.restart_report()
    load(network, setup, network.nodes)
    if profiler is not None:
        profiler.enable()
    network.run_for(setup.load_seconds)
    if profiler is not None:
        profiler.disable()
    cpu_seconds = time.process_time() - settled
    events = network.report().events
    network.run_for(setup.cool_down)
    report = network.report()
    mesh = [len(node.router.mesh(TOPIC)) for node in network.nodes]
    return {
        "versions": environment(),
        "seed": setup.seed,
        "setup_cpu_seconds": settled - started,
        "cpu_seconds": cpu_seconds,
        "simulated_seconds": setup.load_seconds,
        "simulated_per_cpu_second": setup.load_seconds / cpu_seconds,
        "events_per_cpu_second": events / cpu_seconds,
        "peak_memory_bytes": _peak_memory_bytes(),
        "mesh_mean": sum(mesh) / len(mesh),
        "report": {**asdict(report), "delivery_ratio": report.delivery_ratio},
        "text": str(report),
    }


def _peak_memory_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _print(result: dict[str, Any]) -> None:
    print(result["text"])
    print(f"mesh: {result['mesh_mean']:.1f} peers on average")
    print(
        f"{result['simulated_per_cpu_second']:.2f} virtual seconds and "
        f"{result['events_per_cpu_second']:.0f} events per CPU second "
        f"({result['cpu_seconds']:.1f} s; {result['setup_cpu_seconds']:.1f} s to build and settle)"
    )
    print(f"peak memory: {result['peak_memory_bytes'] / 2**20:.0f} MiB; seed {result['seed']}")
    print(", ".join(f"{name} {value}" for name, value in result["versions"].items()))


if __name__ == "__main__":
    sys.exit(main())
