"""Runs one experiment on this machine: a script, a network of its own, the nodes and their logs."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gossipsub.conformance.build import build_go_interop_node
from gossipsub.conformance.interop.lab import OUTCOME, PLAN, LabPlan, NodePlan
from gossipsub.conformance.interop.scenarios import (
    COMPRESSED,
    PATIENT,
    PUBLIC,
    Instruction,
    build_script,
    duration,
)
from gossipsub.wire.errors import GossipSubError

MAX_NODES = 1000
START_SECONDS = 120.0
"""Until all nodes run; they share this machine's processors."""
MARGIN_SECONDS = 60.0
"""By so much a node may end later than its script says."""
TIMINGS = {"compressed": COMPRESSED, "patient": PATIENT, "public": replace(PUBLIC, ready=2)}
"""By name. Go's node gives up where a dial is refused, so nobody dials in the first two seconds."""

FAST_KILOBITS, SLOW_KILOBITS, FAST_SHARE = 1_024_000, 50_000, 0.2
"""The two sorts of hosts in the public experiments."""

_NAMESPACES = ("--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
_AS_USER = ("--user", "--map-root-user")


class RunFailed(GossipSubError):
    """The experiment could not be run here; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is run. ValueError for what cannot be."""

    scenario: str
    nodes: int
    composition: Mapping[str, int]
    """Implementations and their shares: `{"go": 1, "python": 9}`."""
    seed: int = 1
    gossip: bool = True
    timing: str = "compressed"
    shaped: bool = False
    """A fifth of the nodes send 1024 Mbit/s at most, the others 50."""
    programs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Commands of other implementations, by the names in `composition`; `--params FILE` is put
    behind them."""

    def __post_init__(self) -> None:
        if not 2 <= self.nodes <= MAX_NODES:
            raise ValueError(f"from 2 to {MAX_NODES} nodes, not {self.nodes}")
        if self.timing not in TIMINGS:
            raise ValueError(f"no timing is called {self.timing!r}")
        if not self.composition or min(self.composition.values()) < 1:
            raise ValueError("the composition needs an implementation, and shares of at least 1")
        unknown = [it for it in self.composition if it not in OWN and it not in self.programs]
        if unknown:
            raise ValueError(f"no node is called {unknown[0]!r}; known are {', '.join(OWN)}")
        self.script()

    def script(self) -> list[Instruction]:
        """What the nodes are told."""
        return build_script(
            self.scenario,
            nodes=self.nodes,
            seed=self.seed,
            timing=TIMINGS[self.timing],
            gossip=self.gossip,
        )

    def implementations(self) -> list[str]:
        """By node: as many of each as is its share, dealt by the seed."""
        total = sum(self.composition.values())
        dealt: list[str] = []
        for name, share in self.composition.items():
            dealt += [name] * (self.nodes * share // total)
        for name in self.composition:  # what rounding left, to the first ones
            if len(dealt) < self.nodes:
                dealt.append(name)
        random.Random(f"composition {self.seed}").shuffle(dealt)
        return dealt


def python_command() -> list[str]:
    return [sys.executable, "-m", "gossipsub.conformance.interop_node"]


def go_command() -> list[str]:
    return [str(build_go_interop_node())]


OWN = {"python": python_command, "go": go_command}
"""Nodes this project brings. Both can wait for the common start."""


def run_experiment(experiment: Experiment, output: Path) -> list[int | None]:
    """Run it, with the logs in `output/hosts/nodeK/nodeK.stdout` as the public checks want them;
    blocks. Exit statuses by node, None for one that did not end in time.

    RunFailed where namespaces cannot be made, a node does not start, or `output` holds a run
    already; PeerUnavailable where a node cannot be built. Whatever happens, nothing that was
    started or made is left but the files.
    """
    reason = namespaces_missing()
    if reason is not None:
        raise RunFailed(reason)
    if (output / "hosts").exists():
        raise RunFailed(f"{output} holds the logs of another run")
    script = experiment.script()
    output.mkdir(parents=True, exist_ok=True)
    params = output.resolve() / "params.json"
    params.write_text(json.dumps({"script": script}))
    plan = LabPlan(
        nodes=_node_plans(experiment, params),
        start_seconds=START_SECONDS,
        run_seconds=duration(script) + MARGIN_SECONDS,
    )
    (output / PLAN).write_text(plan.to_json())
    module = [sys.executable, "-m", "gossipsub.conformance.interop.lab", str(output.resolve())]
    _enter([*module], seconds=plan.start_seconds + plan.run_seconds + MARGIN_SECONDS)
    try:
        outcome = json.loads((output / OUTCOME).read_text())
    except (OSError, ValueError) as error:
        raise RunFailed(f"the run left no outcome: {error}") from error
    if outcome["failure"] is not None:
        raise RunFailed(outcome["failure"])
    statuses: list[int | None] = outcome["statuses"]
    return statuses


def namespaces_missing() -> str | None:
    """Why no network of its own can be made for a run; None where it can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    for tool in ("unshare", "ip", "mount"):
        if shutil.which(tool) is None:
            return f"there is no `{tool}` on the PATH (util-linux and iproute2 have them)"
    try:
        _enter(["ip", "link", "add", "probe", "type", "bridge"], seconds=30)
    except RunFailed as error:
        return f"this process may not make network namespaces: {error}"
    return None


def _enter(command: Sequence[str], *, seconds: float) -> None:
    """Run a command as the first process of new namespaces; they end with it."""
    flags = _NAMESPACES if os.geteuid() == 0 else (*_AS_USER, *_NAMESPACES)
    with tempfile.TemporaryFile() as errors:
        try:
            # The lab ends when this end of its standard input closes, however we ended.
            process = subprocess.Popen(
                ["unshare", *flags, "--", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        except OSError as error:
            raise RunFailed(f"unshare: {error}") from error
        with process:
            try:
                status = process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise RunFailed(f"no end after {seconds:g} s") from None
            finally:
                process.kill()
        if status:
            errors.seek(0)
            text = errors.read().decode(errors="replace").strip()
            raise RunFailed(text[-500:] or f"exit status {status}")


def _node_plans(experiment: Experiment, params: Path) -> list[NodePlan]:
    rng = random.Random(f"bandwidth {experiment.seed}")
    commands = {
        name: list(experiment.programs[name]) if name in experiment.programs else OWN[name]()
        for name in experiment.composition
    }
    plans = []
    for name in experiment.implementations():
        is_ours = name not in experiment.programs
        rate = FAST_KILOBITS if rng.random() < FAST_SHARE else SLOW_KILOBITS
        flags = ["--params", str(params), *(["--await-start"] if is_ours else [])]
        plans.append(
            NodePlan(
                command=[*commands[name], *flags],
                awaits_start=is_ours,
                kilobits=rate if experiment.shaped else None,
            )
        )
    return plans
