"""What boards say to each other: the `data` of five message types.

Reading never raises: what a board cannot use is None, and left out. Only the type, the data and
the agent that signed it count; what an agent says about others is not believed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.tasks.task import MAX_CAPABILITIES, is_identifier

MAX_ATTEMPT = 2**31
MAX_LEASE = 1e6
MAX_ERROR_LENGTH = 2000
"""Characters of a reason that are passed on."""


class Status(StrEnum):
    """`status` of a TaskProgress."""

    WORKING = "working"
    DONE = "done"
    FAILED = "failed"
    DECLINED = "declined"
    """The worker does not take, or does not have any more, what was allocated to it."""
    CLOSED = "closed"
    """Said by the announcer to one that asks or reports in vain: for this agent, this attempt and
    all before are over."""


_STATUSES = {status.value: status for status in Status}


@dataclass(frozen=True, slots=True)
class Announced:
    """TaskAnnouncement, by the announcer: it waits for claims."""

    message_type: ClassVar[MessageType] = MessageType.TASK_ANNOUNCEMENT

    task_id: str
    description: str
    capabilities: tuple[str, ...]
    input: object
    attempt: int
    """The number of the attempt that will be allocated."""
    failures: int
    """Attempts that have failed so far."""

    def to_data(self) -> dict[str, object]:
        data: dict[str, object] = {
            "task_id": self.task_id,
            "attempt": self.attempt,
            "capabilities": list(self.capabilities),
            "description": self.description,
        }
        if self.input is not None:
            data["input"] = self.input
        if self.failures:
            data["failures"] = self.failures
        return data


@dataclass(frozen=True, slots=True)
class Claimed:
    """TaskClaim, by a worker that has room for it."""

    message_type: ClassVar[MessageType] = MessageType.TASK_CLAIM

    task_id: str
    agent: str
    announcer: str
    """Empty where the worker's program does not say it."""
    attempt: int
    """The attempt that was announced; 0 where the worker's program does not say it."""

    def to_data(self) -> dict[str, object]:
        return {
            "task_id": self.task_id,
            "agent_id": self.agent,
            "announcer": self.announcer,
            "attempt": self.attempt,
        }


@dataclass(frozen=True, slots=True)
class Allocated:
    """WorkAllocation, by the announcer: this agent has the task, until its lease lapses."""

    message_type: ClassVar[MessageType] = MessageType.WORK_ALLOCATION

    task_id: str
    agent: str
    attempt: int
    lease: float
    failures: int

    def to_data(self) -> dict[str, object]:
        data: dict[str, object] = {
            "task_id": self.task_id,
            "agent_id": self.agent,
            "attempt": self.attempt,
            "lease_seconds": self.lease,
        }
        if self.failures:
            data["failures"] = self.failures
        return data


@dataclass(frozen=True, slots=True)
class Progressed:
    """TaskProgress, by the worker; by the announcer where the status is CLOSED."""

    message_type: ClassVar[MessageType] = MessageType.TASK_PROGRESS

    task_id: str
    announcer: str
    attempt: int
    status: Status
    progress: float = 0.0
    message: str = ""
    """The worker's own words, beside the status."""
    output: object = None
    error: str = ""
    agent: str = ""
    """To whom the announcer says CLOSED."""

    def to_data(self) -> dict[str, object]:
        data: dict[str, object] = {
            "task_id": self.task_id,
            "announcer": self.announcer,
            "attempt": self.attempt,
            "progress": self.progress,
            "status": self.status.value,
        }
        if self.agent:
            data["agent_id"] = self.agent
        if self.message:
            data["message"] = self.message
        if self.output is not None:
            data["output"] = self.output
        if self.error:
            data["error"] = self.error
        return data


@dataclass(frozen=True, slots=True)
class Completed:
    """TaskComplete, by the announcer, once for each of its tasks."""

    message_type: ClassVar[MessageType] = MessageType.TASK_COMPLETE

    task_id: str
    result: str
    agent: str = ""
    attempt: int = 0
    output: object = None
    error: str = ""

    def to_data(self) -> dict[str, object]:
        data: dict[str, object] = {
            "task_id": self.task_id,
            "result": self.result,
            "attempt": self.attempt,
        }
        if self.agent:
            data["agent_id"] = self.agent
        if self.output is not None:
            data["output"] = self.output
        if self.error:
            data["error"] = self.error
        return data


Said = Announced | Claimed | Allocated | Progressed | Completed


def read(kind: str, data: Mapping[str, object] | None, sender: str) -> Said | None:
    """What `sender` says with a message of type `kind`; None where a board has no use for it."""
    if data is None or kind not in _READERS:
        return None
    task_id = data.get("task_id")
    return _READERS[kind](str(task_id), data, sender) if is_identifier(task_id) else None


def _announced(task_id: str, data: Mapping[str, object], sender: str) -> Said | None:
    attempt = _number(data, "attempt")
    capabilities = data.get("capabilities", ())
    if not attempt:
        return None  # its announcer has no board: nobody would allocate it
    if not isinstance(capabilities, (list, tuple)) or len(capabilities) > MAX_CAPABILITIES:
        return None
    if not all(is_identifier(capability) for capability in capabilities):
        return None
    return Announced(
        task_id,
        _text(data, "description"),
        tuple(str(capability).lower() for capability in capabilities),
        data.get("input"),
        attempt,
        _number(data, "failures"),
    )


def _claimed(task_id: str, data: Mapping[str, object], sender: str) -> Said | None:
    return Claimed(task_id, sender, _text(data, "announcer"), _number(data, "attempt"))


def _allocated(task_id: str, data: Mapping[str, object], sender: str) -> Said | None:
    agent, attempt, lease = data.get("agent_id"), _number(data, "attempt"), _lease(data)
    if not is_identifier(agent) or not attempt or not lease:
        return None
    return Allocated(task_id, str(agent), attempt, lease, _number(data, "failures"))


def _progressed(task_id: str, data: Mapping[str, object], sender: str) -> Said | None:
    progress = data.get("progress")
    is_number = isinstance(progress, (int, float)) and not isinstance(progress, bool)
    share = float(progress) if is_number and 0 <= progress <= 1 else 0.0  # type: ignore[operator, arg-type]
    status = _text(data, "status")
    return Progressed(
        task_id,
        _text(data, "announcer"),
        _number(data, "attempt"),
        _STATUSES.get(status, Status.WORKING),
        share,
        _text(data, "message") if status in _STATUSES else status[:MAX_ERROR_LENGTH],
        data.get("output"),
        _text(data, "error")[:MAX_ERROR_LENGTH],
        _text(data, "agent_id"),
    )


def _completed(task_id: str, data: Mapping[str, object], sender: str) -> Said | None:
    return Completed(
        task_id,
        _text(data, "result"),
        _text(data, "agent_id"),
        _number(data, "attempt"),
        data.get("output"),
        _text(data, "error")[:MAX_ERROR_LENGTH],
    )


_READERS: dict[str, Callable[[str, Mapping[str, object], str], Said | None]] = {
    MessageType.TASK_ANNOUNCEMENT: _announced,
    MessageType.TASK_CLAIM: _claimed,
    MessageType.WORK_ALLOCATION: _allocated,
    MessageType.TASK_PROGRESS: _progressed,
    MessageType.TASK_COMPLETE: _completed,
}


MESSAGE_TYPES = frozenset(_READERS)
"""What boards talk in."""


def _text(data: Mapping[str, object], name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _number(data: Mapping[str, object], name: str) -> int:
    value = data.get(name)
    return value if type(value) is int and 0 < value < MAX_ATTEMPT else 0


def _lease(data: Mapping[str, object]) -> float:
    value = data.get("lease_seconds")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    return float(value) if 0 < value <= MAX_LEASE else 0.0
