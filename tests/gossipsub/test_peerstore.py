"""What is remembered of where peers are, and whose word counts."""

from __future__ import annotations

from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.crypto.peer_id import PeerId
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.transport.address import Address
from gossipsub.transport.identify_service import PeerDetails
from gossipsub.transport.peerstore import ADDRESSES_PER_SOURCE, KnownPeer, Peerstore
from gossipsub.wire.identify import Identify

HERE = Address.parse("/ip4/127.0.0.1/tcp/9")
FAR = Address.parse("/ip4/8.8.8.8/tcp/9")


def peer(number: int) -> PeerId:
    return key_of_seed(number).peer_id()


PEER = peer(1)


def at(port: int, number: int = 1, host: str = "127.0.0.1") -> Address:
    return Address("ip4", host, port, peer(number))


def store(max_peers: int = 100) -> Peerstore:
    return Peerstore(max_peers=max_peers, lifetime=1000.0)


def said(*addresses: Address, seq: int | None = None, number: int = 1) -> PeerDetails:
    listed = [address.encode() for address in addresses]
    record = None if seq is None else PeerRecord(peer(number), seq, listed)
    return PeerDetails(peer(number), Identify(listen_addresses=listed), record, None)


def learn(known: Peerstore, details: PeerDetails, told_over: Address = HERE) -> None:
    known.learn(details, told_over=told_over, private=False, now=0.0)


def ports(known: Peerstore, number: int = 1, *, now: float = 0.0) -> list[int]:
    return [address.port for address in known.addresses_of(peer(number), now=now)]


def test_where_a_peer_was_reached_comes_first_then_what_the_application_told():
    known = store()
    learn(known, said(at(4), seq=1))
    known.tell(at(3), now=0.0)
    known.reached(at(1), now=0.0)
    known.reached(at(2), now=0.0)
    known.reached(at(4), now=0.0)
    assert known.addresses_of(PEER, now=0.0) == [at(4), at(2), at(1), at(3)]
    assert known.addresses_of(peer(2), now=0.0) == []


def test_a_record_takes_the_place_of_what_was_said_and_of_older_records_only():
    known = store()
    learn(known, said(at(1)))
    learn(known, said(at(2), at(3)))
    assert ports(known) == [2, 3]
    learn(known, said(at(4), seq=5))
    assert ports(known) == [4]
    for seq in (4, 5):
        learn(known, said(at(5), seq=seq))
    learn(known, said(at(6)))
    assert ports(known) == [4]
    known.certify(PeerRecord(PEER, 6, []), [at(7).with_peer(None)], now=0.0)
    assert known.addresses_of(PEER, now=0.0) == [at(7)]
    known.certify(PeerRecord(PEER, 7, []), [], now=0.0)
    assert ports(known) == []


def test_what_a_peer_says_leads_nobody_into_this_hosts_own_network():
    for seq in (None, 1):
        known = store()
        private = at(2, host="10.0.0.1")
        public = at(3, host="9.9.9.9")
        name = Address("dns4", "internal.example", 5, PEER)
        learn(known, said(at(1), private, public, name, seq=seq), told_over=FAR)
        assert known.addresses_of(PEER, now=0.0) == [public]


def test_the_address_of_another_peer_is_left_out():
    for seq in (None, 1):
        known = store()
        learn(known, said(at(1, 2), at(2).with_peer(None), at(3), seq=seq))
        assert known.addresses_of(PEER, now=0.0) == [at(2), at(3)]


def test_of_many_addresses_of_a_source_the_latest_are_kept():
    known = store()
    for port in range(1, 30):
        known.reached(at(port), now=0.0)
    assert ports(known) == list(range(29, 29 - ADDRESSES_PER_SOURCE, -1))


def test_a_peer_not_heard_of_for_its_lifetime_is_forgotten_but_what_was_told_is_not():
    known = store()
    known.reached(at(1), now=0.0)
    known.tell(at(2), now=0.0)
    assert ports(known, now=1000.0) == [1, 2]
    assert ports(known, now=1000.1) == [2]
    known.learn(said(), told_over=HERE, private=False, now=900.0)
    assert ports(known, now=1900.0) == [1, 2]


def test_repeating_an_old_record_does_not_keep_a_peer_known():
    known = store()
    record = PeerRecord(PEER, 1, [])
    known.certify(record, [at(1)], now=0.0)
    known.certify(record, [at(1)], now=900.0)
    assert ports(known, now=1000.1) == []


def test_the_table_is_bounded_and_names_from_strangers_leave_first():
    known = store(max_peers=3)
    known.reached(at(1, 1), now=0.0)
    known.tell(at(1, 2), now=0.0)
    for number in range(3, 9):
        known.certify(PeerRecord(peer(number), 1, []), [at(number, number)], now=0.0)
    assert [bool(ports(known, number)) for number in range(1, 9)] == [True] * 2 + [False] * 5 + [
        True
    ]
    known.reached(at(1, 9), now=0.0)
    known.reached(at(1, 10), now=0.0)
    assert len(known) == 3
    assert [number for number in range(1, 11) if ports(known, number)] == [2, 9, 10]


def test_those_reached_and_heard_of_last_are_met_again_first():
    known = store()
    for number in (1, 2, 3):
        known.reached(at(1, number), now=float(number))
    known.tell(at(1, 4), now=4.0)
    learn(known, said(number=1))
    assert known.recently_reached(2, now=10.0) == [peer(1), peer(3)]
    assert known.recently_reached(9, now=1002.5) == [peer(3)]


def test_what_is_restored_is_as_old_as_it_was_and_a_clock_ahead_is_put_right():
    old = store()
    old.reached(at(1, 1), now=0.0)
    old.reached(at(1, 2), now=500.0)
    old.reached(at(1, 3), now=99_999.0)
    new = store()
    for each, known in old.items():
        new.restore(each, known, now=1200.0)
    assert new.recently_reached(9, now=1200.0) == [peer(3), peer(2)]
    assert new.recently_reached(9, now=2100.0) == [peer(3)]
    assert new.recently_reached(9, now=2300.0) == []


def test_a_copy_does_not_change_with_the_store():
    known = KnownPeer(1.0)
    copied = known.copy()
    known.addresses.setdefault("told", {})[at(1)] = None
    assert copied == KnownPeer(1.0)
