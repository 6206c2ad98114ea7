"""What a host tells its peers about itself with identify."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from gossipsub import __version__
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_record import PeerRecord, next_seq
from gossipsub.transport.address import Address
from gossipsub.transport.connection import Connection
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.identify import Identify, encode_identify
from gossipsub.wire.multistream import MultistreamDialer

AGENT_VERSION = f"gossipsub-python/{__version__}"
PROTOCOL_VERSION = "ipfs/0.1.0"


class Introduction:
    """LocalProtocolError unless peers can be told this agent version and these pubsub
    protocols."""

    def __init__(
        self, key: PrivateKey, agent_version: str, pubsub_protocols: Sequence[str]
    ) -> None:
        self._key = key
        self._agent_version = agent_version
        self._record: tuple[tuple[bytes, ...], bytes] | None = None
        self._record_seq: int | None = None
        self._require_encodable(pubsub_protocols)

    def describe(
        self, connection: Connection, *, listening: Iterable[Address], protocols: Sequence[str]
    ) -> Identify:
        """What identify says of this host on this connection."""
        local = connection.local_address
        reachable = (_reachable(address, local) for address in listening)
        addresses = tuple(address.encode() for address in reachable if address is not None)
        observed = connection.remote_address
        return Identify(
            public_key=self._key.public_key.encode(),
            listen_addresses=addresses,
            protocols=tuple(protocols),
            observed_address=None if observed is None else observed.encode(),
            protocol_version=PROTOCOL_VERSION,
            agent_version=self._agent_version,
            signed_peer_record=self._signed_record(addresses),
        )

    def _signed_record(self, addresses: tuple[bytes, ...]) -> bytes:
        if self._record is None or self._record[0] != addresses:
            self._record_seq = next_seq(self._record_seq, time.time_ns())
            record = PeerRecord(self._key.peer_id(), self._record_seq, addresses)
            self._record = (addresses, record.seal(self._key))
        return self._record[1]

    def _require_encodable(self, pubsub_protocols: Sequence[str]) -> None:
        MultistreamDialer(pubsub_protocols)
        if not isinstance(self._agent_version, str):
            raise LocalProtocolError(f"the agent version is a text: {self._agent_version!r}")
        try:
            encode_identify(
                Identify(
                    public_key=self._key.public_key.encode(),
                    protocols=tuple(pubsub_protocols),
                    protocol_version=PROTOCOL_VERSION,
                    agent_version=self._agent_version,
                )
            )
        except UnicodeEncodeError as error:
            raise LocalProtocolError(f"not Unicode text: {self._agent_version!r}") from error


def _reachable(address: Address, local: Address | None) -> Address | None:
    """Where a peer whose connection ends at `local` can dial what listens on `address`; None if
    nowhere: that is a wildcard of the other address family."""
    if not address.is_wildcard():
        return address
    if local is None or local.family != address.family:
        return None
    return address.with_host(local.host)
