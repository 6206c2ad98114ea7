from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from gossipsub.chorus.dead_letters import COUNTED_AGENTS, DeadLetter, DeadLetters
from gossipsub.chorus.errors import RefusalReason
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

ANN, BEN = PeerId(b"\x00\x01a"), PeerId(b"\x00\x01b")


def letter(
    number: int,
    reason: RefusalReason = RefusalReason.NOT_JSON,
    *,
    topic: str = "t",
    sender: PeerId | None = None,
    received_from: PeerId = ANN,
    data: bytes = b"",
) -> DeadLetter:
    return DeadLetter(
        topic=topic,
        reason=reason,
        detail=f"letter {number}",
        sender=sender,
        received_from=received_from,
        received_at=Timestamp.from_unix_ns(number),
        data=data,
        size=len(data),
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


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({}, [1, 2, 3, 4]),
        ({"reason": RefusalReason.FORBIDDEN}, [1, 3]),
        ({"topic": "u"}, [3, 4]),
        ({"sender": ANN}, [1, 2]),
        ({"reason": RefusalReason.FORBIDDEN, "topic": "u"}, [3]),
        ({"reason": RefusalReason.FORBIDDEN, "topic": "t", "sender": BEN}, []),
    ],
)
def test_letters_are_found_by_reason_topic_and_sender(
    wanted: dict[str, Any], numbers: list[int]
) -> None:
    dead = DeadLetters(9)
    for one in (
        letter(1, RefusalReason.FORBIDDEN, sender=ANN),
        letter(2, sender=ANN),
        letter(3, RefusalReason.FORBIDDEN, topic="u", sender=BEN),
        letter(4, topic="u"),
    ):
        dead.add(one)
    found = dead.letters(**wanted)
    assert [one.detail for one in found] == [f"letter {number}" for number in numbers]


def test_all_are_counted_by_who_signed_them_or_else_handed_them_over() -> None:
    dead = DeadLetters(1)
    dead.add(letter(1, RefusalReason.FORBIDDEN, sender=BEN))
    dead.add(letter(2, RefusalReason.FORBIDDEN, sender=BEN))
    dead.add(letter(3, sender=BEN))
    dead.add(letter(4))
    assert dead.counts_by_agent() == {
        BEN: {RefusalReason.FORBIDDEN: 2, RefusalReason.NOT_JSON: 1},
        ANN: {RefusalReason.NOT_JSON: 1},
    }


def test_new_identities_drive_one_another_out_of_the_counts() -> None:
    dead = DeadLetters(1)
    for _ in range(2):
        dead.add(letter(0, sender=BEN))
    for number in range(3 * COUNTED_AGENTS):
        dead.add(letter(number, sender=PeerId(b"\x00\x02" + number.to_bytes(2, "big"))))
    assert len(dead.counts_by_agent()) == COUNTED_AGENTS
    assert dead.counts_by_agent()[BEN] == {RefusalReason.NOT_JSON: 2}
    assert dead.counts() == {RefusalReason.NOT_JSON: 3 * COUNTED_AGENTS + 2}


def test_a_handler_is_told_of_each_until_it_is_removed() -> None:
    dead, told = DeadLetters(1), list[DeadLetter]()
    dead.add(letter(1))
    dead.set_handler(told.append)
    dead.add(letter(2))
    dead.add(letter(3))
    dead.set_handler(None)
    dead.add(letter(4))
    assert told == [letter(2), letter(3)]


def test_a_failing_handler_is_logged_and_told_of_the_next(caplog: pytest.LogCaptureFixture) -> None:
    told = list[DeadLetter]()

    def fragile(one: DeadLetter) -> None:
        told.append(one)
        raise RuntimeError("broken")

    dead = DeadLetters(9)
    dead.set_handler(fragile)
    dead.add(letter(1))
    dead.add(letter(2))
    assert told == list(dead.letters()) == [letter(1), letter(2)]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "a dead-letter handler failed name=<function" in caplog.text


def test_what_is_no_function_is_no_handler() -> None:
    dead = DeadLetters(1)
    with pytest.raises(LocalProtocolError) as raised:
        dead.set_handler(5)  # type: ignore[arg-type]
    assert str(raised.value) == "a dead-letter handler is a function, not of type int"


def test_a_letter_has_a_form_for_json() -> None:
    one = letter(5, RefusalReason.FORBIDDEN, sender=BEN, data=b"caf\xc3\xa9 \xff")
    assert json.loads(json.dumps(one.to_data())) == {
        "topic": "t",
        "reason": "forbidden",
        "detail": "letter 5",
        "sender": str(BEN),
        "received_from": str(ANN),
        "received_at": "1970-01-01T00:00:00.000000005Z",
        "data": "café \ufffd",
        "size": 7,
    }
    assert letter(6).to_data()["sender"] is None
