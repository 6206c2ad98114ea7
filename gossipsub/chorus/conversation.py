"""What agents have been saying lately, by thread, for people who look on."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.sentences import sentence
from gossipsub.wire.errors import LocalProtocolError

_HEARTBEATS = frozenset((MessageType.AVAILABILITY_BROADCAST,))
"""Said every half minute by everyone: the presence view's, not the conversation's."""
_NAME_CHARACTERS = 128


@dataclass(frozen=True, slots=True)
class Remark:
    """One message in a thread."""

    sent_at: str
    """RFC 3339, by its author's clock."""
    received_at: float
    """Seconds since 1970 by this node's clock."""
    sender: str
    """Peer id."""
    role: str
    type: str
    text: str
    """A sentence; see `sentences`."""
    priority: str
    is_own: bool
    is_caught_up: bool


@dataclass(slots=True)
class _Thread:
    topic: str
    project_id: str
    remarks: deque[Remark]
    total: int = 0
    agents: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Thread:
    """The newest remarks of one thread, oldest first."""

    name: str
    """`thread_id`, else the task, the project or the topic the message was about."""
    topic: str
    project_id: str
    total: int
    """Remarks heard in it, those that are forgotten too."""
    agents: tuple[str, ...]
    """Who spoke in it, most first; at most 16."""
    remarks: tuple[Remark, ...]


class Conversation:
    """`chorus.add_observer(Conversation())`: keeps what was said last.

    At most `max_threads` threads, those that were silent longest are forgotten first, and the last
    `max_remarks` of each. Availability heartbeats are left out. `name_of` says what to call agents
    that are spoken of, by their peer id in text. LocalProtocolError for a bound below 1.
    """

    def __init__(
        self,
        *,
        max_threads: int = 100,
        max_remarks: int = 100,
        name_of: Callable[[str], str] | None = None,
    ) -> None:
        for name, bound in (("max_threads", max_threads), ("max_remarks", max_remarks)):
            if type(bound) is not int or bound < 1:
                raise LocalProtocolError(f"{name} is a number of at least 1: {bound!r}")
        self._max_threads = max_threads
        self._max_remarks = max_remarks
        self._name_of = name_of
        self._threads: OrderedDict[str, _Thread] = OrderedDict()

    def __call__(self, delivery: Delivery) -> None:
        """Take in one message."""
        envelope = delivery.envelope
        if envelope.type in _HEARTBEATS:
            return
        name = thread_name(delivery)
        thread = self._threads.get(name)
        if thread is None:
            if len(self._threads) == self._max_threads:
                self._threads.popitem(last=False)
            project_id = envelope.project_id[:_NAME_CHARACTERS]
            thread = _Thread(delivery.topic, project_id, deque(maxlen=self._max_remarks))
            self._threads[name] = thread
        self._threads.move_to_end(name)
        sender = str(delivery.sender)
        thread.total += 1
        if sender in thread.agents or len(thread.agents) < 256:
            thread.agents[sender] += 1
        thread.remarks.append(
            Remark(
                sent_at=envelope.timestamp.text,
                received_at=delivery.received_at / 1e9,
                sender=sender,
                role=envelope.from_role[:_NAME_CHARACTERS],
                type=envelope.type[:_NAME_CHARACTERS],
                text=sentence(envelope, self._name_of),
                priority=envelope.priority[:_NAME_CHARACTERS],
                is_own=delivery.is_own,
                is_caught_up=delivery.is_caught_up,
            )
        )

    def threads(self, limit: int | None = None) -> tuple[Thread, ...]:
        """The thread that was spoken in last comes first."""
        names = list(reversed(self._threads))[:limit]
        return tuple(self._shown(name, self._threads[name]) for name in names)

    @property
    def thread_count(self) -> int:
        """Threads that are kept."""
        return len(self._threads)

    def _shown(self, name: str, thread: _Thread) -> Thread:
        agents = tuple(agent for agent, _ in thread.agents.most_common(16))
        remarks = tuple(thread.remarks)
        return Thread(name, thread.topic, thread.project_id, thread.total, agents, remarks)


def thread_name(delivery: Delivery) -> str:
    """What belongs together: its thread, else its task, its project, its topic."""
    envelope = delivery.envelope
    task = (envelope.data or {}).get("task_id")
    if envelope.thread_id:
        name = envelope.thread_id
    elif isinstance(task, str) and task:
        name = f"task {task}"
    elif envelope.project_id:
        name = f"project {envelope.project_id}"
    else:
        name = delivery.topic
    return name[:_NAME_CHARACTERS]
