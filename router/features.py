"""Protocol ids of pubsub, and what a peer that speaks one of them understands (v1.0 to v1.3)."""

from __future__ import annotations

from dataclasses import dataclass

FLOODSUB = "/floodsub/1.0.0"
RANDOMSUB = "/randomsub/1.0.0"
GOSSIPSUB_V10 = "/meshsub/1.0.0"
GOSSIPSUB_V11 = "/meshsub/1.1.0"
GOSSIPSUB_V12 = "/meshsub/1.2.0"
GOSSIPSUB_V13 = "/meshsub/1.3.0"
OFFERED = (GOSSIPSUB_V13, GOSSIPSUB_V12, GOSSIPSUB_V11, GOSSIPSUB_V10, FLOODSUB)
"""The ids to offer, best first. v1.3 is offered with and without extensions, as in go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What may be sent to a peer, decided by the protocol negotiated with it."""

    mesh: bool = False
    """GRAFT, PRUNE, IHAVE and IWANT (v1.0); without it the peer is a floodsub peer."""
    random: bool = False
    """Not every message is sent to it: of the peers that have this, some are drawn each time."""
    peer_exchange: bool = False
    """Backoff and peers in PRUNE (v1.1)."""
    idontwant: bool = False
    """IDONTWANT (v1.2)."""
    extensions: bool = False
    """The Extensions control message (v1.3)."""


_FEATURES = {
    GOSSIPSUB_V13: Features(mesh=True, peer_exchange=True, idontwant=True, extensions=True),
    GOSSIPSUB_V12: Features(mesh=True, peer_exchange=True, idontwant=True),
    GOSSIPSUB_V11: Features(mesh=True, peer_exchange=True),
    GOSSIPSUB_V10: Features(mesh=True),
    FLOODSUB: Features(),
    RANDOMSUB: Features(random=True),
}


def features_of(protocol: str) -> Features:
    """The features of one of the ids above; any other id is treated like floodsub."""
    return _FEATURES.get(protocol, _FEATURES[FLOODSUB])
