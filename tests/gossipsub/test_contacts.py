"""Where hosts listen, what they tell of it, and how they find peers again."""

from __future__ import annotations

import json
import socket
from ipaddress import IPv6Address
from pathlib import Path

import anyio
import pytest

from gossipsub import AddressError, DialError, GossipParams, Host, HostConfig, LocalProtocolError
from gossipsub.conformance.scripted_peer import dial
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.transport.address import Address

pytestmark = pytest.mark.anyio

QUICK = HostConfig(reconnect_delay=0.02, reconnect_delay_limit=0.2)


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")


async def until(condition):
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.002)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


# Listening


@needs_ipv6
@pytest.mark.parametrize("hosts", [("0.0.0.0", "::"), ("127.0.0.1", "::1")])
async def test_both_families_listen_at_once_also_on_one_port(hosts):
    for port in (0, unused_port()):
        listen = [f"/ip4/{hosts[0]}/tcp/{port}", f"/ip6/{hosts[1]}/tcp/{port}"]
        async with Host(listen=listen) as host:
            assert len(host.addresses) == 2
            for address in host.addresses:
                async with Host(listen=[]) as friend:
                    assert await friend.connect(address) == host.peer_id


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_a_machine_without_a_network_listens_all_the_same(host, monkeypatch):
    real = anyio.getaddrinfo

    async def offline(host, port, *, family=0, flags=0, **kind):
        if family and flags & socket.AI_ADDRCONFIG:  # so does the C library of Linux
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return await real(host, port, family=family, flags=flags, **kind)

    monkeypatch.setattr("anyio._core._sockets.getaddrinfo", offline)
    async with Host(listen=f"/ip4/{host}/tcp/0") as listening:
        assert len(listening.addresses) == 1


def own_link_local() -> str | None:
    """A link-local address of this machine, to reach itself by; Linux lists them."""
    listed = Path("/proc/net/if_inet6")
    for line in listed.read_text().splitlines() if listed.exists() else []:
        packed, _, _, _, _, interface = line.split()
        address = IPv6Address(bytes.fromhex(packed))
        if address.is_link_local:
            return f"/ip6zone/{interface}/ip6/{address}"
    return None


@pytest.mark.skipif(own_link_local() is None, reason="no link-local address here")
async def test_an_address_behind_an_interface_is_listened_on_and_dialled():
    here = own_link_local()
    async with Host(listen=f"{here}/tcp/0") as host, Host(listen=[]) as friend:
        (address,) = host.addresses
        assert address.startswith(f"{here}/tcp/")
        assert await friend.connect(address) == host.peer_id
        assert [info.address for info in friend.peers()] == [address.partition("/p2p/")[0]]
        with pytest.raises(DialError, match="/ip6zone/nowhere/"):
            await friend.connect("/ip6zone/nowhere/ip6/fe80::1/tcp/1")


async def told_by(host: Host) -> tuple[list[str], list[str]]:
    """The addresses identify lists, and those of the signed record."""
    async with dial(host.addresses[0]) as w:
        said = await w.ask_identify()
        record = PeerRecord.open(said.signed_peer_record)
    return tuple(
        [str(Address.decode(each)) for each in listed]
        for listed in (said.listen_addresses, record.addresses)
    )


async def test_what_is_announced_is_told_instead_of_where_the_host_listens():
    announced = ["/ip4/9.9.9.9/tcp/4001", "/dns4/node.example/tcp/4001"]
    async with Host(announce=announced) as host:
        assert await told_by(host) == (announced, announced)
        assert host.addresses[0].startswith("/ip4/127.0.0.1/tcp/")


async def test_an_announced_address_is_the_hosts_own():
    other = PrivateKey.from_node_number(5).peer_id()
    with pytest.raises(AddressError, match="the address of another peer, this one is"):
        Host(announce=f"/ip4/9.9.9.9/tcp/1/p2p/{other}")
    with pytest.raises(AddressError, match="an address to announce has a port"):
        Host(announce="/ip4/9.9.9.9/tcp/0")


async def test_a_discovery_is_told_what_is_announced():
    class Board:
        told = None

        async def advertise(self, topic, addresses):
            self.told = addresses

        async def find_peers(self, topic):
            return []

    board = Board()
    async with Host(announce="/ip4/9.9.9.9/tcp/4001", discovery=board) as host:
        async with (await host.join("t")).subscribe():
            await until(lambda: board.told is not None)
        assert board.told == (f"/ip4/9.9.9.9/tcp/4001/p2p/{host.peer_id}",)


# Dialling


async def test_of_several_addresses_one_that_answers_is_enough():
    nobody = f"/ip4/127.0.0.1/tcp/{unused_port()}"
    async with Host() as friend, Host(listen=[]) as host:
        addresses = [f"{nobody}/p2p/{friend.peer_id}", *friend.addresses]
        assert await host.connect(addresses) == friend.peer_id
        assert await host.connect(addresses) == friend.peer_id


async def test_a_peer_that_was_met_is_dialled_by_its_id_alone():
    async with Host() as friend, Host() as host:
        with pytest.raises(DialError, match=f"^no address of {friend.peer_id} is known$"):
            await host.connect(friend.peer_id)
        await host.connect(friend.addresses[0])
        assert host.addresses_of(friend.peer_id) == friend.addresses
        await host.disconnect(friend.peer_id)
        assert await host.connect(friend.peer_id) == friend.peer_id
        # The one that was dialled knows the other by what it said of itself.
        await until(lambda: friend.addresses_of(host.peer_id) == host.addresses)
        await friend.disconnect(host.peer_id)
        await until(lambda: host.peers() == ())
        assert await friend.connect(str(host.peer_id)) == host.peer_id


async def test_the_application_may_say_where_peers_are():
    async with Host() as friend, Host(listen=[]) as host:
        host.add_addresses(friend.addresses)
        assert host.addresses_of(str(friend.peer_id)) == friend.addresses
        assert await host.connect(f"/p2p/{friend.peer_id}") == friend.peer_id
        with pytest.raises(AddressError, match=r"a peer's address ends in /p2p/PEER"):
            host.add_addresses("/ip4/127.0.0.1/tcp/1")


class Names:
    def __init__(self) -> None:
        self.addresses = ()

    async def text_records(self, name):
        assert name == "_dnsaddr.boot.example"
        if not self.addresses:
            raise OSError("no such name")
        return [f"dnsaddr={address}" for address in self.addresses]


async def test_a_name_leads_to_a_peer():
    names = Names()
    async with Host() as friend, Host(listen=[], resolver=names) as host:
        with pytest.raises(DialError, match=r"^/dnsaddr/boot\.example: no such name$"):
            await host.connect("/dnsaddr/boot.example")
        names.addresses = ("/ip4/127.0.0.1/udp/1/quic-v1", *friend.addresses)
        assert await host.connect(f"/dnsaddr/boot.example/p2p/{friend.peer_id}") == friend.peer_id


async def test_a_bootstrap_name_may_come_late_and_lead_to_several_peers():
    names = Names()
    async with (
        Host() as one,
        Host() as other,
        Host(bootstrap="/dnsaddr/boot.example", resolver=names, config=QUICK) as host,
    ):
        names.addresses = (*one.addresses, *other.addresses)
        await until(lambda: {info.peer for info in host.peers()} == {one.peer_id, other.peer_id})


# From one day to another


async def test_a_host_that_starts_again_finds_its_network(tmp_path):
    path = tmp_path / "peers.json"
    async with Host() as friend:
        async with Host(peerstore=path) as host:
            await host.connect(friend.addresses[0])
            await until(lambda: friend.peers() != ())
        await until(lambda: friend.peers() == ())
        async with Host(listen=[], peerstore=str(path)) as host:
            assert host.addresses_of(friend.peer_id) == friend.addresses
            await until(lambda: [info.peer for info in host.peers()] == [friend.peer_id])
    assert json.loads(path.read_text())["peers"][0]["peer"] == str(friend.peer_id)


async def test_a_bootstrap_peer_that_moved_is_found_where_the_file_says(tmp_path):
    path = tmp_path / "peers.json"
    key = PrivateKey.generate()
    async with Host(listen=[], peerstore=path) as host, Host(key=key) as friend:
        await host.connect(friend.addresses[0])
        moved = friend.addresses[0].partition("/p2p/")[0]
    nowhere = f"/ip4/127.0.0.1/tcp/{unused_port()}/p2p/{key.peer_id()}"
    async with (
        Host(listen=[], bootstrap=nowhere, peerstore=path, config=QUICK) as host,
        Host(key=key, listen=moved),
    ):
        await until(lambda: [info.peer for info in host.peers()] == [key.peer_id()])


async def test_a_file_that_is_no_peerstore_keeps_a_host_from_opening_and_stays(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("remember the milk")
    with pytest.raises(LocalProtocolError, match=r"notes\.txt is no peerstore"):
        async with Host(peerstore=path):
            pytest.fail("opened")
    assert path.read_text() == "remember the milk"


# Peer exchange


@pytest.mark.rule("PX-11")
async def test_three_that_know_only_a_fourth_find_each_other_by_peer_exchange():
    quick = GossipParams(heartbeat_interval=0.1, heartbeat_initial_delay=0.05)
    no_mesh = GossipParams(
        mesh=type(quick.mesh)(d=0, d_low=0, d_high=0, d_out=0, d_score=0),
        peer_exchange=True,
        heartbeat_interval=0.1,
        heartbeat_initial_delay=0.05,
    )
    async with (
        Host(params=no_mesh) as centre,
        Host(params=quick, bootstrap=centre.addresses) as one,
        Host(params=quick, bootstrap=centre.addresses) as two,
        Host(params=quick, bootstrap=centre.addresses) as three,
    ):
        hub = await centre.join("t")
        leaves = [await host.join("t") for host in (one, two, three)]
        async with (
            hub.subscribe(),
            leaves[0].subscribe(),
            leaves[1].subscribe(),
            leaves[2].subscribe(),
        ):
            everybody = {host.peer_id for host in (one, two, three)}
            for host, topic in zip((one, two, three), leaves, strict=True):
                others = everybody - {host.peer_id}
                await until(lambda topic=topic, others=others: set(topic.mesh()) == others)
