"""What of an RPC is looked at at all, before any of its messages is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import Enum

from gossipsub.router.callbacks import Callbacks
from gossipsub.router.gater import PeerGater
from gossipsub.router.params import GossipParams
from gossipsub.router.peers import Peer
from gossipsub.router.subscription_filter import narrowed
from gossipsub.wire.rpc import Rpc, SubOpts


class Access(Enum):
    """How much of an RPC counts, besides its subscriptions."""

    ALL = "all"
    CONTROL = "control"
    """All but its messages."""
    NONE = "none"


class Acceptance:
    """In this order: the application's inspector, the filter of subscriptions, and, when these
    are noted, the score and the gater."""

    def __init__(
        self,
        params: GossipParams,
        *,
        score: Callable[[bytes], float],
        gater: PeerGater | None,
        callbacks: Callbacks,
    ) -> None:
        self._inspector = params.inspector
        self._filter = params.subscription_filter
        self._max_subscriptions = params.limits.max_subscriptions_per_rpc
        self._max_topic_length = params.limits.max_topic_length
        self._graylist = params.thresholds.graylist
        self._score = score
        self._gater = gater
        self._callbacks = callbacks
        self.refused_rpcs = 0
        """RPCs dropped as a whole, by the inspector or for too many subscriptions."""

    def admits(self, peer: bytes, rpc: Rpc) -> bool:
        """Whether to look at the RPC any further: nothing else is done with one that is refused
        by the inspector or holds too many subscriptions (go's way; rust drops only these)."""
        inspector = self._inspector
        if inspector is not None and not self._callbacks.allow(inspector, peer, rpc):
            self.refused_rpcs += 1
            return False
        if len(rpc.subscriptions) > self._max_subscriptions:
            self.refused_rpcs += 1
            return False
        return True

    def wanted(self, subscriptions: Sequence[SubOpts]) -> Sequence[SubOpts]:
        """Those to take note of."""
        if self._filter is None:
            return subscriptions
        return narrowed(subscriptions, self.may_subscribe, self._max_topic_length)

    def may_subscribe(self, topic: str) -> bool:
        """What the subscription filter says."""
        return self._filter is None or self._callbacks.allow(self._filter, topic)

    def access(self, peer: Peer, rpc: Rpc, now: float) -> Access:
        """Direct peers pass; a graylisted one is ignored; of others the gater may drop messages.

        It is asked only where there are messages to drop (go asks for every RPC).
        """
        if peer.direct:
            return Access.ALL
        if self._score(peer.id) < self._graylist:
            return Access.NONE
        if self._gater is None or not rpc.publish or self._gater.accepts(peer.id, now):
            return Access.ALL
        return Access.CONTROL

    def graylisted(self, peers: Iterable[Peer]) -> list[bytes]:
        """Those whose score is below the threshold, without direct peers."""
        return [
            peer.id for peer in peers if not peer.direct and self._score(peer.id) < self._graylist
        ]
