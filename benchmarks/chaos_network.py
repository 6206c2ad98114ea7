"""The network that chaos is let loose on: test peers that are killed, stopped and started again.

Each node has a port of its own and keeps it. A few are bootstraps: they keep their keys as well,
and everybody dials them, again and again when they are lost, as `Host(bootstrap=...)` does; a go
node has no such means, and is told to by us, as an application's own loop would. Beyond that nodes
find each other by peer exchange.
"""

from __future__ import annotations

import math
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from random import Random

import anyio

from gossipsub import PrivateKey
from gossipsub.benchmarks.chaos_ledger import Ledger, Life
from gossipsub.conformance.driver import PeerError, PeerFailed, PeerProcess, start_peer

TOPIC = "chaos"
D_LOW = 3
PARAMS = {"D": 4, "Dlo": D_LOW, "Dhi": 6, "Dscore": 2, "Dout": 1, "doPX": True}
"""A mesh that is smaller than the network, so that bootstraps prune and name others."""
SCORE = {"thresholds": {"gossip": -10, "publish": -50, "graylist": -80, "acceptPX": 0}}
PORTS = range(20_000, 32_000)
"""Below those the system hands out, or a node that is down might find its port taken."""
START_SECONDS = 60.0
REDIAL_SECONDS = 1.0
RESTART_PAUSE = 1.0


class Node:
    """One place in the network, and the process that fills it, while there is one.

    `run` starts processes; all others only send them signals.
    """

    def __init__(self, number: int, target: str, key: int, *, port: int, ledger: Ledger) -> None:
        self.number = number
        self.target = target
        self.key = key
        self.bootstrap: Sequence[str] = ()
        self.peer: PeerProcess | None = None
        """None while it is down or starting."""
        self.life: Life | None = None
        self.is_stopped = False
        self.unexpected_ends: list[str] = []
        """Why processes ended that nobody had killed."""
        self._listen = f"/ip4/127.0.0.1/tcp/{port}"
        self._ledger = ledger
        self._is_killed = False
        self._start = anyio.Event()
        self._start.set()

    @property
    def address(self) -> str:
        return f"{self._listen}/p2p/{self.peer_id}"

    @property
    def peer_id(self) -> str:
        return str(PrivateKey.from_node_number(self.key).peer_id())

    @property
    def is_up(self) -> bool:
        return self.peer is not None and not self._is_killed

    @property
    def is_starting(self) -> bool:
        return self._start.is_set() and (self.peer is None or self._is_killed)

    def kill(self) -> None:
        """SIGKILL; it stays down until `restart`."""
        if self.peer is not None:
            self._is_killed = True
            self._start = anyio.Event()
            if self.life is not None:
                self.life.ended = anyio.current_time()
            self.peer.send_signal(signal.SIGKILL)

    def restart(self, key: int | None = None) -> None:
        """Have it come up again, with another key if one is given."""
        self.key = self.key if key is None else key
        self._start.set()

    def stop(self) -> None:
        """SIGSTOP: the process stands still, its sockets stay open."""
        if self.peer is not None:
            self.is_stopped = True
            self.peer.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.is_stopped = False
        if self.peer is not None:
            self.peer.send_signal(signal.SIGCONT)

    async def run(self) -> None:
        """Keep a process up until cancelled, but where it was killed."""
        while True:
            await self._start.wait()
            self._is_killed = self.is_stopped = False
            try:
                await self._live()
            except (PeerFailed, PeerError) as error:
                if not self._is_killed:
                    self.unexpected_ends.append(str(error))
                    await anyio.sleep(RESTART_PAUSE)

    async def _live(self) -> None:
        arguments = [each for address in self.bootstrap for each in ("--bootstrap", address)]
        async with start_peer(
            self.target,
            listen=self._listen,
            seed=self.key,
            params=PARAMS,
            score=SCORE,
            arguments=arguments if self.target == "python" else (),
            start_timeout=START_SECONDS,
        ) as peer:
            try:
                await peer.command("subscribe", topic=TOPIC)
                self.peer = peer
                self.life = self._ledger.begin(self.number, anyio.current_time())
                async with anyio.create_task_group() as tasks:
                    if self.target != "python":
                        tasks.start_soon(self._keep_connected, peer)
                    failure = await self._read(peer, self.life)
                    tasks.cancel_scope.cancel()
                raise failure
            finally:
                self.resume()  # a process that stands still would not end when asked to
                self.peer = None
                if self.life is not None:
                    self.life.ended = min(self.life.ended, anyio.current_time())

    async def _read(self, peer: PeerProcess, life: Life) -> PeerFailed:
        """Note what arrives, until the process ends."""
        while True:
            try:
                event = await peer.wait_event("message", timeout=math.inf)
            except PeerFailed as failure:
                return failure
            if event["from"] != peer.peer_id:
                self._ledger.arrive(life, int(event["data"]), anyio.current_time())

    async def _keep_connected(self, peer: PeerProcess) -> None:
        while True:
            with suppress(PeerFailed, PeerError):
                known = {each["peer"] for each in (await peer.command("peers"))["peers"]}
                for address in self.bootstrap:
                    if address.rpartition("/")[2] not in known:
                        with suppress(PeerError):
                            await peer.command("connect", addr=address, timeout=20.0)
            await anyio.sleep(REDIAL_SECONDS)


def plan_network(
    count: int, go: int, bootstraps: int, *, rng: Random, ledger: Ledger, first_key: int
) -> list[Node]:
    """The nodes, none started; the first `bootstraps` are what their name says, and one of them is
    a go node, if there are any."""
    targets = ["go" if count - number <= go - 1 else "python" for number in range(count)]
    if go:
        targets[bootstraps - 1] = "go"
    nodes = [
        Node(number, target, first_key + number, port=free_port(rng), ledger=ledger)
        for number, target in enumerate(targets)
    ]
    known = [node.address for node in nodes[:bootstraps]]
    for node in nodes:
        node.bootstrap = [address for address in known if address != node.address]
    return nodes


def free_port(rng: Random) -> int:
    """A port of the loopback interface that nobody listens on now."""
    while True:
        port = rng.choice(PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
