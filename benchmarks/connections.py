"""Memory per idle connection and CPU per received message of one node.

`python -m gossipsub.benchmarks.connections`: one node in a process of its own, 100 connections
to it from peers in this process, none of which does anything; then one of them publishes signed
messages at a rate the node keeps up with.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

import anyio

from gossipsub import Host, PrivateKey
from gossipsub.benchmarks.measurement import environment
from gossipsub.crypto.message_signing import sign_message, verify_message
from gossipsub.wire.rpc import Message

TOPIC = "benchmark"
WARM_UP_CONNECTIONS = 4
"""Opened before the first reading, so that what every node needs once is not counted."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gossipsub.benchmarks.connections", description=__doc__)
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--size", type=int, default=1024, help="bytes of data in a message")
    parser.add_argument("--window", type=int, default=256, help="messages under way at most")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--node", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args(arguments)
    if flags.node:
        anyio.run(_node)
        return 0
    report = anyio.run(_measure, flags)
    if flags.json:
        print(json.dumps(report))
    else:
        _print(report)
    return 0


def _print(report: dict[str, Any]) -> None:
    print(", ".join(f"{name} {value}" for name, value in report["versions"].items()))
    print(
        f"{report['connections']} idle connections: "
        f"{report['memory_per_connection_bytes'] / 1024:.1f} KiB each"
    )
    print(f"connection set-up: {report['setup_cpu_us']:.0f} us CPU of the node each")
    print(f"idle node with all of them: {report['idle_cpu_percent']:.2f} % CPU")
    print(
        f"received signed {report['size']} B message: {report['cpu_per_message_us']:.1f} us CPU, "
        f"of which verifying takes {report['verify_us']:.1f} us; "
        f"{report['messages_per_second']:.0f} messages a second"
    )


# -- the node under measurement, in a process of its own ------------------------------------


async def _node() -> None:
    """Prints its address, then answers each line on standard input with its readings."""
    async with Host() as host:
        topic = await host.join(TOPIC)
        received = 0
        print(json.dumps({"address": host.addresses[0]}), flush=True)

        async def count() -> None:
            nonlocal received
            async with topic.subscribe(buffer=1 << 16) as messages:
                async for _ in messages:
                    received += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            while True:
                await anyio.wait_readable(0)
                if not os.read(0, 65536):
                    break
                reading = {
                    "cpu_s": time.process_time(),
                    "rss_bytes": _resident_bytes(),
                    "received": received,
                    "connections": host.statistics().connections,
                }
                print(json.dumps(reading), flush=True)
            tasks.cancel_scope.cancel()


def _resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class _Node:
    """The node's process, and its readings."""

    def __init__(self, process: asyncio.subprocess.Process, address: str) -> None:
        self._process = process
        self.address = address

    async def read(self) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the node has no pipes")
        stdin.write(b"?\n")
        await stdin.drain()
        with anyio.fail_after(30):
            reading: dict[str, Any] = json.loads(await stdout.readline())
        return reading

    async def stop(self) -> None:
        """End of input ends it; killed if that takes more than five seconds."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        with anyio.move_on_after(5) as patience:
            await self._process.wait()
        if patience.cancelled_caught:
            self._process.kill()
            await self._process.wait()

    async def wait_for(self, name: str, at_least: int) -> dict[str, Any]:
        with anyio.fail_after(60):
            while True:
                reading = await self.read()
                if reading[name] >= at_least:
                    return reading
                await anyio.sleep(0.02)


async def _start_node() -> _Node:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gossipsub.benchmarks.connections",
        "--node",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdout is None:
        raise RuntimeError("the node has no output")
    hello = json.loads(await process.stdout.readline())
    return _Node(process, hello["address"])


# -- the measurement ------------------------------------------------------------------------


async def _measure(flags: argparse.Namespace) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        node = await _start_node()
        stack.push_async_callback(node.stop)
        for _ in range(WARM_UP_CONNECTIONS):
            await _connect(stack, node.address)
        before = await node.wait_for("connections", WARM_UP_CONNECTIONS)
        for _ in range(flags.connections):
            last = await _connect(stack, node.address)
        total = WARM_UP_CONNECTIONS + flags.connections
        await node.wait_for("connections", total)
        await anyio.sleep(2)  # identify and the pubsub streams settle
        idle = await node.read()
        await anyio.sleep(5)
        after_idle = await node.read()
        rate, per_message = await _flood(node, last, flags)
    grown = idle["rss_bytes"] - before["rss_bytes"]
    return {
        "versions": environment("cryptography", "anyio"),
        "connections": flags.connections,
        "memory_per_connection_bytes": grown / flags.connections,
        "setup_cpu_us": (idle["cpu_s"] - before["cpu_s"]) / flags.connections * 1e6,
        "idle_cpu_percent": (after_idle["cpu_s"] - idle["cpu_s"]) / 5 * 100,
        "size": flags.size,
        "messages": flags.messages,
        "cpu_per_message_us": per_message * 1e6,
        "messages_per_second": rate,
        "verify_us": _verify_seconds(flags.size) * 1e6,
    }


async def _connect(stack: AsyncExitStack, address: str) -> Host:
    host = await stack.enter_async_context(Host(listen=[]))
    await host.connect(address)
    return host


async def _flood(node: _Node, host: Host, flags: argparse.Namespace) -> tuple[float, float]:
    """Messages a second, and CPU seconds of the node per message."""
    topic = await host.join(TOPIC)
    await topic.wait_for_peers(1, timeout=10)
    start = await node.read()
    started = time.monotonic()
    received = sent = 0
    while received < flags.messages:
        while sent < flags.messages and sent - received < flags.window:
            await topic.publish(os.urandom(flags.size))
            sent += 1
        reading = await node.wait_for("received", min(received + 1, flags.messages))
        received = reading["received"]
    elapsed = time.monotonic() - started
    end = await node.read()
    return flags.messages / elapsed, (end["cpu_s"] - start["cpu_s"]) / flags.messages


def _verify_seconds(size: int) -> float:
    """The floor: one signature check, in CPU seconds, best of some rounds."""
    key = PrivateKey.generate()
    message = sign_message(
        Message(TOPIC, bytes(size), from_peer=key.peer_id(), seqno=bytes(8)), key
    )
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(200):
            verify_message(message)
        best = min(best, (time.process_time() - start) / 200)
    return best


if __name__ == "__main__":
    sys.exit(main())
