from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus import AgentCard, ChangeKind, Envelope, MessageType, PresenceChange, Timestamp
from gossipsub.chorus.agent_table import Agent, AgentTable
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError

ADA, BOB, EVE = (PeerId(bytes((0, 1, number))) for number in range(3))
AVAILABLE = MessageType.AVAILABILITY_BROADCAST
ROLE = MessageType.ROLE_ANNOUNCEMENT


def said(at: int, kind: MessageType | str = "news", *, role: str = "", **data: object) -> Envelope:
    return Envelope(kind, "", Timestamp.from_unix_ns(at), data, from_role=role)


def table(**options: Any) -> AgentTable:
    return AgentTable(**{"gone_after": 100.0, "bound": 8} | options)


def test_whoever_says_anything_is_there() -> None:
    agents = table()
    change = agents.hear(ADA, said(1), now=5)
    ada = Agent(ADA, AgentCard(), "", 0, False, 5)
    assert change == PresenceChange(ChangeKind.JOINED, ada)
    assert agents.hear(ADA, said(2), now=6) is None
    assert (agents.agents(), agents.find(BOB)) == (
        (Agent(ADA, AgentCard(), "", 0, False, 6),),
        None,
    )


@pytest.mark.parametrize(
    ("envelope", "agent"),
    [
        (
            # As agents of the predecessor write it.
            said(1, AVAILABLE, node_id="x", available_for_work=True, current_tasks=1, max_tasks=3,
                 last_activity=1735787045, status="working", timestamp=1735787045),
            Agent(ADA, AgentCard(max_tasks=3), "working", 1, True, 0),
        ),
        (
            said(1, AVAILABLE, current_tasks=3, max_tasks=3),
            Agent(ADA, AgentCard(max_tasks=3), "", 3, False, 0),
        ),
        (
            said(1, ROLE, role="QA", roles=["Developer", "Mentor"], expertise=["go"], name="ada"),
            Agent(ADA, AgentCard(name="ada", roles=("Developer", "Mentor"), expertise=("go",)),
                  "", 0, False, 0),
        ),
        (said(1, ROLE, role="QA"), Agent(ADA, AgentCard(roles=("QA",)), "", 0, False, 0)),
        (
            said(1, MessageType.CAPABILITY_BROADCAST, capabilities=["sql", "sql", ""]),
            Agent(ADA, AgentCard(capabilities=("sql",)), "", 0, False, 0),
        ),
        # What makes no sense is as if it were not there.
        (
            said(1, AVAILABLE, status=4, current_tasks=-1, max_tasks=True, roles="boss", name=[],
                 expertise=["x" * 129, 5, "go"], available_for_work="yes"),
            Agent(ADA, AgentCard(expertise=("go",)), "", 0, True, 0),
        ),
        (said(1, AVAILABLE, roles=[str(n) for n in range(99)]),
         Agent(ADA, AgentCard(roles=tuple(str(n) for n in range(64))), "", 0, True, 0)),
        # Other messages tell nothing but that it is there.
        (said(1, "news", role="Boss", roles=["Boss"]), Agent(ADA, AgentCard(), "", 0, False, 0)),
    ],
)  # fmt: skip
def test_what_agents_tell_is_read(envelope: Envelope, agent: Agent) -> None:
    agents = table()
    agents.hear(ADA, envelope, now=0)
    assert agents.agents() == (agent,)


def test_what_a_message_does_not_tell_stays_as_it_was() -> None:
    agents = table()
    agents.hear(ADA, said(1, ROLE, roles=["dev"], capabilities=["sql"]), now=0)
    agents.hear(ADA, said(2, AVAILABLE, status="busy", max_tasks=2), now=0)
    card = AgentCard(roles=("dev",), capabilities=("sql",), max_tasks=2)
    change = agents.hear(ADA, said(3, ROLE, roles=[]), now=0)
    emptied = Agent(ADA, AgentCard(capabilities=("sql",), max_tasks=2), "busy", 0, True, 0)
    assert change == PresenceChange(ChangeKind.CHANGED, emptied)
    assert card != emptied.card


def test_an_old_message_makes_nobody_seen() -> None:
    agents = table()
    agents.hear(ADA, said(10), now=0)
    agents.hear(ADA, said(9), now=99)
    assert [change.kind for change in agents.expire(now=100)] == [ChangeKind.GONE]
    # Not even now that it is gone, until long after.
    assert agents.hear(ADA, said(10), now=101) is None
    assert agents.expire(now=250) == []
    assert agents.hear(ADA, said(10), now=251) is not None


def test_messages_of_two_topics_may_change_places() -> None:
    agents = table()
    agents.hear(ADA, said(7, ROLE, roles=["new"]), now=0)
    agents.hear(ADA, said(6, AVAILABLE, status="busy", roles=["old"]), now=1)
    agents.hear(ADA, said(5, AVAILABLE, status="ready"), now=1)
    assert agents.agents() == (Agent(ADA, AgentCard(roles=("new",)), "busy", 0, True, 0),)


def test_a_goodbye_holds_against_what_was_said_before() -> None:
    agents = table()
    agents.hear(ADA, said(1, AVAILABLE, status="ready"), now=0)
    change = agents.hear(ADA, said(3, AVAILABLE, status="offline"), now=1)
    assert change == PresenceChange(ChangeKind.GONE, Agent(ADA, AgentCard(), "offline", 0, True, 1))
    assert agents.hear(ADA, said(2, AVAILABLE, status="ready"), now=2) is None
    assert agents.agents() == ()
    assert agents.hear(BOB, said(1, AVAILABLE, status="offline"), now=2) is None
    back = agents.hear(ADA, said(4), now=2)
    assert back == PresenceChange(ChangeKind.JOINED, Agent(ADA, AgentCard(), "", 0, False, 2))


def test_who_was_silent_longest_goes_first() -> None:
    agents = table()
    for at, peer in enumerate((ADA, BOB, EVE, ADA)):
        agents.hear(peer, said(at), now=at)
    assert agents.next_expiry(now=4) == 101
    assert [change.agent.peer for change in agents.expire(now=102)] == [BOB, EVE]
    assert [agent.peer for agent in agents.agents()] == [ADA]
    assert agents.next_expiry(now=102) == 103
    agents.expire(now=103)
    assert agents.next_expiry(now=103) == 203


def test_a_crowd_of_strangers_pushes_nobody_out() -> None:
    agents = table(bound=2)
    for at, peer in enumerate((ADA, BOB, EVE, EVE)):
        agents.hear(peer, said(at), now=at)
    assert [agent.peer for agent in agents.agents()] == [ADA, BOB]
    assert agents.left_out == 2
    # Nor can the memory of those that left grow.
    for number in range(20):
        agents.hear(PeerId(bytes((1, number))), said(9, AVAILABLE, status="offline"), now=9)
    agents.hear(ADA, said(10, AVAILABLE, status="offline"), now=10)
    agents.hear(EVE, said(10), now=10)
    assert [agent.peer for agent in agents.agents()] == [BOB, EVE]
    with pytest.raises(LocalProtocolError, match="at least 1 agent"):
        table(bound=0)


events = st.lists(
    st.tuples(
        st.integers(0, 5),  # the agent
        st.integers(0, 30),  # when it said it
        st.sampled_from(["news", "ready", "offline", "nothing"]),
        st.integers(0, 40),  # seconds that pass
    ),
    max_size=60,
)


@given(events)
def test_whatever_is_said_in_whatever_order_the_changes_tell_who_is_there(
    said_by: list[tuple[int, int, str, int]],
) -> None:
    agents, now, there = table(bound=3), 0.0, {}
    for number, at, what, pause in said_by:
        peer = PeerId(bytes((0, 1, number)))
        changes = []
        if what != "nothing":
            envelope = said(at) if what == "news" else said(at, AVAILABLE, status=what)
            changes = [change for change in (agents.hear(peer, envelope, now=now),) if change]
        now += pause
        for change in [*changes, *agents.expire(now=now)]:
            if change.kind is ChangeKind.GONE:
                del there[change.agent.peer]
            else:
                assert (change.kind is ChangeKind.JOINED) is (change.agent.peer not in there)
                there[change.agent.peer] = change.agent
        found = agents.agents()
        assert len(found) <= 3
        assert {agent.peer for agent in found} == set(there)
        assert [agent.last_seen for agent in found] == sorted(agent.last_seen for agent in found)
        assert all(now - 100 < agent.last_seen <= now for agent in found)
        assert agents.next_expiry(now=now) > now
