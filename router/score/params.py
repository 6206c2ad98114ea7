"""Parameters of peer scoring (v1.1, "Peer Scoring"; names follow the spec, spelled out).

All weights are 0 unless given, so a group that is not named costs and earns nothing, and its
other values are then not judged. All times are seconds. Every class refuses values that cannot
work with ValueError; the rules are go's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_network

from gossipsub.router.kinds import require_kinds

LARGEST = 1e50
"""Largest magnitude of any value: beyond, a score could become infinite, and two infinities NaN."""


def decay_factor(seconds: float, *, interval: float = 1.0, to_zero: float = 0.01) -> float:
    """The decay with which a counter falls from 1 to `to_zero` in `seconds`.

    `interval` and `to_zero` are the `decay_interval` and `decay_to_zero` it will be used with.
    """
    if not (interval > 0 and interval <= seconds < math.inf and 0 < to_zero < 1):
        raise ValueError(f"need 0 < interval <= seconds: {interval}, {seconds}")
    return float(to_zero ** (interval / seconds))


def _require(condition: bool, rule: str, *values: object) -> None:
    if not condition:
        raise ValueError(f"{rule}: {', '.join(str(value) for value in values)}")


def _require_finite(owner: object) -> None:
    for entry in fields(owner):  # type: ignore[arg-type]
        value = getattr(owner, entry.name)
        if isinstance(value, int | float):
            _require(abs(value) <= LARGEST, f"{entry.name} must be finite, at most 1e50", value)


def _require_all(owner: object, rule: str, names: tuple[str, ...]) -> None:
    """`rule` is one of those named in the table below."""
    holds = _RULES[rule]
    for name in names:
        value = getattr(owner, name)
        _require(holds(value), f"{name} must be {rule}", value)


_RULES: dict[str, Callable[[float], bool]] = {
    "0 or more": lambda value: value >= 0,
    "0 or less": lambda value: value <= 0,
    "more than 0": lambda value: value > 0,
    "0 to 1": lambda value: 0 <= value <= 1,
    "between 0 and 1": lambda value: 0 < value < 1,
    "1 or more": lambda value: value >= 1,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicScoreParams:
    """How behaviour in one topic is scored."""

    topic_weight: float = 1.0
    """Factor on everything this topic contributes."""

    time_in_mesh_weight: float = 0.0
    """P1: reward per quantum in the mesh."""
    time_in_mesh_quantum: float = 1.0
    """P1: only whole quanta count, as in go and the spec's code (rust, js, nim: fractions)."""
    time_in_mesh_cap: float = 3600.0
    """P1: most quanta that count."""

    first_message_deliveries_weight: float = 0.0
    """P2: reward per valid message the peer was first to deliver."""
    first_message_deliveries_decay: float = 0.5
    first_message_deliveries_cap: float = 2000.0

    mesh_message_deliveries_weight: float = 0.0
    """P3: penalty on the square of what a mesh peer's deliveries miss the threshold by."""
    mesh_message_deliveries_decay: float = 0.5
    mesh_message_deliveries_cap: float = 100.0
    mesh_message_deliveries_threshold: float = 20.0
    mesh_message_deliveries_window: float = 0.01
    """P3: how long after its acceptance a copy of a message still counts as delivered."""
    mesh_message_deliveries_activation: float = 5.0
    """P3: time in the mesh before a deficit counts."""

    mesh_failure_penalty_weight: float = 0.0
    """P3b: penalty on the squared deficits the peer left meshes with."""
    mesh_failure_penalty_decay: float = 0.5

    invalid_message_deliveries_weight: float = 0.0
    """P4: penalty on the square of the number of invalid messages."""
    invalid_message_deliveries_decay: float = 0.3

    def __post_init__(self) -> None:
        require_kinds(self)
        _require_finite(self)
        self._require_signs()
        if self.time_in_mesh_weight:
            _require_all(self, "more than 0", ("time_in_mesh_cap",))
        if self.first_message_deliveries_weight:
            _require_all(self, "between 0 and 1", ("first_message_deliveries_decay",))
            _require_all(self, "more than 0", ("first_message_deliveries_cap",))
        if self.mesh_failure_penalty_weight:
            _require_all(self, "between 0 and 1", ("mesh_failure_penalty_decay",))
        # P3b adds up the deficits P3 measures. go lets P3b through without values for P3.
        if self.mesh_message_deliveries_weight or self.mesh_failure_penalty_weight:
            self._require_mesh_deliveries()

    def _require_signs(self) -> None:
        _require_all(
            self,
            "0 or more",
            (
                "topic_weight",
                "time_in_mesh_weight",
                "first_message_deliveries_weight",
                "mesh_message_deliveries_window",
                # Without a weight a cap or decay may be left at 0, but no counter may run away.
                "time_in_mesh_cap",
                "first_message_deliveries_cap",
                "mesh_message_deliveries_cap",
            ),
        )
        _require_all(
            self,
            "0 to 1",
            (
                "first_message_deliveries_decay",
                "mesh_message_deliveries_decay",
                "mesh_failure_penalty_decay",
            ),
        )
        _require_all(
            self,
            "0 or less",
            (
                "mesh_message_deliveries_weight",
                "mesh_failure_penalty_weight",
                "invalid_message_deliveries_weight",
            ),
        )
        # Asked for in any case, as in go: a quantum divides, and P4 has no group to be left out.
        _require_all(self, "more than 0", ("time_in_mesh_quantum",))
        _require_all(self, "between 0 and 1", ("invalid_message_deliveries_decay",))

    def _require_mesh_deliveries(self) -> None:
        _require_all(self, "between 0 and 1", ("mesh_message_deliveries_decay",))
        _require_all(
            self,
            "more than 0",
            ("mesh_message_deliveries_cap", "mesh_message_deliveries_threshold"),
        )
        _require_all(self, "1 or more", ("mesh_message_deliveries_activation",))


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerScoreParams:
    """How peers are scored."""

    topics: Mapping[str, TopicScoreParams] = field(default_factory=dict)
    """Parameters by topic."""
    other_topics: TopicScoreParams | None = None
    """For topics not named in `topics`; None: they contribute nothing, and keep no counters."""
    topic_score_cap: float = 0.0
    """Most that all topics together contribute; 0: no limit."""

    app_specific_score: Callable[[bytes], float] | None = None
    """P5: what the application thinks of a peer, asked whenever a score is looked at, so it
    should be quick. Where it raises or gives no finite number, it counts as 0."""
    app_specific_weight: float = 0.0

    ip_colocation_factor_weight: float = 0.0
    """P6: penalty on the square of the number of peers at one address above the threshold."""
    ip_colocation_factor_threshold: int = 10
    ip_colocation_factor_whitelist: tuple[str, ...] = ()
    """Networks (`10.0.0.0/8`) whose addresses are not counted."""

    behaviour_penalty_weight: float = 0.0
    """P7: penalty on the square of the misdeeds above the threshold: grafting during a backoff,
    promising messages (IHAVE) and not delivering them."""
    behaviour_penalty_threshold: float = 0.0
    behaviour_penalty_decay: float = 0.2

    slow_peer_weight: float = 0.0
    """Penalty on the number, above the threshold, of messages that found no room in the peer's
    outbound queue: it reads too slowly (rust's; other implementations have none)."""
    slow_peer_threshold: float = 0.0
    slow_peer_decay: float = 0.2

    decay_interval: float = 1.0
    """Between refreshes: counters decay, time in mesh is taken."""
    decay_to_zero: float = 0.01
    """A counter that decayed below this is 0."""
    retain_score: float = 3600.0
    """How long the counters of a peer that left with a score of 0 or less are kept."""

    def __post_init__(self) -> None:
        require_kinds(self)
        _require_finite(self)
        _require_all(
            self,
            "0 or more",
            (
                "topic_score_cap",
                "behaviour_penalty_threshold",
                "slow_peer_threshold",
                "retain_score",
            ),
        )
        _require_all(
            self,
            "0 or less",
            ("ip_colocation_factor_weight", "behaviour_penalty_weight", "slow_peer_weight"),
        )
        _require_all(self, "0 to 1", ("behaviour_penalty_decay", "slow_peer_decay"))
        _require_all(self, "1 or more", ("decay_interval",))
        _require_all(self, "between 0 and 1", ("decay_to_zero",))
        if self.app_specific_weight and self.app_specific_score is None:
            raise ValueError("app_specific_weight needs an app_specific_score")
        if self.ip_colocation_factor_weight:
            _require_all(self, "1 or more", ("ip_colocation_factor_threshold",))
        if self.behaviour_penalty_weight:
            _require_all(self, "between 0 and 1", ("behaviour_penalty_decay",))
        if self.slow_peer_weight:
            _require_all(self, "between 0 and 1", ("slow_peer_decay",))
        for network in self.ip_colocation_factor_whitelist:
            ip_network(network)  # ValueError


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerScoreThresholds:
    """Score thresholds (v1.1, "Score Thresholds"); a score below one is restricted, equal is not.

    While scoring is off every score is 0 and no threshold acts. The defaults are rust's and js's;
    go and the spec have none.
    """

    gossip: float = -10.0
    """Below: no gossip to or from the peer."""
    publish: float = -50.0
    """Below: own messages are not sent to the peer."""
    graylist: float = -80.0
    """Below: only the subscriptions of the peer's RPCs are looked at."""
    accept_px: float = 10.0
    """Below: peers the peer offers in exchange are not taken."""
    opportunistic_graft: float = 20.0
    """A mesh whose median score is below is improved by opportunistic grafting."""

    def __post_init__(self) -> None:
        require_kinds(self)
        _require_finite(self)
        _require(
            self.graylist <= self.publish <= self.gossip <= 0,
            "need graylist <= publish <= gossip <= 0",
            self.graylist,
            self.publish,
            self.gossip,
        )
        _require_all(self, "0 or more", ("accept_px", "opportunistic_graft"))
