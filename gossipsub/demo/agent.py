"""One agent of the demo in a process of its own: a host, CHORUS on it, a mind.

It reports on standard output what it says and hears, as JSON lines, and obeys the commands
`begin` and `exit`, in the form of the test-peer protocol.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from gossipsub import DialError, Host, PeerId
from gossipsub.chorus import ChorusPubSub, Envelope, MessageType
from gossipsub.demo.mind import Mind
from gossipsub.demo.work import Task
from gossipsub.peer.json_lines import LineWriter, read_lines


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="gossipsub demo-agent", description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--bootstrap", action="append", default=[])
    parser.add_argument("--pace", type=float, default=0.1)
    flags = parser.parse_args(list(arguments))
    try:
        anyio.run(_run, flags)
    except KeyboardInterrupt:
        return 130
    return 0


async def _run(flags: argparse.Namespace) -> None:
    writer = LineWriter(1)
    async with (
        Host(bootstrap=flags.bootstrap) as host,
        ChorusPubSub(host) as chorus,
        anyio.create_task_group() as tasks,
    ):
        agent = Agent(flags.name, host, chorus, writer, tasks, pace=flags.pace)
        tasks.start_soon(writer.run)
        writer.write(
            {
                "event": "ready",
                "peer_id": str(host.peer_id),
                "addrs": list(host.addresses),
                "impl": "python",
                "versions": {},
                "pid": os.getpid(),
            }
        )
        tasks.start_soon(agent.mind.introduce)
        async for line in read_lines(0):
            command = json.loads(line)
            writer.write({"event": "ok", "cmd": command["cmd"], "id": command.get("id")})
            if command["cmd"] == "exit":
                break
            agent.begin([Task(**task) for task in command["tasks"]])
        tasks.cancel_scope.cancel()
    await writer.flush()


class Agent:
    """Joins a mind to CHORUS, and dials whoever introduces itself."""

    def __init__(
        self,
        name: str,
        host: Host,
        chorus: ChorusPubSub,
        writer: LineWriter,
        tasks: TaskGroup,
        *,
        pace: float,
    ) -> None:
        self._host = host
        self._chorus = chorus
        self._writer = writer
        self._tasks = tasks
        self._dialled: set[str] = set()
        self.mind = Mind(name, str(host.peer_id), host.addresses, self._say, pace=pace)
        chorus.set_bzzz_message_handler(self._hear)

    def begin(self, tasks: Sequence[Task]) -> None:
        """Stop introducing; with tasks, be the planner."""
        self.mind.begin()
        if tasks:
            self._tasks.start_soon(self._plan, tasks)

    async def _plan(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            await self.mind.announce([task])
            self._tasks.start_soon(self.mind.consider, task)

    async def _say(self, kind: MessageType, data: dict[str, Any]) -> None:
        await self._chorus.publish_bzzz_message(kind, data)
        self._writer.write({"event": "report", "what": "said", "type": kind.value, "data": data})

    async def _hear(self, envelope: Envelope, sender: PeerId) -> None:
        latency = time.time_ns() - envelope.timestamp.unix_ns
        data = dict(envelope.data or {})
        if envelope.type == MessageType.CAPABILITY_BCAST:
            self._meet(str(sender), data)
        await self.mind.hear(str(envelope.type), data, str(sender), self._tasks)
        self._writer.write(
            {
                "event": "report",
                "what": "heard",
                "type": str(envelope.type),
                "from": str(sender),
                "serial": data.get("serial"),
                "latency_us": latency / 1000,
                "known": len(self.mind.members),
                "connected": len(self._host.peers()),
            }
        )

    def _meet(self, sender: str, data: dict[str, Any]) -> None:
        addresses = data.get("addresses")
        if sender not in self._dialled and isinstance(addresses, list) and addresses:
            self._dialled.add(sender)
            self._tasks.start_soon(self._dial, str(addresses[0]))

    async def _dial(self, address: str) -> None:
        try:
            await self._host.connect(address)
        except DialError as error:
            self._writer.write({"event": "report", "what": "dial_failed", "why": str(error)})
