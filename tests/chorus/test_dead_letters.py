from __future__ import annotations

import pytest

from gossipsub.chorus.dead_letters import DeadLetter, DeadLetters
from gossipsub.chorus.errors import RefusalReason
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError


def letter(number: int, reason: RefusalReason) -> DeadLetter:
    return DeadLetter(
        topic="t",
        reason=reason,
        detail=f"letter {number}",
        sender=None,
        received_from=PeerId(b"\x00\x01x"),
        received_at=Timestamp.from_unix_ns(number),
        data=b"",
        size=0,
    )


def test_the_newest_are_kept_and_all_are_counted() -> None:
    dead = DeadLetters(2)
    letters = [
        letter(1, RefusalReason.NOT_JSON),
        letter(2, RefusalReason.HOP_LIMIT),
        letter(3, RefusalReason.NOT_JSON),
    ]
    for one in letters:
        dead.add(one)
    assert dead.letters() == (letters[1], letters[2])
    assert dead.counts() == {RefusalReason.NOT_JSON: 2, RefusalReason.HOP_LIMIT: 1}


def test_a_buffer_for_nothing_is_an_error() -> None:
    with pytest.raises(LocalProtocolError, match=r"^the dead-letter buffer holds at least 1: 0$"):
        DeadLetters(0)
