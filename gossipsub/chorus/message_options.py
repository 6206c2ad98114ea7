"""What a message says about its sender, its addressees and its conversation, beside its payload."""

from __future__ import annotations

from dataclasses import dataclass

from gossipsub.chorus.envelope import Envelope
from gossipsub.wire.errors import LocalProtocolError

MAX_NAME_CHARACTERS = 256
"""Of a conversation's or project's name that is taken over into an answer."""

PRIORITIES = ("low", "medium", "high", "urgent")

_TEXTS = ("from_role", "project_id", "priority", "thread_id")
_LISTS = ("to_roles", "required_expertise")


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOptions:
    """The optional fields of an envelope; what is empty is left out of it.

    Lists are taken for tuples. They leave as they are given: unlike the payload they are names and
    are not redacted. LocalProtocolError for values of another type, and for another priority.
    """

    from_role: str = ""
    """The role in which the sender speaks."""
    to_roles: tuple[str, ...] = ()
    """Only agents that hold one of these roles have it handed to their handlers."""
    required_expertise: tuple[str, ...] = ()
    """Only agents that know one of these fields have it handed to their handlers."""
    project_id: str = ""
    priority: str = ""
    """low, medium, high or urgent."""
    thread_id: str = ""
    """The conversation it belongs to."""
    hop_count: int = 0
    """How often it has been passed on by agents; what is above the limit of a node is ignored."""

    def __post_init__(self) -> None:
        for name in _TEXTS:
            _require_text(name, getattr(self, name))
        for name in _LISTS:
            values = getattr(self, name)
            if not isinstance(values, (list, tuple)):
                kind = type(values).__name__
                raise LocalProtocolError(f"{name} is a tuple of texts, not of type {kind}")
            for value in values:
                _require_text(name, value)
            object.__setattr__(self, name, tuple(values))
        if self.priority and self.priority not in PRIORITIES:
            raise LocalProtocolError(f"priority is one of {', '.join(PRIORITIES)}, or empty")
        if type(self.hop_count) is not int or self.hop_count < 0:
            raise LocalProtocolError("hop_count is a whole number from 0")


def options_of_answer(envelope: Envelope) -> MessageOptions:
    """For what is said about a message of another agent: the same conversation and project.

    Names above 256 characters are left out: a stranger chose them, and they could make the answer
    too large to be sent.
    """
    return MessageOptions(
        thread_id=_name(envelope.thread_id), project_id=_name(envelope.project_id)
    )


def _name(text: str) -> str:
    return text if len(text) <= MAX_NAME_CHARACTERS else ""


def _require_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise LocalProtocolError(f"{name} is text, not of type {type(value).__name__}")


NO_OPTIONS = MessageOptions()
