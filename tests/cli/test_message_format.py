"""How `gossipsub sub` writes messages."""

from __future__ import annotations

import json

import pytest

from gossipsub.cli.message_format import as_json, iso_time, parse_format, plain
from gossipsub.crypto.keys import PrivateKey
from gossipsub.pubsub.message import ReceivedMessage

SENDER, NEIGHBOUR = (PrivateKey.from_node_number(n).peer_id() for n in (1, 2))
WHEN = 1_700_000_000_000_000_042
TEXT = ReceivedMessage("news", "grüß\n".encode(), SENDER, NEIGHBOUR, b"\x01\xff", bytes(7) + b"\t")
BINARY = ReceivedMessage("ne\nws", b"\xff\x00", None, NEIGHBOUR, b"\x02", None)


@pytest.mark.parametrize(
    ("with_topic", "raw", "message", "written"),
    [
        (False, False, TEXT, "grüß\\n".encode()),
        (False, False, BINARY, b"\\xff\\x00"),
        (True, False, BINARY, b"ne\\nws \\xff\\x00"),
        (False, True, BINARY, b"\xff\x00"),
        (True, True, BINARY, b"ne\\nws \xff\x00"),
    ],
)
def test_plain_is_one_line_and_raw_is_exact(
    with_topic: bool, raw: bool, message: ReceivedMessage, written: bytes
) -> None:
    assert plain(with_topic=with_topic, raw=raw)(message, WHEN) == written


def test_json_has_all_there_is() -> None:
    assert json.loads(as_json(TEXT, WHEN)) == {
        "topic": "news",
        "sender": str(SENDER),
        "received_from": str(NEIGHBOUR),
        "message_id": "01ff",
        "seqno": 9,
        "time": "2023-11-14T22:13:20.000000042Z",
        "size_bytes": 7,
        "data": "grüß\n",
    }
    unsigned = json.loads(as_json(BINARY, WHEN))
    assert (unsigned["sender"], unsigned["seqno"]) == (None, None)
    assert unsigned["data_base64"] == "/wA="
    assert "data" not in unsigned
    assert as_json(TEXT, WHEN).isascii()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("", b""),
        ("%t: %d", "news: grüß\\n".encode()),
        ("%p %f", f"{SENDER} {NEIGHBOUR}".encode()),
        ("%i %s %l", b"01ff 0000000000000009 7"),
        ("%r|%x|%b", "grüß\n|6772c3bcc39f0a|Z3LDvMOfCg==".encode()),
        ("%I %U", b"2023-11-14T22:13:20.000000042Z 1700000000.000000042"),
        ("%j", as_json(TEXT, WHEN)),
        (r"ü%%\n\t\r\0\\", "ü%\n\t\r\0\\".encode()),
    ],
)
def test_a_format_is_filled_in(text: str, written: bytes) -> None:
    assert parse_format(text)(TEXT, WHEN) == written


def test_what_a_message_lacks_is_a_dash() -> None:
    assert parse_format("%p %s")(BINARY, WHEN) == b"- -"


@pytest.mark.parametrize(
    ("text", "what"), [("%q", "%q"), ("a%", "%"), ("\\x", "\\x"), ("\\", "\\")]
)
def test_a_format_with_something_unknown_is_refused(text: str, what: str) -> None:
    with pytest.raises(ValueError, match="no such thing in a format: ") as refused:
        parse_format(text)
    assert str(refused.value) == f"no such thing in a format: {what}"


def test_a_time_that_no_calendar_has_is_shown_in_seconds() -> None:
    assert iso_time(0) == "1970-01-01T00:00:00.000000000Z"
    assert iso_time(2**63 - 1) == "2262-04-11T23:47:16.854775807Z"
    assert iso_time(10**21) == "1000000000000.000000000"
