"""Which addresses out of peer exchange are dialled."""

from __future__ import annotations

import pytest

from gossipsub.transport.address import Address
from gossipsub.transport.reachability import Scope, dialable, has_public_address, scope_of

PUBLIC, PRIVATE, LOOPBACK = Scope.PUBLIC, Scope.PRIVATE, Scope.LOOPBACK
SCOPES = {
    "/ip4/8.8.8.8/tcp/1": PUBLIC,
    "/ip6/2606:4700::1/tcp/1": PUBLIC,
    "/ip4/10.1.2.3/tcp/1": PRIVATE,
    "/ip4/172.16.0.1/tcp/1": PRIVATE,
    "/ip4/192.168.1.1/tcp/1": PRIVATE,
    "/ip4/100.64.0.1/tcp/1": PRIVATE,  # behind a provider's NAT
    "/ip6/fd00::1/tcp/1": PRIVATE,
    "/ip4/127.0.0.1/tcp/1": LOOPBACK,
    "/ip4/127.9.9.9/tcp/1": LOOPBACK,
    "/ip6/::1/tcp/1": LOOPBACK,
    # IPv4 inside of IPv6 is what it is outside
    "/ip6/::ffff:127.0.0.1/tcp/1": LOOPBACK,
    "/ip6/::ffff:8.8.8.8/tcp/1": PUBLIC,
    "/ip6/64:ff9b::10.0.0.1/tcp/1": PRIVATE,
    "/ip6/2002:7f00:1::/tcp/1": LOOPBACK,
    # nowhere to dial
    "/ip4/0.0.0.0/tcp/1": None,
    "/ip6/::/tcp/1": None,
    "/ip6/::ffff:0.0.0.0/tcp/1": None,
    "/ip4/8.8.8.8/tcp/0": None,
    "/ip4/224.0.0.1/tcp/1": None,
    "/ip6/ff02::1/tcp/1": None,
    "/ip4/255.255.255.255/tcp/1": None,
    "/ip4/240.0.0.1/tcp/1": None,
    "/ip4/169.254.169.254/tcp/80": None,  # where clouds keep credentials
    "/ip6/fe80::1/tcp/1": None,  # needs to be told the interface
    # not to be judged without asking
    "/dns/example.org/tcp/1": None,
    "/dns4/localhost/tcp/1": None,
    "/dns6/example.org/tcp/1": None,
}


@pytest.mark.parametrize(("text", "scope"), SCOPES.items())
def test_from_where_an_address_can_be_reached(text, scope):
    assert scope_of(Address.parse(text)) is scope


LISTED = ["/ip4/8.8.8.8/tcp/1", "/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1", "/ip4/9.9.9.9/tcp/1"]
ENCODED = [Address.parse(text).encode() for text in LISTED]


@pytest.mark.parametrize(
    ("told_over", "dialled"),
    [
        ("/ip4/127.0.0.1/tcp/9", ["127.0.0.1", "10.0.0.1", "8.8.8.8", "9.9.9.9"]),
        ("/ip4/192.168.0.7/tcp/9", ["10.0.0.1", "8.8.8.8", "9.9.9.9"]),
        ("/ip4/1.1.1.1/tcp/9", ["8.8.8.8", "9.9.9.9"]),
        ("/dns/example.org/tcp/9", ["8.8.8.8", "9.9.9.9"]),
        (None, ["8.8.8.8", "9.9.9.9"]),
    ],
)
def test_only_what_the_one_who_names_it_can_reach_is_dialled_the_nearest_first(told_over, dialled):
    source = None if told_over is None else Address.parse(told_over)
    assert [address.host for address in dialable(ENCODED, told_over=source)] == dialled


@pytest.mark.parametrize(
    ("told_over", "hosts"),
    [
        ("/ip4/1.1.1.1/tcp/9", ["10.0.0.1", "8.8.8.8", "9.9.9.9"]),
        ("/ip4/127.0.0.1/tcp/9", ["127.0.0.1", "10.0.0.1", "8.8.8.8", "9.9.9.9"]),
    ],
)
def test_private_addresses_may_be_dialled_whoever_names_them(told_over, hosts):
    found = dialable(ENCODED, told_over=Address.parse(told_over), private=True)
    assert [address.host for address in found] == hosts


DAMAGED = {
    "nothing": b"",
    "no multiaddr": b"\xff\xff\xff",
    "an address cut to one byte": b"\x04\x01",
    "a port cut to one byte": b"\x04\x08\x08\x08\x08\x06\x01",
    "bytes behind": b"\x04\x08\x08\x08\x08\x06\x00\x01\x00",
    "udp": b"\x04\x08\x08\x08\x08\x91\x02\x00\x01",
    "websocket": b"\x04\x08\x08\x08\x08\x06\x00\x01\xdd\x03",
    "a number written too long": b"\x84\x00\x08\x08\x08\x08\x06\x00\x01",
    "a damaged peer behind": b"\x04\x08\x08\x08\x08\x06\x00\x01\xa5\x03\x02\x00\x01",
}


@pytest.mark.parametrize("encoded", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_address_and_those_of_other_transports_are_left_out(encoded):
    good = Address.parse("/ip4/8.8.8.8/tcp/1")
    source = Address.parse("/ip4/127.0.0.1/tcp/1")
    assert dialable([encoded, good.encode()], told_over=source) == [good]


def test_of_many_addresses_a_few_are_tried_each_once():
    many = [Address("ip4", f"8.8.8.{n}", 1) for n in range(100)]
    encoded = [address.encode() for address in many]
    assert dialable([encoded[0], *encoded], told_over=None) == many[:8]
    nowhere = [Address("ip4", "0.0.0.0", 1).encode()] * 32
    assert dialable([*nowhere, *encoded], told_over=None) == []  # not all of them are decoded
    other_transports = [DAMAGED["udp"]] * 100
    assert dialable([*other_transports, encoded[0]], told_over=None) == many[:1]


@pytest.mark.rule("PX-06")
@pytest.mark.parametrize(
    ("listed", "public"),
    [
        ([], False),
        (["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.1/tcp/1"], False),
        (["/ip4/127.0.0.1/tcp/1", "/ip4/8.8.8.8/tcp/1"], True),
    ],
)
def test_whether_a_record_lists_a_public_address(listed, public):
    assert has_public_address([Address.parse(text).encode() for text in listed]) is public
