"""What an envelope says, as a sentence for people.

Other agents choose the words: whoever shows a sentence must see that they do nothing there (on a
terminal `printable`, on a page a text node). It is cut to a length, and on one line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from gossipsub.chorus.envelope import Envelope
from gossipsub.chorus.message_type import MessageType

MAX_CHARACTERS = 300
"""Of a sentence; what is cut off is told by an ellipsis."""
_PART_CHARACTERS = 160
"""Of one value in it."""
_LISTED = 8
"""Items of a list that are named."""

Data = Mapping[str, Any]


def sentence(envelope: Envelope) -> str:
    """One line about any envelope, of whatever type and with whatever in its data."""
    data = envelope.data or {}
    tell = _SENTENCES.get(envelope.type)
    text = _unknown(envelope.type, data) if tell is None else tell(data)
    if envelope.to_roles:
        text += f" (to {_part(envelope.to_roles)})"
    if envelope.required_expertise:
        text += f" (needs {_part(envelope.required_expertise)})"
    return _cut(" ".join(text.split()), MAX_CHARACTERS)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _part(value: object) -> str:
    """One value in words."""
    if isinstance(value, str):
        return _cut(value, _PART_CHARACTERS)
    if isinstance(value, (list, tuple)):
        shown = ", ".join(_part(each) for each in value[:_LISTED])
        return _cut(shown + (", …" if len(value) > _LISTED else ""), _PART_CHARACTERS)
    if isinstance(value, Mapping):
        shown = ", ".join(
            f"{_cut(name, 40)}: {_leaf(value[name])}" for name in list(value)[:_LISTED]
        )
        return _cut(shown + (", …" if len(value) > _LISTED else ""), _PART_CHARACTERS)
    return json.dumps(value)


def _leaf(value: object) -> str:
    return "…" if isinstance(value, (dict, list, tuple)) else _part(value)


def _first(data: Data, *names: str) -> str:
    """The first of these fields that says anything."""
    for name in names:
        if data.get(name) not in (None, "", [], {}):
            return _part(data[name])
    return ""


def _told(before: str, said: str, after: str = "") -> str:
    """`said` between its words; nothing where nothing is said."""
    return f"{before}{said}{after}" if said else ""


def _share(value: object) -> str:
    """0.5 as 50 %."""
    is_share = type(value) in (int, float) and 0 <= float(value) <= 1  # type: ignore[arg-type]
    return f"{float(value):.0%}" if is_share else _part(value)  # type: ignore[arg-type]


def _task(data: Data) -> str:
    return _first(data, "task_id") or "a task"


def _unknown(kind: str, data: Data) -> str:
    said = _part(data)
    return f"[{_cut(kind, 64)}] {said}" if said else f"[{_cut(kind, 64)}]"


def _task_progress(data: Data) -> str:
    progress = _told(": ", _share(data["progress"])) if "progress" in data else ""
    return f"works on {_task(data)}{progress}" + _told(", ", _first(data, "status", "message"))


def _task_complete(data: Data) -> str:
    result = _first(data, "result", "status")
    return f"completed {_task(data)}{_told(': ', result)}" + _told(", ", _first(data, "output"))


def _availability(data: Data) -> str:
    said = _first(data, "status", "availability", "available") or "there"
    return f"is {said}" + _told(", capacity ", _first(data, "capacity", "available_slots"))


def _allocation(data: Data) -> str:
    to = _first(data, "agent_id", "assigned_to", "roles")
    return f"gives {_task(data)}{_told(' to ', to)}"


def _completion(data: Data, *names: str) -> str:
    share = _told(", ", _share(data["completion"]), " done") if "completion" in data else ""
    return _first(data, *names) + share + _told(", blocked by ", _first(data, "blockers"))


def _relevance(data: Data) -> str:
    score = _told(": ", _first(data, "relevance_score", "score", "reward"))
    about = _told(" for ", _first(data, "query"))
    return f"{_first(data, 'context_path', 'path', 'context_id') or 'some context'}{score}{about}"


_SENTENCES: dict[str, Callable[[Data], str]] = {
    MessageType.TASK_ANNOUNCEMENT: lambda data: (
        f"announces {_task(data)}{_told(': ', _first(data, 'description', 'title'))}"
        + _told(", needs ", _first(data, "capabilities"))
    ),
    MessageType.TASK_CLAIM: lambda data: f"claims {_task(data)}",
    MessageType.TASK_PROGRESS: _task_progress,
    MessageType.TASK_COMPLETE: _task_complete,
    MessageType.CAPABILITY_BROADCAST: lambda data: (
        f"can do {_first(data, 'capabilities', 'expertise') or 'something'}"
    ),
    MessageType.AVAILABILITY_BROADCAST: _availability,
    MessageType.META_DISCUSSION: lambda data: (
        _first(data, "message", "content", "text", "topic") or _part(data) or "says nothing"
    ),
    MessageType.TASK_HELP_REQUEST: lambda data: (
        f"needs help with {_task(data)}"
        + _told(": ", _first(data, "help_needed", "question", "reason"))
        + _told(", urgency ", _first(data, "urgency"))
    ),
    MessageType.TASK_HELP_RESPONSE: lambda data: (
        f"offers help with {_task(data)}"
        + _told(": ", _first(data, "offer", "answer", "message", "response"))
    ),
    MessageType.COORDINATION_REQUEST: lambda data: (
        f"asks to coordinate{_told(': ', _first(data, 'reason', 'goal', 'topic', 'task_id'))}"
    ),
    MessageType.COORDINATION_COMPLETE: lambda data: (
        "coordination is complete"
        + _told(": ", _first(data, "outcome", "resolution", "decision", "result"))
    ),
    MessageType.DEPENDENCY_ALERT: lambda data: (
        f"{_task(data)} depends on "
        + (_first(data, "depends_on", "dependency", "dependencies") or "something else")
        + _told(": ", _first(data, "reason", "description", "message"))
    ),
    MessageType.ESCALATION_TRIGGER: lambda data: (
        f"a person is needed{_told(': ', _first(data, 'reason', 'message', 'description'))}"
        + _told(", severity ", _first(data, "severity"))
    ),
    MessageType.ROLE_ANNOUNCEMENT: lambda data: (
        f"is {_first(data, 'role', 'roles') or 'here'}"
        + _told(", knows ", _first(data, "expertise", "capabilities"))
    ),
    MessageType.EXPERTISE_REQUEST: lambda data: (
        f"asks: {_first(data, 'question', 'expertise', 'description') or 'for expertise'}"
    ),
    MessageType.EXPERTISE_RESPONSE: lambda data: (
        f"answers: {_first(data, 'answer', 'message') or _part(data)}"
    ),
    MessageType.STATUS_UPDATE: lambda data: (
        f"status: {_completion(data, 'status', 'message') or _part(data)}"
    ),
    MessageType.WORK_ALLOCATION: _allocation,
    MessageType.ROLE_COLLABORATION: lambda data: (
        f"collaborates{_told(': ', _first(data, 'message', 'goal', 'description', 'topic'))}"
    ),
    MessageType.MENTORSHIP_REQUEST: lambda data: (
        f"seeks a mentor{_told(' for ', _first(data, 'topic', 'question', 'skill'))}"
    ),
    MessageType.MENTORSHIP_RESPONSE: lambda data: (
        f"teaches{_told(': ', _first(data, 'answer', 'guidance', 'message'))}"
    ),
    MessageType.PROJECT_UPDATE: lambda data: (
        f"project {_first(data, 'project_id') or 'update'}"
        + _told(": ", _completion(data, "phase", "status", "message"))
    ),
    MessageType.DELIVERABLE_READY: lambda data: (
        f"delivers {_first(data, 'deliverable', 'name', 'deliverable_id', 'title') or 'something'}"
        + _told(" at ", _first(data, "location", "path", "url"))
    ),
    MessageType.FEEDBACK_EVENT: lambda data: f"feedback on {_relevance(data)}",
    MessageType.CONTEXT_REQUEST: lambda data: (
        f"asks for context: {_first(data, 'query', 'context_path', 'path') or _part(data)}"
    ),
    MessageType.CONTEXT_RESPONSE: lambda data: (
        f"gives context{_told(' ', _first(data, 'context_path', 'path', 'query'))}"
        + _told(": ", _first(data, "content", "summary", "results"))
    ),
    MessageType.CONTEXT_USAGE: lambda data: (
        f"used {_first(data, 'context_path', 'path') or 'some context'}"
        + _told(" ", _first(data, "usage_count"), " times")
        + _told(" for ", _first(data, "query"))
    ),
    MessageType.CONTEXT_RELEVANCE: lambda data: f"relevance of {_relevance(data)}",
    MessageType.SLURP_EVENT_GENERATED: lambda data: (
        f"SLURP event {_first(data, 'event_id')}{_told(' of type ', _first(data, 'event_type'))}"
        + _told(" from discussion ", _first(data, "discussion_id"))
    ),
    MessageType.SLURP_EVENT_ACK: lambda data: (
        f"acknowledges SLURP event {_first(data, 'event_id')}"
    ),
    MessageType.SLURP_CONTEXT_UPDATE: lambda data: (
        f"SLURP context {_first(data, 'context_path', 'path', 'context_id', 'event_id')}"
        + _told(": ", _first(data, "summary", "content", "change"))
    ),
}
