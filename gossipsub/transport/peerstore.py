"""Where peers can be reached, as far as this host knows: a table that outlives connections.

What strangers say does not make a host connect into its own network: of what a peer says of
itself, only addresses that `reachability.py` lets are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from gossipsub.crypto.peer_id import PeerId
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.transport.address import Address
from gossipsub.transport.identify_service import PeerDetails
from gossipsub.transport.reachability import dialable

ADDRESSES_PER_SOURCE = 8
"""Addresses of one peer from one source; beyond, the oldest is forgotten."""


class AddressSource(StrEnum):
    """How an address became known, in the order in which they are tried."""

    CONNECTED = "connected"
    """A dial reached the peer there."""
    TOLD = "told"
    """The application gave it."""
    CERTIFIED = "certified"
    """The peer's own signed record lists it."""
    IDENTIFIED = "identified"
    """The peer said so, without a signature."""


@dataclass(slots=True)
class KnownPeer:
    """What is known of one peer."""

    heard: float
    """When it was last heard of, in seconds since 1970."""
    seq: int | None = None
    """The number of the newest record it signed."""
    addresses: dict[AddressSource, dict[Address, None]] = field(default_factory=dict)

    @property
    def is_proven(self) -> bool:
        """Not just a name that a stranger brought up."""
        return AddressSource.CONNECTED in self.addresses or AddressSource.TOLD in self.addresses

    def copy(self) -> KnownPeer:
        """The same at this moment."""
        addresses = {source: dict(listed) for source, listed in self.addresses.items()}
        return KnownPeer(self.heard, self.seq, addresses)


class Peerstore:
    """At most `max_peers`; beyond, the one not heard of for longest is forgotten, first among
    those that were neither reached nor told by the application.

    A peer is forgotten `lifetime` seconds after it was last heard of, apart from what the
    application told. `now` are seconds since 1970, so that a file can be read another day.
    """

    def __init__(self, *, max_peers: int, lifetime: float) -> None:
        self.changes = 0
        """Counts what would have to be written down."""
        self._max_peers = max_peers
        self._lifetime = lifetime
        self._peers: dict[PeerId, KnownPeer] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def addresses_of(self, peer: PeerId, *, now: float) -> list[Address]:
        """In the order to try them, each with the peer's id."""
        known = self._peers.get(peer)
        if known is None:
            return []
        is_old = now - known.heard > self._lifetime
        sources = [AddressSource.TOLD] if is_old else list(AddressSource)
        found = (each for source in sources for each in known.addresses.get(source, ()))
        return list(dict.fromkeys(found))

    def recently_reached(self, count: int, *, now: float) -> list[PeerId]:
        """The peers that a dial reached, those heard of last first."""
        return [
            peer
            for peer, known in reversed(self._peers.items())
            if AddressSource.CONNECTED in known.addresses and now - known.heard <= self._lifetime
        ][:count]

    def tell(self, address: Address, *, now: float) -> None:
        """The application says where a peer is; the address names it."""
        self._add(address, AddressSource.TOLD, now=now)

    def reached(self, address: Address, *, now: float) -> None:
        """A dial found the peer at an address, which names it."""
        self._add(address, AddressSource.CONNECTED, now=now)

    def learn(
        self, details: PeerDetails, *, told_over: Address | None, private: bool, now: float
    ) -> None:
        """What a connected peer said of itself, over a connection to `told_over`. A newer record
        takes the place of all that the peer said earlier; without one, what it says now does."""
        if details.record is not None:
            listed = dialable(details.record.addresses, told_over=told_over, private=private)
            self.certify(details.record, listed, now=now)
            self._of(details.peer, now=now)
            return
        listed = dialable(details.said.listen_addresses, told_over=told_over, private=private)
        known = self._of(details.peer, now=now)
        if known.seq is None:
            self._replace(known, AddressSource.IDENTIFIED, named(listed, details.peer))

    def certify(self, record: PeerRecord, listed: list[Address], *, now: float) -> None:
        """A record whose signature is good, and its addresses that may be dialled. An older one
        than known does nothing, nor does the same again: anybody can repeat it."""
        known = self._peers.get(record.peer_id)
        if known is not None and known.seq is not None and record.seq <= known.seq:
            return
        known = self._of(record.peer_id, now=now)
        known.seq = record.seq
        known.addresses.pop(AddressSource.IDENTIFIED, None)
        self._replace(known, AddressSource.CERTIFIED, named(listed, record.peer_id))

    def restore(self, peer: PeerId, known: KnownPeer, *, now: float) -> None:
        """Take up what was known another day; from the least recently heard of to the last."""
        if now - known.heard > self._lifetime and AddressSource.TOLD not in known.addresses:
            return
        # A clock that was ahead then must not keep the peer for ever.
        self._of(peer, now=min(known.heard, now))
        self._peers[peer] = KnownPeer(min(known.heard, now), known.seq, known.addresses)

    def items(self) -> Iterator[tuple[PeerId, KnownPeer]]:
        """All that is known, from the peer least recently heard of to the last."""
        return iter(self._peers.items())

    def _add(self, address: Address, source: AddressSource, *, now: float) -> None:
        if address.peer is None:
            return
        known = self._of(address.peer, now=now).addresses.setdefault(source, {})
        known.pop(address, None)
        self._replace_in(known, [address, *known])

    def _replace(self, known: KnownPeer, source: AddressSource, listed: list[Address]) -> None:
        if listed:
            self._replace_in(known.addresses.setdefault(source, {}), listed)
        else:
            known.addresses.pop(source, None)

    def _replace_in(self, known: dict[Address, None], listed: list[Address]) -> None:
        known.clear()
        known.update(dict.fromkeys(listed[:ADDRESSES_PER_SOURCE]))

    def _of(self, peer: PeerId, *, now: float) -> KnownPeer:
        """The peer, as the one heard of last."""
        self.changes += 1
        known = self._peers.pop(peer, None) or KnownPeer(now)
        known.heard = now
        if len(self._peers) >= self._max_peers:
            unproven = (each for each, entry in self._peers.items() if not entry.is_proven)
            del self._peers[next(unproven, next(iter(self._peers)))]
        self._peers[peer] = known
        return known


def named(listed: Iterable[Address], peer: PeerId) -> list[Address]:
    """The addresses as the peer's, without those that say they are another's."""
    return [each.with_peer(peer) for each in listed if each.peer in (None, peer)]
