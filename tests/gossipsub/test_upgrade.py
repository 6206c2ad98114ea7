"""The handshake of a connection, over a pipe that keeps what was sent in one piece."""

from __future__ import annotations

import math
from typing import cast

import anyio
import pytest
from anyio.abc import ByteStream

from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.noise import NoiseConnection
from gossipsub.transport.upgrade import NOISE, YAMUX, Upgraded, upgrade
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.multistream import MultistreamDialer, MultistreamListener
from gossipsub.wire.yamux import YamuxLimits

pytestmark = pytest.mark.anyio

ALICE, BOB = (PrivateKey.from_seed(bytes(31) + bytes([number])) for number in (1, 2))
HEADER = b"\x13/multistream/1.0.0\n"
PROPOSAL = b"\x07/noise\n"
MESSAGE_1 = 2 + 32


class End:
    """One end of a pipe."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self._outgoing, self.incoming = anyio.create_memory_object_stream[bytes](math.inf)
        self.opposite = self

    async def send(self, item: bytes) -> None:
        self.sent.append(item)
        await self._outgoing.send(item)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self.opposite.incoming.receive()

    async def upgrade(self, key: PrivateKey, *, outbound: bool) -> Upgraded:
        limits = YamuxLimits()
        with anyio.fail_after(20):
            return await upgrade(
                cast(ByteStream, self), key, outbound=outbound, expected_peer=None, limits=limits
            )

    def close(self) -> None:
        self._outgoing.close()
        self.incoming.close()


@pytest.fixture
def ends():
    dialler, listener = End(), End()
    dialler.opposite, listener.opposite = listener, dialler
    yield dialler, listener
    dialler.close()
    listener.close()


@pytest.mark.rule("CONN-01", "MSS-07", "NOI-13")
async def test_each_side_speaks_twice_until_both_know_each_other(ends: tuple[End, End]) -> None:
    """So a connection stands one round trip after TCP's own: nothing waits that need not."""
    dialler, listener = ends
    upgraded: dict[PrivateKey, Upgraded] = {}

    async def run(end: End, key: PrivateKey, outbound: bool) -> None:
        upgraded[key] = await end.upgrade(key, outbound=outbound)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, dialler, ALICE, True)
        tasks.start_soon(run, listener, BOB, False)
    assert upgraded[ALICE].public_key == BOB.public_key
    assert upgraded[BOB].public_key == ALICE.public_key
    first, _ = dialler.sent
    assert first.startswith(HEADER + PROPOSAL)
    assert len(first) == len(HEADER + PROPOSAL) + MESSAGE_1
    header, answer = listener.sent
    assert header == HEADER
    assert answer.startswith(PROPOSAL)
    assert len(answer) > len(PROPOSAL) + MESSAGE_1


async def test_a_dialler_that_waits_for_the_answer_gets_it_before_its_message_1(
    ends: tuple[End, End],
) -> None:
    """As go does."""
    dialler, listener = ends
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: listener.upgrade(BOB, outbound=False))
        negotiation = MultistreamDialer([NOISE])
        await dialler.send(negotiation.data_to_send())
        while negotiation.next_event() is None:
            negotiation.receive_data(await dialler.receive())
        noise = NoiseConnection(ALICE, initiator=True, muxers=[YAMUX])
        await dialler.send(noise.data_to_send())
        noise.receive_data(await dialler.receive())
        completed = noise.next_event()
        await dialler.send(noise.data_to_send())
    assert completed is not None
    assert listener.sent[:2] == [HEADER, PROPOSAL]


async def test_a_listener_without_noise_ends_the_dial(ends: tuple[End, End]) -> None:
    dialler, listener = ends
    refusing = MultistreamListener(lambda _: False)
    refusing.receive_data(HEADER + PROPOSAL)
    await listener.send(refusing.data_to_send())
    with pytest.raises(RemoteProtocolError) as refused:
        await dialler.upgrade(ALICE, outbound=True)
    assert str(refused.value) == "multistream: peer speaks none of /noise"
