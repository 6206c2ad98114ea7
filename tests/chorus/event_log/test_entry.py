from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus import LogEntry, MessageType, Timestamp
from gossipsub.chorus.event_log.chain import Chain
from gossipsub.chorus.event_log.entry import draft
from gossipsub.chorus.go_json import Written
from gossipsub.wire.errors import RemoteProtocolError

NOW = 1_735_787_045_000_000_000


def entry(data: Any, signed: Any = None) -> LogEntry:
    chain = Chain(0, bytes(32), 0, 0)
    return LogEntry.of_row(chain.extend(draft("x", data, signed, node="node", now=NOW)))


@given(st.integers(-(2**63), 2**63 - 1))
def test_the_time_that_was_sent_is_kept_to_the_nanosecond(sent_at: int) -> None:
    text = Timestamp.from_unix_ns(sent_at).text
    assert entry({"timestamp": text}).sent_at == sent_at


@pytest.mark.parametrize(
    ("text", "sent_at"),
    [
        ("2025-01-02T04:04:05+01:00", NOW),
        ("2025-01-02T04:04:05.5+01:00", NOW + 500_000_000),
        ("0001-01-01T00:00:00Z", -(2**63)),
        ("9999-12-31T23:59:59.999999999Z", 2**63 - 1),
        ("soon", NOW),
        ("2025-13-02T03:04:05.5Z", NOW),
        ("", NOW),
        (7, NOW),
        (None, NOW),
    ],
)
def test_any_time_that_agents_claim_has_a_place(text: Any, sent_at: int) -> None:
    assert entry({"timestamp": text}).sent_at == sent_at


def test_names_come_from_the_data_and_the_topic_from_the_message(alice: Any) -> None:
    _, signed = alice.say({}, topic="CHORUS/projects/p/coordination/v1")
    data = {"message_type": MessageType.TASK_CLAIM, "topic": "CHORUS", "project_id": "p"}
    with_message, without = entry(data, signed), entry(data)
    assert with_message.message_type == without.message_type == "task_claim"
    assert with_message.topic == "CHORUS/projects/p/coordination/v1"
    assert without.topic == "CHORUS"
    assert (with_message.author, without.author) == (alice.name, "node")


def test_json_that_comes_along_is_kept_unless_the_data_changed_since() -> None:
    data = Written({"a": "<"}, '{"a":"<"}')
    assert entry(data).data_json == b'{"a":"\\u003c"}'
    data["b"] = 1
    assert entry(data).data_json == b'{"a":"\\u003c","b":1}'
    odd = "\ufffd\ud800"
    assert entry(Written({"a": odd}, f'{{"a":"{odd}"}}')).data_json == entry({"a": odd}).data_json


def test_the_hash_covers_every_field(alice: Any, bob: Any) -> None:
    _, signed = alice.say({"n": 1})
    _, other = bob.say({"n": 1})
    plain = draft("x", {}, signed, node="node", now=NOW)
    changes: list[dict[str, Any]] = [
        {"timestamp": NOW + 1}, {"sent_at": 1}, {"author": "y"}, {"type": "y"},
        {"message_type": "y"}, {"topic": "y"}, {"project_id": "y"}, {"thread_id": "y"},
        {"origin": b"y"}, {"data": b"y"}, {"signed": other.encoded},
        {"project_id": "ab", "thread_id": "c"}, {"project_id": "a", "thread_id": "bc"},
    ]  # fmt: skip
    hashes = set()
    for change in [{}, *changes]:
        for chain in (
            Chain(0, bytes(32), 0, 0),
            Chain(1, bytes(32), 0, 0),
            Chain(0, b"\1" * 32, 0, 0),
        ):
            hashes.add(chain.extend(plain._replace(**change))[13])
    assert len(hashes) == 3 * (1 + len(changes))


def test_a_damaged_message_is_told_when_it_is_asked_for() -> None:
    row = Chain(0, bytes(32), 0, 0).extend(draft("x", {}, None, node="node", now=NOW))
    damaged = LogEntry.of_row((*row[:11], b"\xff", *row[12:]))
    with pytest.raises(RemoteProtocolError):
        _ = damaged.signed_message
