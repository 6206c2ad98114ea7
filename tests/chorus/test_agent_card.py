from __future__ import annotations

import pytest

from gossipsub.chorus import AgentCard, Envelope, MessageType, Timestamp
from gossipsub.chorus.agent_card import read_card
from gossipsub.wire.errors import LocalProtocolError


def test_a_card_is_read_back_from_what_is_sent() -> None:
    card = AgentCard(name="ada", roles=("dev",), expertise=("go", "sql"), max_tasks=0)
    known = AgentCard(name="eve", capabilities=("old",), max_tasks=9)
    data = card.to_data()
    envelope = Envelope(MessageType.ROLE_ANNOUNCEMENT, "", Timestamp.from_unix_ns(0), data)
    assert read_card(known, Envelope.decode(envelope.encode())) == card
    none = Envelope("x", "", Timestamp.from_unix_ns(0), None)
    assert read_card(known, none) == known


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "x" * 129}, "name is text"),
        ({"name": 5}, "name is text"),
        ({"roles": ["dev"]}, "roles is a tuple"),
        ({"expertise": ("go", "go")}, "expertise is a tuple"),
        ({"capabilities": ("",)}, "capabilities is a tuple"),
        ({"roles": tuple(map(str, range(65)))}, "roles is a tuple"),
        ({"max_tasks": -1}, "max_tasks is a whole number"),
        ({"max_tasks": True}, "max_tasks is a whole number"),
    ],
)
def test_a_card_that_makes_no_sense_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(LocalProtocolError, match=words):
        AgentCard(**fields)  # type: ignore[arg-type]
