from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from gossipsub.chorus import Delivery, Envelope, Timestamp
from gossipsub.cli.chorus.sayings import clock, cut, saying_line
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.rpc import Message

KEY = PrivateKey.from_seed(bytes(32))
NOON = datetime(2025, 3, 1, 12, 0, 5).astimezone()


def saying(**fields: Any) -> Delivery:
    timestamp = Timestamp.from_datetime(NOON)
    envelope = Envelope("meta_discussion", str(KEY.peer_id()), timestamp, {"message": "hi"})
    envelope = replace(envelope, **fields)
    message = Message("t", envelope.encode(), seqno=bytes(8))
    signed = SignedMessage(sign_message(message, KEY), genuine=True)
    return Delivery(envelope, "t", KEY.peer_id(), signed, 0)


def line(delivery: Delivery, name: str = "Ada", **options: Any) -> str:
    return saying_line(delivery, lambda agent: name, **options)


def test_the_time_is_of_the_day_here_and_old_news_have_their_date() -> None:
    assert line(saying()) == "12:00:05 Ada: hi"
    assert line(saying(), with_date=True) == "2025-03-01 12:00:05 Ada: hi"
    assert line(replace(saying(), is_caught_up=True)) == "2025-03-01 12:00:05 Ada: hi"


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_every_time_that_can_be_sent_can_be_shown(text: str) -> None:
    assert clock(Timestamp(text), with_date=True)


def test_a_project_stands_where_there_is_no_thread() -> None:
    assert line(saying(project_id="atlas")).endswith("hi  [atlas]")
    assert line(saying(project_id="atlas", thread_id="t")).endswith("hi  [t]")


def test_urgency_is_told_and_ordinary_priorities_are_not() -> None:
    assert [line(saying(priority=each))[9:] for each in ("urgent", "low", "x")] == [
        "Ada: urgent: hi", "Ada: hi", "Ada: hi",
    ]  # fmt: skip


def test_whatever_agents_write_is_one_line_of_bounded_length() -> None:
    evil = "\x1b]0;x\x07\n\u202e" * 100
    data = {"message": evil}
    told = line(saying(thread_id=evil, from_role=evil, priority=evil, data=data), name=evil)
    assert told.isprintable()
    assert len(told) < 6 * (300 + 4 * 40)


def test_long_texts_are_cut() -> None:
    assert (cut("x" * 40), cut("x" * 41)) == ("x" * 40, "x" * 39 + "\u2026")
