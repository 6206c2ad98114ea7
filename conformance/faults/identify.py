"""Faults of identify and identify push."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace as changed
from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.crypto import peer_record
from gossipsub.crypto.envelope import SignedEnvelope
from gossipsub.crypto.keys import PrivateKey, PublicKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.pubsub.driver import PubSub
from gossipsub.transport import identify_service
from gossipsub.transport.address import Address
from gossipsub.transport.connection import Connection
from gossipsub.transport.identify_service import IdentifyService
from gossipsub.transport.introduction import Introduction
from gossipsub.transport.stream import Stream
from gossipsub.wire import identify
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.identify import Identify, IdentifyReader


@fault
def identify_answer_is_left_open() -> None:
    def __init__(self: Any, stream: Stream, message: bytes) -> None:
        stream.write(message)

    replace(identify_service._Answer, "__init__", __init__)


def _ask_only(outbound: bool) -> None:
    original = IdentifyService.ask

    def ask(self: IdentifyService, connection: Connection) -> None:
        if connection.outbound is outbound:
            original(self, connection)

    replace(IdentifyService, "ask", ask)


@fault
def who_dialled_is_not_asked() -> None:
    _ask_only(True)


@fault
def who_was_dialled_is_not_asked() -> None:
    _ask_only(False)


def _tell(change: Any) -> None:
    """What identify says goes through `change` first."""
    original = Introduction.describe

    def describe(
        self: Introduction,
        connection: Connection,
        *,
        listening: Iterable[Address],
        protocols: Sequence[str],
    ) -> Identify:
        told = original(self, connection, listening=listening, protocols=protocols)
        return changed(told, **change(told))

    replace(Introduction, "describe", describe)


@fault
def identify_lists_no_pubsub() -> None:
    _tell(lambda told: {"protocols": [name for name in told.protocols if "sub/" not in name]})


@fault
def the_observed_address_is_ones_own() -> None:
    _tell(lambda told: {"observed_address": told.listen_addresses[0]})


@fault
def only_the_first_part_of_identify_counts() -> None:
    original = IdentifyReader._merge

    def _merge(self: IdentifyReader, part: bytes) -> None:
        if self._parts == 1:
            original(self, part)

    replace(IdentifyReader, "_merge", _merge)


@fault
def identify_takes_messages_of_any_size() -> None:
    replace(identify, "MAX_PART_BYTES", 1 << 30)


@fault
def identify_takes_4_kib_only() -> None:
    replace(identify, "MAX_PART_BYTES", 4096)


@fault
def a_public_key_in_identify_is_believed() -> None:
    def _learn(self: IdentifyService, connection: Connection, said: Identify) -> None:
        connection.peer = PublicKey.decode(said.public_key or b"").peer_id()

    replace(IdentifyService, "_learn", _learn)


@fault
def identify_without_a_key_is_refused() -> None:
    original = IdentifyService._learn

    def _learn(self: IdentifyService, connection: Connection, said: Identify) -> None:
        if said.public_key is None:
            raise RemoteProtocolError("identify without a key", fatal_to="stream")
        original(self, connection, said)

    replace(IdentifyService, "_learn", _learn)


@fault
def a_broken_address_spoils_identify() -> None:
    original = IdentifyService._learn

    def _learn(self: IdentifyService, connection: Connection, said: Identify) -> None:
        for address in said.listen_addresses:
            Address.decode(address)
        original(self, connection, said)

    replace(IdentifyService, "_learn", _learn)


@fault
def a_push_replaces_all_that_was_known() -> None:
    original = PubSub.peer_identified

    def peer_identified(
        self: PubSub, peer: PeerId, protocols: Iterable[str], record: bytes | None
    ) -> None:
        if not set(self.protocols) & set(protocols):
            self.peers[peer].cut_off()
        original(self, peer, protocols, record)

    replace(IdentifyService, "_pushed", IdentifyService._learn)
    replace(PubSub, "peer_identified", peer_identified)


@fault
def who_does_not_identify_itself_is_hung_up_on() -> None:
    original = Connection.stream_deadline_passed

    def stream_deadline_passed(self: Connection, stream: Stream, reason: str) -> None:
        if reason == "identify":
            self.close("it does not identify itself")
        else:
            original(self, stream, reason)

    replace(Connection, "stream_deadline_passed", stream_deadline_passed)


@fault
def records_are_sealed_for_the_domain_of_the_rfc() -> None:
    replace(peer_record, "DOMAIN", "libp2p-routing-state")


@fault
def records_name_another_peer() -> None:
    def seal(self: PeerRecord, key: PrivateKey) -> bytes:
        record = changed(self, peer_id=PrivateKey.from_node_number(1).peer_id())
        sealed = SignedEnvelope.seal(
            key,
            domain=peer_record.DOMAIN,
            payload_type=peer_record.PAYLOAD_TYPE,
            payload=record.encode(),
        )
        return sealed.encode()

    replace(PeerRecord, "seal", seal)
