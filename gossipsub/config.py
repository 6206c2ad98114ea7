"""What a host allows itself and its peers: deadlines, queue bounds, table bounds, caution.

Times are seconds, sizes bytes. Every number is a bound on what one peer, or all of them
together, can make the host wait for or remember.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from ipaddress import ip_network

from gossipsub.pubsub.inbox import Overflow
from gossipsub.wire.errors import LocalProtocolError

_MAY_BE_ZERO = {"validation_workers"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """Limits and deadlines of one host; checked at construction (LocalProtocolError,
    which is a ValueError)."""

    dial_timeout: float = 10.0
    """Until a TCP connection must stand."""
    upgrade_timeout: float = 15.0
    """Until Noise and yamux must be agreed on a connection; go's listener allows the same."""
    negotiation_timeout: float = 10.0
    """Until a stream's protocol must be agreed."""
    identify_timeout: float = 5.0
    """Until an identify answer must be complete."""
    keepalive_interval: float = 30.0
    """Between two yamux pings of an idle connection."""
    keepalive_timeout: float = 10.0
    """Until a yamux ping must be answered."""
    write_timeout: float = 10.0
    """Until the kernel must take what one write hands it; the connection ends otherwise."""
    stalled_stream_timeout: float = 30.0
    """How long a stream may wait for its peer to grant credit before it is reset."""
    close_timeout: float = 2.0
    """How long closing the host may take, whatever its peers do; half of it is kept for those
    that do not tell that they have read everything."""
    reconnect_delay: float = 0.5
    """First pause before a lost bootstrap or direct peer is dialled again; doubles each time."""
    reconnect_delay_limit: float = 30.0
    redial_delay: float = 5.0
    """How long a peer that was named in peer exchange or found, and could not be reached or hung
    up, is left alone; doubles each time."""
    redial_delay_limit: float = 300.0
    """A connection that lasted longer starts that anew."""
    peer_lifetime: float = 7 * 86400.0
    """How long the addresses of a peer that is not heard of are remembered."""
    exchange_dial_timeout: float = 30.0
    """Until a peer named in peer exchange must be connected, over all its addresses."""
    discovery_interval: float = 30.0
    """Between two looks for peers in topics that have too few, where the host has a discovery."""
    discovery_timeout: float = 10.0
    """Until a look, or a call to advertise, is ended."""
    advertise_interval: float = 120.0
    """Until a topic is advertised again, where the discovery does not say when."""

    max_connections: int = 1024
    """More are refused; only direct and protected peers get in, and another is closed for them.
    Those closed to make room are not counted while they say goodbye."""
    trim_above: int | None = None
    """With more connections, those worth least are closed (`docs/connections.md`). None: seven
    eighths of `max_connections`."""
    trim_to: int | None = None
    """Until so many are left. None: three quarters of `max_connections`, or `trim_above` where
    that is less."""
    trim_grace: float = 60.0
    """How long a newcomer is neither closed so nor counted; go's connection manager has the
    same."""
    max_connections_per_peer: int = 4
    surplus_timeout: float = 60.0
    """After how long one of several connections to a peer is closed if there is no stream on it;
    at the latest after three times as long."""
    max_connections_per_ip: int = 64
    """Inbound connections of one IPv4 address, or one /64 of IPv6; more are refused, except those
    of direct and protected peers."""
    max_pending_upgrades: int = 64
    """Inbound connections in handshake at one time. Another makes the oldest of the address that
    has most of them give way."""
    max_pending_upgrades_per_ip: int = 16
    """The same of one address (or /64), where the oldest gives way to the newest."""
    unlimited_networks: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks whose addresses have no limits of their own: this machine, as in go, and what else
    many peers are behind, a load balancer say. The limits on all together hold."""
    max_inbound_streams: int = 64
    """Streams one connection's peer may have open; more are reset."""
    exchange_queue: int = 128
    """Peers named in peer exchange, or found by discovery, that wait to be dialled; when full, new
    ones are dropped."""
    exchange_dials: int = 8
    """Such peers that are dialled at one time."""
    max_known_peers: int = 1024
    """Peers whose addresses are remembered; beyond, the one heard of longest ago is forgotten."""
    exchange_private_dials: bool = False
    """Dial private addresses named in peer exchange whoever names them, not only peers in a
    private network themselves. For nodes of one private network that know each other by public
    addresses; anybody believed in peer exchange can then make this host connect there."""
    exchange_public_only: bool = False
    """Hand on a peer's record in peer exchange only where it lists a public address; of other
    peers the id alone. For networks that must not learn of each other's private addresses."""

    max_rpc_bytes: int = 1 << 20
    """Largest pubsub RPC accepted or sent (gossipsub's usual 1 MiB)."""
    overhead_bytes_per_second: float | None = None
    """What a peer may send besides data of messages; an RPC that goes beyond it is dropped, with
    the announcements in it. nim's overheadRateLimit, but IHAVE and IWANT count. None: no limit."""
    overhead_burst_bytes: int = 1 << 20
    """What it may send so at once, after a pause; an RPC with more is dropped in any case."""
    overhead_disconnect: bool = False
    """Disconnect such a peer as well."""
    outbound_queue_rpcs: int = 1024
    """RPCs waiting for one peer; when full, the lowest class is dropped."""
    outbound_queue_bytes: int = 8 << 20
    validation_queue: int = 256
    """Messages waiting for their signature check, shared fairly among topics and peers. A peer's
    stream waits while it has as many there as places are left; of what comes all the same, the
    longest line's newest is ignored."""
    validation_throttle: int = 1024
    """Messages that are with asynchronous validators at one time; above, messages are ignored."""
    validation_workers: int = 2
    """Threads that verify signatures where more than 64 messages wait, or large ones; few are
    verified between everything else. 0: all are; it makes a run repeatable, and is better where
    `cryptography` is so old that threads only get in its way."""
    signature_library: str = "auto"
    """What verifies the Ed25519 signatures of messages: "pynacl" takes little more than half the
    time of "cryptography" and is used where it is installed (gossipsub[fast]); "auto" means that.
    The verdicts are the same."""
    subscription_buffer: int = 1024
    """Messages a subscription keeps for its reader."""
    subscription_buffer_bytes: int = 64 << 20
    """Data of the messages it keeps; one message has room in an empty buffer whatever its size."""
    subscription_overflow: Overflow = Overflow.DROP_NEWEST
    """What is dropped when either is full."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "Overflow":
                if not isinstance(value, Overflow):
                    raise LocalProtocolError(f"{field.name} must be an Overflow: {value!r}")
                continue
            if field.type == "bool":
                if not isinstance(value, bool):
                    raise LocalProtocolError(f"{field.name} must be True or False: {value!r}")
                continue
            if field.type == "tuple[str, ...]":
                _require_networks(field.name, value)
                continue
            if field.name == "signature_library":
                _require_library(value)
                continue
            if value is None and field.type in ("float | None", "int | None"):
                continue
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if is_number and value == 0 and field.name in _MAY_BE_ZERO:
                continue
            if not is_number or not value > 0:
                raise LocalProtocolError(f"{field.name} must be a positive number: {value!r}")
            if field.type in ("int", "int | None") and not isinstance(value, int):
                raise LocalProtocolError(f"{field.name} must be a whole number: {value!r}")
        if self.outbound_queue_bytes < self.max_rpc_bytes:
            raise LocalProtocolError(
                "need max_rpc_bytes <= outbound_queue_bytes, or the largest RPCs can never leave: "
                f"{self.max_rpc_bytes}, {self.outbound_queue_bytes}"
            )
        above, to = self.trim_marks()
        if not to <= above <= self.max_connections:
            raise LocalProtocolError(
                "need trim_to <= trim_above <= max_connections: "
                f"{to}, {above}, {self.max_connections}"
            )

    def trim_marks(self) -> tuple[int, int]:
        """`trim_above` and `trim_to`, where they are not given what stands for them."""
        above, to = self.trim_above, self.trim_to
        if above is None:
            above = max(math.ceil(self.max_connections * 7 / 8), to or 0)
        if to is None:
            to = min(math.ceil(self.max_connections * 3 / 4), above)
        return above, to


def _require_library(name: str) -> None:
    if name == "auto":
        return
    from gossipsub.crypto.ed25519 import choose_verify  # what loads `cryptography`

    choose_verify(name)


def _require_networks(name: str, value: object) -> None:
    if not isinstance(value, tuple):
        raise LocalProtocolError(f"{name} is a tuple of networks: {value!r}")
    for network in value:
        try:
            ip_network(network)
        except ValueError as error:
            raise LocalProtocolError(f"{name} has what is no network: {network!r}") from error
