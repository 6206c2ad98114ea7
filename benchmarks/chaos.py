"""A network whose processes are killed and stopped at random, and what is left of it.

`python -m gossipsub.benchmarks.chaos`: ten nodes, two of them go-libp2p, in a process each, on the
loopback interface. All the time somebody publishes; every few seconds a process is killed, to come
back after a while with the same key or another one, or stands still for some seconds. Then the
killing ends: the bootstraps that are down are started, others stay dead. The promise is that soon
every survivor has enough mesh peers, and that new messages of each reach all the others. Exit
status 1 where that does not come true.

The seed decides who is hit by what and when, as far as the processes keep time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
from collections import Counter
from contextlib import suppress
from random import Random
from typing import Any

import anyio
from anyio.abc import TaskGroup

from gossipsub.benchmarks.chaos_ledger import Ledger, Publication
from gossipsub.benchmarks.chaos_network import D_LOW, TOPIC, Node, plan_network
from gossipsub.benchmarks.measurement import environment
from gossipsub.conformance.driver import PeerError, PeerFailed

PUBLISH_SECONDS = 0.1
STOP_SHARE = 0.3
"""Of the disturbances, those that stop a process instead of killing it."""
STOP_SECONDS = (1.0, 6.0)
POLL_SECONDS = 0.2
FINAL_SECONDS = 30.0
"""Until the messages at the end must have arrived."""
ANSWER_SECONDS = 10.0


def main(arguments: list[str] | None = None) -> int:
    flags = _parse(arguments)
    report = anyio.run(_until_signal, flags)
    if report is None:
        return 130
    print(json.dumps(report) if flags.json else _text(report))
    return 1 if report["failures"] else 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gossipsub.benchmarks.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="of killing")
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument("--go", type=int, default=2, help="nodes that are go-libp2p")
    parser.add_argument("--bootstraps", type=int, default=3, help="nodes that all others know")
    parser.add_argument("--kill-interval", type=float, default=5.0, help="seconds, on average")
    parser.add_argument("--patience", type=float, default=90.0, help="seconds to recover, at most")
    parser.add_argument("--settle", type=float, default=10.0, help="seconds until a node counts")
    parser.add_argument("--messages", type=int, default=5, help="of each survivor, at the end")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args(arguments)
    if not 1 <= flags.bootstraps < flags.nodes or not 0 <= flags.go < flags.nodes:
        parser.error("need 1 <= bootstraps < nodes and 0 <= go < nodes")
    return flags


async def _until_signal(flags: argparse.Namespace) -> dict[str, Any] | None:
    """The report; None where SIGINT or SIGTERM ended it before. All processes have ended then."""
    report: dict[str, Any] | None = None
    async with anyio.create_task_group() as tasks:

        async def watch() -> None:
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                async for _ in signals:
                    tasks.cancel_scope.cancel()
                    return

        tasks.start_soon(watch)
        report = await Chaos(flags).run()
        tasks.cancel_scope.cancel()
    return report


class Chaos:
    """One run."""

    def __init__(self, flags: argparse.Namespace) -> None:
        self._flags = flags
        self._rng = Random(flags.seed)
        self._ledger = Ledger(settle=flags.settle, grace=flags.settle)
        self._next_key = flags.seed * 1_000_000
        self._nodes = plan_network(
            flags.nodes,
            flags.go,
            flags.bootstraps,
            rng=self._rng,
            ledger=self._ledger,
            first_key=self._next_key,
        )
        self._next_key += flags.nodes
        self._joined_at = math.inf
        """When all survivors were first seen in one mesh, however few peers each had."""
        self._counts = dict.fromkeys(("killed", "stopped", "same_key", "other_key"), 0)

    async def run(self) -> dict[str, Any]:
        load = os.getloadavg()[0]
        async with anyio.create_task_group() as tasks:
            for node in self._nodes:
                tasks.start_soon(node.run)
            await self._everybody_is_up()
            first = await self._recovered()
            async with anyio.create_task_group() as during:
                during.start_soon(self._publish_all_the_time, during)
                with anyio.move_on_after(self._flags.seconds):
                    await self._disturb(during)
                during.cancel_scope.cancel()  # among others those who wait to be restarted
            self._end_chaos()
            await self._everybody_is_up()
            ended, self._joined_at = anyio.current_time(), math.inf
            second = await self._recovered()
            joined = round(self._joined_at - ended, 1)
            final = await self._final_messages()
            told = await self._told_by_survivors()
            tasks.cancel_scope.cancel()
        told["joined_after_s"] = joined if joined < math.inf else None
        return self._report(load, first, second, final, told)

    # -- what happens to the network -------------------------------------------------------

    async def _publish_all_the_time(self, tasks: TaskGroup) -> None:
        while True:
            await anyio.sleep(PUBLISH_SECONDS)
            up = [node for node in self._nodes if node.is_up and not node.is_stopped]
            if up:
                tasks.start_soon(self._publish, self._rng.choice(up))

    async def _publish(self, node: Node) -> Publication | None:
        peer, life = node.peer, node.life
        if peer is None or life is None:
            return None
        publication = self._ledger.publish(life, anyio.current_time())
        with suppress(PeerFailed, PeerError):  # killed meanwhile: nothing is due of it then
            await peer.publish(TOPIC, b"%d" % publication.number)
        return publication

    async def _disturb(self, tasks: TaskGroup) -> None:
        interval = self._flags.kill_interval
        while True:
            await anyio.sleep(self._rng.uniform(0.5, 1.5) * interval)
            up = [node for node in self._nodes if node.is_up and not node.is_stopped]
            if len(up) * 2 <= len(self._nodes):
                continue  # a network of whom most are dead shows nothing
            node = self._rng.choice(up)
            self._ledger.disturbances.append(anyio.current_time())
            if self._rng.random() < STOP_SHARE:
                self._counts["stopped"] += 1
                node.stop()
                tasks.start_soon(self._later, self._rng.uniform(*STOP_SECONDS), node, "resume")
            else:
                self._counts["killed"] += 1
                node.kill()
                tasks.start_soon(self._later, self._rng.uniform(0.1, 2) * interval, node, "restart")

    async def _later(self, seconds: float, node: Node, what: str) -> None:
        await anyio.sleep(seconds)
        if what == "resume":
            node.resume()
        elif node.number < self._flags.bootstraps or self._rng.random() < 0.5:
            self._counts["same_key"] += 1
            node.restart()
        else:
            self._counts["other_key"] += 1
            self._next_key += 1
            node.restart(self._next_key)

    def _end_chaos(self) -> None:
        for node in self._nodes:
            node.resume()
        for node in self._nodes[: self._flags.bootstraps]:
            node.restart()

    # -- what became of it -----------------------------------------------------------------

    @property
    def _survivors(self) -> list[Node]:
        return [node for node in self._nodes if node.is_up]

    async def _everybody_is_up(self) -> None:
        """Until none is about to start; PeerTimeout of a node's start comes before ours."""
        with anyio.fail_after(self._flags.patience + 60.0):
            while any(node.is_starting for node in self._nodes):
                await anyio.sleep(POLL_SECONDS)

    async def _recovered(self) -> float | None:
        """Seconds until all survivors are in one mesh, with enough peers each; None: in vain."""
        start = anyio.current_time()
        with anyio.move_on_after(self._flags.patience):
            while await self._mesh_faults():
                await anyio.sleep(POLL_SECONDS)
            return round(anyio.current_time() - start, 1)
        return None

    async def _mesh_faults(self) -> list[str]:
        """What is wrong with whose mesh."""
        faults: list[str] = []
        edges: dict[str, list[str]] = {}
        for node in self._survivors:
            try:
                mesh, known = await self._mesh_and_peers(node)
            except (PeerFailed, PeerError) as error:
                faults.append(f"node {node.number}: {error}")
                continue
            edges[node.peer_id] = mesh
            if len(mesh) < min(D_LOW, known) or not mesh:
                faults.append(f"node {node.number} has {len(mesh)} mesh peers of {known} it knows")
        reached = _reached(edges)
        if len(reached) < len(self._survivors):
            faults.append(f"the mesh falls apart: {len(reached)} of {len(edges)} are joined")
        else:
            self._joined_at = min(self._joined_at, anyio.current_time())
        return faults

    async def _mesh_and_peers(self, node: Node) -> tuple[list[str], int]:
        if node.peer is None:
            raise PeerFailed("it is down")
        mesh = await node.peer.command("mesh", timeout=ANSWER_SECONDS, topic=TOPIC)
        known = await node.peer.command("topic_peers", timeout=ANSWER_SECONDS, topic=TOPIC)
        return mesh["peers"], len(known["peers"])

    async def _final_messages(self) -> dict[str, int]:
        """Each survivor publishes; how many deliveries were due, and how many never came."""
        survivors = self._survivors
        sent = [
            publication
            for node in survivors
            for _ in range(self._flags.messages)
            if (publication := await self._publish(node)) is not None
        ]
        with anyio.move_on_after(FINAL_SECONDS):
            while self._ledger.missing(sent):
                await anyio.sleep(POLL_SECONDS)
        due = len(survivors) * self._flags.messages * (len(survivors) - 1)
        return {"due": due, "missing": self._ledger.missing(sent)}

    async def _told_by_survivors(self) -> dict[str, Any]:
        mesh_sizes: list[int] = []
        worst: dict[str, Any] = {"score": math.inf}
        rejections: dict[str, Counter[str]] = {}
        duplicates = received = 0
        kinds = {node.peer_id: node.target for node in self._survivors}
        for node in self._survivors:
            if node.peer is None:
                continue
            mesh_sizes.append(len((await self._mesh_and_peers(node))[0]))
            stats = await node.peer.command("stats")
            rejections.setdefault(node.target, Counter()).update(stats["rejections"])
            duplicates, received = duplicates + stats["duplicates"], received + stats["received"]
            for about, score in (await node.peer.command("scores"))["scores"].items():
                if score["score"] < worst["score"]:
                    worst = {"told_by": node.target, "about": kinds.get(about, "one gone"), **score}
        return {
            "survivors": len(mesh_sizes),
            "mesh_sizes": sorted(mesh_sizes),
            "duplicates_per_message": round(duplicates / received, 2) if received else None,
            "rejections": rejections,
            "lowest_score": worst,
            "mesh_faults": await self._mesh_faults(),
        }

    def _report(
        self,
        load: float,
        first: float | None,
        second: float | None,
        final: dict[str, int],
        told: dict[str, Any],
    ) -> dict[str, Any]:
        figures = self._ledger.figures()
        ends = [f"node {n.number}: {why}" for n in self._nodes for why in n.unexpected_ends]
        failures = [f"a process ended by itself: {end}" for end in ends]
        if first is None:
            failures.append("the mesh never stood before the killing")
        if second is None:
            failures += told["mesh_faults"] or ["the mesh did not recover in time"]
        if final["missing"]:
            failures.append(f"{final['missing']} of {final['due']} last deliveries never came")
        if figures["delivered_twice"]:
            failures.append(f"{figures['delivered_twice']} messages were delivered twice")
        return {
            "versions": environment("gossipsub", "cryptography", "anyio"),
            "load_before": round(load, 1),
            **{name: getattr(self._flags, name) for name in ("seed", "seconds", "nodes", "go")},
            "kill_interval_s": self._flags.kill_interval,
            **self._counts,
            **figures,
            "first_mesh_s": first,
            "joined_after_s": told.pop("joined_after_s"),
            "recovered_after_s": second,
            **told,
            "last_deliveries": final,
            "failures": failures,
        }


def _reached(edges: dict[str, list[str]]) -> set[str]:
    """All that messages of one node get to."""
    waiting = list(edges)[:1]
    reached = set(waiting)
    while waiting:
        new = [peer for peer in edges.get(waiting.pop(), ()) if peer in edges]
        waiting += [peer for peer in new if peer not in reached]
        reached.update(new)
    return reached


def _text(report: dict[str, Any]) -> str:
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in report.items()]
    return "\n".join([*lines[:-1], "failed" if report["failures"] else "all recovered", lines[-1]])


if __name__ == "__main__":
    sys.exit(main())
