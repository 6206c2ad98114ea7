"""Faults of validation and forwarding."""

from __future__ import annotations

from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.peer.rules import ValidatorRules
from gossipsub.router.effects import Verdict
from gossipsub.router.messages import Messages
from gossipsub.router.pending import Pending
from gossipsub.router.seen import SeenCache
from gossipsub.wire.rpc import Message


@fault
def what_is_not_joined_is_seen() -> None:
    original = Messages.receive

    def receive(self: Messages, peer: bytes, message: Message, now: float) -> None:
        if message.topic not in self._joined:
            self._seen.put(self.own_id(message), now, accepted=False)
        original(self, peer, message, now)

    replace(Messages, "receive", receive)


@fault
def ignored_messages_are_forwarded() -> None:
    original = Messages.validated

    def validated(self: Messages, ticket: int, verdict: Verdict, now: float) -> bool:
        if verdict is Verdict.IGNORE:
            verdict = Verdict.ACCEPT
        return original(self, ticket, verdict, now)

    replace(Messages, "validated", validated)


@fault
def throttled_messages_are_invalid() -> None:
    original = Messages.validated

    def validated(self: Messages, ticket: int, verdict: Verdict, now: float) -> bool:
        if verdict is Verdict.THROTTLED:
            verdict = Verdict.REJECT
        return original(self, ticket, verdict, now)

    replace(Messages, "validated", validated)


@fault
def forged_copies_are_seen() -> None:
    original = Messages.validated

    def validated(self: Messages, ticket: int, verdict: Verdict, now: float) -> bool:
        if verdict is Verdict.INVALID_SIGNATURE:
            verdict = Verdict.REJECT
        return original(self, ticket, verdict, now)

    replace(Messages, "validated", validated)


@fault
def own_messages_are_not_validated() -> None:
    original = ValidatorRules.judge

    def judge(self: ValidatorRules, message: Any) -> Any:
        own = message.received_from == self._me
        return Verdict.ACCEPT if own else original(self, message)

    replace(ValidatorRules, "judge", judge)


@fault
def authors_get_their_own_messages() -> None:
    original = Messages._forward

    def forward(self: Messages, pending: Pending) -> None:
        author, pending.message.from_peer = pending.message.from_peer, None
        original(self, pending)
        pending.message.from_peer = author

    replace(Messages, "_forward", forward)


@fault
def who_sent_a_copy_gets_one() -> None:
    original = Messages._forward

    def forward(self: Messages, pending: Pending) -> None:
        pending.senders, pending.others = {pending.peer: None}, None
        original(self, pending)

    replace(Messages, "_forward", forward)


@fault
def an_ignored_message_cannot_be_published() -> None:
    def was_accepted(self: SeenCache, message_id: bytes, now: float) -> bool:
        return self.contains(message_id, now)

    replace(SeenCache, "was_accepted", was_accepted)
