"""`--score` in the terms of the library: one set of weights for all topics, penalties that are not
squared, decay at each heartbeat."""

from __future__ import annotations

import math
from typing import Any

from libp2p.pubsub.score import ScoreParams, TopicScoreParams

from gossipsub.crypto.peer_id import PeerId
from gossipsub.peer.score import AppScores, read_scoring
from gossipsub.router.score.params import TopicScoreParams as OurTopicScoreParams

_NO_COUNTERPART = ("topicScoreCap", "decayIntervalMs", "decayToZero", "retainScoreMs")


def read_score_params(given: dict[str, Any]) -> tuple[ScoreParams, AppScores, tuple[str, ...]]:
    """The library's parameters, what the application thinks of peers, and the names that were
    given and have no counterpart. ValueError says what is wrong."""
    try:
        scoring = read_scoring(given)
    except ValueError as error:
        raise ValueError(f"--score: {error}") from None
    ours, app_scores = scoring.params, scoring.app_scores
    topic = ours.other_topics or next(iter(ours.topics.values()), None)
    params = ScoreParams(
        p5_behavior_penalty_weight=-ours.behaviour_penalty_weight,
        p5_behavior_penalty_decay=ours.behaviour_penalty_decay,
        p5_behavior_penalty_threshold=ours.behaviour_penalty_threshold,
        p6_appl_slack_weight=ours.app_specific_weight,
        p7_ip_colocation_weight=-ours.ip_colocation_factor_weight,
        p7_ip_colocation_threshold=ours.ip_colocation_factor_threshold,
        publish_threshold=scoring.thresholds.publish,
        gossip_threshold=scoring.thresholds.gossip,
        graylist_threshold=scoring.thresholds.graylist,
        accept_px_threshold=scoring.thresholds.accept_px,
        app_specific_score_fn=lambda peer: app_scores.get(PeerId(peer.to_bytes()), 0.0),
    )
    if topic is not None:
        _set_topic(params, topic)
    lacking = [f"score.{name}" for name in _NO_COUNTERPART if name in given]
    if len(given.get("topics", {})) > 1:
        lacking.append("score.topics: more than one")
    return params, app_scores, tuple(lacking)


def _set_topic(params: ScoreParams, topic: OurTopicScoreParams) -> None:
    weight = topic.topic_weight
    params.p1_time_in_mesh = TopicScoreParams(
        weight * topic.time_in_mesh_weight, topic.time_in_mesh_cap, 1.0
    )
    params.p2_first_message_deliveries = TopicScoreParams(
        weight * topic.first_message_deliveries_weight,
        topic.first_message_deliveries_cap,
        topic.first_message_deliveries_decay,
    )
    params.p4_invalid_messages = TopicScoreParams(
        -weight * topic.invalid_message_deliveries_weight,
        math.inf,
        topic.invalid_message_deliveries_decay,
    )
