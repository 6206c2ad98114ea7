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

_PEER_CHARACTERS = 40
"""From which an agent's id in a sentence is cut short: peer ids are longer, names are not."""

Data = Mapping[str, Any]


def sentence(envelope: Envelope, name_of: Callable[[str], str] | None = None) -> str:
    """One line about any envelope, of whatever type and with whatever in its data.

    `name_of` says what to call the agent with that id; by default the id, cut short.
    """
    data = envelope.data or {}
    agent = data.get("agent_id")
    if isinstance(agent, str):
        data = {**data, "agent_id": (name_of or shortened)(agent)}
    tell = _SENTENCES.get(envelope.type)
    text = _unknown(envelope.type, data) if tell is None else tell(data)
    if envelope.to_roles:
        text += f" (to {_part(envelope.to_roles)})"
    if envelope.required_expertise:
        text += f" (needs {_part(envelope.required_expertise)})"
    return _cut(" ".join(text.split()), MAX_CHARACTERS)


def shortened(agent: str) -> str:
    """A peer id as people compare it, by its ends; shorter texts as they are."""
    return f"{agent[:2]}*{agent[-6:]}" if len(agent) > _PEER_CHARACTERS else agent


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


def _announcement(data: Data) -> str:
    what = _told(": ", _first(data, "title", "description"))
    return f"announces {_task(data)}{what}" + _told(", needs ", _first(data, "capabilities"))


_VERBS = {"done": "has done", "failed": "failed at", "declined": "leaves", "closed": "has closed"}
"""For the statuses with which an agent does not go on."""


def _progress(data: Data) -> str:
    status = _first(data, "status")
    verb = _VERBS.get(status)
    told = f"{verb or 'works on'} {_task(data)}"
    if data.get("progress") is not None and verb is None:
        told += f": {_share(data['progress'])}"
    if verb is None and status != "working":
        told += _told(", ", status)
    return told + _told(", ", _first(data, "error", "message"))


def _completion(data: Data) -> str:
    failed = _first(data, "error")
    told = f"{_task(data)} is {'over' if failed else 'complete'}"
    told += _told(": ", _first(data, "result", "status"))
    told += _told(", done by ", _first(data, "agent_id"))
    return told + _told(", ", failed or _first(data, "output"))


def _availability(data: Data) -> str:
    takes = data.get("available_for_work")
    said = _told("is ", _first(data, "status"))
    if not said:
        said = "is there" if not isinstance(takes, bool) else f"takes {'' if takes else 'no '}work"
    tasks = _first(data, "current_tasks")
    if tasks == "0":
        return said
    return said + _told(", with ", tasks, " task" if tasks == "1" else " tasks")


def _help(data: Data) -> str:
    offers = "cannot help" if data.get("can_help") is False else "offers help"
    return f"{offers} with {_task(data)}{_told(': ', _first(data, 'solution', 'message'))}"


def _dependency(data: Data) -> str:
    other = _first(data, "depends_on") or "something else"
    return f"{_task(data)} depends on {other}" + _told(": ", _first(data, "reason", "relationship"))


def _expertise(data: Data) -> str:
    answer = _first(data, "answer", "resources")
    if not answer and data.get("can_help") is False:
        return "does not know"
    return f"answers: {answer or _part(data)}"


def _allocation(data: Data) -> str:
    attempt = _first(data, "attempt")
    to = _told(" to ", _first(data, "agent_id"))
    return f"gives {_task(data)}{to}{'' if attempt == '1' else _told(', attempt ', attempt)}"


def _mentorship(data: Data) -> str:
    teaches = "does not teach" if data.get("accepted") is False else "teaches"
    return f"{teaches}{_told(': ', _first(data, 'guidance', 'message', 'steps'))}"


def _standing(data: Data, *names: str) -> str:
    """How far something is: what the fields of these names say, how much is done, what blocks."""
    said = [_first(data, name) for name in names]
    if data.get("completion") is not None:
        said.append(f"{_share(data['completion'])} done")
    if blockers := _first(data, "blockers"):
        said.append(f"blocked by {blockers}")
    return ", ".join(part for part in said if part)


def _context(data: Data) -> str:
    return _first(data, "context_path") or "some context"


def _context_given(data: Data) -> str:
    gives = "has no context" if data.get("found") is False else "gives context"
    told = f"{gives}{_told(' ', _first(data, 'context_path', 'query'))}"
    return told + _told(": ", _first(data, "content", "results", "error"))


_SENTENCES: dict[str, Callable[[Data], str]] = {
    MessageType.TASK_ANNOUNCEMENT: _announcement,
    MessageType.TASK_CLAIM: lambda data: f"claims {_task(data)}",
    MessageType.TASK_PROGRESS: _progress,
    MessageType.TASK_COMPLETE: _completion,
    MessageType.CAPABILITY_BROADCAST: lambda data: (
        _told("can do ", _first(data, "capabilities", "specialization")) or "is there"
    ),
    MessageType.AVAILABILITY_BROADCAST: _availability,
    MessageType.META_DISCUSSION: lambda data: (
        _first(data, "message", "response", "subject", "plan") or _part(data) or "says nothing"
    ),
    MessageType.TASK_HELP_REQUEST: lambda data: (
        f"needs help with {_task(data)}"
        + _told(": ", _first(data, "help_needed", "reason", "error"))
        + _told(", urgency ", _first(data, "urgency"))
    ),
    MessageType.TASK_HELP_RESPONSE: _help,
    MessageType.COORDINATION_REQUEST: lambda data: (
        f"asks to coordinate{_told(': ', _first(data, 'subject', 'description', 'goal'))}"
    ),
    MessageType.COORDINATION_COMPLETE: lambda data: (
        f"coordination is complete{_told(': ', _first(data, 'summary', 'decision', 'resolution'))}"
    ),
    MessageType.DEPENDENCY_ALERT: _dependency,
    MessageType.ESCALATION_TRIGGER: lambda data: (
        f"a person is needed{_told(': ', _first(data, 'reason'))}"
        + _told(", severity ", _first(data, "severity"))
        + _told(", by ", _first(data, "respond_by"))
    ),
    MessageType.ROLE_ANNOUNCEMENT: lambda data: (
        f"is {_first(data, 'roles', 'role') or 'here'}"
        + _told(", knows ", _first(data, "expertise", "capabilities"))
    ),
    MessageType.EXPERTISE_REQUEST: lambda data: (
        f"asks: {_first(data, 'question', 'expertise') or 'for expertise'}"
    ),
    MessageType.EXPERTISE_RESPONSE: _expertise,
    MessageType.STATUS_UPDATE: lambda data: (
        f"status: {_standing(data, 'status', 'message') or _part(data)}"
    ),
    MessageType.WORK_ALLOCATION: _allocation,
    MessageType.ROLE_COLLABORATION: lambda data: (
        f"collaborates{_told(': ', _first(data, 'message', 'subject', 'goal'))}"
    ),
    MessageType.MENTORSHIP_REQUEST: lambda data: (
        f"seeks a mentor{_told(' for ', _first(data, 'topic', 'question'))}"
    ),
    MessageType.MENTORSHIP_RESPONSE: _mentorship,
    MessageType.PROJECT_UPDATE: lambda data: (
        f"project {_first(data, 'project_id') or 'update'}"
        + _told(": ", _standing(data, "phase", "status", "summary"))
    ),
    MessageType.DELIVERABLE_READY: lambda data: (
        f"delivers {_first(data, 'deliverable') or 'something'}"
        + _told(" at ", _first(data, "location"))
    ),
    MessageType.FEEDBACK_EVENT: lambda data: (
        f"feedback on {_context(data)}{_told(': ', _first(data, 'relevance_score', 'reward'))}"
        + _told(", ", _first(data, "feedback_type", "comment"))
    ),
    MessageType.CONTEXT_REQUEST: lambda data: (
        f"asks for context: {_first(data, 'query', 'context_path', 'scope') or _part(data)}"
    ),
    MessageType.CONTEXT_RESPONSE: _context_given,
    MessageType.CONTEXT_USAGE: lambda data: (
        f"used {_context(data)}"
        + _told(" ", _first(data, "usage_count"), " times")
        + _told(" for ", _first(data, "query", "purpose"))
    ),
    MessageType.CONTEXT_RELEVANCE: lambda data: (
        f"relevance of {_context(data)}{_told(': ', _first(data, 'relevance_score'))}"
        + _told(" for ", _first(data, "query"))
    ),
    MessageType.SLURP_EVENT_GENERATED: lambda data: (
        f"SLURP event {_first(data, 'event_id')}{_told(' of type ', _first(data, 'event_type'))}"
        + _told(" from discussion ", _first(data, "discussion_id"))
        + _told(": ", _first(data, "summary"))
    ),
    MessageType.SLURP_EVENT_ACK: lambda data: (
        f"acknowledges SLURP event {_first(data, 'event_id')}"
        + _told(": ", _first(data, "reason", "status"))
    ),
    MessageType.SLURP_CONTEXT_UPDATE: lambda data: (
        f"SLURP context {_first(data, 'context_path', 'event_id')}"
        + _told(": ", _first(data, "summary", "changes", "content", "update_type"))
    ),
}
