"""From a TCP socket to an authenticated, multiplexed connection.

multistream-select `/noise` → Noise XX → yamux, agreed inside Noise (early muxer negotiation) or,
with peers that do not offer that, by multistream-select once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from anyio.abc import ByteStream

from gossipsub.crypto.keys import PrivateKey, PublicKey
from gossipsub.crypto.noise import DataReceived, HandshakeCompleted, NoiseConnection
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.multistream import MultistreamDialer, MultistreamListener
from gossipsub.wire.yamux import YamuxLimits, YamuxSession

NOISE = "/noise"
YAMUX = "/yamux/1.0.0"


@dataclass(frozen=True, slots=True)
class Upgraded:
    noise: NoiseConnection
    session: YamuxSession
    public_key: PublicKey


class _Conversation(Protocol):
    def receive_data(self, data: bytes, /) -> None: ...
    def data_to_send(self) -> bytes: ...


async def upgrade(
    socket: ByteStream,
    key: PrivateKey,
    *,
    outbound: bool,
    expected_peer: PeerId | None,
    limits: YamuxLimits,
) -> Upgraded:
    """Agree on Noise and yamux. The caller sets the deadline.

    RemoteProtocolError when the peer breaks a protocol, is somebody else, or has no yamux;
    anyio's stream errors when the connection ends.
    """
    noise = NoiseConnection(key, initiator=outbound, expected_peer=expected_peer, muxers=[YAMUX])
    # Noise is all we propose, so its first message need not wait for the answer (MSS-07): that
    # saves one of three round trips, as in rust.
    security = _negotiator(NOISE, outbound, early_data=noise.data_to_send())
    words = await _converse(socket, security)
    noise.receive_data(security.surplus())
    completed = await _shake_hands(socket, noise, words)
    session = YamuxSession(client=outbound, limits=limits)
    if completed.muxer is None:
        session.receive_data(await _agree_on_muxer(socket, noise, outbound))
    elif completed.muxer != YAMUX:
        raise RemoteProtocolError(f"the peer chose a muxer we did not offer: {completed.muxer}")
    return Upgraded(noise, session, completed.remote_public_key)


def _negotiator(
    protocol: str, outbound: bool, *, early_data: bytes = b""
) -> MultistreamDialer | MultistreamListener:
    if outbound:
        return MultistreamDialer([protocol], early_data=early_data)
    return MultistreamListener(lambda proposal: proposal == protocol)


async def _send_all(socket: ByteStream, conversation: _Conversation, words: bytes = b"") -> None:
    data = words + conversation.data_to_send()
    if data:
        await socket.send(data)


async def _converse(
    socket: ByteStream, negotiator: MultistreamDialer | MultistreamListener
) -> bytes:
    """Negotiate in the clear until a protocol is agreed on; returns what is still to be said."""
    while True:
        event = negotiator.next_event()
        if event is not None:
            return negotiator.data_to_send()
        await _send_all(socket, negotiator)
        negotiator.receive_data(await socket.receive())


async def _shake_hands(
    socket: ByteStream, noise: NoiseConnection, words: bytes
) -> HandshakeCompleted:
    """`words` leave together with the first message, or alone."""
    while True:
        event = noise.next_event()
        await _send_all(socket, noise, words)
        words = b""
        if isinstance(event, HandshakeCompleted):
            return event
        noise.receive_data(await socket.receive())


async def _agree_on_muxer(socket: ByteStream, noise: NoiseConnection, outbound: bool) -> bytes:
    """Negotiate yamux inside Noise; returns what already belongs to yamux."""
    negotiator = _negotiator(YAMUX, outbound)
    while True:
        agreed = negotiator.next_event()
        words = negotiator.data_to_send()
        if words:
            noise.send_data(words)
            await _send_all(socket, noise)
        if agreed is not None:
            return negotiator.surplus()
        event = noise.next_event()
        if isinstance(event, DataReceived):
            negotiator.receive_data(event.data)
        else:
            noise.receive_data(await socket.receive())
