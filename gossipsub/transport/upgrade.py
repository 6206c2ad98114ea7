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
    security = _negotiator(NOISE, outbound)
    await _converse(socket, security)
    noise = NoiseConnection(key, initiator=outbound, expected_peer=expected_peer, muxers=[YAMUX])
    noise.receive_data(security.surplus())
    completed = await _shake_hands(socket, noise)
    session = YamuxSession(client=outbound, limits=limits)
    if completed.muxer is None:
        session.receive_data(await _agree_on_muxer(socket, noise, outbound))
    elif completed.muxer != YAMUX:
        raise RemoteProtocolError(f"the peer chose a muxer we did not offer: {completed.muxer}")
    return Upgraded(noise, session, completed.remote_public_key)


def _negotiator(protocol: str, outbound: bool) -> MultistreamDialer | MultistreamListener:
    if outbound:
        return MultistreamDialer([protocol])
    return MultistreamListener(lambda proposal: proposal == protocol)


async def _send_all(socket: ByteStream, conversation: _Conversation) -> None:
    data = conversation.data_to_send()
    if data:
        await socket.send(data)


async def _converse(
    socket: ByteStream, negotiator: MultistreamDialer | MultistreamListener
) -> None:
    """Negotiate in the clear until a protocol is agreed on."""
    while True:
        event = negotiator.next_event()
        await _send_all(socket, negotiator)
        if event is not None:
            return
        negotiator.receive_data(await socket.receive())


async def _shake_hands(socket: ByteStream, noise: NoiseConnection) -> HandshakeCompleted:
    while True:
        event = noise.next_event()
        await _send_all(socket, noise)
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
