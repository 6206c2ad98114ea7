"""What of an RPC is looked at at all, before any of its messages is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gossipsub.router.admission.gater import PeerGater
from gossipsub.router.admission.subscription_filter import narrowed
from gossipsub.router.callbacks import Callbacks
from gossipsub.router.params import GossipParams
from gossipsub.router.peers import Peer
from gossipsub.wire.rpc import Rpc, SubOpts


class Acceptance:
    """The questions the router asks, in this order: the inspector, the filter of subscriptions,
    and, when these are noted, the score and the gater."""

    def __init__(
        self,
        params: GossipParams,
        *,
        score: Callable[[bytes], float],
        gater: PeerGater | None,
        callbacks: Callbacks,
    ) -> None:
        self.inspects = params.inspector is not None
        """Whether the application looks at RPCs without subscriptions, too."""
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

    def is_heeded(self, peer: Peer) -> bool:
        """Whether more than its subscriptions counts: not where it is graylisted, unless it is a
        direct peer."""
        return peer.direct or self._score(peer.id) >= self._graylist

    def takes_messages(self, peer: Peer, now: float) -> bool:
        """What the gater says, which direct peers bypass. To be asked only where there are
        messages to drop (go asks for every RPC)."""
        return peer.direct or self._gater is None or self._gater.accepts(peer.id, now)

    def graylisted(self, peers: Iterable[Peer]) -> list[bytes]:
        """Those whose score is below the threshold, without direct peers."""
        return [peer.id for peer in peers if not self.is_heeded(peer)]
