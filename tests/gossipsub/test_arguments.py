from __future__ import annotations

import pytest

from gossipsub import AddressError, LocalProtocolError, MeshParams
from gossipsub.arguments import (
    listen_addresses,
    peer_addresses,
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
