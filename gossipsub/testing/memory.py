"""A network in memory: hosts of one process reach each other without sockets.

Every host is given a machine with an IP address of its own, so that whatever looks at addresses
(score parameter P6, limits per address, peer exchange, identify) sees what it would see elsewhere:

    network = MemoryNetwork(Path(latency=0.02))
    async with (
        Host(network=network.machine("alice")) as alice,
        Host(network=network.machine("bob")) as bob,
    ):
        await alice.connect(bob.addresses[0])  # /ip4/10.0.0.2/tcp/1/p2p/…

Streams behave as TCP's: ordered, without loss, with bounded buffers and back-pressure. What a
partition holds back arrives when it has healed. Works in real and in virtual time.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

import anyio
from anyio.abc import ByteStream

from gossipsub.testing.memory_stream import MemoryConnection, MemoryListener, Path
from gossipsub.transport.address import Address
from gossipsub.wake import Wake

__all__ = ["Machine", "MemoryNetwork", "Path"]

FIRST_EPHEMERAL_PORT = 49152


class MemoryNetwork:
    """Machines that reach each other. All its randomness comes from `seed`.

    A connection holds at most `buffer_bytes` of what one side wrote and the other has not read,
    and one write more; whoever writes beyond it waits.
    """

    def __init__(
        self, path: Path | None = None, *, seed: int = 0, buffer_bytes: int = 1 << 18
    ) -> None:
        if buffer_bytes < 1:
            raise ValueError(f"buffer_bytes must be positive: {buffer_bytes}")
        self.machines: list[Machine] = []
        self._seed = seed
        self._buffer_bytes = buffer_bytes
        self._path = path or Path()
        self._paths: dict[frozenset[Machine], Path] = {}
        self._groups: dict[Machine, int] = {}
        self._connections: dict[MemoryConnection, frozenset[Machine]] = {}
        self._made: dict[tuple[str, str, int], int] = {}
        self._dialling: dict[Wake, None] = {}

    def machine(self, name: str | None = None, *, ip: str | None = None) -> Machine:
        """A new machine, for `Host(network=…)`; hosts that share it share its addresses.

        Those are 10.0.0.N and fd00::N, where `ip` does not stand in for the one of its family.
        The name can be dialled: `/dns4/NAME/tcp/…`. ValueError where the name or an address is
        taken.
        """
        number = len(self.machines) + 1
        machine = Machine(self, name or f"machine-{number}", number, ip)
        own = {machine.name, machine.ip4, machine.ip6}
        for other in self.machines:
            if own & {other.name, other.ip4, other.ip6}:
                raise ValueError(f"{machine!r} has a name or address of {other!r}")
        self.machines.append(machine)
        return machine

    # -- what happens to it ----------------------------------------------------------------

    def set_path(self, one: Machine, other: Machine, path: Path) -> None:
        """Connect two machines in their own way, for all that is sent from now on."""
        self._paths[frozenset((one, other))] = path

    def partition(self, *groups: Iterable[Machine]) -> None:
        """From now on only machines of one group reach each other; those in none are one group
        more. Connections stay, and stall. Replaces an earlier partition; ValueError for a machine
        in two groups."""
        members: dict[Machine, int] = {}
        for number, group in enumerate(groups):
            for machine in group:
                if machine in members:
                    raise ValueError(f"in two groups: {machine!r}")
                members[machine] = number
        self._groups = members
        for wake in self._dialling:
            wake.set()
        for connection in self._connections:
            connection.wake()

    def heal(self) -> None:
        """End the partition: what it held back arrives now."""
        self.partition()

    def cut(self, one: Machine, other: Machine | None = None) -> int:
        """Reset the connections between two machines, or all that one has; both ends hear of it
        at once. Returns how many those were. They may connect anew."""
        ends = frozenset({one} if other is None else {one, other})
        broken = [each for each, machines in self._connections.items() if ends <= machines]
        for connection in broken:
            connection.reset()
        return len(broken)

    # -- what machines ask -----------------------------------------------------------------

    def path(self, one: Machine, other: Machine) -> Path:
        """How they are connected now."""
        return self._paths.get(frozenset((one, other)), self._path)

    def is_open(self, one: Machine, other: Machine) -> bool:
        """Whether no partition is between them."""
        return self._groups.get(one) == self._groups.get(other)

    async def wait_until_open(self, one: Machine, other: Machine) -> None:
        """Return while no partition is between them."""
        wake = Wake()
        self._dialling[wake] = None
        try:
            while not self.is_open(one, other):
                await wake.wait()
        finally:
            del self._dialling[wake]

    def find(self, host: str) -> Machine | None:
        """The machine with that name or address."""
        for machine in self.machines:
            if host in (machine.name, machine.ip4, machine.ip6):
                return machine
        return None

    def new_connection(
        self, one: Machine, client: tuple[str, int], other: Machine, server: tuple[str, int]
    ) -> MemoryConnection:
        """A connection under way, of which nobody knows yet."""
        # By what is dialled, not by a common generator: dials at one instant are in no order.
        key = (client[0], *server)
        count = self._made[key] = self._made.get(key, 0) + 1
        connection = MemoryConnection(
            client,
            server,
            path=lambda: self.path(one, other),
            is_open=lambda: self.is_open(one, other),
            ended=lambda ended: self._connections.pop(ended, None),
            rng=random.Random(f"{self._seed} {key} {count}"),
            buffer_bytes=self._buffer_bytes,
        )
        self._connections[connection] = frozenset((one, other))
        return connection


class Machine:
    """What a host needs of the network: `Host(network=machine)`. Made by `MemoryNetwork.machine`.

    It has one interface: loopback and wildcard addresses stand for its own. A host that listens
    on port 0 gets the lowest free one.
    """

    def __init__(self, network: MemoryNetwork, name: str, number: int, ip: str | None) -> None:
        self.network = network
        self.name = name
        self.ip4 = str(IPv4Address("10.0.0.0") + number)
        self.ip6 = str(IPv6Address("fd00::") + number)
        if ip is not None:
            own = ip_address(ip)
            if own.version == 4:
                self.ip4 = str(own)
            else:
                self.ip6 = str(own)
        self._listeners: dict[tuple[str, int], MemoryListener] = {}
        self._last_ephemeral_port = FIRST_EPHEMERAL_PORT - 1

    def __repr__(self) -> str:
        return f"<Machine {self.name} {self.ip4}>"

    async def listen(self, address: Address) -> Sequence[MemoryListener]:
        """OSError where another listener has the port, or the address is not this machine's."""
        ip = self._own_ip(address)
        if not self._is_own(address):
            raise _os_error(errno.EADDRNOTAVAIL)
        port = address.port or next(n for n in range(1, 65536) if (ip, n) not in self._listeners)
        if (ip, port) in self._listeners:
            raise _os_error(errno.EADDRINUSE)
        protocol = "ip6" if ip == self.ip6 else "ip4"
        listener = MemoryListener(Address(protocol, ip, port), self._stopped_listening)
        self._listeners[ip, port] = listener
        return [listener]

    async def connect(self, address: Address) -> ByteStream:
        """OSError where there is no such machine, or nobody listens. In a partition this waits,
        as it would for lost packets, until it has healed or the caller gives up."""
        network = self.network
        other = self if self._is_own(address) else network.find(address.host)
        if other is None:
            raise _os_error(errno.EHOSTUNREACH)
        self._last_ephemeral_port += 1
        client = (self._own_ip(address), self._last_ephemeral_port)
        server = (other._own_ip(address), address.port)
        connection = network.new_connection(self, client, other, server)
        try:
            await anyio.sleep(connection.delay())
            await network.wait_until_open(self, other)
            listener = other._listeners.get(server)
            if listener is None or not listener.offer(connection.server):
                raise _os_error(errno.ECONNREFUSED)
            await anyio.sleep(connection.delay())
            await network.wait_until_open(self, other)
        except BaseException:
            connection.reset()
            raise
        return connection.client

    def _own_ip(self, like: Address) -> str:
        return self.ip6 if like.protocol in ("ip6", "dns6") else self.ip4

    def _is_own(self, address: Address) -> bool:
        host = address.host
        is_loopback = host in ("::1", "localhost") or host.startswith("127.")
        own = (self.name, self.ip4, self.ip6)
        return address.is_wildcard() or is_loopback or host in own

    def _stopped_listening(self, address: Address) -> None:
        self._listeners.pop((address.host, address.port), None)


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
