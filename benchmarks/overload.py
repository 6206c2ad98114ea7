"""A node under a flood of ten times what it can verify, and whom it still serves.

`python -m gossipsub.benchmarks.overload`: the target is a host in a process of its own. Flooders
(`overload_flood.py`) send it far more messages than it can verify, over many connections; a go
node and a node of ours, each connected to the target alone, talk gently in the flooded topic and
in another one. Measured from outside and inside: how late heartbeats and timers are, round trips of
pings, what share of the honest messages come, memory, and how soon all is normal again.

Exit status 1 where a promise is broken; each run's `failures` say which.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import anyio
from anyio.abc import TaskGroup

from gossipsub import Host, LocalProtocolError, PingFailed, PrivateKey
from gossipsub.benchmarks.measurement import environment
from gossipsub.benchmarks.overload_figures import Notes, Sent, figures
from gossipsub.benchmarks.overload_process import QUIET, TOPICS
from gossipsub.conformance.driver import PeerError, PeerFailed, PeerProcess, start_peer
from gossipsub.conformance.scripted_gossip import OUTSIDE_SECONDS
from gossipsub.conformance.scripted_peer import ScriptedPeer, dial
from gossipsub.wire.rpc import Control, Prune, Rpc, SubOpts

VARIANTS: dict[str, dict[str, Any]] = {
    "forged": {"kind": "forged"},
    "forged, scored": {"kind": "forged", "target": ["--scoring"]},
    "forged, gated": {"kind": "forged", "target": ["--gater"]},
    "forged, large RPCs": {"kind": "forged", "per_rpc": 3700},
    "repeated, large RPCs at once": {
        "kind": "repeated",
        "is_accepted": True,
        "per_rpc": 3700,
        "flood": ["--at-once"],
        "connections": 16,
    },
    "repeated": {"kind": "repeated", "is_accepted": True},
    "signed": {"kind": "signed", "is_accepted": True},
    "signed, scored": {"kind": "signed", "target": ["--scoring"], "is_accepted": True},
    "refused, scored": {"kind": "signed", "target": ["--scoring", "--refuse"]},
}
HONEST = ("go", "python")
PING_SECONDS = 0.25
LAST_SECONDS = 10.0
"""For the last honest messages to arrive, at most."""
PING_PATIENCE = 10.0
START_SECONDS = 120.0
"""Flooders sign messages before they are ready."""
OBSERVER_SEED = 900
FLOODER_SEED = 1000


def main(arguments: list[str] | None = None) -> int:
    flags = _parse(arguments)
    runs: dict[str, Any] = {}
    for name in flags.variant or VARIANTS:
        load = os.getloadavg()[0]
        runs[name] = {"load_before": round(load, 1), **anyio.run(Overload(flags, name).run)}
        if not flags.json:
            print(_text(name, runs[name]), flush=True)
    about = environment("gossipsub", "cryptography", "anyio")
    if flags.json:
        print(json.dumps({"versions": about, **_settings(flags), "runs": runs}))
    else:
        print(", ".join(f"{name} {value}" for name, value in about.items()))
    return 1 if any(run["failures"] for run in runs.values()) else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gossipsub.benchmarks.overload", description=__doc__)
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="default: all")
    parser.add_argument("--before", type=float, default=5.0, help="seconds without flood")
    parser.add_argument("--seconds", type=float, default=15.0, help="of flood")
    parser.add_argument("--after", type=float, default=10.0, help="seconds to recover")
    parser.add_argument("--rate", type=float, default=250_000.0, help="flooders' messages a second")
    parser.add_argument("--flooders", type=int, default=2, help="processes")
    parser.add_argument("--connections", type=int, default=4, help="of each flooder")
    parser.add_argument("--prepared", type=int, default=40_000, help="signed messages of each")
    parser.add_argument("--honest-rate", type=float, default=10.0, help="messages a second")
    parser.add_argument("--honest", choices=HONEST, nargs="+", default=HONEST)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def _settings(flags: argparse.Namespace) -> dict[str, Any]:
    names = ("seed", "before", "seconds", "after", "rate", "flooders", "connections")
    return {name: getattr(flags, name) for name in names}


class Overload:
    """One run of one variant."""

    def __init__(self, flags: argparse.Namespace, name: str) -> None:
        self._flags = flags
        self._variant = VARIANTS[name]
        self._connections = self._variant.get("connections", flags.connections)
        self._notes = Notes()
        self._first_key = flags.seed * 1_000_000
        self._honest: list[PeerProcess] = []
        self._flooders: list[PeerProcess] = []

    async def run(self) -> dict[str, Any]:
        async with AsyncExitStack() as stack:
            target = await stack.enter_async_context(self._target())
            await self._start_honest(stack, target)
            await self._start_flooders(stack, target)
            pinger = await stack.enter_async_context(Host(listen=[]))
            peer = await pinger.connect(target.addresses[0])
            observer = await stack.enter_async_context(
                dial(target.addresses[0], seed=OBSERVER_SEED)
            )
            await _observe(observer)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read, target)
                tasks.start_soon(self._ping, pinger, str(peer))
                tasks.start_soon(self._note_gossip, observer)
                tasks.start_soon(self._talk, tasks)
                await self._phases()
                tasks.cancel_scope.cancel()
            await self._wait_for_the_last()
            self._note_readings(target)
        return figures(self._notes)

    # -- who takes part --------------------------------------------------------------------

    def _target(self) -> PeerProcess:
        watched = [_peer_id(self._first_key + number) for number in range(len(self._flags.honest))]
        return start_peer(
            "target",
            command=[sys.executable, "-m", "gossipsub.benchmarks.overload_target"],
            seed=self._first_key + 100,
            arguments=[
                *(each for peer in watched for each in ("--watch", peer)),
                *self._variant.get("target", ()),
            ],
            start_timeout=START_SECONDS,
        )

    async def _start_honest(self, stack: AsyncExitStack, target: PeerProcess) -> None:
        for number, name in enumerate(self._flags.honest):
            seed = self._first_key + number
            peer = await stack.enter_async_context(start_peer(name, seed=seed, quiet=True))
            self._notes.names[peer.peer_id] = name
            self._honest.append(peer)
            for topic in TOPICS:
                await peer.command("subscribe", topic=topic)
            await peer.command("connect", addr=target.addresses[0])
            for topic in TOPICS:
                await peer.wait_answer(
                    "mesh", lambda got: target.peer_id in got["peers"], topic=topic
                )

    async def _start_flooders(self, stack: AsyncExitStack, target: PeerProcess) -> None:
        flags = self._flags
        for number in range(flags.flooders):
            arguments = [
                *("--target", target.addresses[0], "--kind", self._variant["kind"]),
                *("--connections", str(self._connections)),
                *("--rate", str(flags.rate / flags.flooders)),
                *("--per-rpc", str(self._variant.get("per_rpc", 64))),
                *("--size", str(self._variant.get("size", 64))),
                *("--prepared", str(flags.prepared if self._variant["kind"] == "signed" else 0)),
            ]
            arguments += self._variant.get("flood", ())
            if sys.platform == "linux":  # elsewhere the loopback interface has one address
                arguments += ["--local-host", f"127.0.1.{number + 1}"]
            flooder = start_peer(
                "flooder",
                command=[sys.executable, "-m", "gossipsub.benchmarks.overload_flood"],
                seed=self._first_key + FLOODER_SEED * (number + 1),
                arguments=arguments,
                start_timeout=START_SECONDS,
            )
            self._flooders.append(await stack.enter_async_context(flooder))
        for each in self._flooders:
            await each.wait_answer(
                "stats", lambda got: got["connected"] == self._connections, timeout=30
            )

    # -- what happens ----------------------------------------------------------------------

    async def _phases(self) -> None:
        await anyio.sleep(self._flags.before)
        self._notes.flood_began = time.monotonic()
        for flooder in self._flooders:
            await flooder.command("flood")
        await anyio.sleep(self._flags.seconds)
        for flooder in self._flooders:
            self._notes.flooders.append(await flooder.command("calm", timeout=60.0))
        self._notes.flood_ended = time.monotonic()
        await anyio.sleep(self._flags.after)

    async def _talk(self, tasks: TaskGroup) -> None:
        """Each honest peer publishes in each topic, at its gentle rate."""
        number = 0
        while True:
            number += 1
            for peer in self._honest:
                for topic in TOPICS:
                    tasks.start_soon(self._publish, peer, topic, number)
            await anyio.sleep(1 / self._flags.honest_rate)

    async def _publish(self, peer: PeerProcess, topic: str, number: int) -> None:
        self._notes.sent.append(Sent(topic, peer.peer_id, number, time.monotonic()))
        data = base64.b64encode(number.to_bytes(8, "big")).decode()
        try:
            await peer.command("publish", timeout=60.0, topic=topic, data_b64=data)
        except (PeerError, PeerFailed):
            return  # counts as sent, and as lost

    async def _wait_for_the_last(self) -> None:
        """Until what was sent has come everywhere, or was given time enough."""
        sent = self._notes.sent
        for peer in () if self._variant.get("is_accepted") else self._honest:
            due = sum(each.author != peer.peer_id for each in sent)
            with anyio.move_on_after(LAST_SECONDS):
                while self._notes.relayed.get(peer.peer_id, -1) < due:
                    await anyio.sleep(PING_SECONDS)
                    stats = await peer.command("stats", timeout=30.0)
                    self._notes.relayed[peer.peer_id] = stats["received"]
        await anyio.sleep(2 * PING_SECONDS)

    async def _ping(self, pinger: Host, peer: str) -> None:
        while True:
            at = time.monotonic()
            try:
                trip: float | None = await pinger.ping(peer, timeout=PING_PATIENCE)
            except (PingFailed, LocalProtocolError):
                trip = None
            self._notes.pings.append((at, trip))
            await anyio.sleep(PING_SECONDS)

    async def _read(self, target: PeerProcess) -> None:
        while True:
            await anyio.sleep(1)
            self._note_readings(target)

    def _note_readings(self, target: PeerProcess) -> None:
        self._notes.readings += target.events("reading")

    async def _note_gossip(self, observer: ScriptedPeer) -> None:
        while True:
            rpc = await observer.receive_rpc(timeout=3600.0)
            if rpc.control is not None and rpc.control.ihave:
                self._notes.gossip.append(time.monotonic())


async def _observe(w: ScriptedPeer) -> None:
    """Subscribe to the quiet topic and stay outside its mesh: gossip comes at each heartbeat."""
    await w.serve_identify()
    await w.open_pubsub()
    prune = Prune(QUIET, (), OUTSIDE_SECONDS)
    await w.send_rpc(Rpc(control=Control(prune=[prune])))
    await w.send_rpc(Rpc(subscriptions=[SubOpts(QUIET)]))


def _peer_id(number: int) -> str:
    return str(PrivateKey.from_node_number(number).peer_id())


def _text(name: str, run: dict[str, Any]) -> str:
    lines: Sequence[str] = [f"  {key.replace('_', ' ')}: {value}" for key, value in run.items()]
    return "\n".join([name, *lines])


if __name__ == "__main__":
    sys.exit(main())
