"""Ethereum's parameters, held against what its specification and clients publish.

Expected numbers are from the consensus specifications, from the tests that Teku and Lodestar share
(16,384 validators), and from the constants of Nimbus.
"""

from __future__ import annotations

from hashlib import sha256

import pytest

from gossipsub.router.params import SignaturePolicy
from gossipsub.router.presets import ethereum
from gossipsub.router.presets.ethereum import (
    EPOCH,
    THRESHOLDS,
    formal_model_score,
    gossip,
    lighthouse_score,
    message_id,
    prysm_score,
    topic_name,
)
from gossipsub.router.score.params import TopicScoreParams
from gossipsub.wire.rpc import Message

BLOCKS = topic_name("beacon_block", "00000000")
AGGREGATES = topic_name("beacon_aggregate_and_proof", "00000000")
LAST_SUBNET = topic_name("beacon_attestation_63", "00000000")
EXITS = topic_name("voluntary_exit", "00000000")
SLASHINGS = topic_name("proposer_slashing", "00000000")


def double(data: bytes) -> bytes:
    if data.startswith(b"!"):
        raise ValueError("not compressed")
    return data * 2


def test_the_mesh_is_that_of_the_consensus_specifications() -> None:
    params = gossip(double)
    assert (params.mesh.d, params.mesh.d_low, params.mesh.d_high) == (8, 6, 12)
    assert (params.lazy.d_lazy, params.lazy.history_length, params.lazy.history_gossip) == (6, 6, 3)
    assert (params.heartbeat_interval, params.fanout_ttl, params.seen_ttl) == (0.7, 60.0, 768.0)
    assert params.signature_policy is SignaturePolicy.STRICT_NO_SIGN
    assert params.score is None
    assert params.thresholds == THRESHOLDS
    scored = gossip(double, score=lighthouse_score())
    assert scored.score == lighthouse_score()


def test_the_message_id_is_built_of_domain_topic_and_decompressed_data() -> None:
    message = Message(topic="tö", data=b"ab")
    hashed = b"\x01\0\0\0" + b"\x03\0\0\0\0\0\0\0" + "tö".encode() + b"abab"
    assert message_id(double)(message) == sha256(hashed).digest()[:20]


def test_data_that_does_not_decompress_has_an_id_of_another_domain() -> None:
    hashed = b"\0\0\0\0" + b"\x01\0\0\0\0\0\0\0" + b"t" + b"!ab"
    assert message_id(double)(Message(topic="t", data=b"!ab")) == sha256(hashed).digest()[:20]
    empty = b"\x01\0\0\0" + b"\x01\0\0\0\0\0\0\0" + b"t"
    assert message_id(double)(Message(topic="t")) == sha256(empty).digest()[:20]


def first_deliveries(params: TopicScoreParams) -> tuple[float, ...]:
    return (
        params.topic_weight,
        params.first_message_deliveries_weight,
        params.first_message_deliveries_decay,
        params.first_message_deliveries_cap,
    )


def mesh_deliveries(params: TopicScoreParams) -> tuple[float, ...]:
    return (
        params.mesh_message_deliveries_weight,
        params.mesh_message_deliveries_decay,
        params.mesh_message_deliveries_cap,
        params.mesh_message_deliveries_threshold,
        params.mesh_message_deliveries_activation,
    )


def test_lighthouse_with_the_validators_of_genesis_is_what_other_clients_test_for() -> None:
    topics = lighthouse_score(active_validators=16_384).topics

    def first(topic: str) -> tuple[float, ...]:
        return first_deliveries(topics[topic])

    assert first(EXITS) == pytest.approx((0.05, 1.8407, 0.998561, 21.73035), abs=5e-5)
    assert first(SLASHINGS) == pytest.approx((0.05, 36.81486, 0.998561, 1.08652), abs=5e-5)
    assert first(AGGREGATES) == pytest.approx((0.5, 0.33509, 0.86596, 119.3712), abs=5e-5)
    assert first(BLOCKS) == pytest.approx((0.5, 1.14716, 0.99283, 34.8687), abs=5e-5)
    assert first(LAST_SUBNET) == pytest.approx((0.015625, 2.6807, 0.86596, 14.9214), abs=5e-5)
    for topic in topics.values():
        assert topic.time_in_mesh_weight == pytest.approx(1 / 30)
        assert (topic.time_in_mesh_quantum, topic.time_in_mesh_cap) == (12.0, 300.0)
        assert topic.invalid_message_deliveries_decay == pytest.approx(0.99713, abs=5e-5)
        assert topic.invalid_message_deliveries_weight * topic.topic_weight == pytest.approx(-107.5)


def test_lighthouse_has_its_own_weak_penalty_for_missing_deliveries() -> None:
    topics = lighthouse_score(active_validators=16_384).topics
    assert mesh_deliveries(topics[AGGREGATES]) == pytest.approx(
        (-0.5, 0.930572, 68.6255, 17.15638, 384.0), abs=5e-5
    )
    assert mesh_deliveries(topics[BLOCKS]) == pytest.approx(
        (-0.5, 0.97163, 2.0547574, 0.68491, 384.0), abs=5e-5
    )
    assert mesh_deliveries(topics[LAST_SUBNET]) == pytest.approx(
        (-0.015625, 0.96466, 69.88248, 4.367655, 204.0), abs=5e-5
    )
    assert mesh_deliveries(topics[EXITS])[0] == 0.0


def test_where_silence_costs_all_the_penalty_is_that_of_nimbus() -> None:
    topics = lighthouse_score(active_validators=16_384, silence_costs_all=True).topics
    blocks = topics[BLOCKS]
    assert blocks.mesh_message_deliveries_weight == pytest.approx(-458.31054878249114)
    assert blocks.mesh_failure_penalty_weight == blocks.mesh_message_deliveries_weight
    assert blocks.mesh_failure_penalty_decay == pytest.approx(0.9716279515771061)


def test_lighthouse_expects_more_with_more_validators() -> None:
    topics = lighthouse_score(active_validators=1_000_000).topics
    few = lighthouse_score(active_validators=16_384).topics
    assert topics[BLOCKS] == few[BLOCKS]
    # 64 committees a slot of 488 or 489 members, of whom every 30th is an aggregator
    aggregates = topics[AGGREGATES]
    rate = 64 * (1_000_000 / 2048) / 30 * 2 / 8
    assert aggregates.first_message_deliveries_cap == pytest.approx(rate / (1 - 0.01 ** (1 / 32)))
    votes = topics[LAST_SUBNET]
    assert votes.mesh_message_deliveries_activation == 204.0
    few_votes = lighthouse_score(active_validators=8192).topics[LAST_SUBNET]
    assert few_votes.mesh_message_deliveries_activation == 3 * EPOCH  # too few for bursts


def test_lighthouse_counts_no_missing_deliveries_in_the_first_slots_of_a_chain() -> None:
    young = lighthouse_score(current_slot=160).topics[BLOCKS]
    assert young.mesh_message_deliveries_weight == young.mesh_failure_penalty_weight == 0.0
    grown = lighthouse_score(current_slot=161).topics[BLOCKS]
    assert grown == lighthouse_score().topics[BLOCKS]


def test_lighthouse_caps_topics_and_punishes_ten_misdeeds_an_epoch() -> None:
    score = lighthouse_score()
    assert len(score.topics) == 69
    assert score.topic_score_cap == pytest.approx(53.75)
    assert score.ip_colocation_factor_weight == pytest.approx(-53.75)
    assert score.ip_colocation_factor_threshold == 8
    assert (score.decay_interval, score.retain_score) == (12.0, 100 * EPOCH)
    assert (score.slow_peer_weight, score.slow_peer_decay) == (-10.0, 0.1)
    # Ten misdeeds each epoch, for ever, come to the gossip threshold.
    counter = 10 / 32 / (1 - score.behaviour_penalty_decay) - score.behaviour_penalty_threshold
    assert score.behaviour_penalty_weight * counter**2 == pytest.approx(THRESHOLDS.gossip)


def test_prysm_leaves_missing_deliveries_unscored() -> None:
    score = prysm_score()
    assert len(score.topics) == 81
    assert {topic.mesh_message_deliveries_weight for topic in score.topics.values()} == {0.0}
    assert score.topic_score_cap == 32.72
    assert (score.behaviour_penalty_weight, score.behaviour_penalty_threshold) == (-15.92, 6.0)
    assert (score.ip_colocation_factor_weight, score.ip_colocation_factor_threshold) == (-35.11, 10)


def test_prysm_with_mesh_deliveries_on_has_its_written_numbers() -> None:
    topics = prysm_score(active_validators=16_384, mesh_deliveries_count=True).topics
    blocks = topics[BLOCKS]
    assert first_deliveries(blocks)[:2] == (0.8, 1.0)
    assert mesh_deliveries(blocks)[0] == -0.717
    assert mesh_deliveries(blocks)[2:] == (160.0, 16.0, 4 * EPOCH)
    assert blocks.invalid_message_deliveries_weight == -140.4475
    # 4 committees a slot with 16 aggregators each; 155 is all that can be earned
    decay = 0.01 ** (1 / 32)
    threshold = 64 / 90 / (1 - decay) * decay
    assert mesh_deliveries(topics[AGGREGATES]) == pytest.approx(
        (-155 / (0.5 * threshold**2), decay, 4 * threshold, threshold, EPOCH)
    )
    # 8 votes a slot and subnet: 2 of them first deliveries of each peer, over four epochs
    votes = topics[LAST_SUBNET]
    assert votes.first_message_deliveries_cap == pytest.approx(2 / (1 - 0.01 ** (1 / 128)))
    assert votes.invalid_message_deliveries_weight == -155 * 64
    assert first_deliveries(topics[SLASHINGS])[:2] == (0.05, 36.0)
    few = prysm_score(active_validators=8192).topics[LAST_SUBNET]
    assert few.first_message_deliveries_decay == pytest.approx(0.01 ** (1 / 32))


def test_topics_are_those_of_the_fork() -> None:
    assert topic_name("beacon_block", "6a95a1a9") == "/eth2/6a95a1a9/beacon_block/ssz_snappy"
    for score in (lighthouse_score(fork_digest="6a95a1a9"), prysm_score(fork_digest="6a95a1a9")):
        assert "/eth2/6a95a1a9/beacon_attestation_63/ssz_snappy" in score.topics


def test_the_formal_model_has_as_many_subnets_as_asked_for() -> None:
    assert list(formal_model_score().topics) == [
        "blocks", "aggregates", "subnet 1", "subnet 2", "subnet 3"
    ]  # fmt: skip
    many = formal_model_score(subnets=64).topics
    assert (len(many), many["subnet 64"].topic_weight) == (66, 1 / 64)


def test_too_few_validators_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^need one vote per subnet and slot: 2047 validators$"):
        ethereum.lighthouse_score(active_validators=2047)
    with pytest.raises(ValueError, match=r"^too few for attestations to be scored: 8191 valid"):
        ethereum.prysm_score(active_validators=8191)
    with pytest.raises(ValueError, match=r"^need at least one subnet: 0$"):
        formal_model_score(subnets=0)
