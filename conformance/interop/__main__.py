"""`python -m gossipsub.conformance.interop`: runs a public experiment on this machine.

Each node has a network namespace and a host name of its own. The exit status is 0 when every
message reached everybody and every node came to the end of its script, 1 when not, 2 for a wrong
call or where namespaces cannot be made or a node cannot be had.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gossipsub.conformance.build import PeerUnavailable
from gossipsub.conformance.interop.results import RunResults, read_results, summary, table
from gossipsub.conformance.interop.run import TIMINGS, Experiment, RunFailed, run_experiment
from gossipsub.conformance.interop.scenarios import SCENARIOS, duration


def main(arguments: Sequence[str] | None = None) -> int:
    """Run an experiment and tell what came of it; the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        experiment = Experiment(
            scenario=options.scenario,
            nodes=options.nodes,
            composition=options.composition,
            seed=options.seed,
            gossip=not options.disable_gossip,
            timing=options.timing,
            shaped=options.shape,
            programs=dict(options.program),
        )
    except ValueError as error:
        parser.error(str(error))
    try:
        if options.output is not None:
            return _run(experiment, options.output)
        with tempfile.TemporaryDirectory(prefix="interop-") as folder:
            return _run(experiment, Path(folder))
    except (RunFailed, PeerUnavailable, OSError) as error:
        print(f"interop: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m gossipsub.conformance.interop",
        description="Run an experiment of libp2p's gossipsub-interop on this machine.",
        allow_abbrev=False,
    )
    parser.add_argument("--nodes", type=int, required=True, metavar="N")
    parser.add_argument("--scenario", choices=SCENARIOS, default="subnet-blob-msg")
    parser.add_argument(
        "--composition",
        type=_composition,
        default={"go": 1, "python": 1},
        metavar="go=1,python=9",
        help="the shares of implementations (default: go=1,python=1)",
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--disable-gossip", action="store_true", help="no IHAVE")
    parser.add_argument("--timing", choices=TIMINGS, default="compressed")
    parser.add_argument(
        "--shape",
        action="store_true",
        help="a fifth of the nodes send 1024 Mbit/s at most, the others 50",
    )
    parser.add_argument(
        "--program",
        type=_program,
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="a node of another implementation, which takes --params FILE",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="keep script, logs and results")
    return parser


def _composition(text: str) -> dict[str, int]:
    shares: dict[str, int] = {}
    for each in text.split(","):
        name, _, share = each.partition("=")
        if not name or name in shares or not (share or "1").isdecimal():
            raise argparse.ArgumentTypeError(f"not names with their shares: {text!r}")
        shares[name] = int(share or "1")
    return shares


def _program(text: str) -> tuple[str, list[str]]:
    name, equals, command = text.partition("=")
    words = shlex.split(command) if equals else []
    if not name or not words:
        raise argparse.ArgumentTypeError(f"not a name with its command: {text!r}")
    return name, words


def _run(experiment: Experiment, output: Path) -> int:
    seconds = duration(experiment.script())
    dealt = experiment.implementations()
    counts = ", ".join(f"{dealt.count(name)} {name}" for name in experiment.composition)
    print(f"{experiment.scenario}: {counts}; {seconds} s by the script", flush=True)
    statuses = run_experiment(experiment, output)
    results = read_results(experiment.script(), statuses, output)
    (output / "result.json").write_text(json.dumps(as_json(experiment, results), indent=2))
    print(table(results))
    print(summary(results))
    failures = results.failures()
    for failure in failures:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


def as_json(experiment: Experiment, results: RunResults) -> dict[str, Any]:
    """A run in plain values, for programs."""
    return {
        "scenario": experiment.scenario,
        "nodes": experiment.nodes,
        "implementations": experiment.implementations(),
        "seed": experiment.seed,
        "gossip": experiment.gossip,
        "timing": experiment.timing,
        "shaped": experiment.shaped,
        "statuses": list(results.statuses),
        "failures": results.failures(),
        "reach": results.reach,
        "copies_per_delivery": results.copies_per_delivery,
        "latency_seconds": {str(share): results.latency(share) for share in (0.5, 0.95, 1.0)},
    }


if __name__ == "__main__":
    sys.exit(main())
