from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus.tasks.deadlines import Deadlines


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | st.floats(0, 100)), max_size=200))
def test_each_key_comes_once_at_the_time_set_last(settings: list[tuple[int, float | None]]) -> None:
    deadlines: Deadlines[int] = Deadlines()
    model: dict[int, float] = {}
    for key, time in settings:
        if time is None:
            deadlines.cancel(key)
            model.pop(key, None)
        else:
            deadlines.set(key, time)
            model[key] = time
        assert deadlines.next() == min(model.values(), default=inf)
    due: list[float] = []
    while (key := deadlines.pop_due(50.0)) is not None:  # type: ignore[assignment]
        due.append(model.pop(key))
    assert due == sorted(due)
    assert all(time > 50.0 for time in model.values())
    assert deadlines.next() == min(model.values(), default=inf)
