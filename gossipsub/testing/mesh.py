"""Open hosts that are connected in memory, to test an application with.

    async with mesh_of(5, topic="news") as mesh:
        await mesh.topics[0].publish(b"hello")
        message = await anext(mesh.subscriptions[4])

The hosts are the real ones: they sign, encrypt and encode all they say. Best in virtual time
(`gossipsub.testing.virtual_time`), where waiting costs nothing.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, overload

import anyio

from gossipsub.config import HostConfig
from gossipsub.crypto.keys import PrivateKey
from gossipsub.host import Host
from gossipsub.pubsub.subscription import Subscription
from gossipsub.pubsub.topic import Topic
from gossipsub.router.params import GossipParams
from gossipsub.testing.memory import Machine, MemoryNetwork

POLL = 0.01
"""Seconds between two looks at what is waited for."""
CONNECT_TIMEOUT = 30.0
"""Seconds until those that are dialled must have taken the connection."""
ON_THE_LOOP = HostConfig(validation_workers=0)
"""Signatures are verified where the rest happens, in an order that is the same in each run."""


class Mesh(Sequence[Host]):
    """Hosts by their numbers: `mesh[0]`, `for host in mesh`. Made by `mesh_of`."""

    def __init__(
        self, network: MemoryNetwork, hosts: Sequence[Host], machines: Sequence[Machine]
    ) -> None:
        self.network = network
        """Where more hosts can be opened: `Host(network=mesh.network.machine())`."""
        self.topics: tuple[Topic, ...] = ()
        """Of each host the topic that `mesh_of` was given, if any."""
        self.subscriptions: tuple[Subscription, ...] = ()
        """Of each host one to that topic."""
        self._hosts = tuple(hosts)
        self._machines = dict(zip(hosts, machines, strict=True))

    @overload
    def __getitem__(self, index: int) -> Host: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Host, ...]: ...
    def __getitem__(self, index: int | slice) -> Host | tuple[Host, ...]:
        return self._hosts[index]

    def __len__(self) -> int:
        return len(self._hosts)

    def machine_of(self, host: Host) -> Machine:
        """The machine of one of these hosts, for `network.set_path` and `network.cut`."""
        return self._machines[host]

    def partition(self, *groups: Iterable[Host]) -> None:
        """From now on only hosts of one group reach each other, as
        `MemoryNetwork.partition`."""
        machines = [[self.machine_of(host) for host in group] for group in groups]
        self.network.partition(*machines)

    def heal(self) -> None:
        """End the partition: what it held back arrives now."""
        self.network.heal()

    async def wait_until_grafted(self, topic: str, *, timeout: float = 30.0) -> None:
        """Return when all of these hosts that joined the topic know of each other, as far as they
        are connected, and agree on whom they grafted: who is in another's mesh has it in its own.
        Routers graft at once while their mesh is below D_low, so it is up to that then.

        TimeoutError after `timeout` seconds, also where nobody joins. LocalProtocolError where a
        host is closed.
        """
        deadline = anyio.current_time() + timeout
        while not await self._is_grafted(topic):
            if anyio.current_time() >= deadline:
                raise TimeoutError(f"the mesh of {topic} does not stand after {timeout} s")
            await anyio.sleep(POLL)

    async def _is_grafted(self, topic: str) -> bool:
        meshes: dict[bytes, tuple[bytes, ...]] = {}
        for host in self:
            for state in (await host.snapshot(max_peers=0)).topics:
                if state.name == topic and state.mesh is not None:
                    meshes[host.peer_id] = state.mesh
        for host in self:
            if any(info.peer in meshes and topic not in info.topics for info in host.peers()):
                return False  # it has not heard yet that the peer joined
            me = host.peer_id
            if any(peer in meshes and me not in meshes[peer] for peer in meshes.get(me, ())):
                return False
        return bool(meshes)


@asynccontextmanager
async def mesh_of(
    count: int,
    *,
    topic: str | None = None,
    links: int = 6,
    seed: int = 0,
    network: MemoryNetwork | None = None,
    params: GossipParams | None = None,
    config: HostConfig | None = None,
    options: Callable[[int], Mapping[str, Any]] | None = None,
) -> AsyncIterator[Mesh]:
    """Open `count` hosts and connect them; with `topic` all are subscribed and grafted.

    Every host dials up to `links` of those before it, so up to `links` + 1 hosts are connected
    each to each. Their keys and their randomness come from `seed`, as does the network's where
    none is given. `params` and `config` are those of every host (`ON_THE_LOOP` where no config is
    given), `options` gives more arguments of a host by its number:
    `options=lambda number: {"trace": traces[number].append}`.
    """
    if count < 1 or links < 1:
        raise ValueError(f"a mesh has hosts, and they have links: {count}, {links}")
    network = network or MemoryNetwork(seed=seed)
    rng = random.Random(f"{seed} links")
    async with AsyncExitStack() as stack:
        hosts, machines = [], []
        for number in range(count):
            machines.append(network.machine())
            given: dict[str, Any] = {
                "key": _key(seed, number),
                "rng": random.Random(f"{seed} {number}"),
                "network": machines[-1],
                "params": params,
                "config": config or ON_THE_LOOP,
            }
            given |= options(number) if options is not None else {}
            hosts.append(await stack.enter_async_context(Host(**given)))
        mesh = Mesh(network, hosts, machines)
        async with anyio.create_task_group() as dials:
            for number, host in enumerate(hosts):
                dials.start_soon(_connect, host, rng.sample(hosts[:number], min(number, links)))
        if topic is not None:
            mesh.topics = tuple([await host.join(topic) for host in hosts])
            mesh.subscriptions = tuple(
                [await stack.enter_async_context(each.subscribe()) for each in mesh.topics]
            )
            await mesh.wait_until_grafted(topic)
        yield mesh


async def _connect(host: Host, others: Sequence[Host]) -> None:
    """Return when both sides know of each connection. DialError; TimeoutError for one that the
    other side does not keep."""
    for other in others:
        await host.connect(other.addresses[0])
        with anyio.fail_after(CONNECT_TIMEOUT):
            while host.peer_id not in (info.peer for info in other.peers()):
                await anyio.sleep(POLL)


def _key(seed: int, number: int) -> PrivateKey:
    return PrivateKey.from_seed(hashlib.sha256(f"{seed} {number}".encode()).digest())
