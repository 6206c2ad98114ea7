"""GRAFT, PRUNE and backoffs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gossipsub.router.backoff import Backoffs, wire_seconds
from gossipsub.router.effects import Lane, SendRpc
from gossipsub.router.params import BackoffParams, RouterLimits
from gossipsub.wire.rpc import Graft, Prune, Rpc

if TYPE_CHECKING:
    from tests.router.conftest import Node

GRAFT = (Graft("t"),)
SOME_PEERS = [b"a", b"b", b"c", b"d"]
some_peers = st.sampled_from(SOME_PEERS)
some_topics = st.sampled_from(["t", "u", "v", "w"])


@pytest.mark.rule("BACK-01", "BACK-04")
def test_a_graft_is_accepted_without_an_answer_and_without_a_subscription(node: Node) -> None:
    node.join("t")
    node.connect([b"w", b"from"], topics=())
    assert node.receive(b"w", graft=GRAFT) == []
    assert node.router.mesh("t") == [b"w"]
    assert node.accept(b"from", node.message())[1:] == [
        SendRpc(b"w", Rpc(publish=(node.message(),)), Lane.FORWARDED)
    ]


@pytest.mark.rule("BACK-02")
def test_a_graft_from_a_mesh_peer_changes_nothing(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], graft=("t",))
    assert node.receive(b"w", graft=GRAFT) == []
    assert node.router.mesh("t") == [b"w"]


@pytest.mark.rule("BACK-02", "BACK-13")
def test_a_mesh_peer_may_graft_again_though_the_mesh_is_full(node: Node) -> None:
    node.join("t")
    node.connect(node.peers(12), topics=(), graft=("t",))
    assert node.receive(b"w00", graft=GRAFT) == []
    assert b"w00" in node.router.mesh("t")
    assert node.router.snapshot().backoffs == 0


@pytest.mark.rule("BACK-03")
def test_grafts_for_topics_not_joined_are_ignored(node: Node) -> None:
    node.connect([b"w"])
    before = node.router.snapshot()
    assert node.receive(b"w", graft=tuple(Graft(f"{n}") for n in range(100))) == []
    assert node.router.snapshot() == before


@pytest.mark.rule("BACK-05")
def test_a_prune_is_obeyed_without_an_answer_and_gossip_takes_over(node: Node) -> None:
    node.join("t")
    node.connect([b"w", b"from"])
    assert node.receive(b"w", prune=(Prune("t", (), 60),)) == []
    assert node.router.mesh("t") == [b"from"]
    assert node.sent(node.accept(b"from", node.message())) == {}
    assert [*node.controls(node.tick(), "ihave")] == [b"w"]


@pytest.mark.rule("BACK-06", "BACK-07")
@pytest.mark.parametrize(
    ("stated", "seconds"), [(20, 20), (None, 60), (0, 60), (-1, 60), (3600, 3600), (7200, 3600)]
)
def test_a_pruned_peer_is_grafted_again_after_the_backoff_and_some_slack(
    node: Node, stated: int | None, seconds: int
) -> None:
    node.connect([b"w"])
    node.join("t")
    node.receive(b"w", prune=(Prune("t", (), stated),))
    assert node.controls(node.wait(seconds + 1.9), "graft") == {}
    assert node.controls(node.wait(1.2), "graft") == {b"w": [Graft("t")]}


@pytest.mark.rule("BACK-14")
@pytest.mark.parametrize("stated", [2**31, 2**53, 2**63, 2**64 - 1])
def test_an_enormous_backoff_is_clamped_to_an_hour(node: Node, stated: int) -> None:
    node.connect([b"w"])
    node.join("t")
    node.receive(b"w", prune=(Prune("t", (), stated),))
    node.wait(3500)
    assert node.controls(node.wait(102), "graft") == {}
    assert node.controls(node.wait(2), "graft") == {b"w": [Graft("t")]}


@pytest.mark.rule("BACK-09")
def test_a_graft_during_backoff_is_refused_and_starts_the_backoff_again(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], graft=("t",))
    node.receive(b"w", prune=(Prune("t", (), 60),))
    node.wait(30)
    assert node.receive(b"w", graft=GRAFT) == [node.prune(b"w", "t", 60)]
    node.wait(40)
    assert node.receive(b"w", graft=GRAFT) == [node.prune(b"w", "t", 60)]
    node.wait(60)
    assert node.receive(b"w", graft=GRAFT) == []
    assert node.router.mesh("t") == [b"w"]


@pytest.mark.rule("BACK-07")
def test_a_graft_received_is_judged_by_the_exact_time(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=(), graft=("t",))
    node.receive(b"w", prune=(Prune("t", (), 20),))
    node.wait(20)
    assert node.receive(b"w", graft=GRAFT) == []
    assert node.router.mesh("t") == [b"w"]


@pytest.mark.rule("BACK-09", "WIRE-16")
def test_hanging_up_does_not_shed_a_backoff(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], graft=("t",))
    node.receive(b"w", prune=(Prune("t", (), 60),))
    node.router.peer_disconnected(b"w", now=node.now)
    node.wait(30)
    assert node.connect([b"w"], topics=(), graft=("t",))[-1] == node.prune(b"w", "t", 60)


@pytest.mark.rule("BACK-11")
def test_a_backoff_is_only_ever_prolonged(node: Node) -> None:
    node.connect([b"w"])
    node.join("t")
    node.receive(b"w", prune=(Prune("t", (), 60),))
    node.receive(b"w", prune=(Prune("t", (), 5),))
    node.wait(59.9)
    assert node.receive(b"w", graft=GRAFT) == [node.prune(b"w", "t", 60)]


@pytest.mark.rule("BACK-12")
def test_a_negative_score_is_not_let_in(node: Node) -> None:
    node.join("t")
    node.connect([b"bad", b"zero"], topics=())
    node.scores[b"bad"] = -0.5
    assert node.receive(b"bad", graft=GRAFT) == [node.prune(b"bad", "t", 60)]
    assert node.receive(b"zero", graft=GRAFT) == []


@pytest.mark.rule("BACK-13", "OUT-03")
@pytest.mark.parametrize(
    ("size", "outbound", "accepted"),
    [(11, False, True), (12, False, False), (12, True, True), (13, True, True)],
)
def test_a_full_mesh_lets_in_only_outbound_peers(
    node: Node, size: int, outbound: bool, accepted: bool
) -> None:
    node.join("t")
    node.connect(node.peers(size), topics=(), graft=("t",), outbound=True)
    node.connect([b"x"], topics=(), outbound=outbound)
    expected = [] if accepted else [node.prune(b"x", "t", 60)]
    assert node.receive(b"x", graft=GRAFT) == expected
    assert (b"x" in node.router.mesh("t")) is accepted


@pytest.mark.rule("BACK-15")
def test_a_v10_peer_is_told_only_the_topic_and_the_backoff_is_kept(node: Node) -> None:
    node.connect([b"w"], protocol="/meshsub/1.0.0")
    node.join("t")
    assert node.leave("t")[0] == node.prune(b"w", "t", None)
    node.join("t")
    assert node.receive(b"w", graft=GRAFT) == [node.prune(b"w", "t", None)]


@pytest.mark.rule("BACK-16")
def test_the_backoff_of_a_topic_not_joined_is_kept_for_a_later_join(node: Node) -> None:
    node.connect([b"w"], topics=("t", "u"))
    node.receive(b"w", prune=(Prune("unknown", (), 60), Prune("t", (), 60)))
    assert node.router.snapshot().backoffs == 1
    assert node.controls(node.join("t", "u"), "graft") == {b"w": [Graft("u")]}


@pytest.mark.rule("BACK-17")
def test_a_backoff_holds_for_one_topic(node: Node) -> None:
    node.join("a", "b")
    node.connect([b"w"], topics=(), graft=("a", "b"))
    node.receive(b"w", prune=(Prune("a", (), 60),))
    node.receive(b"w", prune=(Prune("b", (), 5),))
    node.wait(6)
    assert node.receive(b"w", graft=(Graft("a"), Graft("b"))) == [node.prune(b"w", "a", 60)]
    assert node.router.mesh("b") == [b"w"]


@pytest.mark.rule("SPAM-09")
def test_ten_thousand_grafts_are_answered_by_one_prune(node: Node) -> None:
    node.join("t")
    node.connect([b"w"], topics=(), graft=("t",))
    node.receive(b"w", prune=(Prune("t", (), 60),))
    assert node.receive(b"w", graft=GRAFT * 10_000) == [node.prune(b"w", "t", 60)]
    assert node.router.snapshot().backoffs == 1
    assert node.router.peers() == [b"w"]


@pytest.mark.rule("BACK-16")
def test_the_number_of_backoffs_is_bounded(make_node: Callable[..., Node]) -> None:
    node = make_node(limits=RouterLimits(max_backoffs=10))
    node.join("t")
    for peer in node.peers(50):
        node.connect([peer], topics=(), graft=("t",))
        node.receive(peer, prune=(Prune("t", (), 60),))
        node.router.peer_disconnected(peer, now=node.now)
    assert node.router.snapshot().backoffs == 10
    node.wait(100)
    assert node.router.snapshot().backoffs == 0


@pytest.mark.rule("CFG-07", "BACK-08")
def test_backoffs_are_configurable_and_stated_in_whole_seconds(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(backoff=BackoffParams(prune_backoff=90.5, unsubscribe_backoff=1.5))
    node.connect([b"w"])
    node.join("t")
    assert node.leave("t")[0] == node.prune(b"w", "t", 2)
    node.join("t")
    assert node.receive(b"w", graft=GRAFT) == [node.prune(b"w", "t", 91)]


def test_beyond_the_limit_the_oldest_backoff_is_forgotten() -> None:
    backoffs = Backoffs(BackoffParams(), heartbeat_interval=1.0, limit=2)
    backoffs.add("t", b"a", 1.0, 0.0)
    backoffs.add("t", b"b", 100.0, 0.0)
    backoffs.add("t", b"c", 100.0, 50.0)
    assert [backoffs.refuses("t", peer, 60.0) for peer in (b"a", b"b", b"c")] == [
        False, True, True,
    ]  # fmt: skip
    assert len(backoffs) == 2


@pytest.mark.rule("BACK-16")
def test_at_the_limit_a_prune_costs_no_more_than_before() -> None:
    """Peers can fill the table: from then on no PRUNE may cause a walk through all of it."""

    def steps(limit: int) -> int:
        """Lines run by a hundred new backoffs."""
        lines = 0

        def trace(frame: FrameType, event: str, _: object) -> Callable[..., object]:
            nonlocal lines
            lines += event == "line" and frame.f_code.co_filename.endswith("backoff.py")
            return trace

        backoffs = Backoffs(BackoffParams(), heartbeat_interval=1.0, limit=limit)
        for number in range(limit):
            backoffs.add("t", b"%d" % number, 3600.0, 0.0)
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            for number in range(100):
                backoffs.add("t", b"new %d" % number, 3600.0, 0.0)
        finally:
            sys.settrace(before)
        return lines

    assert steps(5000) == steps(50)


@pytest.mark.parametrize(("seconds", "stated"), [(10.0, 10), (10.1, 11), (0.2, 1)])
def test_a_stated_backoff_is_never_shorter_than_meant(seconds: float, stated: int) -> None:
    assert wire_seconds(seconds) == stated


def kept(backoffs: Backoffs, *pairs: tuple[str, bytes]) -> list[tuple[str, bytes]]:
    return [(topic, peer) for topic, peer in pairs if backoffs.refuses(topic, peer, 0.0)]


@pytest.mark.rule("BACK-16")
def test_a_peer_with_many_backoffs_pushes_out_its_own_and_nobody_elses() -> None:
    backoffs = Backoffs(BackoffParams(), heartbeat_interval=1.0, limit=10)
    for topic in ("a", "b", "c"):
        backoffs.add(topic, b"honest", 60.0, 0.0)
    for number in range(100):
        for sybil in (b"sybil 1", b"sybil 2"):
            backoffs.add(f"made up {number}", sybil, 3600.0, 0.0)
    assert len(backoffs) == 10
    honest = [(topic, b"honest") for topic in ("a", "b", "c")]
    assert kept(backoffs, *honest) == honest
    newest = [(f"made up {number}", b"sybil 1") for number in range(97, 100)]
    assert kept(backoffs, *newest) == newest


@pytest.mark.rule("BACK-16")
def test_peers_that_come_and_go_push_out_no_backoff_of_one_that_stays() -> None:
    backoffs = Backoffs(BackoffParams(), heartbeat_interval=1.0, limit=10)
    for topic in ("a", "b", "c", "d"):
        backoffs.add(topic, b"honest", 60.0, 0.0)
    for number in range(100):
        backoffs.add("a", b"sybil %d" % number, 3600.0, 0.0)
        backoffs.peer_disconnected(b"sybil %d" % number)
    honest = [(topic, b"honest") for topic in ("a", "b", "c", "d")]
    assert kept(backoffs, *honest) == honest
    assert len(backoffs) == 10


@pytest.mark.rule("BACK-16")
def test_peers_that_stay_push_out_no_backoff_of_those_that_left() -> None:
    """Or whoever leaves and has friends could shed its own."""
    backoffs = Backoffs(BackoffParams(), heartbeat_interval=1.0, limit=10)
    for topic in ("a", "b", "c", "d"):
        backoffs.add(topic, b"left", 60.0, 0.0)
    backoffs.peer_disconnected(b"left")
    for number in range(100):
        backoffs.add("a", b"friend %d" % number, 3600.0, 0.0)
    left = [(topic, b"left") for topic in ("a", "b", "c", "d")]
    assert kept(backoffs, *left) == left


@pytest.mark.rule("BACK-16")
def test_a_router_counts_a_peer_among_those_that_left_until_it_is_back(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(limits=RouterLimits(max_backoffs=10))
    node.join("t", "u", "v")
    topics = [Prune(topic, (), 60) for topic in ("t", "u", "v")]

    def sybils_come_and_go() -> None:
        for number in range(50):
            node.connect([b"sybil %d" % number], topics=())
            node.receive(b"sybil %d" % number, prune=topics[:1])
            node.router.peer_disconnected(b"sybil %d" % number, now=node.now)

    node.connect([b"w"], topics=())
    node.receive(b"w", prune=topics)
    sybils_come_and_go()
    assert [entry.backoffs for entry in node.router.snapshot().topics.values()] == [8, 1, 1]
    node.router.peer_disconnected(b"w", now=node.now)
    node.connect([b"w"], topics=())
    sybils_come_and_go()
    assert [entry.backoffs for entry in node.router.snapshot().topics.values()] == [8, 1, 1]


@pytest.mark.rule("BACK-16")
def test_a_peer_is_believed_about_few_topics_that_are_not_joined(
    make_node: Callable[..., Node],
) -> None:
    node = make_node(limits=RouterLimits(max_unjoined_backoffs=3))
    node.join("joined")
    topics = ["t1", "t2", "t3", "t4", "t5"]
    node.connect([b"w"], topics=topics)
    node.receive(b"w", prune=[Prune(topic, (), 60) for topic in [*topics, "joined"]])
    assert node.router.snapshot().backoffs == 4
    assert node.receive(b"w", graft=[Graft("joined")]) == [node.prune(b"w", "joined", 60)]
    assert node.controls(node.join(*topics), "graft") == {b"w": [Graft("t4"), Graft("t5")]}


class BackoffMachine(RuleBasedStateMachine):
    """The counts the table keeps agree with what it holds, and everybody has its share."""

    LIMIT = 6

    def __init__(self) -> None:
        super().__init__()
        self.backoffs = Backoffs(BackoffParams(), heartbeat_interval=1.0, limit=self.LIMIT)
        self.now = 0.0

    @rule(peer=some_peers, topic=some_topics, seconds=st.integers(1, 60))
    def add(self, peer: bytes, topic: str, seconds: int) -> None:
        self.backoffs.add(topic, peer, seconds, self.now)
        assert self.backoffs.refuses(topic, peer, self.now)

    @rule(peer=some_peers)
    def connect(self, peer: bytes) -> None:
        self.backoffs.peer_connected(peer)

    @rule(peer=some_peers)
    def disconnect(self, peer: bytes) -> None:
        self.backoffs.peer_disconnected(peer)

    @rule(seconds=st.integers(1, 100))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.backoffs.clear_expired(self.now)

    @invariant()
    def counts_agree(self) -> None:
        assert len(self.backoffs) <= self.LIMIT
        assert len(self.backoffs) == sum(self.backoffs.count(peer) for peer in SOME_PEERS)
        assert len(self.backoffs) == sum(self.backoffs.by_topic().values())

    def teardown(self) -> None:
        self.backoffs.clear_expired(self.now + 100.0)
        assert len(self.backoffs) == 0


TestBackoffMachine = BackoffMachine.TestCase
