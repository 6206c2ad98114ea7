"""Parameters of Filecoin.

Source: lotus, `node/modules/lp2p/pubsub.go` (state of August 2026). Published parameters fit the
network they were made for: its message rates, its sizes, its decay interval. Run
`score_check.check` over whatever is made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b

from gossipsub.router.params import BackoffParams, GossipParams, LazyParams, MeshParams
from gossipsub.router.score.params import (
    PeerScoreParams,
    PeerScoreThresholds,
    TopicScoreParams,
    decay_factor,
)
from gossipsub.wire.rpc import Message

FILECOIN_MAINNET = "testnetnet"
"""The name Filecoin's main network goes by."""

FILECOIN_THRESHOLDS = PeerScoreThresholds(
    gossip=-500.0, publish=-1000.0, graylist=-2500.0, accept_px=1000.0, opportunistic_graft=3.5
)
"""Only the application's part of the score (2500 for bootstrappers, 1500 for drand's) reaches
`accept_px`."""


def filecoin_message_id(message: Message) -> bytes:
    """Blake2b-256 of the data."""
    return blake2b(message.data or b"", digest_size=32).digest()


def filecoin_score(
    *,
    network: str = FILECOIN_MAINNET,
    drand_chains: Sequence[str] = (),
    app_specific_score: Callable[[bytes], float] | None = None,
) -> PeerScoreParams:
    """How lotus scores. `drand_chains` are hashes of randomness chains, in hexadecimal, whose
    topics are scored too. lotus gives bootstrappers 2500 and drand's nodes 1500 by
    `app_specific_score`.
    """
    hour = decay_factor(3600.0)

    def topic(weight: float, in_mesh: float, first: tuple[float, float, float]) -> TopicScoreParams:
        first_weight, first_decay, first_cap = first
        return TopicScoreParams(
            topic_weight=weight,
            time_in_mesh_weight=in_mesh,
            time_in_mesh_quantum=1.0,
            time_in_mesh_cap=1.0,
            first_message_deliveries_weight=first_weight,
            first_message_deliveries_decay=first_decay,
            first_message_deliveries_cap=first_cap,
            # P3 and P3b are off on purpose: too little traffic, too small a network.
            invalid_message_deliveries_weight=-1000.0,
            invalid_message_deliveries_decay=hour,
        )

    drand = topic(0.5, 0.00027, (5.0, hour, 25.0))
    return PeerScoreParams(
        topics={
            f"/fil/blocks/{network}": topic(0.1, 0.00027, (5.0, hour, 100.0)),
            f"/fil/msgs/{network}": topic(0.1, 0.0002778, (0.5, decay_factor(600.0), 100.0)),
            **{f"/drand/pubsub/v0.0.0/{chain}": drand for chain in drand_chains},
        },
        app_specific_score=app_specific_score,
        app_specific_weight=0.0 if app_specific_score is None else 1.0,
        ip_colocation_factor_weight=-100.0,
        ip_colocation_factor_threshold=5,
        behaviour_penalty_weight=-10.0,
        behaviour_penalty_threshold=6.0,
        behaviour_penalty_decay=hour,
        decay_interval=1.0,
        decay_to_zero=0.01,
        retain_score=6 * 3600.0,
    )


def filecoin(
    *,
    network: str = FILECOIN_MAINNET,
    drand_chains: Sequence[str] = (),
    app_specific_score: Callable[[bytes], float] | None = None,
    bootstrapper: bool = False,
) -> GossipParams:
    """lotus' parameters, scores included. A `bootstrapper` has no mesh, and gossips more."""
    mesh = MeshParams(d=8, d_low=6, d_high=12, d_score=6, d_out=3)
    lazy = LazyParams(d_lazy=12, gossip_factor=0.1, history_length=10, iwant_followup=5.0)
    backoff = BackoffParams()
    if bootstrapper:
        mesh = MeshParams(d=0, d_low=0, d_high=0, d_score=0, d_out=0)
        lazy = LazyParams(d_lazy=64, gossip_factor=0.25, history_length=10, iwant_followup=5.0)
        backoff = BackoffParams(prune_backoff=300.0)
    return GossipParams(
        mesh=mesh,
        lazy=lazy,
        backoff=backoff,
        score=filecoin_score(
            network=network, drand_chains=drand_chains, app_specific_score=app_specific_score
        ),
        thresholds=FILECOIN_THRESHOLDS,
        flood_publish=True,
        message_id=filecoin_message_id,
    )
