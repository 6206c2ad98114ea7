"""`--score`: how a test peer scores others, and what its `scores` command tells of it.

What is left out keeps a default of its own, the same for test peers of all languages, not the
library's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from gossipsub.crypto.peer_id import PeerId
from gossipsub.peer.values import Values, number, seconds, whole
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from gossipsub.router.score.snapshot import PeerScoreSnapshot

T = TypeVar("T")
AppScores = dict[bytes, float]
"""What the application thinks of peers; 0 of those that are not in it."""

SHORTEST_CHECKED = 1.0
"""Seconds. The parameter classes refuse shorter times than this in two places, though the router
works with them; cases that must not wait for seconds need them."""

EVERY_TOPIC = "*"

_TOPIC = {
    "topicWeight": "topic_weight",
    "timeInMeshWeight": "time_in_mesh_weight",
    "timeInMeshCap": "time_in_mesh_cap",
    "firstMessageDeliveriesWeight": "first_message_deliveries_weight",
    "firstMessageDeliveriesDecay": "first_message_deliveries_decay",
    "firstMessageDeliveriesCap": "first_message_deliveries_cap",
    "meshMessageDeliveriesWeight": "mesh_message_deliveries_weight",
    "meshMessageDeliveriesDecay": "mesh_message_deliveries_decay",
    "meshMessageDeliveriesCap": "mesh_message_deliveries_cap",
    "meshMessageDeliveriesThreshold": "mesh_message_deliveries_threshold",
    "meshFailurePenaltyWeight": "mesh_failure_penalty_weight",
    "meshFailurePenaltyDecay": "mesh_failure_penalty_decay",
    "invalidMessageDeliveriesWeight": "invalid_message_deliveries_weight",
    "invalidMessageDeliveriesDecay": "invalid_message_deliveries_decay",
}
_TOPIC_MS = {
    "timeInMeshQuantumMs": "time_in_mesh_quantum",
    "meshMessageDeliveriesWindowMs": "mesh_message_deliveries_window",
    "meshMessageDeliveriesActivationMs": "mesh_message_deliveries_activation",
}
_TOPIC_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(_TOPIC.values(), 0.0),
    **dict.fromkeys(_TOPIC_MS.values(), 0.0),
    "topic_weight": 1.0,
    "time_in_mesh_weight": 0.01,
    "time_in_mesh_quantum": 1.0,
    "time_in_mesh_cap": 100.0,
    "first_message_deliveries_weight": 1.0,
    "first_message_deliveries_decay": 0.5,
    "first_message_deliveries_cap": 100.0,
    "invalid_message_deliveries_weight": -10.0,
    "invalid_message_deliveries_decay": 0.9,
}
_PEER = {
    "topicScoreCap": "topic_score_cap",
    "appSpecificWeight": "app_specific_weight",
    "ipColocationFactorWeight": "ip_colocation_factor_weight",
    "behaviourPenaltyWeight": "behaviour_penalty_weight",
    "behaviourPenaltyThreshold": "behaviour_penalty_threshold",
    "behaviourPenaltyDecay": "behaviour_penalty_decay",
    "decayToZero": "decay_to_zero",
}
_PEER_WHOLE = {"ipColocationFactorThreshold": "ip_colocation_factor_threshold"}
_PEER_MS = {"decayIntervalMs": "decay_interval", "retainScoreMs": "retain_score"}
_PEER_DEFAULTS: dict[str, Any] = {
    "app_specific_weight": 1.0,
    "ip_colocation_factor_threshold": 1,
    "behaviour_penalty_weight": -1.0,
    "behaviour_penalty_threshold": 6.0,
    "behaviour_penalty_decay": 0.9,
    "decay_interval": 1.0,
    "decay_to_zero": 0.01,
    "retain_score": 10.0,
}
_THRESHOLDS = {
    "gossip": "gossip",
    "publish": "publish",
    "graylist": "graylist",
    "acceptPX": "accept_px",
    "opportunisticGraft": "opportunistic_graft",
}
_THRESHOLD_DEFAULTS: dict[str, Any] = {
    "gossip": -10.0,
    "publish": -50.0,
    "graylist": -80.0,
    "accept_px": 10.0,
    "opportunistic_graft": 1.0,
}
_PARTS = ("topics", "appScores", "thresholds")


@dataclass(frozen=True, slots=True)
class Scoring:
    """What --score says."""

    params: PeerScoreParams
    thresholds: PeerScoreThresholds
    app_scores: AppScores
    """Read by `params` whenever a score is looked at."""


def read_scoring(given: dict[str, Any]) -> Scoring:
    """ValueError says what is wrong."""
    _refuse_unknown(given, {*_PEER, *_PEER_WHOLE, *_PEER_MS, *_PARTS})
    topics = _within("topics", given, _read_topics, {EVERY_TOPIC: {}})
    app_scores = _within("appScores", given, _read_app_scores, {})
    thresholds = _within("thresholds", given, _read_thresholds, {})
    values = Values(given)
    read = {
        **_PEER_DEFAULTS,
        **values.pick(_PEER, number),
        **values.pick(_PEER_WHOLE, whole),
        **values.pick(_PEER_MS, seconds),
    }
    if not read["decay_interval"] > 0:
        raise ValueError("decayIntervalMs: must be above 0")
    params = _behind_the_check(
        lambda checked: PeerScoreParams(
            topics={name: topic for name, topic in topics.items() if name != EVERY_TOPIC},
            other_topics=topics.get(EVERY_TOPIC),
            app_specific_score=lambda peer: app_scores.get(peer, 0.0),
            **checked,
        ),
        read,
        "decay_interval",
    )
    return Scoring(params, thresholds, app_scores)


def _read_topics(given: Mapping[str, Any]) -> dict[str, TopicScoreParams]:
    topics = {}
    for name, values in given.items():
        try:
            topics[name] = _read_topic(_object(values))
        except ValueError as error:
            raise ValueError(f"{name!r}: {error}") from None
    return topics


def _read_topic(given: dict[str, Any]) -> TopicScoreParams:
    _refuse_unknown(given, {*_TOPIC, *_TOPIC_MS})
    values = Values(given)
    read = {**_TOPIC_DEFAULTS, **values.pick(_TOPIC, number), **values.pick(_TOPIC_MS, seconds)}
    return _behind_the_check(
        lambda checked: TopicScoreParams(**checked), read, "mesh_message_deliveries_activation"
    )


def _read_app_scores(given: Mapping[str, Any]) -> AppScores:
    return {PeerId.parse(peer): number(score) for peer, score in given.items()}


def _read_thresholds(given: Mapping[str, Any]) -> PeerScoreThresholds:
    _refuse_unknown(given, _THRESHOLDS)
    read = _THRESHOLD_DEFAULTS | Values(dict(given)).pick(_THRESHOLDS, number)
    return PeerScoreThresholds(**read)


def _behind_the_check(build: Callable[[dict[str, Any]], T], read: dict[str, Any], name: str) -> T:
    """Build parameters in which one time may be shorter than they allow."""
    params = build(read | {name: max(read[name], SHORTEST_CHECKED)})
    object.__setattr__(params, name, read[name])  # they are frozen, and not yet in use
    return params


def _within(
    part: str, given: dict[str, Any], read: Callable[[dict[str, Any]], T], default: dict[str, Any]
) -> T:
    try:
        return read(_object(given.get(part, default)))
    except ValueError as error:
        raise ValueError(f"{part}: {error}") from None


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    return value


def _refuse_unknown(given: Mapping[str, Any], known: Iterable[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise ValueError(f"unknown parameter {unknown[0]!r}")


def describe(snapshot: PeerScoreSnapshot) -> dict[str, Any]:
    """A peer's entry in the answer to `scores`."""
    return {
        "score": snapshot.score,
        "app_specific_score": snapshot.app_specific_score,
        "ip_colocation_factor": snapshot.ip_colocation_factor,
        "behaviour_penalty": snapshot.behaviour_penalty,
        "topics": {
            name: {
                "time_in_mesh_ms": topic.time_in_mesh * 1000,
                "first_message_deliveries": topic.first_message_deliveries,
                "mesh_message_deliveries": topic.mesh_message_deliveries,
                "invalid_message_deliveries": topic.invalid_message_deliveries,
            }
            for name, topic in snapshot.topics.items()
        },
    }
