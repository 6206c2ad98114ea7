"""The peer gater, alone and in the router."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from gossipsub.router.admission.gater import PeerGater, PeerGaterParams
from gossipsub.router.effects import Validate, Verdict
from gossipsub.router.score.params import PeerScoreParams, decay_factor
from gossipsub.wire.rpc import Graft, IHave, IWant

A, B, C = b"a", b"b", b"c"


class Constant(Random):
    """Says the same number each time."""

    value = 0.5

    def random(self) -> float:
        return self.value


def make_gater(number: float = 0.5, **params: Any) -> PeerGater:
    rng = Constant(1)
    rng.value = number
    return PeerGater(PeerGaterParams(**params), rng=rng, now=0.0)


def judge(gater: PeerGater, peer: bytes, now: float = 0.0, **counts: int) -> None:
    for name, count in counts.items():
        for _ in range(count):
            if name == "duplicate":
                gater.duplicate(peer)
            else:
                gater.judged(peer, "t", Verdict[name.upper()], now)


def test_the_defaults_are_gos() -> None:
    assert PeerGaterParams() == PeerGaterParams(
        threshold=0.33,
        quiet=60.0,
        global_decay=decay_factor(120.0),
        source_decay=decay_factor(3600.0),
        decay_interval=1.0,
        decay_to_zero=0.01,
        retain=21600.0,
        duplicate_weight=0.125,
        ignore_weight=1.0,
        reject_weight=16.0,
        topic_delivery_weights={},
    )


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"threshold": 0.0}, "threshold must be positive: 0.0"),
        ({"global_decay": 1.0}, "global_decay must be between 0 and 1: 1.0"),
        ({"source_decay": 0.0}, "source_decay must be between 0 and 1: 0.0"),
        ({"decay_to_zero": 1.5}, "decay_to_zero must be between 0 and 1: 1.5"),
        ({"decay_interval": 0.9}, "decay_interval must be at least 1: 0.9"),
        ({"quiet": 0.5}, "quiet must be at least 1: 0.5"),
        ({"retain": -1.0}, "retain must be not negative: -1.0"),
        ({"max_retained": -1}, "max_retained must be not negative: -1"),
        ({"duplicate_weight": 0.0}, "duplicate_weight must be positive: 0.0"),
        ({"ignore_weight": 0.9}, "ignore_weight must be at least 1: 0.9"),
        ({"reject_weight": float("nan")}, "reject_weight must be at least 1: nan"),
        (
            {"topic_delivery_weights": {"t": -1.0}},
            "topic_delivery_weights must be not negative: {'t': -1.0}",
        ),
    ],
)
def test_parameters_that_cannot_work_are_refused(values: dict[str, Any], error: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        PeerGaterParams(**values)


@pytest.mark.rule("GATE-01")
@pytest.mark.parametrize(
    ("counts", "seconds", "accepted"),
    [
        ({}, 0.0, True),
        ({"reject": 100}, 0.0, True),  # nothing was throttled
        ({"queue_full": 1, "reject": 100}, 0.0, True),  # a hundredth was
        ({"queue_full": 32, "reject": 100}, 0.0, True),
        ({"queue_full": 34, "reject": 100}, 0.0, False),
        ({"queue_full": 34, "reject": 100}, 60.0, False),
        ({"queue_full": 34, "reject": 100}, 60.1, True),
        ({"throttled": 50, "reject": 100}, 0.0, False),  # throttled ones were validated, too
        ({"throttled": 49, "reject": 100}, 0.0, True),
        ({"queue_full": 1, "invalid_signature": 1}, 0.0, False),  # none was validated
    ],
)
def test_everything_is_accepted_while_validation_keeps_up(
    counts: dict[str, int], seconds: float, accepted: bool
) -> None:
    gater = make_gater()
    gater.add_peer(A, "10.0.0.1")
    judge(gater, A, **counts)
    assert gater.accepts(A, seconds) is accepted


@pytest.mark.rule("GATE-01")
def test_what_was_throttled_and_has_decayed_to_nothing_does_not_count() -> None:
    gater = make_gater(0.9, global_decay=0.001)
    gater.add_peer(A, "10.0.0.1")
    judge(gater, A, queue_full=1, reject=1)
    assert not gater.accepts(A, 0.0)
    gater.decay_if_due(1.0)
    assert gater.accepts(A, 1.0)


@pytest.mark.rule("GATE-02")
def test_the_chance_is_the_share_of_good_in_what_came() -> None:
    gater = make_gater()
    gater.add_peer(A, "10.0.0.1")
    assert gater.chance(A) == 1.0
    judge(gater, A, ignore=100, reject=100)
    assert gater.chance(A) == pytest.approx(1 / 1701)
    judge(gater, A, accept=100)
    assert gater.chance(A) == pytest.approx(101 / 1801)
    judge(gater, A, duplicate=800, invalid_signature=1, throttled=5, queue_full=5)
    assert gater.chance(A) == pytest.approx(101 / 1917)
    gater.refused(A)
    assert gater.chance(A) == pytest.approx(101 / 1933)


@pytest.mark.rule("GATE-02")
@pytest.mark.parametrize(("number", "accepted"), [(0.19, True), (0.2, False), (0.9, False)])
def test_the_injected_random_number_decides(number: float, accepted: bool) -> None:
    gater = make_gater(number)
    gater.add_peer(A, "10.0.0.1")
    judge(gater, A, ignore=4, queue_full=9)
    assert gater.chance(A) == pytest.approx(0.2)
    assert gater.accepts(A, 0.0) is accepted


@pytest.mark.rule("GATE-03")
def test_counts_decay_each_second_until_they_are_zero() -> None:
    gater = make_gater(global_decay=0.9, source_decay=0.999)
    gater.add_peer(A, "10.0.0.1")
    judge(gater, A, ignore=100, reject=100, queue_full=300)
    assert not gater.accepts(A, 0.0)
    assert gater.next_deadline() == 1.0
    gater.decay_if_due(0.9)
    assert gater.chance(A) == pytest.approx(1 / 1701)
    for second in range(1, 101):
        gater.decay_if_due(float(second))
    assert gater.next_deadline() == 101.0
    assert gater.chance(A) == pytest.approx(1 / (1 + 1700 * 0.999**100))
    judge(gater, A, now=100.0, accept=100)
    # All 300 throttled ones have decayed to below a hundredth, hence to nothing.
    judge(gater, A, now=100.0, queue_full=1)
    assert gater.accepts(A, 100.0)


@pytest.mark.rule("GATE-03")
def test_by_default_all_is_forgotten_in_two_minutes_and_sources_in_an_hour() -> None:
    gater = make_gater()
    gater.add_peer(A, "10.0.0.1")
    judge(gater, A, queue_full=1, ignore=1)
    judge(gater, A, queue_full=100, now=50.0)
    for second in range(1, 3602):
        gater.decay_if_due(float(second))
    assert gater.chance(A) == 1.0


@pytest.mark.rule("GATE-04")
def test_peers_at_one_address_share_a_record_which_stays_six_hours() -> None:
    gater = make_gater()
    gater.add_peer(A, "10.0.0.1")
    gater.add_peer(B, "10.0.0.1")
    gater.add_peer(C, None)
    judge(gater, A, reject=1)
    assert (gater.chance(A), gater.chance(B), gater.chance(C)) == (1 / 17, 1 / 17, 1.0)
    assert len(gater) == 2
    gater.remove_peer(A, 0.0)
    gater.remove_peer(B, 10.0)
    judge(gater, A, accept=100)  # of a peer that left meanwhile
    gater.duplicate(A)
    gater.refused(A)
    gater.decay_if_due(21610.0)
    assert len(gater) == 2
    gater.add_peer(b"d", "10.0.0.1")
    assert gater.chance(b"d") == 1 / 17
    gater.remove_peer(b"d", 21610.0)
    gater.decay_if_due(43210.9)
    gater.add_peer(b"e", "10.0.0.1")
    assert (gater.chance(b"e"), len(gater)) == (1.0, 2)


def test_the_number_of_sources_without_a_peer_is_bounded() -> None:
    gater = make_gater(max_retained=10)
    for number in range(100):
        gater.add_peer(A, f"10.0.0.{number}")
        gater.remove_peer(A, float(number))
    assert len(gater) == 10


def test_a_source_that_came_back_or_still_has_a_peer_is_not_forgotten() -> None:
    gater = make_gater(max_retained=1, retain=10.0)
    gater.add_peer(A, "10.0.0.1")
    judge(gater, A, reject=1)
    gater.remove_peer(A, 0.0)
    gater.add_peer(A, "10.0.0.1")
    gater.add_peer(B, "10.0.0.1")
    gater.remove_peer(B, 0.0)
    for number in range(2, 5):
        gater.add_peer(C, f"10.0.0.{number}")
        gater.remove_peer(C, 1.0)
    gater.decay_if_due(100.0)
    assert len(gater) == 1
    assert gater.chance(A) == pytest.approx(1 / 17, rel=0.01)


@pytest.mark.rule("GATE-05")
def test_a_delivery_counts_what_its_topic_is_worth() -> None:
    gater = make_gater(topic_delivery_weights={"t": 0.0, "gold": 3.0})
    gater.add_peer(A, "10.0.0.1")
    judge(gater, A, ignore=9)
    gater.judged(A, "t", Verdict.ACCEPT, 0.0)
    assert gater.chance(A) == pytest.approx(1 / 10)
    gater.judged(A, "gold", Verdict.ACCEPT, 0.0)
    assert gater.chance(A) == pytest.approx(4 / 13)
    gater.judged(A, "other", Verdict.ACCEPT, 0.0)
    assert gater.chance(A) == pytest.approx(5 / 14)


# In the router


@pytest.fixture
def busy(make_node: Callable[..., Any]) -> Any:
    """A node that has no time: a's messages are throttled, and of b's one was good."""
    node = make_node(
        gater=PeerGaterParams(),
        score=PeerScoreParams(behaviour_penalty_weight=-1.0, behaviour_penalty_decay=0.99),
    )
    node.join("t")
    node.router.peer_connected(A, protocol="/meshsub/1.2.0", outbound=False, ip="1.1.1.1", now=0.0)
    node.router.peer_connected(B, protocol="/meshsub/1.2.0", outbound=False, ip="1.1.1.2", now=0.0)
    node.router.effects()
    node.accept(B, node.message(0, author=b"x"))
    asked = node.receive(A, publish=[node.message(number) for number in range(1, 201)])
    for number, validate in enumerate(asked):
        node.verdict(validate, Verdict.REJECT if number % 2 else Verdict.QUEUE_FULL)
    return node


@pytest.mark.rule("GATE-02")
def test_of_a_useless_peer_messages_are_dropped_and_control_is_heeded(busy: Any) -> None:
    before = busy.router.snapshot().undelivered
    for number in range(300, 320):
        effects = busy.receive(
            A,
            subscribe=["t", f"u{number}"],
            publish=[busy.message(number), busy.message(number, topic="elsewhere")],
            iwant=[IWant([busy.message_id(0, author=b"x")])],
            graft=[Graft("t")],
        )
        assert not any(isinstance(effect, Validate) for effect in effects)
        assert f"u{number}" in busy.router.topics_of(A)
    assert busy.router.mesh("t") == [A]
    assert busy.router.snapshot().undelivered == {**before, "peer throttled": 20}
    assert len(busy.receive(B, publish=[busy.message(400)])) == 1
    # After a minute without throttling the peer is heard again.
    busy.wait(60.1)
    assert any(isinstance(e, Validate) for e in busy.receive(A, publish=[busy.message(500)]))


@pytest.mark.rule("SPAM-05")
def test_what_a_throttled_peer_promised_is_forgiven(busy: Any) -> None:
    busy.receive(A, ihave=[IHave("t", [b"maybe among those dropped"])])
    busy.receive(B, ihave=[IHave("t", [b"not sent"])])
    busy.receive(A, publish=[busy.message(300)])
    busy.wait(1.0)
    busy.receive(A, ihave=[IHave("t", [b"promised later"])])
    busy.wait(2.5)
    scores = busy.router.score_snapshots()
    assert scores[A].behaviour_penalty == 0.0
    assert scores[B].behaviour_penalty > 0.9
    busy.wait(1.0)
    assert busy.router.score_snapshots()[A].behaviour_penalty > 0.9


@pytest.mark.rule("GATE-06")
def test_the_gater_knows_peers_as_long_as_our_stream_to_them_stands(busy: Any) -> None:
    busy.receive(b"inbound only", publish=[busy.message(300)])
    assert busy.router.snapshot().gater_sources == 2
    busy.router.inbound_stream_closed(A, now=busy.now)
    assert busy.receive(A, publish=[busy.message(301)]) == []
    busy.router.peer_disconnected(A, now=busy.now)
    busy.wait(6 * 3600 - 1)
    assert busy.router.snapshot().gater_sources == 2
    busy.wait(2)
    assert busy.router.snapshot().gater_sources == 1


@pytest.mark.parametrize("seed", range(3))
def test_it_is_off_by_default(make_node: Callable[..., Any], seed: int) -> None:
    node = make_node(seed=seed)
    node.join("t")
    node.connect([A])
    for number in range(100):
        (validate,) = node.receive(A, publish=[node.message(number)])
        node.verdict(validate, Verdict.QUEUE_FULL)
    assert node.router.snapshot().gater_sources == 0
