"""What is kept of what a peer says of itself, without a connection."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.transport.identify_service import IdentifyService, PeerDetails
from gossipsub.wire.identify import PUSH_PROTOCOL, Identify, encode_identify
from gossipsub.wire.multistream import ProtocolTable

KEY = PrivateKey.from_seed(bytes(31) + b"\x01")
OTHER = PrivateKey.from_seed(bytes(31) + b"\x02")


def address(port: int) -> bytes:
    return b"\x04\x7f\x00\x00\x01\x06" + port.to_bytes(2, "big")


def record(seq: int, *ports: int, key: PrivateKey = KEY) -> bytes:
    return PeerRecord(key.peer_id(), seq, [address(port) for port in ports]).seal(key)


class Connected:
    peer = KEY.peer_id()
    public_key = KEY.public_key
    config = SimpleNamespace(identify_timeout=1.0)


class Heard:
    """A service that is pushed to over one pretended connection."""

    def __init__(self) -> None:
        self.details: list[PeerDetails] = []
        self._table: ProtocolTable = ProtocolTable()
        self._connection = Connected()
        service = IdentifyService(
            lambda connection: Identify(), lambda connection, told: self.details.append(told)
        )
        service.serve(self._table)

    def push(self, said: Identify) -> PeerDetails:
        stream = SimpleNamespace(
            connection=self._connection,
            set_deadline=lambda seconds, reason: None,
            clear_deadline=lambda: None,
            close_write=lambda: None,
        )
        handler = self._table.find(PUSH_PROTOCOL)(stream)
        handler.received(encode_identify(said))
        handler.ended()
        return self.details[-1]


def ports(details: PeerDetails) -> list[int]:
    return [known.port for known in details.addresses]


@pytest.mark.rule("IDY-07")
def test_broken_addresses_are_skipped_and_the_rest_is_used() -> None:
    odd_peers = [b"\x02\x00\x00", b"\x03\x13\x01a", b"\x26\x00\x24" + bytes(35), b"\x00"]
    broken = [b"", b"\x04\x7f", address(1)[:-1], b"\xff\xff\xff", b"\x04\x7f\x00\x00\x01"]
    broken += [address(1) + b"\xa5\x03" + peer for peer in odd_peers]
    said = Identify(listen_addresses=[*broken[:3], address(7), *broken[3:], address(8)])
    assert ports(Heard().push(said)) == [7, 8]


@pytest.mark.rule("IDY-07")
def test_an_address_that_names_another_peer_is_skipped() -> None:
    def with_peer(key: PrivateKey) -> bytes:
        return address(5) + b"\xa5\x03\x26" + key.peer_id()

    assert ports(Heard().push(Identify(listen_addresses=[with_peer(OTHER)]))) == []
    assert ports(Heard().push(Identify(listen_addresses=[with_peer(KEY)]))) == [5]


@pytest.mark.rule("IDY-09")
def test_the_addresses_of_a_valid_record_win() -> None:
    said = Identify(listen_addresses=[address(1)], signed_peer_record=record(9, 2, 3))
    details = Heard().push(said)
    assert ports(details) == [2, 3]
    assert details.signed_record == said.signed_peer_record


@pytest.mark.rule("IDY-09")
@pytest.mark.parametrize("bad", [record(9, 2, key=OTHER), record(9, 2)[:-1], b"x"])
def test_a_record_of_another_peer_or_a_damaged_one_is_ignored(bad: bytes) -> None:
    details = Heard().push(Identify(listen_addresses=[address(1)], signed_peer_record=bad))
    assert (ports(details), details.signed_record) == ([1], None)


@pytest.mark.rule("IDY-09")
def test_an_older_record_does_not_replace_a_newer_one() -> None:
    heard = Heard()
    newer = record(10, 2)
    heard.push(Identify(signed_peer_record=newer))
    for late in (record(9, 3), record(10, 4), record(11, 5, key=OTHER)):
        details = heard.push(Identify(signed_peer_record=late, agent_version="x"))
        assert (ports(details), details.signed_record) == ([2], newer)
        assert details.agent_version == "x"
    assert ports(heard.push(Identify(signed_peer_record=record(11, 6)))) == [6]
