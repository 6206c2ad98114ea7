"""Presets by name, and Filecoin's parameters as lotus publishes them."""

from __future__ import annotations

from hashlib import blake2b

import pytest

from gossipsub.router.params import BackoffParams, GossipParams, MeshParams, SignaturePolicy
from gossipsub.router.presets.by_name import SCORE_PRESETS, score_preset
from gossipsub.router.presets.filecoin import (
    FILECOIN_THRESHOLDS,
    filecoin,
    filecoin_message_id,
    filecoin_score,
)
from gossipsub.router.score.params import PeerScoreThresholds
from gossipsub.wire.rpc import Message


def test_filecoins_mesh_is_that_of_lotus() -> None:
    params = filecoin()
    assert params.mesh == MeshParams(d=8, d_low=6, d_high=12, d_score=6, d_out=3)
    lazy = params.lazy
    assert (lazy.d_lazy, lazy.gossip_factor, lazy.history_length, lazy.iwant_followup) == (
        12, 0.1, 10, 5.0
    )  # fmt: skip
    assert params.backoff == BackoffParams()
    assert params.flood_publish
    assert params.signature_policy is SignaturePolicy.STRICT_SIGN
    assert params.score == filecoin_score()
    assert params.thresholds == FILECOIN_THRESHOLDS
    assert PeerScoreThresholds(
        gossip=-500, publish=-1000, graylist=-2500, accept_px=1000, opportunistic_graft=3.5
    ) == (FILECOIN_THRESHOLDS)


def test_a_filecoin_bootstrapper_has_no_mesh_and_gossips_more() -> None:
    params = filecoin(bootstrapper=True)
    assert params.mesh == MeshParams(d=0, d_low=0, d_high=0, d_score=0, d_out=0)
    assert (params.lazy.d_lazy, params.lazy.gossip_factor) == (64, 0.25)
    assert params.backoff.prune_backoff == 300.0


def test_filecoin_names_messages_by_their_content() -> None:
    message = Message(topic="t", data=b"abc", from_peer=b"f", seqno=b"12345678")
    assert filecoin_message_id(message) == blake2b(b"abc", digest_size=32).digest()
    assert len(filecoin_message_id(Message(topic="t"))) == 32
    assert filecoin().message_id is filecoin_message_id


def test_filecoin_scores_blocks_messages_and_each_drand_chain() -> None:
    topics = filecoin_score(network="calibrationnet", drand_chains=("aa", "bb")).topics
    assert list(topics) == [
        "/fil/blocks/calibrationnet",
        "/fil/msgs/calibrationnet",
        "/drand/pubsub/v0.0.0/aa",
        "/drand/pubsub/v0.0.0/bb",
    ]
    most = {
        name: topic.topic_weight
        * (
            topic.time_in_mesh_weight * topic.time_in_mesh_cap
            + topic.first_message_deliveries_weight * topic.first_message_deliveries_cap
        )
        for name, topic in topics.items()
    }
    assert list(most.values()) == pytest.approx([50.0, 5.0, 62.5, 62.5], abs=1e-3)
    for topic in topics.values():
        assert topic.mesh_message_deliveries_weight == topic.mesh_failure_penalty_weight == 0.0
        assert topic.invalid_message_deliveries_weight == -1000.0
        assert topic.invalid_message_deliveries_decay**3600 == pytest.approx(0.01)
    decays = [topic.first_message_deliveries_decay for topic in topics.values()]
    assert [decays[0] ** 3600, decays[1] ** 600] == pytest.approx([0.01, 0.01])


def test_filecoin_takes_the_applications_opinion_where_there_is_one() -> None:
    assert filecoin_score().app_specific_weight == 0.0
    scored = filecoin(app_specific_score=lambda peer: 2500.0).score
    assert scored is not None
    assert scored.app_specific_weight == 1.0
    assert scored.app_specific_score is not None
    assert scored.app_specific_score(b"p") == 2500.0
    assert (scored.ip_colocation_factor_weight, scored.ip_colocation_factor_threshold) == (-100, 5)
    assert (scored.behaviour_penalty_weight, scored.behaviour_penalty_threshold) == (-10.0, 6.0)
    assert scored.retain_score == 21_600.0


@pytest.mark.parametrize("name", SCORE_PRESETS)
def test_a_preset_says_where_it_comes_from_and_fits_a_router(name: str) -> None:
    preset = score_preset(name)
    assert preset.source
    GossipParams(
        score=preset.score,
        thresholds=preset.thresholds,
        heartbeat_interval=preset.heartbeat_interval,
    )


def test_an_unknown_preset_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"^no such preset: bitcoin \(there are default, filecoin"):
        score_preset("bitcoin")
