"""Faults with IDONTWANT."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.effects import Lane
from gossipsub.router.idontwant import IDontWants
from gossipsub.router.messages import Messages
from gossipsub.router.peers import Peer
from gossipsub.router.pending import Pending
from gossipsub.router.router import Router
from gossipsub.router.score.delivery_records import DeliveryRecords
from gossipsub.wire.rpc import Control, IDontWant, Message, Rpc


@fault
def idontwant_waits_for_validation() -> None:
    announce = IDontWants.announce
    original = Messages._accept

    def accept(self: Messages, pending: Pending, now: float) -> None:
        announce(self._idontwant, pending.message, pending.message_id, pending.senders)
        original(self, pending, now)

    replace(Messages, "_accept", accept)
    replace(IDontWants, "announce", _nothing)


@fault
def idontwant_follows_the_message() -> None:
    announce = IDontWants.announce
    accept, publish = Messages._accept, Messages.publish

    def accept_first(self: Messages, pending: Pending, now: float) -> None:
        senders = dict(pending.senders)
        accept(self, pending, now)
        _announce(self._idontwant, pending.message, pending.message_id, senders)

    def publish_first(
        self: Messages, message: Message, message_id: bytes, *a: Any, **k: Any
    ) -> Any:
        receipt = publish(self, message, message_id, *a, **k)
        _announce(self._idontwant, message, message_id, {})
        return receipt

    def _announce(
        self: IDontWants, message: Message, message_id: bytes, have_it: Collection[bytes]
    ) -> None:
        outbox = self._outbox

        def idontwant(peers: Collection[bytes], message_id: bytes) -> None:
            rpc = Rpc(control=Control(idontwant=(IDontWant((message_id,)),)))
            outbox.send_to_all(peers, rpc, Lane.FORWARDED)

        outbox.idontwant = idontwant  # type: ignore[method-assign]
        announce(self, message, message_id, have_it)
        del outbox.idontwant

    replace(Messages, "_accept", accept_first)
    replace(Messages, "publish", publish_first)
    replace(IDontWants, "announce", _nothing)


def _nothing(*args: Any) -> None:
    return None


@fault
def idontwant_is_for_the_sender_too() -> None:
    announce = IDontWants.announce

    def announce_to_all(
        self: IDontWants, message: Message, message_id: bytes, have_it: Collection[bytes]
    ) -> None:
        announce(self, message, message_id, ())

    replace(IDontWants, "announce", announce_to_all)


@fault
def idontwant_is_for_old_versions_too() -> None:
    _announced_to(lambda peer: True)


@fault
def idontwant_is_for_one_version() -> None:
    _announced_to(lambda peer: peer.protocol == "/meshsub/1.2.0")


def _announced_to(is_told: Any) -> None:
    def announce(
        self: IDontWants, message: Message, message_id: bytes, have_it: Collection[bytes]
    ) -> None:
        if len(message.data or b"") < self._threshold:
            return
        mesh = [peer for peer in self._meshes[message.topic] if peer not in have_it]
        told = [peer for peer in mesh if is_told(self._peers.connected[peer])]
        rpc = Rpc(control=Control(idontwant=(IDontWant((message_id,)),)))
        self._outbox.send_to_all(told, rpc, Lane.URGENT)

    replace(IDontWants, "announce", announce)


@fault
def idontwant_for_any_size() -> None:
    original = IDontWants.__init__

    def __init__(self: IDontWants, *args: Any, **parts: Any) -> None:
        original(self, *args, **parts)
        self._threshold = 0

    replace(IDontWants, "__init__", __init__)


@fault
def idontwant_for_every_copy() -> None:
    original = Messages._duplicate

    def duplicate(self: Messages, peer: bytes, message: Message, message_id: bytes) -> None:
        original(self, peer, message, message_id)
        self._idontwant.announce(message, message_id, (peer,))

    replace(Messages, "_duplicate", duplicate)


@fault
def refusals_are_not_heeded() -> None:
    def refusing(self: IDontWants, message_id: bytes) -> Mapping[bytes, None]:
        return {}

    replace(IDontWants, "refusing", refusing)


@fault
def refusals_are_forgotten_when_asked() -> None:
    replace(IDontWants, "is_refused", lambda self, peer, message_id: False)


@fault
def one_refusal_in_each_rpc_is_heeded() -> None:
    original = IDontWants.__init__

    def __init__(self: IDontWants, params: Any, **parts: Any) -> None:
        original(self, dataclasses.replace(params, max_idontwant_length=1), **parts)

    replace(IDontWants, "__init__", __init__)


@fault
def idontwant_costs() -> None:
    original = Router._handle_control

    def handle_control(self: Any, peer: Peer, control: Control, now: float) -> None:
        original(self, peer, control, now)
        if control.idontwant and self._scoring is not None:
            self._scoring.scores.penalise(peer.id, 1, "IDONTWANT")

    replace(Router, "_handle_control", handle_control)


@fault
def refusals_are_for_ever() -> None:
    replace(IDontWants, "age", lambda self: None)


@fault
def idontwant_is_for_all_of_the_topic() -> None:
    original = IDontWants.announce

    def announce(
        self: IDontWants, message: Message, message_id: bytes, have_it: Collection[bytes]
    ) -> None:
        meshes = self._meshes
        self._meshes = {message.topic: dict.fromkeys(self._peers.in_topic(message.topic))}
        original(self, message, message_id, have_it)
        self._meshes = meshes

    replace(IDontWants, "announce", announce)


@fault
def what_we_refused_is_spam() -> None:
    def duplicate(self: DeliveryRecords, peer: bytes, message_id: bytes, *others: Any) -> None:
        self._scores.penalise(peer, 1, "sent what was refused")

    replace(DeliveryRecords, "duplicate", duplicate)
