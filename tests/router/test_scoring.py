"""Scoring at work in the router: what costs what, and what low scores lead to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message, verify_message
from gossipsub.router.effects import Deliver, Disconnect, Effect, SendRpc, Validate, Verdict
from gossipsub.router.message_id import content_id
from gossipsub.router.params import (
    GossipParams,
    LazyParams,
    MeshParams,
    RouterLimits,
    SignaturePolicy,
    TopicParams,
)
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from gossipsub.router.score.snapshot import PeerScoreSnapshot, TopicScoreSnapshot
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Graft, IHave, IWant, Message, Prune, Rpc

A, B, C, D = b"a", b"b", b"c", b"d"
TOPIC = TopicScoreParams(
    first_message_deliveries_weight=1.0,
    first_message_deliveries_decay=0.9999,
    mesh_message_deliveries_decay=0.9999,
    invalid_message_deliveries_weight=-1.0,
    invalid_message_deliveries_decay=0.9999,
)
P3B = TopicScoreParams(
    mesh_message_deliveries_threshold=4.0,
    mesh_message_deliveries_activation=1.0,
    mesh_failure_penalty_weight=-2.0,
    mesh_failure_penalty_decay=0.9999,
)


def scoring(topic: TopicScoreParams = TOPIC, **params: Any) -> PeerScoreParams:
    defaults = {"behaviour_penalty_weight": -1.0, "behaviour_penalty_decay": 0.9999}
    return PeerScoreParams(topics={"t": topic}, **{**defaults, **params})


@pytest.fixture
def make(make_node: Callable[..., Any]) -> Callable[..., Any]:
    """A node that scores, joined to t, with a, b, c and d in its mesh."""

    def build(peers: Iterable[bytes] = (A, B, C, D), **params: Any) -> Any:
        node = make_node(**{"score": scoring(), **params})
        node.join("t")
        node.connect(peers, graft=["t"])
        return node

    return build


def counters(node: Any, peer: bytes = A, topic: str = "t") -> TopicScoreSnapshot:
    snapshot = node.router.score_snapshot(peer)
    assert snapshot is not None
    return snapshot.topics.get(topic) or TopicScoreSnapshot(
        score=0.0,
        in_mesh=False,
        time_in_mesh=0.0,
        first_message_deliveries=0.0,
        mesh_message_deliveries=0.0,
        mesh_failure_penalty=0.0,
        invalid_message_deliveries=0.0,
    )


def invalid(node: Any, *peers: bytes) -> list[float]:
    return [counters(node, peer).invalid_message_deliveries for peer in peers]


def misdeeds(node: Any, peer: bytes = A) -> float:
    snapshot = node.router.score_snapshot(peer)
    assert snapshot is not None
    return round(snapshot.behaviour_penalty, 2)


# Scoring off, and on


@pytest.mark.rule("THR-07", "SCORE-02")
def test_without_parameters_there_are_no_scores(make: Callable[..., Any]) -> None:
    node = make(score=None)
    for number in range(100):
        (validate,) = node.receive(A, publish=[node.message(number)])
        node.verdict(validate, Verdict.REJECT)
    assert node.router.score(A) == 0.0
    assert node.router.score_snapshot(A) is None
    assert node.receive(A, publish=[node.message(1000)])
    node.router.report_delivery(A, "t", useful=False)
    node.router.set_peer_addresses(A, ["1.2.3.4"])
    with pytest.raises(LocalProtocolError, match="scoring is off"):
        node.router.set_topic_score_params("t", TOPIC, now=node.now)
    snapshot = node.router.snapshot()
    assert (snapshot.scored_peers, snapshot.delivery_records, snapshot.promises) == (0, 0, 0)


def test_refreshes_have_their_own_time(make: Callable[..., Any]) -> None:
    node = make(score=scoring(decay_interval=1.5), heartbeat_interval=10.0)
    assert node.router.next_deadline() == 0.1
    node.wait(0.2)
    assert node.router.next_deadline() == 1.5
    node.wait(1.3)
    assert node.router.next_deadline() == 3.0
    assert counters(node).time_in_mesh == 1.5


@pytest.mark.rule("SCORE-35")
def test_all_counters_can_be_looked_at(make: Callable[..., Any]) -> None:
    topic = TopicScoreParams(
        time_in_mesh_weight=1.0,
        first_message_deliveries_weight=2.0,
        invalid_message_deliveries_weight=-3.0,
    )
    node = make(
        score=scoring(
            topic,
            app_specific_score=lambda peer: 3.0,
            app_specific_weight=2.0,
            ip_colocation_factor_weight=-1.0,
            ip_colocation_factor_threshold=3,
        )
    )
    node.wait(2)
    node.accept(A, node.message())
    node.verdict(node.receive(A, publish=[node.message(2)])[0], Verdict.REJECT)
    assert node.router.score_snapshot(A) == PeerScoreSnapshot(
        score=2 + 2 - 3 + 6 - 1,
        topics={
            "t": TopicScoreSnapshot(
                score=1.0,
                in_mesh=True,
                time_in_mesh=2.0,
                first_message_deliveries=1.0,
                mesh_message_deliveries=1.0,
                mesh_failure_penalty=0.0,
                invalid_message_deliveries=1.0,
            )
        },
        app_specific_score=3.0,
        ip_colocation_factor=1.0,
        behaviour_penalty=0.0,
        lost_sends=0.0,
    )
    assert node.router.score(A) == 6.0
    node.router.set_peer_addresses(A, ["10.0.0.2"])
    assert node.router.score(A) == 7.0


@pytest.mark.rule("VAL-18")
def test_a_score_function_that_raises_harms_nothing(make: Callable[..., Any]) -> None:
    node = make(score=scoring(app_specific_score=lambda peer: 1 / 0, app_specific_weight=1.0))
    assert node.accept(A, node.message())
    assert node.router.score(A) == 1.0
    assert node.router.snapshot().app_score_failures > 0


# Messages


@pytest.mark.rule("SCORE-08", "SCORE-11", "SCORE-20")
def test_an_accepted_message_is_credited_to_those_who_delivered_it(
    make: Callable[..., Any],
) -> None:
    node = make()
    node.connect([b"outside"])
    message = node.message()
    (validate,) = node.receive(A, publish=[message])
    node.receive(B, publish=[message])
    node.receive(b"outside", publish=[message])
    assert counters(node).first_message_deliveries == 0.0
    node.verdict(validate)
    node.now += 0.005
    node.receive(C, publish=[message])
    node.receive(A, publish=[message])
    node.now += 0.015
    node.receive(D, publish=[message])
    assert [counters(node, peer).mesh_message_deliveries for peer in (A, B, C, D)] == [1, 1, 1, 0]
    assert [node.router.score(peer) for peer in (A, B, C, D, b"outside")] == [1, 0, 0, 0, 0]


@pytest.mark.rule("SCORE-11")
def test_a_copy_in_other_bytes_is_a_copy_and_other_data_is_not(make: Callable[..., Any]) -> None:
    node = make()
    message = node.message()
    with_key = Message("t", b"data", node.AUTHOR, message.seqno, b"signature", b"key")
    other = Message("t", b"other data", node.AUTHOR, message.seqno, b"signature")
    for verdict, name in (
        (Verdict.ACCEPT, "mesh_message_deliveries"),
        (Verdict.REJECT, "invalid_message_deliveries"),
    ):
        node = make()
        (validate,) = node.receive(A, publish=[message])
        node.receive(B, publish=[with_key])
        node.receive(C, publish=[other])
        node.verdict(validate, verdict)
        node.receive(D, publish=[with_key])
        node.receive(C, publish=[other])
        assert [getattr(counters(node, peer), name) for peer in (A, B, C, D)] == [1, 1, 0, 1]


@pytest.mark.rule("SCORE-18", "SCORE-19")
def test_a_rejected_message_costs_each_sender_once(make: Callable[..., Any]) -> None:
    node = make()
    message = node.message()
    (validate,) = node.receive(A, publish=[message])
    node.receive(B, publish=[message])
    node.receive(A, publish=[message])
    node.verdict(validate, Verdict.REJECT)
    assert invalid(node, A, B, C) == [1, 1, 0]
    node.receive(A, publish=[message])
    node.receive(C, publish=[message, message])
    assert invalid(node, A, B, C) == [1, 1, 1]


@pytest.mark.rule("SCORE-18", "SCORE-20")
@pytest.mark.parametrize("verdict", [Verdict.IGNORE, Verdict.QUEUE_FULL, Verdict.THROTTLED])
def test_what_is_no_peers_fault_costs_nothing(make: Callable[..., Any], verdict: Verdict) -> None:
    node = make()
    message = node.message()
    (validate,) = node.receive(A, publish=[message])
    node.receive(B, publish=[message])
    node.verdict(validate, verdict)
    node.receive(C, publish=[message])
    assert [node.router.score(peer) for peer in (A, B, C)] == [0, 0, 0]
    assert node.router.snapshot().delivery_records == 0


@pytest.mark.rule("SIGN-06", "SIGN-08", "SIGN-10")
def test_messages_that_are_not_genuine_cost_their_sender(make: Callable[..., Any]) -> None:
    node = make()
    key, other = (PrivateKey.from_seed(bytes([n]) * 32) for n in (1, 2))

    def signed(number: int) -> Message:
        unsigned = Message("t", b"data", key.public_key.peer_id(), number.to_bytes(8, "big"))
        return sign_message(unsigned, key)

    def changed(number: int, **fields: bytes) -> Message:
        good = signed(number)
        values = {
            name: getattr(good, name) for name in ("data", "from_peer", "seqno", "signature", "key")
        }
        return Message("t", **{**values, **fields})

    bad = [
        changed(1, data=b"datb"),
        changed(2, key=other.public_key.encode()),
        changed(3, key=b"garbage"),
        changed(4, signature=b"short"),
        changed(5, from_peer=b"garbage"),
    ]
    for count, message in enumerate(bad, 1):
        (validate,) = node.receive(A, publish=[message])
        assert not verify_message(validate.message)
        effects = node.verdict(validate, Verdict.INVALID_SIGNATURE)
        assert (effects, invalid(node, A, B)) == ([], [count, 0])
    (validate,) = node.receive(B, publish=[signed(1)])
    assert verify_message(validate.message)
    assert any(isinstance(effect, Deliver) for effect in node.verdict(validate))


@pytest.mark.rule("SIGN-08")
def test_a_forged_copy_costs_only_those_who_sent_it(make: Callable[..., Any]) -> None:
    node = make()
    message = node.message()
    forged = Message("t", b"data", node.AUTHOR, message.seqno, b"forged", encoding=b"forged")
    (validate,) = node.receive(A, publish=[forged])
    node.receive(B, publish=[forged])
    node.receive(C, publish=[message])
    (again,) = node.verdict(validate, Verdict.INVALID_SIGNATURE)
    node.verdict(again)
    assert invalid(node, A, B, C) == [1, 1, 0]
    assert [counters(node, peer).first_message_deliveries for peer in (A, B, C)] == [0, 0, 1]


def test_who_answers_with_what_we_published_before_a_restart_is_not_blamed(
    make: Callable[..., Any],
) -> None:
    node = make(lazy=LazyParams(iwant_patience=0.0))
    before, forged = node.message(1, author=node.ME), node.message(2, author=node.ME)
    for peer, message in ((A, before), (B, forged)):
        number = int.from_bytes(message.seqno or b"")
        node.receive(peer, ihave=[IHave("t", [node.message_id(number, author=node.ME)])])
    (ours,) = node.receive(A, publish=[before])
    (theirs,) = node.receive(B, publish=[forged])
    assert node.verdict(ours) == []
    assert node.verdict(theirs, Verdict.INVALID_SIGNATURE) == []
    assert invalid(node, A, B) == [0, 1]
    node.wait(5.0)  # nor is a promise broken
    assert node.router.score_snapshot(A).behaviour_penalty == 0.0
    assert counters(node, A).first_message_deliveries == 0
    assert node.receive(A, publish=[before]) == []  # it is known now


@pytest.mark.rule("POL-06", "SIGN-12")
def test_each_refusal_by_policy_costs_its_sender(make: Callable[..., Any]) -> None:
    node = make()
    seqno = bytes(8)
    refused = [
        Message("t", b"data", node.AUTHOR, seqno),
        Message("t", b"data", node.AUTHOR, bytes(7), b"signature"),
        Message("t", b"data", node.ME, seqno, b"signature"),
    ]
    for count, message in enumerate(refused, 1):
        assert node.receive(A, publish=[message]) == []
        assert invalid(node, A, B) == [count, 0]
    assert node.receive(A, publish=[Message("elsewhere", b"data", node.ME, seqno)]) == []
    (validate,) = node.receive(A, publish=[node.message()])
    node.verdict(validate, Verdict.INVALID_SIGNATURE)
    assert invalid(node, A) == [4]


@pytest.mark.rule("POL-06")
def test_without_signatures_each_sign_of_an_origin_costs(make: Callable[..., Any]) -> None:
    node = make(signature_policy=SignaturePolicy.STRICT_NO_SIGN, message_id=content_id)
    node.receive(A, publish=[Message("t", b"1", signature=b"s"), Message("t", b"2", b"from")])
    assert invalid(node, A) == [2]


@pytest.mark.rule("SPL-06")
def test_a_message_above_its_topics_own_limit_is_invalid(make: Callable[..., Any]) -> None:
    node = make(topics={"t": TopicParams(max_data_bytes=4)})
    assert node.receive(A, publish=[replace(node.message(), data=b"12345")]) == []
    assert invalid(node, A, B) == [1, 0]
    assert node.router.snapshot().undelivered == {"message too large": 1}
    (validate,) = node.receive(A, publish=[replace(node.message(2), data=b"1234")])
    assert isinstance(validate, Validate)


def test_a_topic_without_a_limit_of_its_own_takes_any_size(make: Callable[..., Any]) -> None:
    node = make(topics={"elsewhere": TopicParams(max_data_bytes=4)})
    (validate,) = node.receive(A, publish=[replace(node.message(), data=bytes(1000))])
    assert isinstance(validate, Validate)


def test_an_echo_of_an_own_message_costs_nothing(make: Callable[..., Any]) -> None:
    node = make()
    mine = node.message(author=node.ME)
    node.publish(mine)
    node.receive(A, publish=[mine])
    assert node.router.score(A) == 0.0


def test_copies_of_a_message_published_here_after_all_cost_nothing(
    make: Callable[..., Any],
) -> None:
    node = make()
    message = node.message()
    node.verdict(node.receive(A, publish=[message])[0], Verdict.REJECT)
    node.publish(message)
    node.receive(B, publish=[message])
    assert invalid(node, A, B) == [1, 0]


@pytest.mark.rule("SPAM-06")
def test_a_sender_of_invalid_messages_is_ignored_until_its_debt_decayed(
    make: Callable[..., Any],
) -> None:
    topic = TopicScoreParams(
        invalid_message_deliveries_weight=-1.0, invalid_message_deliveries_decay=0.9
    )
    thresholds = PeerScoreThresholds(graylist=-1000.0)
    node = make(score=scoring(topic), thresholds=thresholds)
    for number in range(100):
        for validate in node.receive(A, publish=[node.message(number)]):
            node.verdict(validate, Verdict.INVALID_SIGNATURE)
    assert node.router.score(A) == -(32.0**2)
    assert node.receive(A, publish=[node.message(200)]) == []
    assert node.receive(A, graft=[Graft("t")], ihave=[IHave("t", [b"id"])]) == []
    node.wait(1)
    assert node.router.score(A) == pytest.approx(-(28.8**2))
    assert isinstance(node.receive(A, publish=[node.message(200)])[0], Validate)


@pytest.mark.rule("SCORE-38")
def test_records_go_with_the_heartbeat_after_their_time(make: Callable[..., Any]) -> None:
    node = make()
    node.verdict(node.receive(A, publish=[node.message(1)])[0], Verdict.REJECT)
    node.accept(B, node.message(2))
    assert node.router.snapshot().delivery_records == 2
    node.wait(2.0)
    assert node.router.snapshot().delivery_records == 1
    node.wait(119.0)
    assert node.router.snapshot().delivery_records == 0


@pytest.mark.rule("SCORE-36")
def test_the_application_can_report_deliveries_itself(make: Callable[..., Any]) -> None:
    node = make()
    node.router.report_delivery(A, "t", useful=True)
    node.router.report_delivery(B, "t", useful=False)
    assert counters(node, A).first_message_deliveries == 1
    assert counters(node, A).mesh_message_deliveries == 1
    assert invalid(node, A, B) == [0, 1]


@pytest.mark.rule("SCORE-31")
def test_a_topic_may_be_scored_from_some_time_on(make: Callable[..., Any]) -> None:
    node = make(score=PeerScoreParams())
    node.wait(5)
    node.router.set_topic_score_params("t", TopicScoreParams(time_in_mesh_weight=1.0), now=node.now)
    node.wait(3)
    assert node.router.score(A) == 3.0
    node.router.set_topic_score_params("t", TopicScoreParams(time_in_mesh_weight=2.0), now=node.now)
    assert node.router.score(A) == 6.0


# The mesh


def prune_by_peer(node: Any) -> None:
    node.receive(A, prune=[Prune("t")])


def prune_by_us(node: Any) -> None:
    node.scores[A] = -1.0
    node.wait(1)
    del node.scores[A]


def unsubscribe(node: Any) -> None:
    node.receive(A, unsubscribe=["t"])


def leave(node: Any) -> None:
    node.leave("t")


def lose_inbound(node: Any) -> None:
    node.router.inbound_stream_closed(A, now=node.now)


def reopen(node: Any) -> None:
    node.router.outbound_stream_reopened(A, protocol="/meshsub/1.2.0", now=node.now)


def disconnect(node: Any) -> None:
    node.router.peer_disconnected(A, now=node.now)


@pytest.mark.rule("SCORE-13", "SCORE-15")
@pytest.mark.parametrize(
    "end", [prune_by_peer, prune_by_us, unsubscribe, leave, lose_inbound, reopen, disconnect]
)
def test_however_a_peer_leaves_the_mesh_its_deficit_is_charged_once(
    make: Callable[..., Any], end: Callable[[Any], None]
) -> None:
    node = make(peers=[A], score=scoring(P3B))
    node.wait(3)
    assert node.router.score(A) == 0.0
    end(node)
    assert node.router.score(A) == pytest.approx(-32.0, rel=1e-3)
    if end is not leave:
        end(node)
    assert node.router.score(A) == pytest.approx(-32.0, rel=1e-3)
    assert not counters(node).in_mesh


@pytest.mark.rule("SCORE-16")
def test_time_in_mesh_begins_with_any_graft(make: Callable[..., Any]) -> None:
    node = make(score=scoring(TopicScoreParams(time_in_mesh_weight=1.0)), peers=[])
    node.connect([A], graft=["t"])  # grafts us
    node.connect([B])  # is grafted at once
    node.wait(5)
    assert (node.router.score(A), node.router.score(B)) == (5.0, 5.0)
    node.leave("t")
    assert node.router.score(A) == 0.0


@pytest.mark.rule("SCORE-29", "SCORE-30")
def test_a_bad_score_survives_a_reconnect(make: Callable[..., Any]) -> None:
    node = make(score=scoring(retain_score=10.0))
    for number in range(3):
        node.verdict(node.receive(A, publish=[node.message(number)])[0], Verdict.REJECT)
    node.accept(B, node.message(9))
    for peer in (A, B):
        node.router.peer_disconnected(peer, now=node.now)
    assert (node.router.score(A), node.router.score(B)) == (-9.0, 0.0)
    node.wait(5)
    node.connect([A, B])
    assert (round(node.router.score(A)), node.router.score(B)) == (-9, 0.0)
    node.router.peer_disconnected(A, now=node.now)
    node.wait(12)
    assert node.router.score(A) == 0.0
    assert node.router.snapshot().scored_peers == 3


@pytest.mark.rule("MESH-07", "THR-05")
def test_peers_with_a_negative_score_are_pruned_at_the_heartbeat(
    make: Callable[..., Any],
) -> None:
    app = {A: -1.0, B: 0.0}
    node = make(
        peers=[A, B],
        score=scoring(app_specific_score=lambda peer: app[peer], app_specific_weight=1.0),
    )
    assert node.router.mesh("t") == [B]  # a was refused
    app[A] = 0.0
    node.wait(70)
    assert node.router.mesh("t") == [B, A]
    app[A] = -1.0
    assert node.controls(node.wait(1), "prune") == {A: [Prune("t", (), 60)]}
    assert node.router.mesh("t") == [B]
    assert node.controls(node.receive(A, graft=[Graft("t")]), "prune") == {A: [Prune("t", (), 60)]}


@pytest.mark.rule("MESH-08", "THR-05")
def test_peers_with_a_negative_score_are_never_grafted(make: Callable[..., Any]) -> None:
    node = make(
        peers=[], score=scoring(app_specific_score=lambda peer: -0.1, app_specific_weight=1.0)
    )
    node.connect([A])
    assert node.controls(node.wait(20), "graft") == {}


@pytest.mark.rule("MESH-06")
def test_the_best_are_kept_when_there_are_too_many(make_node: Callable[..., Any]) -> None:
    kept_others = set()
    for seed in range(50):
        node = make_node(
            seed=seed,
            score=scoring(app_specific_score=lambda peer: int(peer[1:]), app_specific_weight=1.0),
        )
        node.join("t")
        peers = node.peers(13)
        node.connect(peers, outbound=True, graft=["t"])
        node.tick()
        mesh = node.router.mesh("t")
        assert set(peers[9:]) <= set(mesh)
        assert len(mesh) == 6
        kept_others |= set(mesh) - set(peers[9:])
    assert len(kept_others) > 4


# Backoff


@pytest.mark.rule("BACK-09", "BACK-10")
@pytest.mark.parametrize(
    ("seconds", "penalty"), [(9.9, 2.0), (10.1, 1.0), (30.0, 1.0), (59.9, 1.0), (60.0, 0.0)]
)
def test_a_graft_during_the_backoff_is_a_misdeed_and_a_quick_one_two(
    make: Callable[..., Any], seconds: float, penalty: float
) -> None:
    node = make(peers=[A, B, C, D, b"e", b"f"])
    node.scores[A] = -1.0
    node.wait(0.1)  # the heartbeat prunes a
    pruned = node.now
    node.wait(seconds)
    node.now = pruned + seconds
    del node.scores[A]
    effects = node.receive(A, graft=[Graft("t")])
    assert misdeeds(node) == penalty
    if penalty:
        assert node.controls(effects, "prune") == {A: [Prune("t", (), 60)]}
        assert A not in node.router.mesh("t")
        node.now += 40  # counted anew
        assert node.controls(node.receive(A, graft=[Graft("t")]), "prune")
        assert misdeeds(node) == penalty + 1
    else:
        assert A in node.router.mesh("t")


@pytest.mark.rule("BACK-10", "SPAM-09")
def test_a_flood_of_grafts_is_answered_once_and_ends_in_the_graylist(
    make: Callable[..., Any],
) -> None:
    node = make()
    node.receive(A, prune=[Prune("t", (), 60)])
    effects = node.receive(A, graft=[Graft("t")] * 10_000)
    assert effects == [node.prune(A, "t")]
    assert misdeeds(node) == 20_000
    assert node.receive(A, graft=[Graft("t")], publish=[node.message()]) == []


@pytest.mark.rule("BACK-09")
def test_a_graft_refused_for_a_full_mesh_is_in_backoff_for_the_next_of_the_same_rpc(
    make: Callable[..., Any],
) -> None:
    node = make(peers=[b"m%02d" % number for number in range(12)], peer_exchange=True)
    node.connect([A])
    ((prune,),) = node.controls(node.receive(A, graft=[Graft("t")] * 5), "prune").values()
    assert misdeeds(node) == 8  # each comes right after the PRUNE, and counts twice
    assert prune.peers == ()


@pytest.mark.rule("BACK-03")
def test_grafts_for_unknown_topics_cost_nothing(make: Callable[..., Any]) -> None:
    node = make()
    node.receive(A, graft=[Graft(f"x{number}") for number in range(100)])
    assert (node.router.score(A), misdeeds(node)) == (0.0, 0.0)


# Promises


def ask(node: Any, peer: bytes, *ids: bytes) -> list[Effect]:
    return node.receive(peer, ihave=[IHave("t", ids)])  # type: ignore[no-any-return]


@pytest.fixture
def gossiping(make: Callable[..., Any]) -> Any:
    node = make()
    node.connect([b"x", b"y"])
    return node


@pytest.mark.rule("SPAM-03")
def test_a_promise_that_nobody_keeps_is_a_misdeed(gossiping: Any) -> None:
    effects = ask(gossiping, b"x", *(b"id %d" % number for number in range(100)))
    assert len(gossiping.sent(effects)[b"x"]) == 1
    assert gossiping.router.snapshot().promises == 1
    gossiping.wait(3.0)
    assert misdeeds(gossiping, b"x") == 0.0
    gossiping.wait(1.0)
    assert (misdeeds(gossiping, b"x"), misdeeds(gossiping, b"y")) == (1.0, 0.0)
    gossiping.wait(9.0)
    assert misdeeds(gossiping, b"x") == 1.0
    assert gossiping.router.snapshot().promises == 0


@pytest.mark.rule("SPAM-04", "SPAM-05")
@pytest.mark.parametrize(
    ("verdict", "penalty"),
    [
        (Verdict.ACCEPT, 0.0),
        (Verdict.REJECT, 0.0),
        (Verdict.IGNORE, 0.0),
        (Verdict.THROTTLED, 0.0),
        (Verdict.QUEUE_FULL, 0.0),
        (Verdict.INVALID_SIGNATURE, 1.0),
    ],
)
@pytest.mark.parametrize("seconds", [0.0, 6.0])
def test_a_promise_is_kept_by_any_genuine_delivery(
    gossiping: Any, verdict: Verdict, penalty: float, seconds: float
) -> None:
    ask(gossiping, b"x", gossiping.message_id())
    (validate,) = gossiping.receive(b"y", publish=[gossiping.message()])
    gossiping.wait(seconds)  # however long validation takes
    assert misdeeds(gossiping, b"x") == 0.0
    gossiping.verdict(validate, verdict)
    gossiping.wait(6.0)
    assert misdeeds(gossiping, b"x") == penalty


@pytest.mark.rule("SPAM-04")
def test_a_message_without_signature_keeps_no_promise(gossiping: Any) -> None:
    ask(gossiping, b"x", gossiping.message_id())
    unsigned = Message("t", b"data", gossiping.AUTHOR, gossiping.message().seqno)
    gossiping.receive(b"x", publish=[unsigned])
    gossiping.wait(5.0)
    assert misdeeds(gossiping, b"x") == 1.0


@pytest.mark.rule("SPAM-05")
def test_a_message_there_was_no_room_for_keeps_the_promise(make: Callable[..., Any]) -> None:
    node = make(limits=RouterLimits(max_pending=1))
    node.receive(A, publish=[node.message(1)])
    ask(node, B, node.message_id(2))
    assert node.receive(B, publish=[node.message(2)]) == []
    node.wait(5.0)
    assert misdeeds(node, B) == 0.0


@pytest.mark.rule("SPAM-05")
def test_a_copy_there_was_no_room_for_keeps_its_senders_promise_and_nobody_elses(
    make: Callable[..., Any],
) -> None:
    node = make(limits=RouterLimits(max_copies=1))
    node.connect([b"x"])
    for peer in (B, b"x"):
        ask(node, peer, node.message_id())
    forged = replace(node.message(), encoding=b"forged")
    (validate,) = node.receive(A, publish=[forged])
    assert node.receive(B, publish=[node.message()]) == []
    assert node.verdict(validate, Verdict.INVALID_SIGNATURE) == []
    node.wait(5.0)
    assert (misdeeds(node, B), misdeeds(node, b"x")) == (0.0, 1.0)


@pytest.mark.rule("SPAM-04")
@pytest.mark.parametrize("ours", ["blacklist", "lifetime"])
def test_who_delivers_what_only_we_do_not_want_breaks_no_promise(
    make: Callable[..., Any], ours: str
) -> None:
    """The author is on our blacklist, or it is too old by our own clock: dropped without blame."""
    own = TopicParams(message_lifetime=30.0, message_age=lambda message: 31.0)
    node = make(topics={"t": own} if ours == "lifetime" else {})
    node.connect([b"x", b"y"])
    if ours == "blacklist":
        node.router.blacklist(node.AUTHOR, now=node.now)
    for peer in (b"x", b"y"):
        ask(node, peer, node.message_id())
    assert node.receive(b"x", publish=[node.message()]) == []
    node.wait(5.0)
    assert (misdeeds(node, b"x"), misdeeds(node, b"y")) == (0.0, 1.0)


def test_nobody_is_blamed_for_what_we_did_ourselves(gossiping: Any) -> None:
    request = Rpc()
    for effect in ask(gossiping, b"x", b"not sent"):
        assert isinstance(effect, SendRpc)
        request = effect.rpc
    assert request.control is not None
    assert request.control.iwant == (IWant((b"not sent",)),)
    gossiping.router.rpc_dropped(b"x", request, now=gossiping.now)
    ask(gossiping, b"y", gossiping.message_id(1, author=gossiping.ME))
    gossiping.publish(gossiping.message(1, author=gossiping.ME))
    assert gossiping.router.snapshot().promises == 0
    ask(gossiping, b"y", b"of a topic left")
    gossiping.leave("t")
    gossiping.wait(5.0)
    assert (misdeeds(gossiping, b"x"), misdeeds(gossiping, b"y")) == (0.0, 0.0)


@pytest.mark.rule("SPAM-03")
def test_each_broken_promise_is_a_misdeed(gossiping: Any) -> None:
    for number in range(3):
        ask(gossiping, b"x", b"id %d" % number)
    gossiping.wait(5.0)
    assert misdeeds(gossiping, b"x") == 3.0


@pytest.mark.rule("SPAM-03")
def test_hanging_up_does_not_save_from_the_penalty(gossiping: Any) -> None:
    ask(gossiping, b"x", b"id")
    gossiping.router.peer_disconnected(b"x", now=gossiping.now)
    gossiping.wait(5.0)
    assert misdeeds(gossiping, b"x") == 1.0


# Thresholds


@pytest.mark.rule("THR-01", "THR-02")
@pytest.mark.parametrize(("score", "heard"), [(-80.0, True), (-80.001, False)])
def test_below_the_graylist_threshold_nothing_but_subscriptions_is_heard(
    make: Callable[..., Any], score: float, heard: bool
) -> None:
    node = make()
    node.publish(node.message(1, author=node.ME))
    node.scores[A] = score
    effects = node.receive(A, subscribe=["u"], publish=[node.message(2)])
    assert any(isinstance(effect, Validate) for effect in effects) is heard
    assert "u" in node.router.topics_of(A)
    # Whoever is below this threshold is below that for gossip as well: only GRAFT is answered.
    rpc = {
        "ihave": [IHave("t", [b"id"])],
        "iwant": [IWant([node.message_id(1, author=node.ME)])],
        "prune": [Prune("t")],
    }
    assert node.receive(A, **rpc) == []
    assert (A in node.router.mesh("t")) is not heard
    assert misdeeds(node) == 0.0


@pytest.mark.rule("THR-06")
def test_a_score_counts_for_the_very_next_rpc(make: Callable[..., Any]) -> None:
    node = make()
    for number in range(200):
        node.receive(A, publish=[node.message(number)])
    node.scores[A] = -80.001
    assert node.receive(A, publish=[node.message(200)]) == []
    node.scores[A] = -80.0
    assert len(node.receive(A, publish=[node.message(200)])) == 1


@pytest.mark.rule("THR-08")
@pytest.mark.parametrize("option", [True, False])
def test_graylisted_peers_can_be_disconnected(make: Callable[..., Any], option: bool) -> None:
    node = make(disconnect_graylisted=option)
    node.scores |= {A: -80.001, B: -80.0}
    told = [effect for effect in node.tick() if isinstance(effect, Disconnect)]
    assert told == ([Disconnect(A, "its score is below the graylist")] if option else [])


@pytest.mark.rule("THR-01", "THR-03")
@pytest.mark.parametrize(("score", "takes_part"), [(-10.0, True), (-10.001, False)])
def test_below_the_gossip_threshold_there_is_no_gossip_but_messages_are_heard(
    gossiping: Any, score: float, takes_part: bool
) -> None:
    gossiping.accept(A, gossiping.message(1))
    gossiping.scores[b"x"] = score
    assert bool(ask(gossiping, b"x", b"id")) is takes_part
    answer = gossiping.receive(b"x", iwant=[IWant([gossiping.message_id(1)])])
    assert bool(answer) is takes_part
    assert (b"x" in gossiping.controls(gossiping.wait(0.1), "ihave")) is takes_part
    assert gossiping.receive(b"x", publish=[gossiping.message(2)])


@pytest.mark.rule("THR-01", "THR-04")
@pytest.mark.parametrize(("score", "sent"), [(-50.0, True), (-50.001, False)])
@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("protocol", ["/meshsub/1.1.0", "/floodsub/1.0.0"])
@pytest.mark.parametrize("flood", [True, False])
def test_below_the_publish_threshold_a_peer_gets_no_own_messages(
    make_node: Callable[..., Any],
    score: float,
    sent: bool,
    joined: bool,
    protocol: str,
    flood: bool,
) -> None:
    mesh = MeshParams(d=1, d_low=1, d_high=1, d_out=0, d_score=0)
    node = make_node(flood_publish=flood, mesh=mesh)
    node.scores[A] = score
    if joined:
        node.join("t")
    node.connect([A], protocol=protocol)
    in_mesh_only = joined and not flood and protocol != "/floodsub/1.0.0"
    assert (A in node.sent(node.publish(node.message(author=node.ME)))) is (
        sent and not in_mesh_only
    )


@pytest.mark.rule("THR-04")
def test_flood_publishing_leaves_out_a_mesh_peer_that_fell_below(
    make: Callable[..., Any],
) -> None:
    node = make()
    node.scores[A] = -51.0
    assert A in node.router.mesh("t")
    assert sorted(node.sent(node.publish(node.message(author=node.ME)))) == [B, C, D]


# Opportunistic grafting


class Fair:
    """A node whose mesh peers score `members`, with candidates n0, n1, … that score `others`.

    The application's scores follow the names, so that they can be changed."""

    def __init__(
        self,
        make_node: Callable[..., Any],
        members: list[float],
        others: list[float],
        threshold: float = 1.0,
        **params: Any,
    ) -> None:
        self.app: dict[bytes, float] = {b"m%d" % n: score for n, score in enumerate(members)}
        self.node = make_node(
            score=scoring(app_specific_score=lambda p: self.app[p], app_specific_weight=1.0),
            thresholds=PeerScoreThresholds(opportunistic_graft=threshold),
            **params,
        )
        self.node.join("t")
        self.node.connect(list(self.app), outbound=True, graft=["t"])
        self.others = [b"n%d" % n for n in range(len(others))]
        self.app.update(zip(self.others, others, strict=True))
        self.node.connect(self.others)
        self.node.wait(0.05)

    def ticks(self, count: int) -> dict[bytes, list[object]]:
        """GRAFTs sent in so many heartbeats, which are at .1, 1.1, 2.1 …"""
        return self.node.controls(self.node.wait(float(count)), "graft")  # type: ignore[no-any-return]


@pytest.mark.rule("OPP-01", "OPP-04")
def test_every_sixty_heartbeats_a_poor_mesh_takes_in_better_peers(
    make_node: Callable[..., Any],
) -> None:
    fair = Fair(make_node, [0.5] * 6, [2.0, 3.0, 0.4])
    assert fair.ticks(59) == {}
    assert fair.ticks(1) == {b"n0": [Graft("t")], b"n1": [Graft("t")]}
    assert fair.ticks(1) == {}
    assert len(fair.node.router.mesh("t")) == 8
    assert fair.ticks(60) == {}


@pytest.mark.rule("OPP-01")
def test_at_most_two_are_taken_in_and_none_that_is_not_better(
    make_node: Callable[..., Any],
) -> None:
    fair = Fair(make_node, [0.5] * 6, [2.0, 3.0, 4.0, 5.0, 0.5])
    grafted = fair.ticks(60)
    assert len(grafted) == 2
    assert b"n4" not in grafted


@pytest.mark.rule("OPP-04")
def test_nothing_happens_where_nobody_is_better(make_node: Callable[..., Any]) -> None:
    assert Fair(make_node, [0.5] * 6, [0.5, 0.4, 0.0]).ticks(60) == {}


@pytest.mark.rule("OPP-01", "OPP-02", "THR-01")
@pytest.mark.parametrize(
    ("mesh", "threshold", "grafts"),
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 4.0, False),  # the median is 4: of two the upper
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 4.1, True),
        ([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], 4.0, False),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 3.0, False),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 3.1, True),
    ],
)
def test_the_median_decides(
    make_node: Callable[..., Any], mesh: list[float], threshold: float, grafts: bool
) -> None:
    assert bool(Fair(make_node, mesh, [9.0], threshold).ticks(60)) is grafts


@pytest.mark.rule("OPP-01")
@pytest.mark.parametrize(("size", "grafts"), [(1, False), (2, True)])
def test_a_mesh_of_one_is_left_alone(
    make_node: Callable[..., Any], size: int, grafts: bool
) -> None:
    mesh = MeshParams(d=1, d_low=1, d_high=8, d_out=0, d_score=0)
    fair = Fair(make_node, [0.5] * size, [9.0], mesh=mesh)
    assert bool(fair.ticks(60)) is grafts


@pytest.mark.rule("OPP-03")
def test_a_better_peer_in_backoff_is_not_taken_in(make_node: Callable[..., Any]) -> None:
    fair = Fair(make_node, [0.5] * 6, [2.0, 3.0])
    fair.node.receive(b"n1", prune=[Prune("t", (), 100)])
    assert fair.ticks(60) == {b"n0": [Graft("t")]}


@pytest.mark.rule("OPP-03")
def test_what_is_too_much_is_repaired_by_the_next_heartbeat(
    make_node: Callable[..., Any],
) -> None:
    mesh = MeshParams(d=6, d_low=5, d_high=6, d_out=2, d_score=4)
    fair = Fair(make_node, [0.5] * 6, [2.0, 3.0], mesh=mesh)
    assert len(fair.ticks(60)) == 2
    assert len(fair.node.router.mesh("t")) == 8
    fair.ticks(1)
    kept = fair.node.router.mesh("t")
    assert len(kept) == 6
    assert {b"n0", b"n1"} <= set(kept)


def test_the_period_and_the_number_can_be_chosen(make_node: Callable[..., Any]) -> None:
    mesh = MeshParams(opportunistic_graft_ticks=5, opportunistic_graft_peers=3)
    fair = Fair(make_node, [0.5] * 6, [2.0] * 5, mesh=mesh)
    assert fair.ticks(4) == {}
    assert len(fair.ticks(1)) == 3


def test_scoring_is_off_by_default() -> None:
    assert GossipParams().score is None
