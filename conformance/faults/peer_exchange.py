"""Faults of peer exchange."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.crypto.peer_id import PeerId
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.router.mesh import Mesh
from gossipsub.router.peer_exchange import PeerExchange
from gossipsub.router.peers import Peer
from gossipsub.transport.address import Address
from gossipsub.transport.dialing import Dialing
from gossipsub.wire.rpc import PeerInfo


@fault
def nobody_is_named_in_prunes() -> None:
    replace(PeerExchange, "offer", lambda self, peer, topic: ())


@fault
def everybody_is_named_in_prunes() -> None:
    _offer_with(_count=1000)


@fault
def peers_are_named_though_it_is_off() -> None:
    _offer_with(_offers=True)


@fault
def peers_of_any_sort_are_named() -> None:
    _offer_with(_score=lambda peer: 0.0)


def _offer_with(**attributes: Any) -> None:
    original = PeerExchange.offer

    def offer(self: PeerExchange, peer: Peer, topic: str) -> tuple[PeerInfo, ...]:
        for name, value in attributes.items():
            replace(self, name, value)
        return original(self, peer, topic)

    replace(PeerExchange, "offer", offer)


@fault
def who_grafts_badly_is_told_peers() -> None:
    original = Mesh._send_prune

    def _send_prune(self: Mesh, *arguments: Any, **options: Any) -> None:
        original(self, *arguments, **options | {"offer": True})

    replace(Mesh, "_send_prune", _send_prune)


@fault
def signed_records_are_kept_back() -> None:
    replace(PeerExchange, "note_record", lambda self, peer, record: None)


@fault
def all_that_are_named_are_dialled() -> None:
    _take_with(_count=1000)


@fault
def anybody_may_name_peers() -> None:
    _take_with(_threshold=float("-inf"))


@fault
def nobody_that_is_named_is_dialled() -> None:
    replace(PeerExchange, "take", lambda self, peer, offered, now: None)


def _take_with(**attributes: Any) -> None:
    original = PeerExchange.take

    def take(self: PeerExchange, peer: Peer, offered: Sequence[PeerInfo], *, now: float) -> None:
        for name, value in attributes.items():
            replace(self, name, value)
        original(self, peer, offered, now=now)

    replace(PeerExchange, "take", take)


@fault
def peers_that_are_connected_are_dialled() -> None:
    """Nobody looks who is connected already."""

    def _line_up(self: Dialing, peer: bytes, addresses: Callable[[], list[Address]]) -> bool:
        for address in addresses():
            self.tasks.start_soon(self._connections._network.connect, address)
        return True

    replace(Dialing, "_line_up", _line_up)
    replace(PeerExchange, "_is_of_use", lambda self, peer, record, now: True)


@fault
def records_may_be_of_anybody() -> None:
    original = PeerRecord.open

    def open_any(envelope: bytes, *, peer: PeerId | None = None) -> PeerRecord:
        return original(envelope)

    replace(PeerRecord, "open", staticmethod(open_any))


@fault
def a_bad_address_spoils_a_record() -> None:
    original = PeerRecord.decode

    def decode(payload: bytes) -> PeerRecord:
        record = original(payload)
        for address in record.addresses:
            Address.decode(address)
        return record

    replace(PeerRecord, "decode", staticmethod(decode))
