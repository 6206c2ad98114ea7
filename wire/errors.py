"""The errors of every layer: who is at fault is the type, what dies is an attribute."""

from __future__ import annotations


class GossipSubError(Exception):
    """Base of all errors raised on purpose by this library."""


class LocalProtocolError(GossipSubError, ValueError):
    """You asked for something the protocol forbids; the state is unchanged.

    It is a ValueError as well, which the parameter classes raise: whoever builds a host from
    settings need not know which of them looks at a value first.
    """


class RemoteProtocolError(GossipSubError):
    """The peer broke the protocol; close what it broke.

    `fatal_to` names what cannot go on: `"connection"`, `"stream"`, or just the `"message"`.
    """

    def __init__(self, message: str, *, fatal_to: str = "connection") -> None:
        super().__init__(message)
        self.fatal_to = fatal_to


class FrameTooLarge(RemoteProtocolError):
    """A length prefix above the limit; nothing of the body was buffered."""
