"""The inside of a run: a network of its own in which each node has a host name and an interface.

`run.py` starts this module as the first process of new namespaces (network, mounts, processes; of
users as well where it is not root). So nothing of it is seen outside, names cannot meet those of
another run, and when this process ends, however it does, the kernel ends all nodes and removes
everything that was made.
"""

from __future__ import annotations

import ctypes
import ipaddress
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from gossipsub.wire.errors import GossipSubError

CLONE_NEWNET = 0x40000000
CLONE_NEWUTS = 0x04000000
NETWORK = ipaddress.ip_network("10.83.0.0/16")
ROUTER = "169.254.0.1"
"""This process's end of every link."""
PLAN, OUTCOME, HOSTS = "plan.json", "outcome.json", "hosts.txt"
READY_MARK = b'"msg":"PeerID"'
POLL_SECONDS = 0.05
HEAD_START_SECONDS = 0.2
"""For nodes that cannot wait for the common start: their clocks begin when their processes do."""
TBF_BURST_BYTES = 65536
TBF_LATENCY_MS = 400


class LabFailed(GossipSubError):
    """The network cannot be made, or a node does not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """How one node is run."""

    command: list[str]
    awaits_start: bool
    """It waits for a line on standard input; others are started when those are ready."""
    kilobits: int | None
    """Bandwidth of its way out; None: as the kernel pleases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPlan:
    """What the lab is told; `plan.json` in its folder."""

    nodes: list[NodePlan]
    start_seconds: float
    """Until every node must have told its peer id."""
    run_seconds: float
    """From then until every node must have ended."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> LabPlan:
        given = json.loads(text)
        nodes = [NodePlan(**node) for node in given.pop("nodes")]
        return cls(nodes=nodes, **given)


def address_of(node: int) -> str:
    return str(NETWORK[256 + node])


def main(arguments: Sequence[str]) -> int:
    """Carry out the plan in a folder and leave the outcome there."""
    folder = Path(arguments[0])
    plan = LabPlan.of_json((folder / PLAN).read_text())
    outcome: dict[str, Any] = {"failure": None, "statuses": []}
    try:
        outcome["statuses"] = run_nodes(plan, folder)
    except LabFailed as error:
        outcome["failure"] = str(error)
    unfinished = folder / f"unfinished-{OUTCOME}"
    unfinished.write_text(json.dumps(outcome))
    unfinished.replace(folder / OUTCOME)
    return 0


def run_nodes(plan: LabPlan, folder: Path) -> list[int | None]:
    """Exit statuses by node; None for one that had to be killed. LabFailed where they cannot be
    started."""
    networks = make_network([node.kilobits for node in plan.nodes])
    hosts = folder / HOSTS
    hosts.write_text("".join(f"{address_of(k)} node{k}\n" for k in range(len(plan.nodes))))
    _call(["mount", "--bind", str(hosts), "/etc/hosts"])
    nodes = [
        _Node(number, node, networks[number], folder) for number, node in enumerate(plan.nodes)
    ]
    early = [node for node in nodes if node.plan.awaits_start]
    for node in early:
        node.start()
    _wait(early, _Node.is_ready, plan.start_seconds)
    unready = [f"node{node.number}{node.last_words()}" for node in early if not node.is_ready()]
    if unready:
        raise LabFailed(f"did not start: {', '.join(unready)}")
    late = [node for node in nodes if not node.plan.awaits_start]
    for node in late:
        node.start()
    if late:
        time.sleep(HEAD_START_SECONDS)
    for node in early:
        node.go()
    _wait(nodes, _Node.has_ended, plan.run_seconds)
    return [node.end() for node in nodes]


# The network


def make_network(kilobits: Sequence[int | None]) -> list[int]:
    """A network namespace per node with an interface `eth0` that is up, each joined to this one,
    which routes between them; gives their descriptors. LabFailed where the kernel does not let us.

    There is no bridge: with one each node would look up each other's link address, and the table of
    those has room for 1,024 on the whole machine. So a node knows its router's alone.
    """
    networks = [_new_network() for _ in kilobits]
    commands = ["link set lo up"]
    for number, network in enumerate(networks):
        path, link = f"/proc/{os.getpid()}/fd/{network}", f"veth{number}"
        commands += [
            f"link add {link} type veth peer name eth0 netns {path}",
            f"address add {ROUTER}/32 dev {link}",
            f"link set {link} up",
            f"route add {address_of(number)}/32 dev {link}",
        ]
    _ip(commands)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    for number, (network, rate) in enumerate(zip(networks, kilobits, strict=True)):
        _ip(
            [
                "link set lo up",
                f"address add {address_of(number)}/32 dev eth0",
                "link set eth0 up",
                f"route add {ROUTER}/32 dev eth0",
                f"route add default via {ROUTER} dev eth0",
            ],
            network,
        )
        if rate is not None:
            limit = f"rate {rate}kbit burst {TBF_BURST_BYTES} latency {TBF_LATENCY_MS}ms"
            _call(["tc", "qdisc", "add", "dev", "eth0", "root", "tbf", *limit.split()], network)
    return networks


def _new_network() -> int:
    """Enters a new network namespace, and leaves it again; its descriptor keeps it."""
    with open("/proc/self/ns/net", "rb") as ours:
        _system("unshare", CLONE_NEWNET)
        network = os.open("/proc/self/ns/net", os.O_RDONLY)
        _system("setns", ours.fileno(), CLONE_NEWNET)
    return network


def _system(name: str, *arguments: int) -> None:
    """Python has these calls of its own from 3.12 on."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        raise LabFailed(f"{name}: {os.strerror(ctypes.get_errno())}")


def _ip(commands: Sequence[str], network: int | None = None) -> None:
    _call(["ip", "-batch", "-"], network, "\n".join(commands))


def _call(command: Sequence[str], network: int | None = None, text: str = "") -> None:
    enter: Callable[[], None] | None = None
    if network is not None:
        where = network

        def enter() -> None:
            _system("setns", where, CLONE_NEWNET)

    try:
        done = subprocess.run(
            command, input=text, text=True, capture_output=True, check=False, preexec_fn=enter
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise LabFailed(f"{command[0]}: {error}") from error
    if done.returncode:
        raise LabFailed(f"{command[0]}: {done.stderr.strip()}")


# The nodes


class _Node:
    """A node's process, in its network, under its host name."""

    def __init__(self, number: int, plan: NodePlan, network: int, folder: Path) -> None:
        self.number = number
        self.plan = plan
        self._network = network
        home = folder / "hosts" / f"node{number}"
        home.mkdir(parents=True, exist_ok=True)
        self._stdout = home / f"node{number}.stdout"
        self._stderr = home / f"node{number}.stderr"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._stdout.open("wb") as output, self._stderr.open("wb") as errors:
            self._process = self._popen(output, errors)

    def go(self) -> None:
        """Start the clock of a node that waits for it."""
        if self._process is not None and self._process.stdin is not None:
            try:
                self._process.stdin.write(b"go\n")
                self._process.stdin.close()
            except BrokenPipeError:
                return  # it has ended; its status will tell

    def is_ready(self) -> bool:
        return not self.has_ended() and READY_MARK in self._stdout.read_bytes()

    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def end(self) -> int | None:
        """Its exit status; None where it had to be killed."""
        if self._process is None or self.has_ended():
            return None if self._process is None else self._process.returncode
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        return None

    def last_words(self) -> str:
        text = self._stderr.read_text(errors="replace").strip()
        return f" ({text.splitlines()[-1][:200]})" if text else ""

    def _popen(self, output: IO[bytes], errors: IO[bytes]) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self.plan.command,
                stdin=subprocess.PIPE if self.plan.awaits_start else subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                preexec_fn=self._move_in,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise LabFailed(f"node{self.number}: {error}") from error

    def _move_in(self) -> None:
        _system("setns", self._network, CLONE_NEWNET)
        _system("unshare", CLONE_NEWUTS)
        socket.sethostname(f"node{self.number}")


def _wait(nodes: Sequence[_Node], condition: Callable[[_Node], bool], seconds: float) -> None:
    """Until each has ended or the condition holds of it, or the time is over. LabFailed when
    whoever started the lab is gone."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if all(condition(node) or node.has_ended() for node in nodes):
            return
        if select.select([sys.stdin], [], [], POLL_SECONDS)[0]:
            raise LabFailed("nobody waits for the outcome")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
