"""Whose bad score is kept after it left, and who must give way."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.router.score.retained import RetainedPeers

TOPIC = TopicScoreParams(
    first_message_deliveries_weight=1.0, invalid_message_deliveries_weight=-1.0
)
PEERS = [b"a", b"b", b"c", b"d", b"e"]


def scores(*, max_retained: int = 3, **params: object) -> PeerScores:
    built = PeerScoreParams(topics={"t": TOPIC}, **params)  # type: ignore[arg-type]
    return PeerScores(built, max_retained=max_retained, now=0.0)


def leave(table: PeerScores, peer: bytes, *, invalid: int = 0, ip: str = "10.0.0.1") -> None:
    """A peer comes, delivers so many invalid messages, and leaves."""
    table.add_peer(peer, [ip])
    for _ in range(invalid):
        table.invalid_delivery(peer, "t")
    table.remove_peer(peer, 0.0)


@pytest.mark.rule("SCORE-29")
def test_what_shows_after_a_peer_left_counts_as_if_it_had_shown_before() -> None:
    """The verdict on its last message, say; and from then on it is one of the bad."""
    table = scores(behaviour_penalty_weight=-1.0)
    for peer in (b"a", b"b"):
        leave(table, peer)
    for _ in range(3):
        table.invalid_delivery(b"a", "t")
        table.penalise(b"b", 1, "misdeed")
    for number in range(100):
        leave(table, b"fresh %d" % number)
        leave(table, b"slightly bad %d" % number, invalid=1)
    assert (table.score(b"a"), table.score(b"b")) == (-9.0, -9.0)
    assert table.score(b"slightly bad 99") == -1.0


@pytest.mark.rule("SCORE-29")
def test_fresh_identities_push_out_no_bad_record() -> None:
    table = scores()
    leave(table, b"bad", invalid=3)
    for number in range(100):
        leave(table, b"fresh %d" % number)
        leave(table, b"slightly bad %d" % number, invalid=1)
    assert table.score(b"bad") == -9.0
    assert [table.score(b"slightly bad %d" % number) for number in (97, 98, 99)] == [
        0.0,
        -1.0,
        -1.0,
    ]
    assert table.retained_count() == 3


@pytest.mark.rule("SCORE-29")
def test_of_those_that_share_an_address_none_pushes_out_a_bad_record() -> None:
    """Their score is worse and worse, by their number alone; nobody of them did anything."""
    table = scores(ip_colocation_factor_weight=-100.0, ip_colocation_factor_threshold=1)
    leave(table, b"bad", invalid=3, ip="10.9.9.9")
    for number in range(100):
        leave(table, b"sybil %d" % number)
    assert table.score(b"bad") == -9.0
    assert table.score(b"sybil 99") == -100.0  # two at this address: no more are remembered


@pytest.mark.rule("SCORE-29")
@pytest.mark.parametrize(
    "params",
    [
        {"behaviour_penalty_weight": -1.0, "behaviour_penalty_threshold": 5.0},
        {"slow_peer_weight": -1.0, "slow_peer_threshold": 5.0},
    ],
)
def test_misdeeds_below_the_threshold_are_kept_as_well(params: dict[str, float]) -> None:
    """Or reconnecting would clear them one by one."""
    table = scores(**params)
    for _ in range(2):
        table.add_peer(b"a", [])
        table.penalise(b"a", 4, "misdeed")
        table.send_lost(b"a", 4)
        assert table.score(b"a") >= -9.0
        table.remove_peer(b"a", 0.0)
    assert table.score(b"a") == (-9.0 if "behaviour_penalty_weight" in params else -3.0)


@pytest.mark.rule("SCORE-29", "SCORE-30")
def test_who_made_up_for_its_misdeeds_is_remembered_for_them() -> None:
    table = scores()
    table.add_peer(b"a", [])
    for _ in range(4):
        table.first_delivery(b"a", "t")
    table.invalid_delivery(b"a", "t")
    table.invalid_delivery(b"a", "t")
    assert table.score(b"a") == 0.0
    table.remove_peer(b"a", 0.0)
    assert table.score(b"a") == -4.0


class RetainedMachine(RuleBasedStateMachine):
    """Against a plain list of (badness, number, peer, expiry)."""

    LIMIT = 3

    def __init__(self) -> None:
        super().__init__()
        self.retained = RetainedPeers(limit=self.LIMIT)
        self.model: list[tuple[float, int, bytes, float]] = []
        self.now = 0.0
        self.number = 0

    @rule(peer=st.sampled_from(PEERS), badness=st.integers(0, 3))
    def add(self, peer: bytes, badness: int) -> None:
        if peer in self.retained:
            return
        self.number += 1
        self.model.append((badness, self.number, peer, self.now + 10.0))
        expected = None
        if len(self.model) > self.LIMIT:
            expected = min(self.model)[2]
            self.model.remove(min(self.model))
        assert self.retained.add(peer, badness, self.now + 10.0) == expected

    @rule(index=st.integers(0, 2), badness=st.integers(0, 3))
    def change(self, index: int, badness: int) -> None:
        if index < len(self.model):
            self.number += 1
            _, _, peer, expiry = self.model[index]
            self.model[index] = (badness, self.number, peer, expiry)
            self.retained.change(peer, badness)

    @rule(peer=st.sampled_from(PEERS))
    def discard(self, peer: bytes) -> None:
        self.retained.discard(peer)
        self.model = [entry for entry in self.model if entry[2] != peer]

    @rule(seconds=st.integers(0, 15))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        expected = [entry[2] for entry in self.model if entry[3] < self.now]
        assert self.retained.take_expired(self.now) == expected
        self.model = [entry for entry in self.model if entry[3] >= self.now]

    @invariant()
    def the_same_are_there(self) -> None:
        assert len(self.retained) == len(self.model)
        assert [peer for peer in PEERS if peer in self.retained] == sorted(
            entry[2] for entry in self.model
        )


TestRetainedMachine = RetainedMachine.TestCase


def test_peers_that_come_and_go_for_ever_take_no_memory() -> None:
    """The order of the bad ones has entries of those that came back, until it is put right."""
    retained = RetainedPeers(limit=10)
    tracemalloc.start()
    try:
        for number in range(10_000):
            peer = b"%d" % (number % 5)
            retained.add(peer, 1.0, 1.0)
            retained.change(peer, 2.0)
            retained.discard(peer)
        assert tracemalloc.get_traced_memory()[0] < 20_000
    finally:
        tracemalloc.stop()
