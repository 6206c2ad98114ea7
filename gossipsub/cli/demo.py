"""`gossipsub demo`: five agents in five processes, and a go-libp2p peer where Go is installed."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from gossipsub.chorus import Envelope, MalformedEnvelope, MessageType, Timestamp
from gossipsub.chorus.topics import COORDINATION_TOPIC
from gossipsub.conformance.build import PeerUnavailable, build_go_peer
from gossipsub.conformance.driver import PeerFailed, PeerProcess, PeerTimeout, start_peer
from gossipsub.demo.ledger import COUNTED, Account, Ledger
from gossipsub.demo.mind import Mind
from gossipsub.demo.work import choose_tasks

NAMES = ("ada", "barbara", "chien", "dorothy", "edith", "frances", "grace", "hedy")
VERBS = {
    "task_announcement": "announces",
    "task_claim": "claims",
    "task_progress": "works on",
    "task_complete": "completes",
}


def main(arguments: Sequence[str]) -> int:
    """0 when every message reached every agent and every task was completed; else 1."""
    parser = argparse.ArgumentParser(prog="gossipsub demo", description=__doc__)
    parser.add_argument("--agents", type=int, default=5, help="python agents, 2 to 8")
    parser.add_argument("--tasks", type=int, default=12)
    parser.add_argument("--pace", type=float, default=0.15, help="seconds between an agent's steps")
    parser.add_argument("--timeout", type=float, default=40.0, help="seconds for everything")
    parser.add_argument("--no-go", action="store_true", help="leave the go peer out")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    flags = parser.parse_args(list(arguments))
    if not 2 <= flags.agents <= len(NAMES):
        parser.error(f"--agents: 2 to {len(NAMES)}")
    if not (0.0 <= flags.pace < math.inf and 0.0 < flags.timeout < math.inf):
        parser.error("--pace and --timeout are seconds: 0 or more, and more than 0")
    try:
        tasks = choose_tasks(flags.tasks)
    except ValueError as error:
        parser.error(str(error))
    try:
        return anyio.run(Demo(flags, [asdict(task) for task in tasks]).run)
    except KeyboardInterrupt:
        return 130


class Demo:
    """Starts everybody, watches, and draws up the account."""

    def __init__(self, flags: argparse.Namespace, tasks: list[dict[str, str]]) -> None:
        self._flags = flags
        self._tasks = tasks
        self._ledger = Ledger()
        self._processes: dict[str, PeerProcess] = {}
        self._acquainted: set[str] = set()
        self._go_note = ""
        self._failure = ""
        self._changed = anyio.Event()
        self._started = time.monotonic()

    async def run(self) -> int:
        with_go = not self._flags.no_go and await self._build_go()
        self._started = time.monotonic()
        failure = ""
        try:
            with anyio.fail_after(self._flags.timeout):
                await self._play(with_go)
        except TimeoutError:
            failure = f"not finished within {self._flags.timeout:g} s"
        except PeerFailed as error:
            failure = str(error)
        return self._report(failure)

    async def _build_go(self) -> bool:
        try:
            self._tell("the go-libp2p peer: built on first use, which takes about a minute")
            await anyio.to_thread.run_sync(build_go_peer)
        except PeerUnavailable as error:
            self._go_note = f"without a go peer: {error}"
            self._tell(self._go_note)
            return False
        return True

    async def _play(self, with_go: bool) -> None:
        async with AsyncExitStack() as stack:
            agents = await self._start_agents(stack)
            go = None
            if with_go:
                go = await stack.enter_async_context(start_peer("go", command_timeout=10))
                self._register(go, "gopher", "go-libp2p")
            watch = await stack.enter_async_context(anyio.create_task_group())
            for agent in agents:
                watch.start_soon(self._follow, agent)
            gopher = None if go is None else GoAgent(go, self._ledger, self._note, self._flags.pace)
            if gopher is not None:
                await gopher.start(agents[0].addresses[0], watch)
            await self._until(lambda: len(self._acquainted) == len(agents))
            if gopher is not None:
                await self._until(lambda: len(gopher.mind.members) == len(self._processes))
                gopher.mind.begin()
            self._tell(f"{len(self._processes)} agents know each other; the work begins")
            for agent in agents[1:]:
                await agent.command("begin", tasks=[])
            await agents[0].command("begin", tasks=self._tasks)
            await self._until(lambda: len(self._ledger.completed) == len(self._tasks))
            await self._until(lambda: not self._ledger.missing())
            watch.cancel_scope.cancel()

    async def _start_agents(self, stack: AsyncExitStack) -> list[PeerProcess]:
        agents: list[PeerProcess] = []
        for name in NAMES[: self._flags.agents]:
            command = [sys.executable, "-m", "gossipsub", "demo-agent"]
            arguments = ["--name", name, "--pace", str(self._flags.pace)]
            if agents:
                arguments += ["--bootstrap", agents[0].addresses[0]]
            agent = start_peer(name, command=command, arguments=arguments)
            agents.append(await stack.enter_async_context(agent))
            self._register(agent, name, "python")
        return agents

    def _register(self, process: PeerProcess, name: str, implementation: str) -> None:
        self._processes[process.peer_id] = process
        self._ledger.accounts[process.peer_id] = Account(name, implementation)
        self._tell(f"{name} is up ({implementation}) at {process.addresses[0]}")

    # -- watching --------------------------------------------------------------------------

    async def _follow(self, agent: PeerProcess) -> None:
        while True:
            try:
                event = await agent.wait_event("report", timeout=self._flags.timeout)
            except PeerFailed as error:
                self._failure = str(error)
                self._wake()
                return
            match event["what"]:
                case "said":
                    self._note(agent.peer_id, event["type"], event["data"])
                case "heard":
                    self._ledger.note_heard(
                        agent.peer_id,
                        event["type"],
                        event["from"],
                        event["serial"],
                        event["latency_us"],
                    )
                    everybody = len(self._processes)
                    if event["known"] == everybody and event["connected"] >= everybody - 1:
                        self._acquainted.add(agent.peer_id)
                    self._wake()
                case "dial_failed":
                    self._tell(f"{self._name(agent.peer_id)}: {event['why']}")

    def _note(self, peer: str, kind: str, data: dict[str, Any]) -> None:
        """Somebody said something."""
        self._ledger.note_said(peer, kind, data)
        if kind in VERBS:
            what = data.get("file") or ""
            if kind == "task_complete":
                output = data["output"]
                what = f"{output['lines']} lines, {output['functions']} functions"
            self._tell(f"{self._name(peer):<8} {VERBS[kind]:<9} {data['task_id']}  {what}")
        self._wake()

    def _name(self, peer: str) -> str:
        return self._ledger.accounts[peer].name

    def _wake(self) -> None:
        self._changed.set()

    async def _until(self, holds: Any) -> None:
        while not holds():
            if self._failure:
                raise PeerFailed(self._failure)
            self._changed = anyio.Event()
            await self._changed.wait()

    # -- telling ---------------------------------------------------------------------------

    def _tell(self, line: str) -> None:
        if not self._flags.json:
            print(f"{time.monotonic() - self._started:6.2f}s  {line}", flush=True)

    def _report(self, failure: str) -> int:
        ledger = self._ledger
        rows = [ledger.row(peer) for peer in ledger.accounts]
        missing = ledger.missing()
        succeeded = not failure and not missing and len(ledger.completed) == len(self._tasks)
        if self._flags.json:
            summary = {
                "succeeded": succeeded,
                "failure": failure,
                "note": self._go_note,
                "tasks": len(self._tasks),
                "completed": len(ledger.completed),
                "messages": len(ledger.said),
                "missing": len(missing),
                "seconds": time.monotonic() - self._started,
                "agents": rows,
            }
            print(json.dumps(summary))
        else:
            _print_table(rows)
            print(
                f"{len(ledger.completed)} of {len(self._tasks)} tasks completed, "
                f"{len(ledger.said)} messages, {len(missing)} missing. {failure}"
            )
            if self._go_note:
                print(self._go_note)
        return 0 if succeeded else 1


def _print_table(rows: list[dict[str, Any]]) -> None:
    print()
    print(
        f"{'agent':<9}{'made with':<11}{'tasks':>6}{'said':>6}{'heard':>7}{'of':>5}{'lost':>6}"
        f"{'twice':>7}{'median':>10}{'p99':>10}"
    )
    for row in rows:
        latency = row["latency_ms"]
        print(
            f"{row['agent']:<9}{row['implementation']:<11}{row['completed']:>6}{row['said']:>6}"
            f"{row['heard']:>7}{row['expected']:>5}{row['lost']:>6}{row['repeated']:>7}"
            f"{latency['median']:>7.2f} ms{latency['p99']:>7.2f} ms"
        )
    print()


class GoAgent:
    """A mind whose mouth and ears are a go-libp2p peer."""

    def __init__(self, go: PeerProcess, ledger: Ledger, note: Any, pace: float) -> None:
        self._go = go
        self._ledger = ledger
        self._note = note
        self.mind = Mind("gopher", go.peer_id, go.addresses, self._say, pace=pace)

    async def start(self, bootstrap: str, tasks: TaskGroup) -> None:
        await self._go.command("subscribe", topic=COORDINATION_TOPIC)
        await self._go.command("connect", addr=bootstrap)
        tasks.start_soon(self._listen, tasks)
        tasks.start_soon(self.mind.introduce)

    async def _say(self, kind: MessageType, data: dict[str, Any]) -> None:
        stamp = Timestamp.from_unix_ns(time.time_ns())
        envelope = Envelope(kind, self._go.peer_id, stamp, data)
        await self._go.publish(COORDINATION_TOPIC, envelope.encode())
        self._note(self._go.peer_id, kind.value, data)

    async def _listen(self, tasks: TaskGroup) -> None:
        while True:
            try:
                event = await self._go.wait_event("message", timeout=1.0)
            except PeerTimeout:
                continue
            if event["from"] == self._go.peer_id:
                continue
            try:
                envelope = Envelope.decode(event["data"])
            except MalformedEnvelope:
                continue
            data = dict(envelope.data or {})
            latency = (time.time_ns() - envelope.timestamp.unix_ns) / 1000
            kind = str(envelope.type)
            if kind in COUNTED:
                self._ledger.note_heard(
                    self._go.peer_id, kind, event["from"], data.get("serial"), latency
                )
            await self.mind.hear(kind, data, event["from"], tasks)
            self._note(self._go.peer_id, "", {})
