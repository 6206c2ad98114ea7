from __future__ import annotations

import inspect
import itertools

import anyio.lowlevel
import pytest

from gossipsub import PeerId, ReceivedMessage, Verdict
from gossipsub.validators import MaxSize, all_of

pytestmark = pytest.mark.anyio

MESSAGE = ReceivedMessage("news", b"data", None, PeerId(b"neighbour"), b"id", None)
SAID = [Verdict.ACCEPT, True, Verdict.IGNORE, Verdict.THROTTLED, Verdict.REJECT, False]


class Judge:
    """Says always the same, and notes in `log` that it was asked."""

    def __init__(self, said, log=None):
        self.said = said
        self.log = [] if log is None else log

    def __call__(self, message):
        assert message is MESSAGE
        self.log.append(self.said)
        return self.said

    async def later(self, message):
        await anyio.lowlevel.checkpoint()
        return self(message)

    def in_disguise(self, message):
        """Asynchronous, which cannot be seen before it is called."""
        return self.later(message)

    def __repr__(self):
        return "Judge"


FORMS = [lambda judge: judge, lambda judge: judge.later, lambda judge: judge.in_disguise]


async def verdict_of(validator):
    outcome = validator(MESSAGE)
    return await outcome if inspect.isawaitable(outcome) else outcome


def expected(said):
    meaning = [{True: Verdict.ACCEPT, False: Verdict.REJECT}.get(one, one) for one in said]
    for verdict in meaning:
        if verdict in (Verdict.REJECT, Verdict.THROTTLED):
            return verdict
    return Verdict.IGNORE if Verdict.IGNORE in meaning else Verdict.ACCEPT


@pytest.mark.parametrize("forms", list(itertools.product(FORMS, repeat=2)))
async def test_all_must_accept_and_the_gravest_refusal_wins(forms):
    for said in itertools.product(SAID, repeat=2):
        judges = [form(Judge(one)) for form, one in zip(forms, said, strict=True)]
        assert await verdict_of(all_of(*judges)) is expected(said), said


@pytest.mark.parametrize("form", FORMS)
async def test_they_are_asked_in_order_until_nothing_can_change_any_more(form):
    for last in (Verdict.REJECT, Verdict.THROTTLED, False):
        log = []
        said = [True, Verdict.IGNORE, Verdict.ACCEPT, last, Verdict.REJECT]
        assert await verdict_of(all_of(*(form(Judge(one, log)) for one in said))) is expected(
            [last]
        )
        assert log == said[:4]


async def test_it_is_plain_while_all_of_them_are():
    assert all_of(Judge(True), MaxSize(5))(MESSAGE) is Verdict.ACCEPT
    seen = all_of(Judge(True), Judge(True).later)
    assert inspect.iscoroutinefunction(seen.__call__)
    assert inspect.iscoroutinefunction(all_of(Judge(True), seen).__call__)
    assert await seen(MESSAGE) is Verdict.ACCEPT
    assert not inspect.iscoroutinefunction(all_of(Judge(True).in_disguise).__call__)


async def test_what_one_of_them_raises_passes_through():
    def fail(message):
        raise KeyError("mine")

    for validator in (all_of(Judge(True), fail), all_of(Judge(True).later, fail)):
        with pytest.raises(KeyError, match="mine"):
            await verdict_of(validator)


NO_VERDICTS = [
    (None, "NoneType"),
    (b"secret", "bytes"),
    (1, "int"),
    (Verdict.INVALID_SIGNATURE, "INVALID_SIGNATURE"),
    (Verdict.QUEUE_FULL, "QUEUE_FULL"),
]


@pytest.mark.parametrize(("said", "name"), NO_VERDICTS)
async def test_who_gives_no_verdict_is_named(said, name):
    for form in FORMS[0], FORMS[2]:
        with pytest.raises(TypeError, match=rf"Judge.* returned {name} instead of a verdict$"):
            await verdict_of(all_of(Judge(True), form(Judge(said))))


def test_it_tells_what_it_is_made_of():
    assert repr(all_of(Judge(True), all_of(Judge(False)))) == "all_of(Judge, all_of(Judge))"
