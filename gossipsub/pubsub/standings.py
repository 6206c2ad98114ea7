"""What the router knows of peers that tells whom to keep when there are too many."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

from gossipsub.router.router import Router
from gossipsub.transport.trimming import Standing


def standings(router: Router, peers: Iterable[bytes], *, now: float) -> dict[bytes, Standing]:
    """Those of all peers asked for; who takes no part in pubsub has one without any worth."""
    joined = frozenset(router.topics())
    in_mesh = frozenset(chain.from_iterable(router.mesh(topic) for topic in joined))
    return {
        peer: Standing(
            in_mesh=peer in in_mesh,
            shares_topics=not joined.isdisjoint(router.topics_of(peer)),
            score=router.score(peer),
            deliveries=router.delivery_points(peer, now=now),
        )
        for peer in peers
    }
