"""Our transport and the Go peer's, layer by layer: Noise, yamux, identify, ping."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream

from gossipsub import GossipParams, Host, HostConfig, Topic
from gossipsub.conformance.driver import PeerProcess, start_peer
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.noise import DataReceived, HandshakeCompleted, NoiseConnection
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.identify import PROTOCOL as IDENTIFY
from gossipsub.wire.identify import PUSH_PROTOCOL, IdentifyReader
from gossipsub.wire.multistream import MultistreamDialer
from gossipsub.wire.ping import PROTOCOL as PING_PROTOCOL
from gossipsub.wire.yamux import StreamData, StreamEnded, StreamReset, YamuxSession
from gossipsub.wire.yamux_frame import YamuxLimits

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("go_peer_available")]

NOISE = "/noise"
YAMUX = "/yamux/1.0.0"
FAST = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10}
QUICK = GossipParams(heartbeat_interval=0.1, heartbeat_initial_delay=0.01)
KEY = PrivateKey.from_node_number(99)
PATIENCE = 10.0


async def until(condition: Callable[[], Any], *, timeout: float = PATIENCE) -> None:
    with anyio.fail_after(timeout):
        while not condition():
            await anyio.sleep(0.005)


# Below yamux, without a host: what passes is seen here and nowhere else


class Upgraded:
    """A connection to the Go peer up to Noise; the session above is the test's."""

    def __init__(self, stream: ByteStream, noise: NoiseConnection) -> None:
        self._stream = stream
        self._noise = noise

    async def shake_hands(self) -> HandshakeCompleted:
        while True:
            event = self._noise.next_event()
            await self._send()
            if isinstance(event, HandshakeCompleted):
                return event
            self._noise.receive_data(await self._stream.receive())

    async def send(self, plaintext: bytes) -> None:
        if plaintext:
            self._noise.send_data(plaintext)
            await self._send()

    async def receive(self) -> bytes:
        with anyio.fail_after(PATIENCE):
            while True:
                event = self._noise.next_event()
                if isinstance(event, DataReceived):
                    return event.data
                self._noise.receive_data(await self._stream.receive())

    async def _send(self) -> None:
        data = self._noise.data_to_send()
        if data:
            await self._stream.send(data)


async def upgrade(stream: ByteStream) -> tuple[Upgraded, HandshakeCompleted]:
    with anyio.fail_after(PATIENCE):
        security = MultistreamDialer([NOISE])
        while True:
            agreed = security.next_event()
            if words := security.data_to_send():
                await stream.send(words)
            if agreed is not None:
                break
            security.receive_data(await stream.receive())
        noise = NoiseConnection(KEY, initiator=True, muxers=[YAMUX])
        noise.receive_data(security.surplus())
        upgraded = Upgraded(stream, noise)
        return upgraded, await upgraded.shake_hands()


@asynccontextmanager
async def connection(peer: PeerProcess) -> AsyncIterator[tuple[Upgraded, HandshakeCompleted]]:
    port = int(peer.addresses[0].split("/")[4])
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        yield await upgrade(stream)


STREAMS = 1000
OPENING = b"\x13/multistream/1.0.0\n\x11" + PING_PROTOCOL.encode() + b"\n"


class Echoes:
    """A yamux session whose streams are all pings of the Go peer."""

    def __init__(self, link: Upgraded) -> None:
        limits = YamuxLimits(max_outbound_streams=STREAMS + 1)
        self.session = YamuxSession(client=True, limits=limits)
        self.got: dict[int, bytearray] = {}
        self.ended: list[int] = []
        self.blocked: int | None = None
        self._link = link

    async def open(self) -> int:
        while True:
            try:
                stream = self.session.open_stream()
            except LocalProtocolError:  # too many that the peer has not acknowledged yet
                await self.turn()
                continue
            self.got[stream] = bytearray()
            self.session.send_data(stream, OPENING)
            return stream

    async def turn(self) -> None:
        """Send what waits, take what comes."""
        await self._link.send(self.session.data_to_send())
        self.session.receive_data(await self._link.receive())
        while (event := self.session.next_event()) is not None:
            if isinstance(event, StreamData) and event.stream_id in self.got:
                self.got[event.stream_id] += event.data
                if event.stream_id != self.blocked:
                    self.session.consumed(event.stream_id, len(event.data))
            elif isinstance(event, StreamEnded | StreamReset) and event.stream_id in self.got:
                self.ended.append(event.stream_id)

    async def echoed(self, expected: dict[int, bytes]) -> None:
        with anyio.fail_after(30):
            while any(len(self.got[stream]) < len(data) for stream, data in expected.items()):
                await self.turn()
        assert {stream: bytes(self.got[stream]) for stream in expected} == expected


@pytest.mark.rule("YMX-18", "PNG-01")
async def test_a_thousand_echo_streams_at_once_beside_a_blocked_one() -> None:
    async with start_peer("go") as peer, connection(peer) as (link, _):
        echoes = Echoes(link)
        blocked = echoes.blocked = await echoes.open()
        await echoes.echoed({blocked: OPENING})
        # We take back nothing of its echo: it stands still once our window is full.
        echoes.session.send_data(blocked, bytes(echoes.session.send_window(blocked) & ~31))
        expected: dict[int, bytes] = {await echoes.open(): OPENING for _ in range(STREAMS)}
        assert echoes.session.stream_count() >= STREAMS
        for _ in range(3):
            for stream in expected:
                payload = os.urandom(32)
                echoes.session.send_data(stream, payload)
                expected[stream] += payload
            await echoes.echoed(expected)
        assert echoes.ended == []
        assert len(echoes.got[blocked]) < (1 << 18)


# Hosts


@asynccontextmanager
async def host_and_go(*, we_dial: bool, **options: Any) -> AsyncIterator[tuple[Host, PeerProcess]]:
    """A host of ours and the Go peer, connected."""
    async with Host(params=QUICK) as host, start_peer("go", params=FAST, **options) as go:
        if we_dial:
            await host.connect(go.addresses[0])
        else:
            await go.command("connect", addr=host.addresses[0])
            await until(lambda: host.peers())
        yield host, go


@pytest.mark.parametrize("we_dial", [True, False], ids=["we-dial", "go-dials"])
@pytest.mark.rule("CONN-01", "PNG-01", "IDY-01", "IDY-02", "SIM-08", "T1", "T2")
async def test_pings_and_introductions_pass_whoever_dials(we_dial: bool) -> None:
    async with host_and_go(we_dial=we_dial) as (host, go):
        times = [await host.ping(go.peer_id, timeout=5) for _ in range(10)]
        assert all(0 < seconds < 5 for seconds in times)
        await until(lambda: host.peers()[0].agent_version is not None)
        (info,) = host.peers()
        assert (str(info.peer), info.outbound) == (go.peer_id, we_dial)
        assert info.agent_version == "gopeer"
        assert {IDENTIFY, PUSH_PROTOCOL, PING_PROTOCOL, "/meshsub/1.2.0"} <= set(info.protocols)
        # It opens a pubsub stream only where identify lists one, and 5 s later where that
        # answer does not end.
        answer = await go.wait_answer("peers", lambda got: got["peers"][0]["protocol"], timeout=4)
        assert answer["peers"][0]["protocol"].startswith("/meshsub/1.")
        await until(lambda: host.peers()[0].pubsub_protocol)


@pytest.mark.rule("IDY-01", "ENV-05")
async def test_the_peer_record_in_its_introduction_is_sealed_as_ours_are() -> None:
    """The seal covers domain and type, so it opens only where both sides have the same."""
    async with start_peer("go") as peer, connection(peer) as (link, completed):
        session = YamuxSession(client=True)
        stream = session.open_stream()
        dialer = MultistreamDialer([IDENTIFY])
        reader, is_over = IdentifyReader(), False
        while not is_over:
            session.send_data(stream, dialer.data_to_send())
            await link.send(session.data_to_send())
            session.receive_data(await link.receive())
            while (event := session.next_event()) is not None:
                if isinstance(event, StreamData) and event.stream_id == stream:
                    dialer.receive_data(event.data)
                    dialer.next_event()
                    reader.receive_data(dialer.surplus())
                elif isinstance(event, StreamEnded) and event.stream_id == stream:
                    is_over = True
        reader.receive_eof()
        said = reader.result()
        assert said.public_key == completed.remote_public_key.encode()
        assert said.agent_version == "gopeer"
        record = PeerRecord.open(said.signed_peer_record or b"", peer=completed.remote_peer)
        assert record.peer_id == completed.remote_peer
        assert list(record.addresses) == list(said.listen_addresses)
        assert record.addresses


async def receive(topic: Topic, data: bytes, source: PeerProcess) -> None:
    """Until what `source` says arrives: it is said again while no link stands."""
    async with topic.subscribe() as messages, anyio.create_task_group() as tasks:

        async def say() -> None:
            while True:
                await source.publish(topic.name, data)
                await anyio.sleep(0.05)

        tasks.start_soon(say)
        with anyio.fail_after(PATIENCE):
            async for message in messages:
                if message.data == data:
                    assert str(message.sender) == source.peer_id
                    break
        tasks.cancel_scope.cancel()


async def test_a_bootstrap_peer_that_crashed_is_found_again_by_itself() -> None:
    listen = "/ip4/127.0.0.1/tcp/0"
    async with start_peer("go", seed=7, listen=listen, params=FAST) as go:
        listen = go.addresses[0].partition("/p2p/")[0]
        config = HostConfig(reconnect_delay=0.05, reconnect_delay_limit=0.2)
        async with Host(bootstrap=go.addresses, params=QUICK, config=config) as host:
            topic = await host.join("t")
            await go.command("subscribe", topic="t")
            await receive(topic, b"first life", go)
            os.kill(go.ready["pid"], signal.SIGKILL)
            await until(lambda: not host.peers())
            async with start_peer("go", seed=7, listen=listen, params=FAST) as again:
                assert again.peer_id == go.peer_id
                await again.command("subscribe", topic="t")
                await receive(topic, b"second life", again)
                await topic.publish(b"welcome back")
                await again.wait_event("message", where=lambda e: e["data"] == b"welcome back")
