"""What an application gave a host, checked: a wrong value is found before anything is opened."""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gossipsub.arguments import (
    announced_addresses,
    bootstrap_addresses,
    listen_addresses,
    mdns_interfaces,
    peer_addresses,
    require_kind,
    require_own,
)
from gossipsub.config import HostConfig
from gossipsub.identity import identity_of
from gossipsub.pubsub.discovery import Discovery
from gossipsub.pubsub.lax_signing import warn_of_lax_signing
from gossipsub.router.params import GossipParams
from gossipsub.transport.address import AddressError
from gossipsub.transport.gate import ConnectionGate, require_gate
from gossipsub.transport.introduction import Introduction
from gossipsub.transport.network import Network, TcpNetwork
from gossipsub.transport.resolving import DnsResolver, Resolver
from gossipsub.watching import Watching

if TYPE_CHECKING:
    from gossipsub.watching import TraceTarget


class HostSettings:
    """Raises LocalProtocolError (or ValueError from the parameter classes) for wrong values."""

    def __init__(
        self,
        *,
        listen: str | Sequence[str],
        key: object,
        announce: str | Iterable[str],
        bootstrap: str | Iterable[str],
        direct_peers: str | Iterable[str],
        peerstore: str | os.PathLike[str] | None,
        resolver: Resolver | None,
        mdns: bool | Sequence[str],
        params: GossipParams | None,
        config: HostConfig | None,
        discovery: Discovery | None,
        agent_version: str,
        rng: random.Random | None,
        network: Network | None,
        gate: ConnectionGate | None,
        trace: TraceTarget | None,
        record: str | os.PathLike[str] | None,
    ) -> None:
        require_kind("params", params, GossipParams)
        require_kind("config", config, HostConfig)
        self.listen = listen_addresses(listen)
        self.announce = announced_addresses(announce)
        self.bootstrap = bootstrap_addresses(bootstrap)
        self.direct = peer_addresses("direct peer's", direct_peers)
        self.key = identity_of(key)
        self.me = self.key.peer_id()
        require_own([*self.listen, *self.announce], self.me)
        for address in self.direct:
            if address.peer == self.me:
                raise AddressError(f"a host is no direct peer of itself: {address}")
        self.params = params or GossipParams()
        own = (topic.signature_policy for topic in self.params.topics.values())
        for policy in (self.params.signature_policy, *own):
            warn_of_lax_signing(policy)
        self.config = config or HostConfig()
        self.discovery = discovery
        self.network = network or TcpNetwork()
        if gate is not None:
            require_gate(gate)
        self.gate = gate
        self.resolver = resolver or DnsResolver()
        self.peerstore = peerstore
        self.mdns = mdns_interfaces(mdns)
        if self.mdns is not None:
            from gossipsub.transport.mdns import require_zeroconf

            require_zeroconf()
        self.rng = rng or random.Random(secrets.randbits(64))
        self.introduction = Introduction(self.key, agent_version, self.params.protocols)
        self.watching = Watching(
            trace=trace, record=record, close_timeout=self.config.close_timeout
        )
