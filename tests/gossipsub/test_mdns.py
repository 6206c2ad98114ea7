"""What is told to the local network, and what of it is believed."""

from __future__ import annotations

import logging
import socket
import threading
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub import Host, LocalProtocolError
from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.transport import mdns
from gossipsub.transport.address import Address
from gossipsub.transport.mdns import (
    MOST_ADVERTISED,
    MOST_READ,
    SERVICE,
    LocalDiscovery,
    addresses_in,
    advertised,
    is_local,
    own_service,
)

ME, OTHER = key_of_seed(1).peer_id(), key_of_seed(2).peer_id()
INTERFACES = ["127.0.0.1", "192.168.1.5", "10.0.0.9", "::1", "fd00::5", "fe80::1%eth0"]


def text_of(*strings: str | bytes) -> bytes:
    encoded = [each if isinstance(each, bytes) else each.encode() for each in strings]
    return b"".join(bytes([len(each)]) + each for each in encoded)


@pytest.mark.parametrize(
    ("listening", "told"),
    [
        (["/ip4/0.0.0.0/tcp/1"], ["/ip4/192.168.1.5/tcp/1", "/ip4/10.0.0.9/tcp/1"]),
        (["/ip6/::/tcp/1"], ["/ip6/fd00::5/tcp/1"]),
        (["/ip4/10.0.0.9/tcp/1", "/ip4/127.0.0.1/tcp/2"], ["/ip4/10.0.0.9/tcp/1"]),
        (["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/2"], ["/ip4/127.0.0.1/tcp/1", "/ip6/::1/tcp/2"]),
        (["/ip4/169.254.1.1/tcp/1"], ["/ip4/169.254.1.1/tcp/1"]),
        (["/dns4/x.y/tcp/1", "/ip6zone/eth0/ip6/fe80::1/tcp/1", "/ip6/fe80::1/tcp/1"], []),
        ([], []),
    ],
)
def test_what_is_told_is_where_others_nearby_can_dial(listening, told):
    addresses = [Address.parse(text) for text in listening]
    assert [str(each) for each in advertised(addresses, INTERFACES)] == told


def test_no_more_is_told_than_a_packet_holds():
    addresses = [Address("ip4", "10.0.0.1", port) for port in range(1, 100)]
    assert advertised(addresses, INTERFACES) == addresses[:MOST_ADVERTISED]
    service = own_service(f"name.{SERVICE}", [each.with_peer(ME) for each in addresses[:8]])
    assert len(service.text) < 1000


def test_a_service_says_each_address_in_a_string_of_its_own():
    addresses = [Address("ip4", "10.0.0.1", 1, ME), Address("ip6", "fd00::1", 2, ME)]
    service = own_service(f"name.{SERVICE}", addresses)
    assert service.text == text_of(*(f"dnsaddr={each}" for each in addresses))
    assert addresses_in(service.text) == addresses
    assert (service.name, service.server) == (f"name.{SERVICE}", "name.local.")
    assert service.parsed_addresses() == ["10.0.0.1", "fd00::1"]  # without these go hears nothing
    assert own_service(f"name.{SERVICE}", []) is None


def test_what_is_no_address_is_left_out():
    good = f"/ip4/10.0.0.1/tcp/1/p2p/{OTHER}"
    text = text_of(
        "", "dnsaddr=", "dnsaddr=nonsense", "other=/ip4/1.2.3.4/tcp/1", b"dnsaddr=\xff\xfe",
        "dnsaddr=/ip4/1.2.3.4/udp/1/quic-v1", f"dnsaddr={good}", "dnsaddr=/dnsaddr/\n/tcp/1",
    )  # fmt: skip
    assert [str(each) for each in addresses_in(text)] == [good]
    many = text_of(*["x"] * (MOST_READ - 1), f"dnsaddr={good}", f"dnsaddr={good}")
    assert len(addresses_in(many)) == 1


@given(st.binary(max_size=300))
def test_any_data_is_read_to_its_end(data):
    assert addresses_in(data) == []


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("/ip4/192.168.1.1/tcp/1", True),
        ("/ip4/127.0.0.1/tcp/1", True),
        ("/ip6/fd00::1/tcp/1", True),
        ("/ip4/169.254.7.7/tcp/1", True),
        ("/ip4/169.254.7.7/tcp/0", False),
        ("/ip4/8.8.8.8/tcp/1", False),
        ("/ip6/2606:4700::1/tcp/1", False),
        ("/ip6/fe80::1/tcp/1", False),
        ("/ip6zone/eth0/ip6/fe80::1/tcp/1", False),
        ("/ip6zone/eth0/ip6/fd00::1/tcp/1", False),
        ("/ip4/0.0.0.0/tcp/1", False),
        ("/ip4/224.0.0.1/tcp/1", False),
        ("/dns4/printer.local/tcp/1", False),
        ("/dnsaddr/x.y", False),
    ],
)
def test_only_addresses_nearby_are_dialled(text, local, monkeypatch):
    monkeypatch.setattr(mdns, "interface_ips", lambda: ["127.0.0.1", "169.254.1.1", "fe80::1"])
    assert is_local(Address.parse(text)) is local


def test_a_link_local_address_is_nearby_only_where_this_machine_has_one(monkeypatch):
    monkeypatch.setattr(mdns, "interface_ips", lambda: ["127.0.0.1", "10.0.0.1", "fe80::1"])
    assert not is_local(Address.parse("/ip4/169.254.169.254/tcp/80"))


def test_without_zeroconf_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LocalProtocolError, match=r"zeroconf: pip install gossipsub\[discovery\]$"):
        Host(mdns=True)
    Host(mdns=False)


@pytest.mark.parametrize("given", ["eth0", ["::1"], [5.5], "192.168.1", [], None])
def test_interfaces_are_named_by_their_addresses(given):
    with pytest.raises(LocalProtocolError, match=r"^mdns is True or IPv4 addresses"):
        Host(mdns=given)


# On the loopback interface, where tests of others may run at the same time


def loopback_hears_multicast() -> bool:
    group = "224.0.0.251"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        try:
            listening.bind(("", 0))
            member = socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
            listening.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
            loopback = socket.inet_aton("127.0.0.1")
            listening.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, loopback)
            listening.settimeout(1)
            listening.sendto(b"?", (group, listening.getsockname()[1]))
            return listening.recv(1) == b"?"
        except OSError:
            return False


needs_multicast = pytest.mark.skipif(
    not loopback_hears_multicast(), reason="no multicast on the loopback interface here"
)


class FakeDialing:
    def __init__(self) -> None:
        self.found: list[Address] = []

    def connect_found(self, address: Address) -> None:
        self.found.append(address)

    def of(self, peer) -> list[Address]:
        return [each for each in self.found if each.peer == peer]


@asynccontextmanager
async def discovery(dialing: FakeDialing, *, interval: float = 3600.0):
    listening = [Address("ip4", "127.0.0.1", 4001)]
    nearby = LocalDiscovery(
        dialing, me=ME, listening=listening, interfaces=["127.0.0.1"], interval=interval
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(nearby.run)
        yield
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def others(*services):
    """Services of strangers, by name and TXT data."""
    from zeroconf import ServiceInfo, Zeroconf

    network = await anyio.to_thread.run_sync(Zeroconf, ["127.0.0.1"])
    try:
        async with anyio.create_task_group() as tasks:
            for name, text in services:
                service = ServiceInfo(
                    SERVICE,
                    f"{name}.{SERVICE}",
                    port=1,
                    properties=text,
                    server=f"{name}.local.",
                    addresses=[socket.inet_aton("127.0.0.1")],
                )
                tasks.start_soon(anyio.to_thread.run_sync, network.register_service, service)
        yield network
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(network.close)


async def until(condition):
    with anyio.fail_after(30):
        while not condition():
            await anyio.sleep(0.01)


@pytest.mark.anyio
@needs_multicast
async def test_strangers_lead_this_host_to_others_nearby_alone_again_until_they_leave(caplog):
    good = Address("ip4", "127.0.0.1", 9, OTHER)
    text = text_of(
        "dnsaddr=",
        f"dnsaddr=/ip4/8.8.8.8/tcp/1/p2p/{OTHER}",
        f"dnsaddr={good}",
        f"dnsaddr=/ip4/127.0.0.1/tcp/1/p2p/{ME}",
        "dnsaddr=/ip4/127.0.0.1/tcp/1",
        f"dnsaddr=/dns4/router.local/tcp/80/p2p/{OTHER}",
    )
    dialing = FakeDialing()

    async def is_quiet() -> bool:
        dialled = len(dialing.of(OTHER))
        await anyio.sleep(0.3)
        return len(dialing.of(OTHER)) == dialled

    async with discovery(dialing, interval=0.02):
        async with others(("odd", b"\xff"), ("other", text)):
            await until(lambda: len(dialing.of(OTHER)) > 5)
        with anyio.fail_after(30):
            while not await is_quiet():
                pass
    assert set(dialing.of(OTHER)) == {good}
    assert dialing.of(ME) == []
    assert [each for each in caplog.records if each.levelno > logging.INFO] == []


@pytest.mark.anyio
@needs_multicast
async def test_no_thread_is_left_when_a_host_closes():
    before = set(threading.enumerate())
    async with Host(mdns="127.0.0.1"):
        await until(lambda: any("zeroconf" in each.name for each in threading.enumerate()))
    left = [each.name for each in set(threading.enumerate()) - before]
    assert [name for name in left if "zeroconf" in name] == []


@pytest.mark.anyio
@needs_multicast
async def test_two_hosts_that_know_nobody_find_each_other():
    async with Host(mdns=["127.0.0.1"]) as one, Host(mdns="127.0.0.1") as other:
        await until(
            lambda: (
                other.peer_id in {info.peer for info in one.peers()}
                and one.peer_id in {info.peer for info in other.peers()}
            )
        )


@pytest.mark.anyio
async def test_without_a_network_it_is_said_once_and_tried_again(caplog, monkeypatch):
    monkeypatch.setattr(mdns, "RETRY_INTERVAL", 0.01)
    attempts = []

    def fail(interfaces):
        attempts.append(interfaces)
        raise OSError(19, "No such device")

    monkeypatch.setattr("zeroconf.Zeroconf", fail)
    async with discovery(FakeDialing()):
        await until(lambda: len(attempts) >= 3)
    (record,) = caplog.records
    assert record.getMessage() == "no local discovery error=OSError(19, 'No such device')"
