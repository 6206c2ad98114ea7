"""Questions to the application."""

from __future__ import annotations

from gossipsub.router.callbacks import Callbacks


def test_an_answer_is_the_answer_and_an_exception_is_a_no_that_is_counted() -> None:
    callbacks = Callbacks()
    assert callbacks.allow(lambda left, right: left < right, 1, 2)
    assert not callbacks.allow(lambda left, right: left < right, 2, right=1)
    assert callbacks.failures == 0
    assert not callbacks.allow(lambda: [][0])
    assert not callbacks.allow(lambda: 1 / 0 > 0)
    assert callbacks.failures == 2
