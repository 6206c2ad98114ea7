"""Trace context in the words of the W3C Recommendation "Trace Context": which piece of work a
message belongs to, so that what many agents did for it can be seen together.

It travels in the envelope's `data` as `traceparent` and `tracestate`, which OpenTelemetry's
propagators read and write there as well.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Self

from gossipsub.wire.errors import LocalProtocolError

SAMPLED = 0x01
RANDOM = 0x02
"""The trace id is random in its last 7 bytes (level 2)."""
_KNOWN_FLAGS = SAMPLED | RANDOM

MAX_STATE_MEMBERS = 32
MAX_STATE_CHARACTERS = 512
"""What every vendor's implementation passes on; of longer ones, members at the end are dropped."""

# "traceparent Header Field Values": lower case alone; what follows a later version's four fields
# is not ours to read.
_PARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace_id>[0-9a-f]{32})-(?P<span_id>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?",
    re.ASCII,
)
# "tracestate Header Field Values"; a key may name a tenant of a system.
_KEY = re.compile(
    r"[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}", re.ASCII
)
_VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", re.ASCII)
_MAX_TEXT = 20_000
"""Characters looked at; 32 members with the longest keys and values take 16,447."""


@dataclass(frozen=True, slots=True)
class TraceContext:
    """One span of one trace; LocalProtocolError where an id is not that many lower-case
    hexadecimal digits, or all zeros."""

    trace_id: str
    """32 digits."""
    span_id: str
    """16 digits; the recommendation's parent-id."""
    flags: int = SAMPLED
    """0 to 255; only `SAMPLED` and `RANDOM` mean something."""
    state: tuple[tuple[str, str], ...] = ()
    """Keys and values of tracing systems, the one that wrote last first."""

    def __post_init__(self) -> None:
        if not _PARENT.fullmatch(f"00-{self.trace_id}-{self.span_id}-00"):
            raise LocalProtocolError("ids are 32 and 16 lower-case hexadecimal digits")
        if not (self.trace_id.strip("0") and self.span_id.strip("0")):
            raise LocalProtocolError("an id is not all zeros")
        if type(self.flags) is not int or not 0 <= self.flags <= 255:
            raise LocalProtocolError(f"flags are a whole number from 0 to 255: {self.flags!r}")
        if parse_tracestate(self.tracestate) != self.state:
            raise LocalProtocolError(f"not a tracestate: {self.state!r}")

    @classmethod
    def new(cls, *, sampled: bool = True) -> Self:
        """A trace that begins here, with random ids."""
        return cls(_random_id(16), _random_id(8), RANDOM | (SAMPLED if sampled else 0))

    @classmethod
    def parse(cls, traceparent: str, tracestate: str = "") -> Self:
        """Read the two headers; LocalProtocolError where `traceparent` is none.

        A malformed `tracestate` counts as none, and flags that mean nothing are dropped, both as
        the recommendation has it.
        """
        found = _PARENT.fullmatch(traceparent) if len(traceparent) <= _MAX_TEXT else None
        if (
            found is None
            or found["version"] == "ff"
            or (found["version"] == "00" and found["more"] is not None)
        ):
            raise LocalProtocolError(f"not a traceparent: {traceparent[:64]!r}")
        flags = int(found["flags"], 16) & _KNOWN_FLAGS
        return cls(found["trace_id"], found["span_id"], flags, parse_tracestate(tracestate))

    @classmethod
    def from_data(cls, data: Mapping[str, object] | None) -> Self | None:
        """What the `data` of an envelope carries; None where it is nothing, or malformed."""
        parent = (data or {}).get("traceparent")
        state = (data or {}).get("tracestate")
        if not isinstance(parent, str):
            return None
        try:
            return cls.parse(parent, state if isinstance(state, str) else "")
        except LocalProtocolError:
            return None

    @property
    def is_sampled(self) -> bool:
        """Whether whoever began the trace may have recorded it."""
        return bool(self.flags & SAMPLED)

    @property
    def traceparent(self) -> str:
        """As version 00 writes it."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def tracestate(self) -> str:
        """Empty where there is none."""
        return ",".join(f"{key}={value}" for key, value in self.state)

    def child(self) -> Self:
        """A new span of the same trace."""
        return replace(self, span_id=_random_id(8))

    def to_data(self) -> dict[str, str]:
        """The fields for an envelope's `data`."""
        state = self.tracestate
        return {"traceparent": self.traceparent} | ({"tracestate": state} if state else {})


def parse_tracestate(text: str) -> tuple[tuple[str, str], ...]:
    """Its members, in their order; () where one is malformed or two have the same key, or there
    are more than 32. What goes beyond 512 characters is dropped from the end."""
    if len(text) > _MAX_TEXT:
        return ()
    members: dict[str, str] = {}
    for member in text.split(","):
        member = member.strip(" \t")
        if not member:
            continue  # "empty list members are allowed"
        key, _, value = member.partition("=")
        if not _KEY.fullmatch(key) or not _VALUE.fullmatch(value) or key in members:
            return ()
        members[key] = value
    if len(members) > MAX_STATE_MEMBERS:
        return ()
    return _shortened(list(members.items()))


def _shortened(members: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """ "Tracestate Limits": members of more than 128 characters go first, then those at the end."""
    sizes = [len(key) + len(value) + 2 for key, value in members]
    kept = list(range(len(members)))
    for number in [n for n in reversed(kept) if sizes[n] > 129] + list(reversed(kept)):
        if sum(sizes[n] for n in kept) - 1 <= MAX_STATE_CHARACTERS:
            break
        if number in kept:
            kept.remove(number)
    return tuple(members[n] for n in kept)


_current: ContextVar[TraceContext | None] = ContextVar("gossipsub_chorus_trace", default=None)


def current_trace() -> TraceContext | None:
    """The span that this code is part of; None where it is part of none."""
    return _current.get()


@contextmanager
def use_trace(context: TraceContext | None) -> Iterator[TraceContext | None]:
    """Within it, and in tasks started there, `context` is the current one."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def _random_id(size: int) -> str:
    while not (text := secrets.token_hex(size)).strip("0"):
        pass
    return text
