from __future__ import annotations

import pytest

from gossipsub import AddressError, LocalProtocolError, MeshParams
from gossipsub.arguments import (
    addresses_of_one,
    announced_addresses,
    bootstrap_addresses,
    listen_addresses,
    peer_addresses,
    peer_alone,
    peer_id_of,
    require_kind,
    require_own,
)
from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.transport.address import Address

PEER = key_of_seed(1).peer_id()
HERE = "/ip4/127.0.0.1/tcp/1"


@pytest.mark.parametrize("given", [PEER, str(PEER), PEER.to_cid(), bytes(PEER)])
def test_a_peer_is_named_by_its_id_or_the_ids_text(given):
    assert peer_id_of(given) == PEER
    assert str(peer_id_of(given)) == str(PEER)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "a peer is a PeerId or its text: None"),
        (5, "a peer is a PeerId or its text: 5"),
        ((str(PEER),), rf"a peer is a PeerId or its text: \('{PEER}',\)"),
        (b"abc", "not a peer id: hash function 0x61 is not used for peer ids: b'abc'"),
        (str(PEER).encode(), "not a peer id: hash function 0x31 is not .*"),
        (f"{HERE}/p2p/{PEER}", "not a peer id: '/ip4/.*"),
    ],
)
def test_what_can_be_no_peer_is_refused_not_looked_for(given, reason):
    with pytest.raises(LocalProtocolError, match=f"^{reason}$"):
        peer_id_of(given)


def test_addresses_are_given_alone_or_in_number():
    assert listen_addresses(HERE) == listen_addresses([HERE]) == [Address.parse(HERE)]
    assert listen_addresses([]) == []
    whole = f"{HERE}/p2p/{PEER}"
    assert peer_addresses("bootstrap", whole) == peer_addresses("bootstrap", iter([whole]))
    with pytest.raises(AddressError, match=f"^a bootstrap address ends in /p2p/PEER: {HERE}$"):
        peer_addresses("bootstrap", [whole, HERE])


@pytest.mark.parametrize("given", [PEER, bytes(PEER), str(PEER), PEER.to_cid(), f"/p2p/{PEER}"])
def test_a_peer_to_dial_may_be_given_by_its_id_alone(given):
    assert peer_alone(given) == PEER


@pytest.mark.parametrize("given", [HERE, f"{HERE}/p2p/{PEER}", [str(PEER)], "", "x", None])
def test_anything_else_is_no_peer_alone(given):
    assert peer_alone(given) is None


def test_several_addresses_to_dial_are_of_one_peer():
    whole, other = f"{HERE}/p2p/{PEER}", f"/ip4/127.0.0.1/tcp/2/p2p/{PEER}"
    assert addresses_of_one(HERE) == addresses_of_one([HERE]) == [Address.parse(HERE)]
    assert addresses_of_one(iter([whole, other])) == [Address.parse(whole), Address.parse(other)]
    stranger = f"{HERE}/p2p/{key_of_seed(2).peer_id()}"
    for given in ([], [whole, stranger], [HERE, HERE], [whole, HERE]):
        with pytest.raises(AddressError) as refused:
            addresses_of_one(given)
        assert str(refused.value) == (
            "several addresses to connect to are of one peer, and each ends in its /p2p/PEER: "
            + ", ".join(given)
        )
    for given in (None, 5, [None], b"x"):
        with pytest.raises(AddressError, match="an address is a text that begins with '/'"):
            addresses_of_one(given)


def test_bootstrap_peers_may_be_behind_a_name():
    texts = [f"{HERE}/p2p/{PEER}", "/dnsaddr/x.y", f"/dnsaddr/x.y/p2p/{PEER}"]
    assert [str(each) for each in bootstrap_addresses(texts)] == texts
    with pytest.raises(AddressError, match=r"^a bootstrap address ends in /p2p/PEER: /dns4/x"):
        bootstrap_addresses("/dns4/x.y/tcp/1")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("/ip4/0.0.0.0/tcp/5", "is one that peers can dial: /ip4/0.0.0.0/tcp/5"),
        ("/ip6/::/tcp/5", "is one that peers can dial: /ip6/::/tcp/5"),
        ("/ip6zone/eth0/ip6/fe80::1/tcp/5", "is one that peers can dial: /ip6zone/eth0/.*"),
        ("/ip4/1.2.3.4/tcp/0", "has a port: /ip4/1.2.3.4/tcp/0"),
    ],
)
def test_what_peers_could_not_dial_is_not_announced(given, reason):
    with pytest.raises(AddressError, match=f"^an address to announce {reason}$"):
        announced_addresses([HERE, given])
    assert announced_addresses("/dnsaddr/x.y") == [Address("dnsaddr", "x.y", 0)]


def test_a_name_of_addresses_is_nowhere_to_listen():
    with pytest.raises(
        AddressError, match=r"^a /dnsaddr is to dial, not to listen on: /dnsaddr/x$"
    ):
        listen_addresses("/dnsaddr/x")


def test_a_host_listens_where_it_is_itself():
    whole = Address.parse(HERE).with_peer(PEER)
    require_own([Address.parse(HERE), whole], PEER)
    other = key_of_seed(2).peer_id()
    with pytest.raises(
        AddressError, match=f"^the address of another peer, this one is {other}: {whole}$"
    ):
        require_own([whole], other)


def test_a_value_of_another_kind_is_named_and_so_is_the_right_one():
    require_kind("mesh", None, MeshParams)
    require_kind("mesh", MeshParams(), MeshParams)
    with pytest.raises(LocalProtocolError, match=r"^mesh is a MeshParams: \{'d': 6\}$"):
        require_kind("mesh", {"d": 6}, MeshParams)
