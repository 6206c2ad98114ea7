"""What the router knows of peers that tells whom to keep."""

from __future__ import annotations

from random import Random

import pytest

from gossipsub.pubsub.standings import standings
from gossipsub.router.effects import Validate, Verdict
from gossipsub.router.params import GossipParams
from gossipsub.router.router import Router
from gossipsub.router.score.params import PeerScoreParams
from gossipsub.transport.trimming import Standing
from gossipsub.wire.rpc import Control, Graft, Message, Rpc, SubOpts

MESH, OTHER, ELSEWHERE, STRANGER = b"mesh", b"other", b"elsewhere", b"stranger"
OPINIONS = {MESH: 1.0, OTHER: -2.0, ELSEWHERE: 0.0}


@pytest.mark.rule("TRC-03")
def test_a_standing_tells_mesh_topics_score_and_deliveries():
    score = PeerScoreParams(app_specific_score=lambda peer: OPINIONS[peer], app_specific_weight=1.0)
    router = Router(GossipParams(score=score), me=b"me", rng=Random(1), now=0.0)
    router.subscribe("t", now=0.0)
    for peer, topic in ((MESH, "t"), (OTHER, "t"), (ELSEWHERE, "x")):
        router.peer_connected(
            peer, protocol="/meshsub/1.1.0", outbound=False, ip="192.0.2.1", now=0.0
        )
        router.receive_rpc(peer, Rpc(subscriptions=(SubOpts(topic),)), now=0.0)
    router.receive_rpc(MESH, Rpc(control=Control(graft=(Graft("t"),))), now=0.0)
    message = Message("t", b"data", b"author", bytes(8), b"signature")
    router.receive_rpc(OTHER, Rpc(publish=(message,)), now=0.0)
    for effect in router.effects():
        if isinstance(effect, Validate):
            router.validation_result(effect.ticket, Verdict.ACCEPT, now=0.0)
    peers = (MESH, OTHER, ELSEWHERE, STRANGER)
    assert standings(router, peers, now=0.0) == {
        MESH: Standing(in_mesh=True, shares_topics=True, score=1.0),
        OTHER: Standing(shares_topics=True, score=-2.0, deliveries=1),
        ELSEWHERE: Standing(),
        STRANGER: Standing(),
    }
