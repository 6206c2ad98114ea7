"""What a peer's score has beside its topics, P5 to P7, and what is left of it when the peer left
(GossipSub v1.1, "The Score Function")."""

from __future__ import annotations

import math
import socket

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.scoring import (
    enter_mesh,
    has_read,
    has_score,
    judge,
    meet,
    score_of,
    set_app_score,
)
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_control import forged, prunes, send
from gossipsub.conformance.scripted_gossip import signed
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Control, Graft, Prune, Rpc

W = 71
"""A peer that comes twice."""
NOWHERE = ("192.0.2.1", 9)
"""Asked of the system, which address of ours it would be reached from. Nothing is sent."""


@case("SCORE-21", fault="the_applications_score_is_not_weighted")
async def the_applications_score_counts_by_its_weight(trial: Trial) -> None:
    node = await judge(trial, appSpecificWeight=0.5)
    w = await meet(trial, node)
    for value in (100, -100, 0):
        await set_app_score(node, w, value)
        await has_score(trial, node, w, value / 2, why=f"the application says {value}, weight 0.5")


@case("SCORE-22", fault="peers_at_one_address_are_not_counted")
async def peers_that_share_an_address_pay_for_it(trial: Trial) -> None:
    """Go and others leave out loopback addresses, so an address of this machine is used."""
    own = _own_address()
    host = own or "127.0.0.2"
    node = await judge(
        trial,
        ipColocationFactorWeight=-1,
        ipColocationFactorThreshold=1,
        listen=None if own is None else "/ip4/0.0.0.0/tcp/0",
    )
    alone = await meet(trial, _reached_at(node, "127.0.0.1"))
    reached = _reached_at(node, own or "127.0.0.1")
    sharing = [await meet(trial, reached, local_host=host) for _ in range(3)]
    if own is None and all([await score_of(node, w) == 0 for w in sharing]):
        raise CannotTry("the target leaves out loopback addresses, and there is no other here")
    for w in sharing:
        await has_score(trial, node, w, -4, why="three peers at one address, where one may be")
    await has_score(trial, node, alone, 0, why="it is alone at its address")


def _own_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(NOWHERE)
        except OSError:
            return None
        address = str(probe.getsockname()[0])
    return None if address.startswith(("127.", "0.")) else address


def _reached_at(node: Node, host: str) -> Node:
    """The same node at another address of this machine."""
    _, _, _, _, port, *_ = node.address.split("/")
    address = f"/ip4/{host}/tcp/{port}/p2p/{node.peer_id}"
    return Node(address, topic=node.topic, heartbeat=node.heartbeat, process=node.process)


@case("SCORE-25", fault="misbehaviour_costs_from_the_first")
async def misbehaviour_costs_the_square_of_what_is_above_the_threshold(trial: Trial) -> None:
    """By GRAFTs during the backoff, which count once, or twice soon after the PRUNE."""
    node = await judge(trial, behaviourPenaltyWeight=-1, behaviourPenaltyThreshold=2)
    w = await meet(trial, node)
    await enter_mesh(trial, node, w)
    await w.send_rpc(Rpc(control=Control(prune=[Prune(node.topic, (), 60)])))
    await _graft(trial, node, w, 1)
    await has_score(trial, node, w, 0, why="one GRAFT during the backoff, and a threshold of 2")
    for count in (2, 3, 4):
        await _graft(trial, node, w, count)
    await has_read(trial, node, w)
    score = await score_of(node, w)
    if not _is_about(score, -4, -36):  # it may be a second old
        await trial.heartbeats(1.2 / node.heartbeat, node)
        score = await score_of(node, w)
    expected = "four misdeeds or eight, and a threshold of 2: -4, -36"
    trial.check(_is_about(score, -4, -36), expected, score)
    how = "two" if _is_about(score, -36) else "one"
    trial.observe(f"counts {how} for a GRAFT soon after the PRUNE")


def _is_about(score: float | None, *allowed: float) -> bool:
    """One of these; a counter may have decayed a little (`LASTING`)."""
    return score is not None and any(math.isclose(score, each, rel_tol=1e-3) for each in allowed)


async def _graft(trial: Trial, node: Node, w: ScriptedPeer, count: int) -> None:
    await w.send_rpc(Rpc(control=Control(graft=[Graft(node.topic)])))
    with trial.expecting("PRUNE for each GRAFT during the backoff"):
        await w.until(lambda: len(prunes(w)) >= count, "PRUNE", 5)


@case("SCORE-29", fault="scores_end_with_the_connection", also=("SCORE-30",))
async def a_debt_is_kept_for_a_peer_that_comes_again_and_a_merit_is_not(trial: Trial) -> None:
    """With a debt only that is kept: first deliveries count no more."""
    node = await judge(trial, topic=_EARNING_AND_COSTING)
    bad, good = await meet(trial, node, seed=W), await meet(trial, node, seed=W + 1)
    await send(bad, forged(bad, node.topic, 1), forged(bad, node.topic, 2))
    await send(bad, *(signed(bad, node.topic, number) for number in range(3, 6)))
    await send(good, signed(good, node.topic, 1))
    await has_score(trial, node, bad, 3 - 40, why="three valid messages and two invalid ones")
    await has_score(trial, node, good, 1, why="one valid message")
    for w in (bad, good):
        await _disconnect(trial, node, w)
    bad, good = await meet(trial, node, seed=W), await meet(trial, node, seed=W + 1)
    await has_score(trial, node, bad, -40, why="the debt of a peer that came again")
    await has_score(trial, node, good, 0, why="a peer with a good score starts anew")


_EARNING_AND_COSTING = {"invalidMessageDeliveriesWeight": -10, "firstMessageDeliveriesWeight": 1}


@case("SCORE-29b", fault="debts_are_for_ever")
async def a_debt_is_forgotten_when_it_was_kept_long_enough(trial: Trial) -> None:
    topic = {"invalidMessageDeliveriesWeight": -10}
    node = await judge(trial, topic=topic, decayIntervalMs=1000, retainScoreMs=1000)
    w = await meet(trial, node, seed=W)
    await send(w, forged(w, node.topic, 1))
    await has_score(trial, node, w, -10, why="one invalid message")
    await _disconnect(trial, node, w)
    await trial.heartbeats(2.2 / node.heartbeat, node)  # and one more look at what expired
    w = await meet(trial, node, seed=W)
    await has_score(trial, node, w, 0, why="its debt was to be kept for a second")


async def _disconnect(trial: Trial, node: Node, w: ScriptedPeer) -> None:
    await w.wire.close()
    name = str(w.peer_id)
    with trial.expecting("a peer gone that closed its connection"):
        await node.wait_answer(
            "peers", lambda got: name not in [each["peer"] for each in got["peers"]]
        )
