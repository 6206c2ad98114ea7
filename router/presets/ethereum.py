"""Parameters of Ethereum's beacon chain network: what its specification fixes, and how two of its
clients score peers.

Sources: the p2p interface of the consensus specifications (phase 0 "Gossipsub Parameters", altair
"Topics and messages"); Lighthouse, `gossipsub_scoring_parameters.rs` (state of August 2024);
Prysm, `gossip_scoring_params.go` (state of October 2024). The specification leaves scoring to the
clients. Numbers are those of mainnet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from gossipsub.router.params import GossipParams, LazyParams, MeshParams, SignaturePolicy
from gossipsub.router.score.params import (
    PeerScoreParams,
    PeerScoreThresholds,
    TopicScoreParams,
    decay_factor,
)
from gossipsub.wire.rpc import Message

SLOT = 12.0
"""Seconds: one block, and one refresh of the scores."""
SLOTS_PER_EPOCH = 32
EPOCH = SLOT * SLOTS_PER_EPOCH
ATTESTATION_SUBNETS = 64
MAINNET_VALIDATORS = 1_000_000
"""About as many as are active on mainnet."""

THRESHOLDS = PeerScoreThresholds(
    gossip=-4000.0,
    publish=-8000.0,
    graylist=-16000.0,
    accept_px=100.0,
    opportunistic_graft=5.0,
)
"""Those of Lighthouse and Prysm alike."""

VALID_SNAPPY = b"\x01\x00\x00\x00"
INVALID_SNAPPY = b"\x00\x00\x00\x00"

_D = 8
_IN_MESH_SCORE = 10.0
_FIRST_DELIVERY_SCORE = 40.0
_IN_MESH_QUANTA = 3600.0 / SLOT
_LIGHTHOUSE_MOST = (_IN_MESH_SCORE + _FIRST_DELIVERY_SCORE) * (0.5 + 0.5 + 1.0 + 3 * 0.05)
_PRYSM_MOST = (_IN_MESH_SCORE + _FIRST_DELIVERY_SCORE) * (0.8 + 0.5 + 0.2 + 1.0 + 0.4 + 4 * 0.05)
"""All that a peer can earn in all topics, before the cap, by the sum of the topics' weights."""
_STILL = 1.0 - 1e-9
"""A decay that a simulation of hours does not see."""


def topic_name(name: str, fork_digest: str) -> str:
    """`beacon_block` in full, for the fork of these eight hexadecimal digits."""
    return f"/eth2/{fork_digest}/{name}/ssz_snappy"


def message_id(decompress: Callable[[bytes], bytes]) -> Callable[[Message], bytes]:
    """The network's message id since altair: 20 bytes of SHA-256 over domain, topic and data.

    `decompress` undoes a raw snappy block (not the framed format) and raises ValueError where it
    cannot; it must limit what it gives. Snappy is in no dependency of this library. The function
    given back raises what else `decompress` raises.
    """

    def altair_id(message: Message) -> bytes:
        data = message.data or b""
        try:
            domain, data = VALID_SNAPPY, decompress(data)
        except ValueError:
            domain = INVALID_SNAPPY
        topic = message.topic.encode()
        return sha256(domain + len(topic).to_bytes(8, "little") + topic + data).digest()[:20]

    return altair_id


def gossip(
    decompress: Callable[[bytes], bytes],
    *,
    score: PeerScoreParams | None = None,
    thresholds: PeerScoreThresholds = THRESHOLDS,
) -> GossipParams:
    """What the consensus specifications say of the mesh; `decompress` is as for `message_id`.

    `d_lazy` and the rest that the specification names; what it does not name keeps its default.
    """
    return GossipParams(
        mesh=MeshParams(d=_D, d_low=6, d_high=12),
        lazy=LazyParams(d_lazy=6, history_length=6, history_gossip=3),
        score=score,
        thresholds=thresholds,
        heartbeat_interval=0.7,
        fanout_ttl=60.0,
        seen_ttl=2 * EPOCH,
        signature_policy=SignaturePolicy.STRICT_NO_SIGN,
        message_id=message_id(decompress),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _MeshDeliveries:
    """P3 and P3b of one topic."""

    weight: float
    decay: float
    cap: float
    threshold: float
    activation: float

    def as_params(self) -> dict[str, float]:
        return {
            "mesh_message_deliveries_weight": self.weight,
            "mesh_message_deliveries_decay": self.decay,
            "mesh_message_deliveries_cap": self.cap,
            "mesh_message_deliveries_threshold": self.threshold,
            "mesh_message_deliveries_window": 2.0,
            "mesh_message_deliveries_activation": self.activation,
            "mesh_failure_penalty_weight": self.weight,
            "mesh_failure_penalty_decay": self.decay,
        }


def _topic(
    weight: float,
    *,
    first_decay: float,
    first_cap: float,
    first_weight: float,
    invalid_weight: float,
    mesh: _MeshDeliveries | None = None,
) -> TopicScoreParams:
    """Time in the mesh and the decay of invalid messages are the same in all topics and clients."""
    return TopicScoreParams(
        topic_weight=weight,
        time_in_mesh_weight=_IN_MESH_SCORE / _IN_MESH_QUANTA,
        time_in_mesh_quantum=SLOT,
        time_in_mesh_cap=_IN_MESH_QUANTA,
        first_message_deliveries_weight=first_weight,
        first_message_deliveries_decay=first_decay,
        first_message_deliveries_cap=first_cap,
        invalid_message_deliveries_weight=invalid_weight,
        invalid_message_deliveries_decay=_decay(50),
        **({} if mesh is None else mesh.as_params()),
    )


def _decay(epochs: float) -> float:
    return decay_factor(epochs * EPOCH, interval=SLOT)


def _limit(decay: float, rate: float) -> float:
    """What a counter converges to that grows by `rate` and then decays."""
    return rate / (1.0 - decay)


def _committees(active_validators: int) -> int:
    """Committees per slot: 64 at most, of 128 validators or more."""
    return max(1, min(64, active_validators // SLOTS_PER_EPOCH // 128))


def _is_bursty(active_validators: int) -> bool:
    return _committees(active_validators) >= 2 * ATTESTATION_SUBNETS // SLOTS_PER_EPOCH


def _score(
    topics: dict[str, TopicScoreParams], *, cap: float, colocation: tuple[float, int], p7: float
) -> PeerScoreParams:
    weight, threshold = colocation
    return PeerScoreParams(
        topics=topics,
        topic_score_cap=cap,
        ip_colocation_factor_weight=weight,
        ip_colocation_factor_threshold=threshold,
        behaviour_penalty_weight=p7,
        behaviour_penalty_threshold=6.0,
        behaviour_penalty_decay=_decay(10),
        decay_interval=SLOT,
        decay_to_zero=0.01,
        retain_score=100 * EPOCH,
    )


def lighthouse_score(
    *,
    active_validators: int = MAINNET_VALIDATORS,
    fork_digest: str = "00000000",
    current_slot: int | None = None,
    d: int = _D,
    silence_costs_all: bool = False,
) -> PeerScoreParams:
    """How Lighthouse scores. `d` is the desired degree of the mesh; `current_slot` matters in the
    first slots of a chain alone, where missing deliveries do not count yet. Lighthouse's own
    opinion of peers (P5) is left out.

    Lighthouse has weakened P3 to the topic's weight. `silence_costs_all` gives it the weight of
    the research it started from, which Nimbus, Teku and Lodestar kept: a peer that delivers
    nothing in one topic loses as much as all topics together can give.

    ValueError below 2,048 validators.
    """
    if active_validators < ATTESTATION_SUBNETS * SLOTS_PER_EPOCH:
        raise ValueError(f"need one vote per subnet and slot: {active_validators} validators")
    kind = _Lighthouse(d, current_slot, silence_costs_all)
    aggregates = _aggregators(active_validators)
    votes = active_validators / ATTESTATION_SUBNETS / SLOTS_PER_EPOCH
    subnet = 1.0 / ATTESTATION_SUBNETS
    if _is_bursty(active_validators):  # several committees vote in a subnet each epoch
        mesh = kind.mesh(subnet, votes, 4, 16.0, SLOT * (SLOTS_PER_EPOCH // 2 + 1))
        attestation = kind.topic(subnet, votes, 1, mesh)
    else:
        mesh = kind.mesh(subnet, votes, 16, 16.0, 3 * EPOCH)
        attestation = kind.topic(subnet, votes, 4, mesh)
    topics = {
        "voluntary_exit": kind.topic(0.05, 4.0 / SLOTS_PER_EPOCH, 100),
        "attester_slashing": kind.topic(0.05, 0.2 / SLOTS_PER_EPOCH, 100),
        "proposer_slashing": kind.topic(0.05, 0.2 / SLOTS_PER_EPOCH, 100),
        "beacon_block": kind.topic(0.5, 1.0, 20, kind.mesh(0.5, 1.0, 5, 3.0, EPOCH)),
        "beacon_aggregate_and_proof": kind.topic(
            0.5, aggregates, 1, kind.mesh(0.5, aggregates, 2, 4.0, EPOCH)
        ),
        **{f"beacon_attestation_{n}": attestation for n in range(ATTESTATION_SUBNETS)},
    }
    excess = _limit(_decay(10), 10.0 / SLOTS_PER_EPOCH) - 6.0
    score = _score(
        {topic_name(name, fork_digest): params for name, params in topics.items()},
        cap=_LIGHTHOUSE_MOST * 0.5,
        colocation=(-_LIGHTHOUSE_MOST * 0.5, 8),
        p7=THRESHOLDS.gossip / (excess * excess),
    )
    return replace(score, slow_peer_weight=-10.0, slow_peer_threshold=0.0, slow_peer_decay=0.1)


@dataclass(frozen=True, slots=True)
class _Lighthouse:
    """How Lighthouse works out a topic; rates are messages per slot."""

    d: int
    current_slot: int | None
    silence_costs_all: bool

    def topic(
        self, weight: float, rate: float, epochs: int, mesh: _MeshDeliveries | None = None
    ) -> TopicScoreParams:
        decay = _decay(epochs)
        cap = _limit(decay, 2.0 * rate / self.d)
        return _topic(
            weight,
            first_decay=decay,
            first_cap=cap,
            first_weight=_FIRST_DELIVERY_SCORE / cap,
            invalid_weight=-_LIGHTHOUSE_MOST / weight,
            mesh=mesh,
        )

    def mesh(
        self, weight: float, rate: float, epochs: int, factor: float, activation: float
    ) -> _MeshDeliveries | None:
        if self.current_slot is not None and epochs * SLOTS_PER_EPOCH >= self.current_slot:
            return None  # and no P3b, which Lighthouse leaves on without a threshold to miss
        decay = _decay(epochs)
        threshold = _limit(decay, rate / 50.0) * decay
        strong = -_LIGHTHOUSE_MOST / (weight * threshold * threshold)
        return _MeshDeliveries(
            weight=strong if self.silence_costs_all else -weight,
            decay=decay,
            cap=max(2.0, factor * threshold),
            threshold=threshold,
            activation=activation,
        )


def _aggregators(active_validators: int) -> float:
    """Expected per slot; committees differ in size by one, and the larger may choose fewer."""
    committees = _committees(active_validators) * SLOTS_PER_EPOCH
    size, larger = divmod(active_validators, committees)

    def chosen(members: int) -> float:
        return members / max(1, members // 16)

    return ((committees - larger) * chosen(size) + larger * chosen(size + 1)) / SLOTS_PER_EPOCH


def prysm_score(
    *,
    active_validators: int = MAINNET_VALIDATORS,
    fork_digest: str = "00000000",
    mesh_deliveries_count: bool = False,
) -> PeerScoreParams:
    """How Prysm scores.

    P3 and P3b are worked out but switched off in Prysm, for honest nodes suffered from them:
    `mesh_deliveries_count` switches them on. ValueError below 8192 validators, where Prysm leaves
    attestations unscored.
    """
    if active_validators < 4 * ATTESTATION_SUBNETS * SLOTS_PER_EPOCH:
        raise ValueError(f"too few for attestations to be scored: {active_validators} validators")
    on = 1.0 if mesh_deliveries_count else 0.0
    block = _prysm_block(on)
    votes = active_validators // ATTESTATION_SUBNETS // SLOTS_PER_EPOCH
    epochs = (4, 16) if _is_bursty(active_validators) else (1, 4)
    attestation = _prysm_flooded(on, 1 / ATTESTATION_SUBNETS, votes, *epochs)
    sync = _prysm_flooded(on, 0.1, min(active_validators, 512) // 4, 1, 4)
    aggregates = _committees(active_validators) * 16
    topics = {
        "beacon_block": block,
        "beacon_aggregate_and_proof": _prysm_flooded(on, 0.5, aggregates, 1, 1),
        "sync_committee_contribution_and_proof": _prysm_flooded(on, 0.2, 4 * 16, 1, 1),
        "voluntary_exit": _prysm_rare(2.0, 5.0),
        "bls_to_execution_change": _prysm_rare(2.0, 5.0),
        "attester_slashing": _prysm_rare(36.0, 1.0),
        "proposer_slashing": _prysm_rare(36.0, 1.0),
        **{f"blob_sidecar_{n}": block for n in range(6)},
        **{f"sync_committee_{n}": sync for n in range(4)},
        **{f"beacon_attestation_{n}": attestation for n in range(ATTESTATION_SUBNETS)},
    }
    return _score(
        {topic_name(name, fork_digest): params for name, params in topics.items()},
        cap=32.72,
        colocation=(-35.11, 10),
        p7=-15.92,
    )


def _prysm_block(on: float) -> TopicScoreParams:
    return _topic(
        0.8,
        first_decay=_decay(20),
        first_cap=23.0,
        first_weight=1.0,
        invalid_weight=-140.4475,
        mesh=_MeshDeliveries(
            weight=-0.717 * on, decay=_decay(5), cap=160.0, threshold=16.0, activation=4 * EPOCH
        ),
    )


def _prysm_flooded(
    on: float, weight: float, per_slot: int, first_epochs: int, epochs: int
) -> TopicScoreParams:
    """A topic with so many messages a slot that a share of them is expected of each peer."""
    first_decay, decay = _decay(first_epochs), _decay(epochs)
    cap = _limit(first_decay, per_slot * 2 // _D)
    threshold = _limit(decay, per_slot / 90) * decay
    return _topic(
        weight,
        first_decay=first_decay,
        first_cap=cap,
        first_weight=_FIRST_DELIVERY_SCORE / cap,
        invalid_weight=-_PRYSM_MOST / weight,
        mesh=_MeshDeliveries(
            weight=-on * _PRYSM_MOST / (weight * threshold * threshold),
            decay=decay,
            cap=4 * threshold,
            threshold=threshold,
            activation=EPOCH,
        ),
    )


def _prysm_rare(weight: float, cap: float) -> TopicScoreParams:
    return _topic(
        0.05, first_decay=_decay(100), first_cap=cap, first_weight=weight, invalid_weight=-2000.0
    )


def formal_model_score(*, subnets: int = 3) -> PeerScoreParams:
    """Ethereum's parameters as in the formal model that found the known counterexamples (Kumar,
    von Hippel, Manolios, Nita-Rotaru, arXiv 2212.05197; `scoring-eth2.lisp`).

    They are Prysm's, simplified: one unit of time is a second here. The published constants have
    no decays; those here are so slow that a counter keeps what it has.
    """
    if subnets < 1:
        raise ValueError(f"need at least one subnet: {subnets}")

    subnet = _model(1.0 / subnets, (0.955, 24.0), (-37.55, 100.0, 2.0, 17.0), -4544.0, 10.0)
    return PeerScoreParams(
        topics={
            "blocks": _model(0.8, (1.0, 23.0), (-0.717, 50.0, 5.0, 4.0), -140.4475),
            "aggregates": _model(0.5, (0.128, 179.0), (-0.064, 500.0, 10.0, 32.0), -140.4475),
            **{f"subnet {n}": subnet for n in range(1, subnets + 1)},
        },
        topic_score_cap=32.72,
        ip_colocation_factor_weight=-35.11,
        behaviour_penalty_weight=-15.92,
        behaviour_penalty_threshold=6.0,
        behaviour_penalty_decay=_STILL,
        decay_interval=1.0,
    )


def _model(
    weight: float,
    p2: tuple[float, float],
    p3: tuple[float, float, float, float],
    p4: float,
    quantum: float = 1.0,
) -> TopicScoreParams:
    """P2 is weight and cap; P3 is weight, cap, threshold and activation."""
    mesh_weight, cap, threshold, activation = p3
    return TopicScoreParams(
        topic_weight=weight,
        time_in_mesh_weight=0.0324,
        time_in_mesh_quantum=quantum,
        time_in_mesh_cap=300.0,
        first_message_deliveries_weight=p2[0],
        first_message_deliveries_decay=_STILL,
        first_message_deliveries_cap=p2[1],
        mesh_message_deliveries_weight=mesh_weight,
        mesh_message_deliveries_decay=_STILL,
        mesh_message_deliveries_cap=cap,
        mesh_message_deliveries_threshold=threshold,
        mesh_message_deliveries_activation=activation,
        mesh_failure_penalty_weight=mesh_weight,
        mesh_failure_penalty_decay=_STILL,
        invalid_message_deliveries_weight=p4,
        invalid_message_deliveries_decay=_STILL,
    )
