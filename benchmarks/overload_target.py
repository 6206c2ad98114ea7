"""The node under flood: a host in a process of its own that tells how it fares.

`python -m gossipsub.benchmarks.overload_target`, started by `overload.py`. Every quarter of a
second it prints a `reading`: how late a timer of its event loop was each tenth of a second, its
memory, its statistics, and the honest messages that came. It uses the public interface alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from typing import Any

import anyio

from gossipsub import (
    GossipParams,
    Host,
    PeerGaterParams,
    PeerId,
    PrivateKey,
    ReceivedMessage,
    Subscription,
    Verdict,
)
from gossipsub.benchmarks.overload_process import (
    FLOODED,
    STDOUT,
    TOPICS,
    obey,
    say_ready,
)
from gossipsub.peer.json_lines import LineWriter
from gossipsub.peer.score import read_scoring

READING_SECONDS = 0.25
TICK_SECONDS = 0.1
NUMBER_BYTES = 8


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gossipsub.benchmarks.overload_target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--watch", action="append", default=[], help="a peer that is honest")
    parser.add_argument("--scoring", action="store_true")
    parser.add_argument("--gater", action="store_true")
    parser.add_argument("--refuse", action="store_true", help="reject what others write")
    anyio.run(_Target(parser.parse_args(arguments)).run)
    return 0


class _Target:
    def __init__(self, flags: argparse.Namespace) -> None:
        self._flags = flags
        self._honest = {PeerId.parse(text) for text in flags.watch}
        self._late: list[float] = []
        self._arrived: list[tuple[str, str, int, float]] = []

    def _host(self) -> Host:
        params = GossipParams(gater=PeerGaterParams() if self._flags.gater else None)
        if self._flags.scoring:
            scoring = read_scoring({})
            params = replace(params, score=scoring.params, thresholds=scoring.thresholds)
        return Host(key=PrivateKey.from_node_number(self._flags.seed), params=params)

    async def run(self) -> None:
        writer = LineWriter(STDOUT)
        async with self._host() as host, anyio.create_task_group() as tasks:
            if self._flags.refuse:
                host.set_validator(FLOODED, self._judge)
            for name in TOPICS:
                topic = await host.join(name)
                messages = topic.subscribe(message_filter=lambda m: m.sender in self._honest)
                await messages.__aenter__()
                tasks.start_soon(self._read, messages)
            tasks.start_soon(writer.run)
            say_ready(writer, str(host.peer_id), list(host.addresses))
            tasks.start_soon(self._tick)
            tasks.start_soon(self._report, host, writer)
            await obey(writer, {})
            tasks.cancel_scope.cancel()
        await writer.say_goodbye()

    def _judge(self, message: ReceivedMessage) -> Verdict:
        return Verdict.ACCEPT if message.sender in self._honest else Verdict.REJECT

    async def _read(self, messages: Subscription) -> None:
        async for message in messages:
            number = int.from_bytes(message.data[:NUMBER_BYTES], "big")
            came = (message.topic, str(message.sender), number, time.monotonic())
            self._arrived.append(came)

    async def _tick(self) -> None:
        """As the heartbeat does: due at fixed times, those missed are skipped."""
        due = anyio.current_time()
        while True:
            due = max(due + TICK_SECONDS, anyio.current_time())
            await anyio.sleep_until(due)
            self._late.append(anyio.current_time() - due)

    async def _report(self, host: Host, writer: LineWriter) -> None:
        while True:
            await anyio.sleep(READING_SECONDS)
            writer.write(self._reading(host))

    def _reading(self, host: Host) -> dict[str, Any]:
        late, self._late = self._late, []
        arrived, self._arrived = self._arrived, []
        statistics = host.statistics()
        return {
            "event": "reading",
            "at": time.monotonic(),
            "cpu_s": time.process_time(),
            "starved_s": starved_seconds(),
            "rss_bytes": resident_bytes(),
            "late_s": [round(seconds, 4) for seconds in late],
            "arrived": arrived,
            "delivered": statistics.delivered,
            "duplicates": statistics.duplicates,
            "rejections": dict(statistics.rejections),
            "waiting": statistics.validation_waiting,
            "rpc_dropped": statistics.rpc_dropped,
            "peers": [str(info.peer) for info in host.peers()],
        }


def resident_bytes() -> int:
    """Memory this process has now; Linux."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def starved_seconds() -> float | None:
    """How long the main thread has waited for a processor, ready to run; None where the system
    does not tell."""
    try:
        with open("/proc/self/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except OSError:
        return None


if __name__ == "__main__":
    sys.exit(main())
