from __future__ import annotations

from typing import Any

import pytest

from gossipsub.chorus import MessageOptions
from gossipsub.wire.errors import LocalProtocolError


def test_nothing_is_said_that_was_not_given_and_lists_become_tuples() -> None:
    assert MessageOptions() == MessageOptions(to_roles=(), priority="", hop_count=0)
    options = MessageOptions(to_roles=["Architect"], required_expertise=["go"])  # type: ignore[arg-type]
    assert (options.to_roles, options.required_expertise) == (("Architect",), ("go",))


@pytest.mark.parametrize("priority", ["low", "medium", "high", "urgent", ""])
def test_the_documents_priorities_are_taken(priority: str) -> None:
    assert MessageOptions(priority=priority).priority == priority


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"from_role": None}, "from_role is text, not of type NoneType"),
        ({"thread_id": 7}, "thread_id is text, not of type int"),
        ({"to_roles": "Architect"}, "to_roles is a tuple of texts, not of type str"),
        ({"required_expertise": (b"go",)}, "required_expertise is text, not of type bytes"),
        ({"priority": "soon"}, "priority is one of low, medium, high, urgent, or empty"),
        ({"hop_count": -1}, "hop_count is a whole number from 0"),
        ({"hop_count": True}, "hop_count is a whole number from 0"),
    ],
)
def test_what_makes_no_sense_is_an_error_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        MessageOptions(**options)
    assert str(raised.value) == message
