"""Peer exchange: who is named in PRUNEs, and who is dialled of those named."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Connect, Effect
from gossipsub.router.params import GossipParams, MeshParams, RouterLimits
from gossipsub.router.score.params import PeerScoreParams
from gossipsub.wire.rpc import Graft, PeerInfo, Prune

if TYPE_CHECKING:
    from tests.router.conftest import Node

MakeNode = Callable[..., "Node"]


def exchanging(make_node: MakeNode, **params: object) -> Node:
    """In topic t, naming others; its mesh holds up to twelve, all pruning is down to six."""
    node = make_node(**{"peer_exchange": True} | params)
    node.join("t")
    return node


def offered(effects: Iterable[Effect], make_node: MakeNode) -> dict[bytes, list[bytes | None]]:
    """The ids named to each that was pruned."""
    prunes = make_node().controls(effects, "prune")
    return {
        peer: [info.peer_id for prune in entries for info in prune.peers]  # type: ignore[attr-defined]
        for peer, entries in prunes.items()
    }


def connects(effects: Iterable[Effect]) -> list[Connect]:
    return [effect for effect in effects if isinstance(effect, Connect)]


# Naming others


@pytest.mark.rule("PX-01")
def test_who_is_pruned_from_a_full_mesh_is_told_sixteen_others(make_node: MakeNode) -> None:
    node = exchanging(make_node)
    peers = node.peers(30)
    node.connect(peers, outbound=True, graft=("t",))
    told = offered(node.tick(), make_node)
    assert len(told) == 24
    for pruned, others in told.items():
        assert len(others) == len(set(others)) == 16
        assert set(others) <= set(peers) - {pruned}
    assert len({tuple(others) for others in told.values()}) > 20  # each a choice of its own


@pytest.mark.rule("PX-01")
def test_whose_graft_finds_the_mesh_full_is_told_others(make_node: MakeNode) -> None:
    node = exchanging(make_node)
    node.connect(node.peers(12), graft=("t",))
    told = offered(node.connect([b"late"], graft=("t",)), make_node)
    assert {peer: sorted(others) for peer, others in told.items()} == {b"late": node.peers(12)}


def test_the_last_messages_of_a_topic_left_name_others(make_node: MakeNode) -> None:
    node = exchanging(make_node)
    node.connect([b"w", b"v"])
    assert offered(node.leave("t"), make_node) == {b"w": [b"v"], b"v": [b"w"]}


def test_the_number_of_peers_named_is_a_parameter(make_node: MakeNode) -> None:
    for number in (-1, 17):
        with pytest.raises(ValueError, match=rf"^exchange_peers must be in 0\.\.16: {number}$"):
            GossipParams(exchange_peers=number)
    node = exchanging(make_node, exchange_peers=3)
    node.connect(node.peers(30), outbound=True, graft=("t",))
    assert {len(others) for others in offered(node.tick(), make_node).values()} == {3}


@pytest.mark.rule("PX-02", "THR-05", "FS-03")
def test_only_gossipsub_peers_of_good_standing_are_named(make_node: MakeNode) -> None:
    node = exchanging(make_node)
    node.connect([b"even", b"good", b"w"])
    node.connect([b"bad"], topics=())
    node.scores.update({b"bad": -0.1, b"even": 0.0, b"good": 5.0})
    node.receive(b"bad", subscribe=["t"])
    node.connect([b"floodsub"], protocol="/floodsub/1.0.0")
    node.connect([b"elsewhere"], topics=("u",))
    node.router.add_direct_peer(b"direct", now=node.now)
    node.connect([b"direct"])
    told = offered(node.leave("t"), make_node)
    assert sorted(told[b"w"], key=str) == [b"even", b"good"]


@pytest.mark.rule("FS-03")
def test_where_only_floodsub_peers_are_left_nobody_is_named(make_node: MakeNode) -> None:
    node = exchanging(make_node)
    node.connect([b"w"])
    node.connect(node.peers(5), protocol="/floodsub/1.0.0")
    assert offered(node.leave("t"), make_node) == {b"w": []}


@pytest.mark.rule("PX-03", "THR-05")
def test_peers_of_bad_standing_are_told_nobody(make_node: MakeNode) -> None:
    node = exchanging(make_node)
    node.connect([b"w", b"v", b"bad"])
    node.scores[b"bad"] = -0.1
    assert offered(node.tick(), make_node) == {b"bad": []}
    # Leaving a topic prunes whoever is in its mesh; a heartbeat might have come too late.
    node.scores[b"w"] = -0.1
    assert offered(node.leave("t"), make_node) == {b"w": [], b"v": []}


@pytest.mark.rule("PX-03", "DIR-04")
@pytest.mark.parametrize("fault", ["early", "bad", "direct", "unknown before", "unknown behind"])
def test_an_answer_to_a_graft_at_fault_names_nobody(make_node: MakeNode, fault: str) -> None:
    node = exchanging(make_node)
    node.connect(node.peers(12), graft=("t",))
    node.connect([b"w"])
    grafts = [Graft("t")]
    match fault:
        case "early":
            node.receive(b"w", prune=(Prune("t", (), 60),))
        case "bad":
            node.scores[b"w"] = -0.1
        case "direct":
            node.router.add_direct_peer(b"w", now=node.now)
        case "unknown before":
            grafts = [Graft("made up"), Graft("t")]
        case "unknown behind":
            grafts = [Graft("t"), Graft("made up")]
    assert node.receive(b"w", graft=tuple(grafts)) == [node.prune(b"w", "t")]
    assert b"w" not in node.router.mesh("t")


@pytest.mark.rule("PX-03")
def test_one_graft_at_fault_silences_the_answers_to_the_others(make_node: MakeNode) -> None:
    node = exchanging(make_node)
    node.join("u")
    node.connect(node.peers(12), topics=("t", "u"), graft=("t", "u"))
    node.connect([b"w"], topics=("t", "u"))
    node.receive(b"w", prune=(Prune("u", (), 60),))
    told = offered(node.receive(b"w", graft=(Graft("t"), Graft("u"))), make_node)
    assert told == {b"w": []}


@pytest.mark.rule("PX-04")
def test_peer_exchange_is_off_by_default(make_node: MakeNode) -> None:
    assert not GossipParams().peer_exchange
    node = make_node()
    node.join("t")
    node.connect(node.peers(30), outbound=True, graft=("t",))
    effects = [*node.tick(), *node.connect([b"late"], graft=("t",))]
    effects += [*node.receive(b"late", graft=(Graft("t"),)), *node.leave("t")]
    told = offered(effects, make_node)
    assert len(told) == 31
    assert not any(told.values())


@pytest.mark.rule("PX-10")
def test_a_peer_of_version_1_0_is_told_nobody(make_node: MakeNode) -> None:
    node = exchanging(make_node)
    node.connect([b"old"], protocol="/meshsub/1.0.0")
    node.connect([b"w"], protocol="/meshsub/1.1.0")
    prunes = node.controls(node.leave("t"), "prune")
    assert prunes == {
        b"old": [Prune("t")],
        b"w": [Prune("t", (PeerInfo(b"old"),), 10)],  # but it can be dialled as well as others
    }


# Signed records


@pytest.mark.rule("PX-05")
def test_a_record_that_is_known_goes_with_the_id(make_node: MakeNode) -> None:
    node = exchanging(make_node)
    node.connect([b"w", b"v", b"u"])
    node.router.peer_record(b"v", b"old record")
    node.router.peer_record(b"v", b"record of v")
    prunes = node.controls(node.leave("t"), "prune")
    (prune,) = prunes[b"w"]
    assert sorted(prune.peers, key=lambda info: info.peer_id) == [  # type: ignore[attr-defined]
        PeerInfo(b"u", None),
        PeerInfo(b"v", b"record of v"),
    ]


def test_a_record_is_forgotten_when_taken_back_or_with_its_peer(make_node: MakeNode) -> None:
    node = exchanging(make_node)
    node.router.peer_record(b"v", b"of nobody connected")
    node.connect([b"w", b"v", b"u"])
    node.router.peer_record(b"u", b"record")
    node.router.peer_record(b"u", None)
    node.router.peer_record(b"v", b"record")
    node.router.peer_disconnected(b"v", now=node.now)
    node.connect([b"v"])
    (prune,) = node.controls(node.leave("t"), "prune")[b"w"]
    assert [info.signed_peer_record for info in prune.peers] == [None, None]  # type: ignore[attr-defined]


def test_records_stay_within_what_rust_accepts_in_one_rpc(make_node: MakeNode) -> None:
    node = exchanging(make_node)
    node.connect([b"w", *node.peers(16)])
    for number, peer in enumerate(node.peers(16)):
        node.router.peer_record(peer, bytes(1000 if number else 8193))
    (prune,) = node.controls(node.leave("t"), "prune")[b"w"]
    sizes = [len(info.signed_peer_record or b"") for info in prune.peers]  # type: ignore[attr-defined]
    assert sorted(sizes) == [0] * 4 + [1000] * 12


# Taking what others name


def listening(make_node: MakeNode, **params: object) -> Node:
    node = make_node(**params)
    node.join("t")
    node.connect([b"w"])
    return node


def infos(count: int, prefix: str = "o") -> tuple[PeerInfo, ...]:
    return tuple(
        PeerInfo(f"{prefix}{number:02}".encode(), b"record %d" % number) for number in range(count)
    )


@pytest.mark.rule("PX-07")
def test_at_most_sixteen_of_those_named_are_dialled_at_random(make_node: MakeNode) -> None:
    choices = set()
    for seed in range(10):
        node = listening(make_node, seed=seed)
        dialled = connects(node.receive(b"w", prune=(Prune("t", infos(20), 60),)))
        assert len({connect.peer for connect in dialled}) == len(dialled) == 16
        for connect in dialled:
            info = PeerInfo(connect.peer, connect.signed_peer_record)
            assert info in infos(20)
            assert connect.told_by == b"w"
        choices.add(frozenset(connect.peer for connect in dialled))
    assert len(choices) > 5


@pytest.mark.rule("PX-07")
def test_those_connected_and_this_node_itself_are_not_dialled(make_node: MakeNode) -> None:
    node = listening(make_node)
    node.connect([b"known"], topics=())
    named = (PeerInfo(b"known"), PeerInfo(node.ME), PeerInfo(b"new", None))
    effects = node.receive(b"w", prune=(Prune("t", named, 60),))
    assert connects(effects) == [Connect(b"new", None, b"w")]


def test_those_the_application_shut_out_are_not_dialled(make_node: MakeNode) -> None:
    node = listening(make_node)
    node.router.blacklist(b"black", now=node.now)
    named = (PeerInfo(b"black"), PeerInfo(b"new", None))
    effects = node.receive(b"w", prune=(Prune("t", named, 60),))
    assert connects(effects) == [Connect(b"new", None, b"w")]


@pytest.mark.rule("PX-07")
def test_a_peer_named_twice_is_dialled_once(make_node: MakeNode) -> None:
    node = listening(make_node)
    named = (PeerInfo(b"new", b"a"), PeerInfo(b"new", b"b"))
    effects = node.receive(b"w", prune=(Prune("t", named, 60),))
    assert connects(effects) == [Connect(b"new", b"b", b"w")]


def test_what_cannot_be_a_peer_or_its_record_is_left_out(make_node: MakeNode) -> None:
    node = listening(make_node)
    named = (
        *(PeerInfo(None, b"record"), PeerInfo(b"", b"record"), PeerInfo(bytes(129), b"record")),
        *(PeerInfo(b"new", bytes(8193)), PeerInfo(bytes(128), bytes(8192))),
    )
    effects = node.receive(b"w", prune=(Prune("t", named, 60),))
    assert connects(effects) == [Connect(bytes(128), bytes(8192), b"w")]


@pytest.mark.rule("PX-09")
@pytest.mark.parametrize(("score", "dials"), [(-0.1, 0), (9.9, 0), (10.0, 3), (10.1, 3)])
def test_only_peers_of_high_standing_are_believed(
    make_node: MakeNode, score: float, dials: int
) -> None:
    node = listening(make_node, score=PeerScoreParams())
    assert node.router.mesh("t") == [b"w"]
    node.scores[b"w"] = score
    effects = node.receive(b"w", prune=(Prune("t", infos(3), 60),))
    assert len(connects(effects)) == dials
    assert node.router.mesh("t") == []  # the PRUNE itself is obeyed
    node.scores[b"w"] = 10.0
    assert node.controls(node.wait(60.0), "graft") == {}


@pytest.mark.rule("THR-07")
def test_without_scores_everybody_is_believed(make_node: MakeNode) -> None:
    node = listening(make_node)
    assert len(connects(node.receive(b"w", prune=(Prune("t", infos(3), 60),)))) == 3


def test_a_node_may_believe_nobody(make_node: MakeNode) -> None:
    node = listening(make_node, accept_peer_exchange=False)
    assert connects(node.receive(b"w", prune=(Prune("t", infos(3), 60),))) == []


def test_peers_named_for_a_topic_not_joined_are_of_no_interest(make_node: MakeNode) -> None:
    node = listening(make_node)
    assert connects(node.receive(b"w", prune=(Prune("u", infos(3), 60),))) == []


def test_what_one_peer_can_cause_between_two_heartbeats_is_bounded(make_node: MakeNode) -> None:
    node = listening(make_node, limits=RouterLimits(max_offered_peers=20))
    topics = [f"u{number}" for number in range(5)]
    node.join(*topics)
    named = tuple(Prune(topic, infos(16, topic), 60) for topic in topics)
    assert len(connects(node.receive(b"w", prune=named))) == 20
    assert connects(node.receive(b"w", prune=(Prune("t", infos(3), 60),))) == []
    node.connect([b"v"])
    assert len(connects(node.receive(b"v", prune=named))) == 20  # each has an allowance of its own
    node.tick()
    assert len(connects(node.receive(b"w", prune=(Prune("t", infos(3), 60),)))) == 3


def test_what_all_peers_together_can_cause_is_bounded_and_leaves_something_for_the_next(
    make_node: MakeNode,
) -> None:
    node = listening(make_node, limits=RouterLimits(max_exchange_connects=24))
    sybils = node.peers(10, "s")
    node.connect(sybils)
    dialled = [
        len(connects(node.receive(sybil, prune=(Prune("t", infos(20, sybil.decode()), 60),))))
        for sybil in sybils
    ]
    assert dialled == [12, 6, 3, 2, 1, 0, 0, 0, 0, 0]
    node.tick()
    assert len(connects(node.receive(b"w", prune=(Prune("t", infos(3), 60),)))) == 3


def test_who_is_known_or_shut_out_takes_nothing_from_the_allowance(make_node: MakeNode) -> None:
    node = listening(make_node, limits=RouterLimits(max_offered_peers=3))
    node.connect(node.peers(3, "known"), topics=())
    known = tuple(PeerInfo(peer) for peer in node.peers(3, "known"))
    assert connects(node.receive(b"w", prune=(Prune("t", known, 60),))) == []
    assert len(connects(node.receive(b"w", prune=(Prune("t", infos(9), 60),)))) == 3


@pytest.mark.rule("PX-11")
def test_the_centre_of_a_star_without_a_mesh_names_the_leaves_to_each_other(
    make_node: MakeNode,
) -> None:
    centre = exchanging(make_node, mesh=MeshParams(d=0, d_low=0, d_high=0, d_out=0, d_score=0))
    centre.connect([b"first"], graft=("t",))
    told = offered(centre.connect([b"second"], graft=("t",)), make_node)
    assert told == {b"second": [b"first"]}
    assert centre.router.mesh("t") == []
