"""Parameters: the defaults, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from gossipsub.router.features import OFFERED
from gossipsub.router.message_id import content_id, origin_id
from gossipsub.router.params import (
    BackoffParams,
    GossipParams,
    LazyParams,
    MeshParams,
    RouterLimits,
    SignaturePolicy,
    TopicParams,
)


@pytest.mark.rule("CFG-01")
def test_the_defaults_are_those_documented_and_pass_their_own_validation() -> None:
    params = GossipParams()
    assert params.mesh == MeshParams(d=6, d_low=5, d_high=12, d_score=4, d_out=2)
    assert params.lazy == LazyParams(
        d_lazy=6,
        gossip_factor=0.25,
        gossip_retransmission=3,
        history_length=5,
        history_gossip=3,
        max_ihave_length=5000,
        max_ihave_messages=10,
        idontwant_threshold=1024,
        idontwant_heartbeats=3,
        max_idontwant_length=10,
        max_idontwant_messages=1000,
    )
    assert params.backoff == BackoffParams(
        prune_backoff=60.0, unsubscribe_backoff=10.0, slack_heartbeats=2, max_remote_backoff=3600.0
    )
    assert (params.heartbeat_interval, params.heartbeat_initial_delay) == (1.0, 0.1)
    assert (params.fanout_ttl, params.seen_ttl) == (60.0, 120.0)
    assert params.flood_publish
    assert params.signature_policy is SignaturePolicy.STRICT_SIGN
    assert params.message_id is origin_id
    assert params.protocols == OFFERED


@pytest.mark.rule("CFG-02", "CFG-03")
@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"d_low": 7}, "need 0 < d_low <= d <= d_high: 7, 6, 12"),
        ({"d": 13}, "need 0 < d_low <= d <= d_high: 5, 13, 12"),
        ({"d_high": 5}, "need 0 < d_low <= d <= d_high: 5, 6, 5"),
        ({"d_score": 13}, "need d_score <= d_high: 13, 12"),
        ({"d_out": 4}, "need d_out < d_low and d_out <= d/2: 4"),
        ({"d_low": 3, "d_out": 3}, "need d_out < d_low and d_out <= d/2: 3"),
        ({"d_out": -1}, "d_out must not be negative: -1"),
    ],
)
def test_mesh_degrees_that_cannot_work_are_refused(values: dict[str, int], error: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        MeshParams(**values)
    assert str(caught.value) == error


@pytest.mark.rule("CFG-03")
def test_half_of_the_mesh_may_be_outbound() -> None:
    assert MeshParams(d_out=3).d_out == 3


@pytest.mark.rule("CFG-04")
def test_a_bootstrapper_has_no_mesh_at_all() -> None:
    assert MeshParams(d=0, d_low=0, d_high=0, d_out=0).d == 0
    for name in ("d", "d_low", "d_high"):
        with pytest.raises(ValueError, match="need 0 < d_low <= d <= d_high"):
            MeshParams(**{name: 0})


@pytest.mark.rule("CFG-02")
def test_no_more_windows_are_gossiped_about_than_are_kept() -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        LazyParams(history_gossip=6)
    assert str(caught.value) == "need history_gossip <= history_length: 6, 5"


@pytest.mark.rule("CFG-05")
@pytest.mark.parametrize(
    ("params", "values"),
    [
        (LazyParams, {"history_length": 0, "history_gossip": 0}),
        (LazyParams, {"max_ihave_length": 0}),
        (LazyParams, {"gossip_factor": 1.5}),
        (LazyParams, {"d_lazy": -1}),
        (LazyParams, {"idontwant_threshold": -1}),
        (LazyParams, {"idontwant_heartbeats": 0}),
        (LazyParams, {"max_idontwant_length": 0}),
        (LazyParams, {"max_idontwant_messages": 0}),
        (RouterLimits, {"max_refusals": 0}),
        (BackoffParams, {"prune_backoff": 0.0}),
        (BackoffParams, {"unsubscribe_backoff": 0.0}),
        (BackoffParams, {"max_remote_backoff": float("inf")}),
        (GossipParams, {"heartbeat_interval": 0.0}),
        (GossipParams, {"heartbeat_interval": float("nan")}),
        (GossipParams, {"seen_ttl": -1.0}),
        (GossipParams, {"protocols": ()}),
        (RouterLimits, {"max_pending": 0}),
        (RouterLimits, {"max_seen": 0}),
        (MeshParams, {"opportunistic_graft_ticks": 0}),
        (MeshParams, {"opportunistic_graft_peers": -1}),
        (BackoffParams, {"graft_flood_threshold": -1.0}),
        (LazyParams, {"iwant_followup": 0.0}),
        (RouterLimits, {"max_promises": 0}),
    ],
)
def test_values_that_cannot_work_are_refused(params: Any, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        params(**values)


@pytest.mark.rule("CFG-05")
def test_gossip_may_be_switched_off() -> None:
    assert LazyParams(history_gossip=0).history_gossip == 0


def test_without_origin_a_message_needs_an_id_of_another_kind() -> None:
    with pytest.raises(ValueError, match="STRICT_NO_SIGN needs a message_id"):
        GossipParams(signature_policy=SignaturePolicy.STRICT_NO_SIGN)
    policy = SignaturePolicy.STRICT_NO_SIGN
    assert GossipParams(signature_policy=policy, message_id=content_id).signature_policy is policy


def test_a_topics_size_limit_is_a_positive_number() -> None:
    assert TopicParams(max_data_bytes=1).max_data_bytes == 1
    with pytest.raises(ValueError, match=r"^max_data_bytes must be positive and finite: 0$"):
        TopicParams(max_data_bytes=0)
