from __future__ import annotations

from gossipsub import SignedMessage
from gossipsub.chorus import Delivery, Envelope, Timestamp
from gossipsub.chorus.intake import REMEMBERED_ORIGINS, Intake
from gossipsub.chorus.journal import Journal
from gossipsub.chorus.observers import Observers
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.rpc import Message
from tests.chorus.agents import ListLogger

SENDER = PeerId(b"\x00\x04abcd")


def delivery(number: int) -> Delivery:
    signed = SignedMessage(
        Message("t", b"", from_peer=SENDER, seqno=number.to_bytes(8), signature=b"")
    )
    return Delivery(Envelope("news", "f", Timestamp.from_unix_ns(0), {}), "t", SENDER, signed, 0)


def test_what_was_taken_is_known_logged_and_then_told() -> None:
    log, told = ListLogger(), []
    observers = Observers()
    observers.add(lambda delivery: told.append(len(log.entries)))
    intake = Intake(Journal(log, {}), observers)
    assert not intake.is_known(delivery(1).signed.origin)
    intake.take(delivery(1))
    assert intake.is_known(delivery(1).signed.origin)
    assert told == [1]


def test_the_memory_is_bounded_and_the_log_remembers_the_rest() -> None:
    with_log, without = (Intake(Journal(log, {}), Observers()) for log in (ListLogger(), None))
    for intake in (with_log, without):
        intake.take(delivery(0))
        for number in range(1, REMEMBERED_ORIGINS):
            intake.remember(delivery(number).signed.origin)
        assert intake.is_known(delivery(0).signed.origin)
        intake.remember(delivery(REMEMBERED_ORIGINS).signed.origin)
    assert with_log.is_known(delivery(0).signed.origin)
    assert not without.is_known(delivery(0).signed.origin)
    assert without.is_known(delivery(1).signed.origin)
