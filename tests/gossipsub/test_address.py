from __future__ import annotations

import socket
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address, AddressError
from gossipsub.wire.errors import RemoteProtocolError

PEER = PrivateKey.from_seed(bytes(31) + b"\x01").peer_id()
SHA2_PEER = PeerId.parse("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")

# Written by hand from the table of multiaddr codes: ip4 4, tcp 6, dns 53, dns4 54, dns6 55,
# dnsaddr 56, ip6 41, p2p 421 (two bytes).
VECTORS = {
    "/ip4/127.0.0.1/tcp/4001": bytes.fromhex("047f000001060fa1"),
    "/ip6/::1/tcp/80": b"\x29" + bytes(15) + b"\x01\x06\x00\x50",
    "/dns/a.bc/tcp/1": b"\x35\x04a.bc\x06\x00\x01",
    "/dns4/a.bc/tcp/1": b"\x36\x04a.bc\x06\x00\x01",
    "/dns6/a.bc/tcp/65535": b"\x37\x04a.bc\x06\xff\xff",
    f"/ip4/1.2.3.4/tcp/0/p2p/{PEER}": b"\x04\x01\x02\x03\x04\x06\x00\x00\xa5\x03\x26" + PEER,
    "/dnsaddr/a.bc": b"\x38\x04a.bc",
    "/dnsaddr/a.bc/tcp/1": b"\x38\x04a.bc\x06\x00\x01",
    f"/dnsaddr/a.bc/p2p/{SHA2_PEER}": b"\x38\x04a.bc\xa5\x03\x22" + SHA2_PEER,
    f"/dns/x/tcp/9/p2p/{SHA2_PEER}": b"\x35\x01x\x06\x00\x09\xa5\x03\x22" + SHA2_PEER,
}


@pytest.mark.parametrize(("text", "encoded"), VECTORS.items())
def test_text_and_bytes_say_the_same(text, encoded):
    address = Address.parse(text)
    assert address.encode() == encoded
    assert Address.decode(encoded) == address
    assert str(address) == text


def test_the_parts_of_an_address():
    assert Address.parse(f"/dns4/example.org/tcp/4001/p2p/{PEER}") == Address(
        "dns4", "example.org", 4001, PEER
    )
    assert Address.parse("/ip4/1.2.3.4/tcp/5").peer is None


def test_the_old_name_of_p2p_is_read_and_a_host_of_that_name_left_alone():
    old = Address.parse(f"/ip4/1.2.3.4/tcp/5/ipfs/{PEER}")
    assert str(old) == f"/ip4/1.2.3.4/tcp/5/p2p/{PEER}"
    assert Address.parse("/dns4/ipfs/tcp/5").host == "ipfs"
    assert str(Address.parse(f"/dns/ipfs/tcp/5/ipfs/{PEER}")) == f"/dns/ipfs/tcp/5/p2p/{PEER}"


def test_a_peer_may_be_written_as_a_cid():
    address = Address.parse(f"/ip4/1.2.3.4/tcp/5/p2p/{PEER.to_cid()}")
    assert (address.peer, str(address)) == (PEER, f"/ip4/1.2.3.4/tcp/5/p2p/{PEER}")


def test_a_zone_is_for_this_machine_alone():
    text = f"/ip6zone/eth0/ip6/fe80::1/tcp/4/p2p/{PEER}"
    address = Address.parse(text)
    assert address == Address("ip6", "fe80::1", 4, PEER, zone="eth0")
    assert str(address) == text
    assert address.socket_host == "fe80::1%eth0"
    assert Address.decode(address.encode()) == Address("ip6", "fe80::1", 4, PEER)
    assert Address.parse("/ip6/fe80::1/tcp/4").socket_host == "fe80::1"


WRONG = {
    "": "an address is a text that begins with '/': ''",
    "127.0.0.1:4001": "an address is a text that begins with '/': '127.0.0.1:4001'",
    b"/ip4/1.2.3.4/tcp/5": "an address is a text that begins with '/'",
    None: "an address is a text that begins with '/': None",
    "/": "'/'",
    "/ip4": "not a multiaddr: '/ip4'",
    "/ip4/1.2.3/tcp/5": "not a multiaddr",
    "/ip4/1.2.3.4": "need /ip4|ip6|dns…/HOST/tcp/PORT",
    "/ip4/1.2.3.4/udp/5": "only TCP is spoken here, not /udp: '/ip4/1.2.3.4/udp/5'",
    "/ip4/1.2.3.4/udp/5/quic-v1": "only TCP is spoken here, not /udp/quic-v1",
    "/ip4/1.2.3.4/foo/5": "not a multiaddr: '/ip4/1.2.3.4/foo/5'",
    "ip4/1.2.3.4/tcp/5": "an address is a text that begins with '/'",
    "/unix/tmp/x": "only TCP is spoken here, not /unix",
    "/memory/5": "only TCP is spoken here, not /memory",
    "/tcp/5": "need /ip4|ip6|dns…/HOST/tcp/PORT",
    "/ip4/1.2.3.4/tcp/65536": "not a multiaddr",
    "/ip4/1.2.3.4/tcp/x": "not a multiaddr",
    "/ip4/1.2.3.4/tcp/5/ws": "only TCP is spoken here, not /ws",
    "/dns4/x.y/tcp/5/tls/ws": "only TCP is spoken here, not /tls/ws",
    "/ip4/1.2.3.4/tcp/5/tcp/6": "need /ip4|ip6|dns…/HOST/tcp/PORT",
    "/ip6zone/eth0/ip4/1.2.3.4/tcp/4": "only /ip6 can follow /ip6zone/eth0",
    "/ip6zone/eth0": "only /ip6 can follow /ip6zone/eth0",
    "/ip6zone//ip6/fe80::1/tcp/4": "not the name of an interface: ''",
    "/ip6zone/a%b/ip6/fe80::1/tcp/4": "not the name of an interface: 'a%b'",
    "/ip6zone/a\nb/ip6/fe80::1/tcp/4": "not the name of an interface: 'a\\nb'",
    "/ip6/fe80::1%eth0/tcp/4": "not a multiaddr",
    "/dnsaddr/x.y/tcp/0": "a /dnsaddr leads to no port 0",
    "/dnsaddr/x.y/ip4/1.2.3.4/tcp/5": "need /ip4|ip6|dns…/HOST/tcp/PORT",
    "/dns4/a b/tcp/1": "not a multiaddr",
    "/dns4/a\nb/tcp/1": "not a multiaddr",
    f"/dns4/{'a' * 300}/tcp/1": "not a multiaddr",
    "/ip4/1.2.3.4/tcp/5/p2p/nobody": "nobody",
    f"/p2p/{PEER}": "need /ip4|ip6|dns…/HOST/tcp/PORT",
    f"/ip4/1.2.3.4/tcp/5/p2p/{PEER}/p2p-circuit": "only TCP is spoken here, not /p2p-circuit",
    "/dns4/\ud800/tcp/5": "not a multiaddr",
}


@pytest.mark.parametrize(("text", "reason"), WRONG.items(), ids=lambda value: repr(value)[:40])
def test_a_wrong_address_is_refused_with_its_text_and_the_reason(text, reason):
    with pytest.raises(AddressError) as refused:
        Address.parse(text)
    assert reason in str(refused.value)


DAMAGED = {
    "empty": b"",
    "ip4_cut_short": b"\x04\x7f",
    "ip4_of_one_byte_before_tcp": b"\x04\x7f\x06\x0f\xa1",
    "port_cut_short": b"\x04\x7f\x00\x00\x01\x06\x0f",
    "bytes_behind": b"\x04\x7f\x00\x00\x01\x06\x0f\xa1\x00",
    "unknown_code": b"\xff\xff\x03",
    "code_not_minimal": b"\x84\x00\x7f\x00\x00\x01\x06\x0f\xa1",
    "a_zone_of_another_machine": b"\x2a\x04eth0\x29\xfe\x80" + bytes(13) + b"\x01\x06\x00\x04",
    "no_tcp": b"\x04\x7f\x00\x00\x01\x91\x02\x0f\xa1",
    "host_with_slashes": b"\x36\x05a/b/c\x06\x00\x01",
    "host_not_utf8": b"\x36\x03\xff\xfe\xfd\x06\x00\x01",
    "host_longer_than_all": b"\x36\x7fa",
    "peer_of_no_key": b"\x04\x7f\x00\x00\x01\x06\x0f\xa1\xa5\x03\x02\x00\x00",
    "peer_cut_short": b"\x04\x7f\x00\x00\x01\x06\x0f\xa1\xa5\x03\x22" + SHA2_PEER[:20],
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_damaged_bytes_are_the_peers_fault(data):
    with pytest.raises(RemoteProtocolError):
        Address.decode(data)


VALID = list(VECTORS.values())
MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["change", "cut", "insert", "append"]),
        st.integers(0, 60),
        st.binary(min_size=1, max_size=4),
    ),
    max_size=4,
)


@st.composite
def nearly_valid(draw):
    data = draw(st.sampled_from(VALID))
    for how, position, piece in draw(MUTATIONS):
        position %= len(data) + 1
        if how == "change":
            data = data[:position] + piece + data[position + len(piece) :]
        elif how == "cut":
            data = data[:position]
        elif how == "insert":
            data = data[:position] + piece + data[position:]
        else:
            data += draw(st.sampled_from(VALID))[position % 5 :]
    return data


@given(st.one_of(st.binary(max_size=64), nearly_valid()))
def test_bytes_are_refused_or_come_out_again_as_they_were(data):
    try:
        address = Address.decode(data)
    except RemoteProtocolError:
        return
    assert address.encode() == data
    assert Address.parse(str(address)) == address


@given(st.one_of(st.text(max_size=60), st.text("/ip46dnstcp2.:1a", max_size=40).map("/".__add__)))
def test_text_is_refused_or_comes_out_again_as_bytes_and_text(text):
    try:
        address = Address.parse(text)
    except AddressError:
        return
    assert Address.parse(str(address)) == address
    assert Address.decode(address.encode()) == replace(address, zone=None)


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,20}(-[a-z0-9]{1,9})?(\.[a-z]{2,5})?", fullmatch=True)
HOSTS = st.one_of(
    st.ip_addresses(v=4).map(lambda ip: ("ip4", str(ip), b"\x04" + ip.packed)),
    st.ip_addresses(v=6).map(lambda ip: ("ip6", str(ip), b"\x29" + ip.packed)),
    st.tuples(st.sampled_from(["dns", "dns4", "dns6"]), NAMES).map(
        lambda pair: (
            pair[0],
            pair[1],
            bytes([{"dns": 53, "dns4": 54, "dns6": 55}[pair[0]], len(pair[1])]) + pair[1].encode(),
        )
    ),
)


@given(HOSTS, st.integers(0, 65535), st.sampled_from([None, PEER, SHA2_PEER]))
def test_every_address_is_encoded_as_the_table_of_codes_says(host, port, peer):
    protocol, name, encoded_host = host
    address = Address(protocol, name, port, peer)
    encoded = encoded_host + b"\x06" + port.to_bytes(2, "big")
    if peer is not None:
        encoded += b"\xa5\x03" + bytes([len(peer)]) + peer
    assert address.encode() == encoded
    assert Address.decode(encoded) == address
    assert Address.parse(str(address)) == address


SOCKETS = {
    ("127.0.0.1", 5): Address("ip4", "127.0.0.1", 5),
    ("::1", 5): Address("ip6", "::1", 5),
    ("::ffff:10.0.0.1", 5): Address("ip4", "10.0.0.1", 5),
    ("fe80::1%eth0", 5): Address("ip6", "fe80::1", 5, zone="eth0"),
}


@pytest.mark.parametrize(("end", "address"), SOCKETS.items())
def test_the_end_of_a_socket_is_an_address(end, address):
    assert Address.of_socket(*end) == address


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)), st.integers(0, 65535))
def test_the_end_of_every_socket_can_be_told_to_others(ip: IPv4Address | IPv6Address, port):
    address = Address.of_socket(str(ip), port)
    assert Address.decode(address.encode()) == address


def test_families_and_wildcards():
    families = {
        "/ip4/0.0.0.0/tcp/1": (socket.AF_INET, True),
        "/ip6/::/tcp/1": (socket.AF_INET6, True),
        "/ip4/127.0.0.1/tcp/1": (socket.AF_INET, False),
        "/dns/x/tcp/1": (socket.AF_UNSPEC, False),
        "/dns4/x/tcp/1": (socket.AF_INET, False),
        "/dns6/x/tcp/1": (socket.AF_INET6, False),
    }
    addresses = {text: Address.parse(text) for text in families}
    assert families == {
        text: (address.family, address.is_wildcard()) for text, address in addresses.items()
    }


def test_a_host_or_a_peer_is_put_in_place_of_another():
    address = Address.parse("/ip4/0.0.0.0/tcp/1")
    assert str(address.with_host("1.2.3.4").with_peer(PEER)) == f"/ip4/1.2.3.4/tcp/1/p2p/{PEER}"
    assert address.with_peer(PEER).with_peer(None) == address
