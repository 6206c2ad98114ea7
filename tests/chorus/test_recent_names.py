from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus.recent_names import RecentNames, read_name
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError


def agent(number: int) -> PeerId:
    return PeerId(bytes((0, 1, number)))


def test_a_name_is_its_agents_own() -> None:
    names: RecentNames[int] = RecentNames(16)
    names.add(agent(1), "a", 1)
    names.add(agent(2), "a", 2)
    names.add(agent(2), "a", 3)
    assert [names.find(agent(number), "a") for number in (1, 2, 3)] == [1, 3, None]
    assert names.find(agent(1), "b") is None
    assert len(names) == 2


def test_no_agent_pushes_out_what_others_named() -> None:
    names: RecentNames[int] = RecentNames(16)
    names.add(agent(1), "kept", 1)
    for number in range(100):
        names.add(agent(2), str(number), number)
    assert names.find(agent(1), "kept") == 1
    assert len(names) == 3
    assert [names.find(agent(2), str(number)) for number in (97, 98, 99)] == [None, 98, 99]


def test_when_it_is_full_the_agent_heard_of_longest_ago_loses_its_oldest() -> None:
    names: RecentNames[int] = RecentNames(8)
    for number in range(8):
        names.add(agent(number), "a", number)
    names.add(agent(0), "b", 0)
    names.add(agent(8), "a", 8)
    assert [names.find(agent(number), "a") for number in range(4)] == [None, None, 2, 3]
    assert (names.find(agent(0), "b"), len(names)) == (0, 8)


def test_what_cannot_be_a_name_is_none() -> None:
    assert [read_name(value) for value in ("x", "x" * 64, "x" * 65, "", 5, None, ["x"])] == [
        "x", "x" * 64, None, None, None, None, None,
    ]  # fmt: skip
    with pytest.raises(LocalProtocolError, match="at least 1 name"):
        RecentNames(0)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4))), st.integers(1, 40))
def test_its_size_is_bounded_and_right_whatever_is_named(
    named: list[tuple[int, int]], bound: int
) -> None:
    names: RecentNames[int] = RecentNames(bound)
    for at, (number, name) in enumerate(named):
        names.add(agent(number), str(name), at)
        assert names.find(agent(number), str(name)) == at
        found = [names.find(agent(other), str(each)) for other in range(13) for each in range(5)]
        assert len(names) == len([value for value in found if value is not None]) <= bound
