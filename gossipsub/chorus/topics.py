"""Names of the CHORUS topics: three static ones, and patterns for those that come and go.

Roles, expertise and supervisors are lower-cased and each space becomes an underscore, as agents
written in Go do; ids of projects, issues and tasks are used as they are. An identifier that is
empty, or holds a slash, a control character or a lone surrogate, is a LocalProtocolError.
"""

from __future__ import annotations

from unicodedata import category

from gossipsub.wire.errors import LocalProtocolError

COORDINATION_TOPIC = "CHORUS/coordination/v1"
"""Tasks and availability (Bzzz)."""
HMMM_TOPIC = "hmmm/meta-discussion/v1"
"""Meta-discussion, collaboration by role, SLURP events."""
CONTEXT_TOPIC = "CHORUS/context-feedback/v1"
"""Feedback for the context curator."""

_ISSUE_PREFIX = "CHORUS/meta/issue/"


def role_topic(role: str) -> str:
    """`CHORUS/roles/<role>/v1`, where agents of one role are reached."""
    return f"CHORUS/roles/{_folded('role', role)}/v1"


def expertise_topic(expertise: str) -> str:
    """`CHORUS/expertise/<expertise>/v1`, where those who know a field are reached."""
    return f"CHORUS/expertise/{_folded('expertise', expertise)}/v1"


def hierarchy_topic(supervisor: str) -> str:
    """`CHORUS/hierarchy/<supervisor>/v1`, where those who report to a supervisor meet."""
    return f"CHORUS/hierarchy/{_folded('supervisor', supervisor)}/v1"


def project_topic(project_id: str) -> str:
    """`CHORUS/projects/<project_id>/coordination/v1`."""
    return f"CHORUS/projects/{_checked('project id', project_id)}/coordination/v1"


def task_topic(task_id: str) -> str:
    """`CHORUS/tasks/<task_id>/v1`."""
    return f"CHORUS/tasks/{_checked('task id', task_id)}/v1"


def issue_topic(issue_id: str | int) -> str:
    """`CHORUS/meta/issue/<issue_id>`, a room of HMMM with a schema of its own."""
    text = str(issue_id) if type(issue_id) is int else issue_id
    return f"{_ISSUE_PREFIX}{_checked('issue id', text)}"


def is_issue_topic(name: str) -> bool:
    """True for what `issue_topic` makes: its messages are no envelopes."""
    return isinstance(name, str) and name.startswith(_ISSUE_PREFIX)


def fold(identifier: str) -> str:
    """A role, field or supervisor as topics name it; any text has a form."""
    # Go lower-cases character by character: no final sigma, and İ gives one i. One by one here it
    # would take ten times as long, and what strangers write may be long.
    return identifier.replace(" ", "_").replace("Σ", "\u03c3").replace("İ", "i").lower()


def _folded(what: str, identifier: str) -> str:
    return fold(_checked(what, identifier))


def _checked(what: str, identifier: object) -> str:
    if not isinstance(identifier, str):
        raise LocalProtocolError(f"the {what} is text, not of type {type(identifier).__name__}")
    if not identifier:
        raise LocalProtocolError(f"the {what} is empty")
    for character in identifier:
        if character == "/" or category(character) in ("Cc", "Cs"):
            raise LocalProtocolError(f"the {what} may not hold {character!r}: {identifier[:80]!r}")
    return identifier
