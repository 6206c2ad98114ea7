"""Parameters of the router (gossipsub v1.0 and v1.1, "Parameters"; names follow the spec).

The defaults are go-libp2p-pubsub's, except flood publishing, which is on as the spec says. All
times are seconds. Every class refuses values that cannot work with ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from gossipsub.router.admission.gater import PeerGaterParams
from gossipsub.router.admission.subscription_filter import SubscriptionFilter
from gossipsub.router.extension.params import ExtensionParams, PartialMode
from gossipsub.router.features import OFFERED, Features, features_of
from gossipsub.router.kinds import require_kinds
from gossipsub.router.message_id import origin_id
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from gossipsub.wire.rpc import Message, Rpc


class SeenStrategy(Enum):
    """From when on the time runs for which a message id counts as seen."""

    FIRST_SEEN = "first seen"
    """From its verdict."""
    LAST_SEEN = "last seen"
    """From its last copy, or the last IHAVE that offered it."""


class SignaturePolicy(Enum):
    """How messages are signed; a network uses one policy throughout.

    The spec recommends the strict ones. The lax ones are legacy: whoever forges an unsigned
    message in somebody's name is believed, and can keep the genuine message out.
    """

    STRICT_SIGN = "StrictSign"
    """Every message is signed and carries its origin and an 8-byte sequence number."""
    STRICT_NO_SIGN = "StrictNoSign"
    """No message carries signature, key, from or seqno."""
    LAX_SIGN = "LaxSign"
    """Own messages are signed; unsigned ones are taken too, a wrong signature is refused."""
    LAX_NO_SIGN = "LaxNoSign"
    """Own messages carry from and seqno but no signature; received ones are judged as in
    LAX_SIGN."""

    @property
    def is_lax(self) -> bool:
        """Takes unsigned messages as well as signed ones."""
        return self is SignaturePolicy.LAX_SIGN or self is SignaturePolicy.LAX_NO_SIGN

    @property
    def signs(self) -> bool:
        """Whether own messages are signed."""
        return self is SignaturePolicy.STRICT_SIGN or self is SignaturePolicy.LAX_SIGN

    @property
    def has_origin(self) -> bool:
        """Whether own messages carry from and seqno."""
        return self is not SignaturePolicy.STRICT_NO_SIGN


def _require_positive(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name} must be positive and finite: {value}")


def _require_not_negative(owner: object, *names: str) -> None:
    for name in names:
        value = getattr(owner, name)
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} must not be negative: {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshParams:
    """Degrees of a topic's mesh. All four of D, D_low, D_high, D_out zero: no mesh at all,
    as the spec advises for bootstrappers."""

    d: int = 6
    """Desired number of mesh peers (D)."""
    d_low: int = 5
    """Fewer mesh peers than this: graft up to D."""
    d_high: int = 12
    """More mesh peers than this: prune down to D (`>`, as the spec has it; go prunes at `>=`)."""
    d_score: int = 4
    """How many of those kept when pruning are kept for their score."""
    d_out: int = 2
    """Mesh peers that should be connections this node dialled."""
    opportunistic_graft_ticks: int = 60
    """Heartbeats between attempts to improve a mesh whose scores are low (v1.1)."""
    opportunistic_graft_peers: int = 2
    """How many peers are grafted in such an attempt."""

    def __post_init__(self) -> None:
        require_kinds(self)
        _require_not_negative(self, "d", "d_low", "d_high", "d_score", "d_out")
        _require_positive(self, "opportunistic_graft_ticks")
        _require_not_negative(self, "opportunistic_graft_peers")
        if self.d == self.d_low == self.d_high == self.d_out == 0:
            return
        if not 0 < self.d_low <= self.d <= self.d_high:
            raise ValueError(
                f"need 0 < d_low <= d <= d_high: {self.d_low}, {self.d}, {self.d_high}"
            )
        if self.d_score > self.d_high:
            raise ValueError(f"need d_score <= d_high: {self.d_score}, {self.d_high}")
        # v1.1, "Outbound Mesh Quotas". go wants d_out < d/2; the spec allows equality.
        if self.d_out >= self.d_low or self.d_out > self.d // 2:
            raise ValueError(f"need d_out < d_low and d_out <= d/2: {self.d_out}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyParams:
    """Gossip: IHAVE, IWANT and the message cache behind them; and IDONTWANT."""

    d_lazy: int = 6
    """Least number of peers gossiped to per topic and heartbeat, if there are as many."""
    gossip_factor: float = 0.25
    """Share of the eligible peers gossiped to, where that is more than `d_lazy`."""
    gossip_retransmission: int = 3
    """How often one message is sent to one peer on IWANT."""
    history_length: int = 5
    """Heartbeats a message can be asked for."""
    history_gossip: int = 3
    """Heartbeats a message is gossiped about; 0 switches gossip off."""
    max_ihave_length: int = 5000
    """Ids in one IHAVE sent, ids looked at in one received, ids asked of a peer per heartbeat."""
    max_ihave_messages: int = 10
    """RPCs with IHAVE that are considered per peer and heartbeat."""
    iwant_delay: float = 0.02
    """Seconds an offered message may still arrive by itself before the first IWANT. At a large
    network most IWANTs that leave at once are answered by the mesh within 10 ms."""
    iwant_patience: float = 0.5
    """Seconds a peer that was asked for a message has before the next one that offered it is
    asked. 0: whoever offers is asked at once, without `iwant_delay` (as in go, js and nim)."""
    iwant_followup: float = 3.0
    """Seconds a peer has to deliver what it offered and was asked for, where peers are scored."""
    max_iwant_messages: int | None = None
    """RPCs with IWANT that are answered per peer and heartbeat (js: 10); None: all, each message
    `gossip_retransmission` times."""
    idontwant_threshold: int = 1024
    """Bytes of data from which on a message is announced with IDONTWANT; above the largest
    message: none is."""
    idontwant_heartbeats: int = 3
    """Heartbeats for which a message a peer refused with IDONTWANT is not sent to it."""
    max_idontwant_length: int = 10
    """Ids looked at per RPC with IDONTWANT; in one sent there is one."""
    max_idontwant_messages: int = 1000
    """RPCs with IDONTWANT that are considered per peer and heartbeat."""

    def __post_init__(self) -> None:
        require_kinds(self)
        _require_positive(
            self,
            "history_length",
            "max_ihave_length",
            "max_ihave_messages",
            "iwant_followup",
            "idontwant_heartbeats",
            "max_idontwant_length",
            "max_idontwant_messages",
        )
        if self.max_iwant_messages is not None:
            _require_positive(self, "max_iwant_messages")
        _require_not_negative(
            self,
            "d_lazy",
            "history_gossip",
            "gossip_retransmission",
            "iwant_delay",
            "iwant_patience",
            "idontwant_threshold",
        )
        if not 0.0 <= self.gossip_factor <= 1.0:
            raise ValueError(f"gossip_factor must be in 0..1: {self.gossip_factor}")
        if self.history_gossip > self.history_length:
            raise ValueError(
                f"need history_gossip <= history_length: "
                f"{self.history_gossip}, {self.history_length}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BackoffParams:
    """How long after a PRUNE nobody grafts (v1.1, "PRUNE Backoff")."""

    prune_backoff: float = 60.0
    """Told in a PRUNE and kept by this node; stated on the wire in whole seconds, rounded up."""
    unsubscribe_backoff: float = 10.0
    """The same where this node leaves the topic."""
    slack_heartbeats: int = 2
    """Heartbeats own GRAFTs wait beyond the backoff, because the peer penalises early ones."""
    graft_flood_threshold: float = 10.0
    """A GRAFT that comes this soon after the PRUNE is penalised twice, where peers are scored."""
    max_remote_backoff: float = 3600.0
    """Longest backoff taken from a peer; what it states is an untrusted 64-bit number."""

    def __post_init__(self) -> None:
        require_kinds(self)
        _require_positive(self, "prune_backoff", "unsubscribe_backoff", "max_remote_backoff")
        _require_not_negative(self, "slack_heartbeats", "graft_flood_threshold")


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterLimits:
    """Bounds on every table that peers can fill."""

    max_topics_per_peer: int = 1024
    """Topics remembered per peer; further subscriptions are ignored until one is withdrawn."""
    max_subscriptions_per_rpc: int = 2048
    """Subscriptions and withdrawals in one RPC; one with more is ignored as a whole. Generous:
    twice the topics that are remembered of a peer, so that no honest hello suffers. rust, where
    it filters, allows 100."""
    max_topic_length: int = 1024
    """Characters of a topic name a peer may subscribe to; longer ones are ignored."""
    max_seen: int = 1_000_000
    """Message ids remembered as seen; beyond it the oldest is forgotten."""
    max_pending: int = 2048
    """Messages under validation; beyond it a message is dropped unseen, as if queues were full. Of
    one peer no more than two thirds, and fewer the more the others have there."""
    max_pending_bytes: int = 64 * 1024 * 1024
    """Memory for them, twice the size of each, shared in the same way. A small one counts for its
    part, `max_pending_bytes / max_pending`."""
    max_copies: int = 8
    """Differing copies of one message id kept while the first is validated."""
    max_cached_bytes: int = 64 * 1024 * 1024
    """Bytes of messages kept to answer IWANT; beyond it the oldest messages go early."""
    max_wanted_bytes: int = 32 * 1024 * 1024
    """Memory for messages offered and not here yet; beyond it whoever offers is asked at once."""
    max_backoffs: int = 100_000
    """Backoffs remembered, over all peers and topics; beyond it the oldest of the peer that has the
    most is forgotten."""
    max_unjoined_backoffs: int = 64
    """A peer that has so many is not heard about further topics that are not joined here: what an
    honest one states there only crossed our leaving."""
    max_refusals: int = 10_000
    """Messages one peer may have refused with IDONTWANT; further ones are ignored until some
    expire."""
    max_retained_scores: int = 10_000
    """Peers that left with a bad score and are remembered; beyond it the least bad is forgotten."""
    max_delivery_records: int = 100_000
    """Messages remembered for what their copies cost or earn, of the accepted and of the rejected
    ones each; beyond it the oldest is forgotten."""
    max_promises: int = 100_000
    """Promised messages waited for; beyond it no more are."""
    max_offered_peers: int = 32
    """Peers named by one peer in exchange that are dialled between two heartbeats; further ones are
    ignored. While scoring is off, everybody is believed."""
    max_exchange_connects: int = 64
    """The same of all peers together. One PRUNE takes at most half of what is left of it, so that
    those who come first do not keep out the others."""
    max_record_bytes: int = 8192
    """Largest signed peer record kept, or taken in exchange."""
    max_partial_groups_per_topic: int = 255
    """Groups of parts that peers began and this node published nothing for; beyond it what peers
    send for new ones is ignored."""
    max_partial_groups_per_peer: int = 8
    """The same for a single peer, per topic."""
    max_group_id_bytes: int = 256
    """Longest id of a group; what comes with longer ones is ignored."""
    max_parts_metadata_bytes: int = 65_536
    """Longest metadata about parts; longer ones are ignored."""

    def __post_init__(self) -> None:
        require_kinds(self)
        _require_positive(self, *self.__slots__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicParams:
    """What one topic has of its own; None leaves it to the router's parameters."""

    mesh: MeshParams | None = None
    """Degrees of its mesh."""
    max_data_bytes: int | None = None
    """Largest `data` of a message. A larger one is refused where it is published, and invalid
    where it is received: dropped unseen, and its sender is blamed (P4), as in rust."""
    signature_policy: SignaturePolicy | None = None
    message_id: Callable[[Message], bytes] | None = None
    score: TopicScoreParams | None = None
    """How peers are scored in it, instead of what `GossipParams.score` says of the topic."""
    message_lifetime: float | None = None
    """Seconds a message is of use. One that is older, when it comes or when it is validated, is
    ignored without blame; from the heartbeat after that time on it is neither gossiped about nor
    sent on IWANT. So no message circulates for ever where its way is longer than the seen cache
    remembers."""
    message_age: Callable[[Message], float] | None = None
    """How many seconds old a message is when it comes, by a time in its data, say; None: it is new.
    Where it raises or gives no finite number, the message counts as too old."""
    partial_messages: PartialMode | None = None
    """Exchange parts of messages with peers that do so too. Needs the extension:
    `GossipParams(extensions=ExtensionParams(partial_messages=True))`."""

    def __post_init__(self) -> None:
        require_kinds(self)
        for name in ("max_data_bytes", "message_lifetime"):
            if getattr(self, name) is not None:
                _require_positive(self, name)
        if self.message_age is not None and self.message_lifetime is None:
            raise ValueError("message_age needs a message_lifetime")


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSettings:
    """What holds in one topic: its own parameters, and the router's for the others."""

    mesh: MeshParams
    max_data_bytes: int | None
    """Largest `data` of a message; None where only the RPC's size limits it."""
    signature_policy: SignaturePolicy
    message_id: Callable[[Message], bytes]
    message_lifetime: float | None
    message_age: Callable[[Message], float] | None
    partial_messages: PartialMode | None

    def __post_init__(self) -> None:
        no_origin = self.signature_policy is SignaturePolicy.STRICT_NO_SIGN
        if no_origin and self.message_id is origin_id:
            raise ValueError("STRICT_NO_SIGN needs a message_id that is not built from the origin")


@dataclass(frozen=True, slots=True, kw_only=True)
class GossipParams:
    """Everything the router can be told."""

    mesh: MeshParams = field(default_factory=MeshParams)
    lazy: LazyParams = field(default_factory=LazyParams)
    backoff: BackoffParams = field(default_factory=BackoffParams)
    score: PeerScoreParams | None = None
    """How peers are scored; None: all scores are 0."""
    thresholds: PeerScoreThresholds = field(default_factory=PeerScoreThresholds)
    gater: PeerGaterParams | None = None
    """Drop messages of little-used peers while validation cannot keep up; None: never."""
    inspector: Callable[[bytes, Rpc], bool] | None = None
    """Asked with the peer and the RPC before anything else is done with it; False drops it. This
    function and the two below must depend on nothing but their arguments where runs are to be
    repeatable; one that raises counts as False, and in `Snapshot.callback_failures`."""
    subscription_filter: SubscriptionFilter | None = None
    """Topics peers may subscribe to as far as this node takes note, and this node itself: any
    function of the topic, or `allow_topics`, `allow_matching`. None: all."""
    peer_filter: Callable[[bytes, str], bool] | None = None
    """Whether a peer may have to do with a topic; one that may not is left out of its mesh,
    fanout, flood publishing and gossip, and its GRAFT, IHAVE and IWANT have no effect."""
    disconnect_graylisted: bool = False
    """At each heartbeat disconnect peers whose score is below the graylist threshold, but never
    direct peers."""
    limits: RouterLimits = field(default_factory=RouterLimits)
    topics: Mapping[str, TopicParams] = field(default_factory=dict)
    """Topics with parameters of their own."""
    extensions: ExtensionParams = field(default_factory=ExtensionParams)
    heartbeat_interval: float = 1.0
    """Seconds between heartbeats."""
    heartbeat_initial_delay: float = 0.1
    """Seconds before the first heartbeat."""
    fanout_ttl: float = 60.0
    """Seconds after the last publish for which fanout peers of a topic are kept."""
    seen_ttl: float = 120.0
    """Seconds a message id counts as seen, by `seen_strategy`."""
    seen_strategy: SeenStrategy = SeenStrategy.FIRST_SEEN
    flood_publish: bool = True
    """Send own messages to all peers of the topic, not only to the mesh (go: off; spec: on)."""
    flood_publish_bandwidth: float | None = None
    """Bytes per second to spend on a flood: besides the mesh an own message goes to no more peers
    than can be sent its data in one heartbeat, but to D_low in all. None: to all of them."""
    randomsub_size: int = 0
    """Nodes in the network, about, where randomsub is among `protocols`: a message goes to as many
    randomsub peers as the square root of it, but to 6 at least."""
    peer_exchange: bool = False
    """Name other peers of the topic to those that are pruned (PX); for well-connected nodes that
    the others trust, bootstrappers above all."""
    accept_peer_exchange: bool = True
    """Dial peers that others name so: where peers are scored, only those from `accept_px` on."""
    exchange_peers: int = 16
    """How many peers are named in a PRUNE, and taken of those that one names, at most. Not more
    than 16: js and this library refuse a PRUNE that names more."""
    direct_connect_delay: float = 1.0
    """Seconds after the start until direct peers are dialled."""
    direct_connect_ticks: int = 300
    """Heartbeats between two looks whether direct peers are connected; lost ones are dialled."""
    announce_retry_max: float = 1.0
    """A subscription that could not be queued is announced again after 0 to this many seconds."""
    signature_policy: SignaturePolicy = SignaturePolicy.STRICT_SIGN
    message_id: Callable[[Message], bytes] = origin_id
    """Id of a message; where it raises or gives no bytes, the message is ignored."""
    protocols: tuple[str, ...] = OFFERED
    """Protocol ids offered to peers, best first; the first a peer accepts decides its features.
    `(RANDOMSUB, FLOODSUB)`, of `router.features`, makes a randomsub node as go's."""
    protocol_match: Callable[[str, str], bool] | None = None
    """Whether one of `protocols` may be spoken with a peer that names it otherwise (the peer's id
    comes second), for other prefixes, say; None: only equal ids match. Must not raise."""
    features: Callable[[str], Features] = features_of
    """What a peer understands, by its protocol id; for applications with ids of their own."""
    tracing: bool = False
    """Emit a `Trace` effect for everything that happens."""

    def __post_init__(self) -> None:
        require_kinds(self)
        _require_positive(self, "heartbeat_interval", "fanout_ttl", "seen_ttl")
        _require_positive(self, "direct_connect_ticks")
        _require_not_negative(self, "heartbeat_initial_delay", "announce_retry_max")
        _require_not_negative(self, "direct_connect_delay", "randomsub_size")
        if self.flood_publish_bandwidth is not None:
            _require_positive(self, "flood_publish_bandwidth")
        if not 0 <= self.exchange_peers <= 16:
            raise ValueError(f"exchange_peers must be in 0..16: {self.exchange_peers}")
        if not self.protocols:
            raise ValueError("protocols must name at least one protocol id")
        self.settings(TopicParams())
        for own in self.topics.values():
            self.settings(own)

    def settings(self, own: TopicParams) -> TopicSettings:
        """What holds in a topic with these parameters of its own. ValueError where they cannot
        work together with the router's."""
        if own.score is not None and self.score is None:
            raise ValueError("a topic has score parameters while scoring is off (no `score`)")
        if own.partial_messages is not None and not self.extensions.partial_messages:
            raise ValueError("a topic has partial messages while that extension is off")
        return TopicSettings(
            mesh=own.mesh or self.mesh,
            max_data_bytes=own.max_data_bytes,
            signature_policy=own.signature_policy or self.signature_policy,
            message_id=own.message_id or self.message_id,
            message_lifetime=own.message_lifetime,
            message_age=own.message_age,
            partial_messages=own.partial_messages,
        )
