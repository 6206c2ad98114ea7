"""What an agent said, as a line for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from gossipsub.cli.text import printable

if TYPE_CHECKING:
    from gossipsub.chorus.delivery import Delivery
    from gossipsub.chorus.timestamp import Timestamp

NAME_CHARACTERS = 40
"""Of a name, role or thread in a line."""

NameOf = Callable[[str], str]
"""What to call the agent with that peer id in text."""


def saying_line(delivery: Delivery, name_of: NameOf, *, with_date: bool = False) -> str:
    """`12:03:04 Anna (Architect): asks: How?  [thread-9]`, whatever is in it, on one line. Old
    news has its date in any case."""
    from gossipsub.chorus.sentences import sentence

    envelope = delivery.envelope
    who = cut(name_of(str(delivery.sender)))
    role = f" ({cut(envelope.from_role)})" if envelope.from_role else ""
    urgent = f"{cut(envelope.priority)}: " if envelope.priority in ("high", "urgent") else ""
    said = sentence(envelope, name_of)
    thread = envelope.thread_id or envelope.project_id
    place = f"  [{cut(thread)}]" if thread else ""
    when = clock(envelope.timestamp, with_date=with_date or delivery.is_caught_up)
    return printable(f"{when} {who}{role}: {urgent}{said}{place}")


def saying_object(delivery: Delivery, name_of: NameOf) -> str:
    """All of it; `envelope` as it was sent."""
    from gossipsub.chorus.conversation import thread_name
    from gossipsub.chorus.sentences import sentence

    envelope = delivery.envelope
    told: dict[str, Any] = {
        "topic": delivery.topic,
        "sender": str(delivery.sender),
        "name": name_of(str(delivery.sender)),
        "received_at": delivery.received_at / 1e9,
        "is_caught_up": delivery.is_caught_up,
        "thread": thread_name(delivery),
        "sentence": sentence(envelope, name_of),
        "envelope": json.loads(envelope.encode()),
    }
    return json.dumps(told)


def clock(timestamp: Timestamp, *, with_date: bool = False) -> str:
    """The time of day here, to the second."""
    try:
        moment = datetime.fromtimestamp(timestamp.unix_ns // 10**9)
    except (ValueError, OverflowError, OSError):
        return timestamp.text  # a year that this machine does not know
    return moment.isoformat(" ") if with_date else moment.time().isoformat()


def cut(text: str, most: int = NAME_CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
