"""Identify, identify push and ping as a peer on the wire sees them (IDY, PNG)."""

from __future__ import annotations

import anyio
import pytest

from gossipsub import GossipParams, Host, PingFailed
from gossipsub.conformance.scripted_peer import PUBSUB, PUSH, dial
from gossipsub.conformance.scripted_wire import WireClosed
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.wire.identify import PROTOCOL as IDENTIFY
from gossipsub.wire.identify import Identify, encode_identify
from gossipsub.wire.ping import PROTOCOL as PING_PROTOCOL

pytestmark = pytest.mark.anyio

CALM = GossipParams(heartbeat_interval=60, heartbeat_initial_delay=60)


async def info_with(host, condition):
    """The host's view of its one peer, once it fulfils the condition."""
    with anyio.fail_after(4):
        while not (host.peers() and condition(host.peers()[0])):
            await anyio.sleep(0.001)
    return host.peers()[0]


@pytest.mark.rule("IDY-01", "IDY-02", "IDY-12", "T1", "T2")
async def test_the_answer_lists_all_protocols_and_ends(config):
    async with (
        Host(config=config(), params=CALM, agent_version="tester/1") as host,
        dial(host.addresses[0]) as w,
    ):
        said = await w.ask_identify()  # which reads to the FIN
        assert said.protocols == [IDENTIFY, PUSH, PING_PROTOCOL, *PUBSUB]
        assert said.public_key == w.wire.remote_key.encode()
        assert (said.agent_version, said.protocol_version) == ("tester/1", "ipfs/0.1.0")
        record = PeerRecord.open(said.signed_peer_record, peer=host.peer_id)
        assert list(record.addresses) == said.listen_addresses
        assert len(encode_identify(said)) <= 4096


@pytest.mark.rule("IDY-10")
async def test_the_observed_address_is_the_peers_end_of_the_connection(config):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:
        said = await w.ask_identify()
        address = (await info_with(host, lambda info: True)).address
        assert said.observed_address == b"\x04\x7f\x00\x00\x01\x06" + w.wire.local_port.to_bytes(2)
        assert address == f"/ip4/127.0.0.1/tcp/{w.wire.local_port}"


@pytest.mark.rule("IDY-08", "T25")
async def test_a_push_changes_what_it_says_and_leaves_the_rest(config):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:
        await w.serve_identify(["/x"])
        await info_with(host, lambda info: "/x" in info.protocols)
        await w.push_identify(Identify(agent_version="new"))
        info = await info_with(host, lambda info: info.agent_version == "new")
        assert info.protocols == (IDENTIFY, PUSH, "/x")
        await w.push_identify(Identify(protocols=["/y"]))
        info = await info_with(host, lambda info: info.protocols == ("/y",))
        assert info.agent_version == "new"


async def _echo(stream) -> None:
    try:
        while True:
            await stream.write(await stream.read_exactly(32))
    except WireClosed:
        await stream.finish()


@pytest.mark.rule("PNG-01", "PNG-04")
async def test_a_host_pings_once_and_closes(config):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:
        w.serve(PING_PROTOCOL, handler=_echo)
        await w.accept_stream()
        for _ in range(2):
            assert 0 < await host.ping(w.peer_id, timeout=4) < 4
            asked = await w.accept_stream()
            assert (await asked.read_to_end(), asked.protocol) == (b"", PING_PROTOCOL)
        payloads = [frame.body for frame in w.journal.received("yamux") if len(frame.body) == 32]
        assert len(set(payloads)) == 2  # nobody can answer without having read


@pytest.mark.rule("PNG-02")
@pytest.mark.parametrize("size", [32, 1])
async def test_an_echo_that_differs_is_a_failure(config, size):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:

        async def lie(stream) -> None:
            payload = await stream.read_exactly(32)
            await stream.write(bytes(byte ^ 1 for byte in payload[:size]))

        w.serve(PING_PROTOCOL, handler=lie)
        await w.accept_stream()
        with pytest.raises(PingFailed, match="the echo differs"):
            await host.ping(w.peer_id, timeout=4)
        await w.streams[4].wait_reset()
        await w.ping(1)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [("refuse", "does not serve ping"), ("stall", "no answer within"), ("reset", "stream ended")],
)
async def test_a_ping_that_gets_no_echo_fails_and_says_why(config, behave, reason):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:

        async def answer(stream) -> None:
            if behave == "reset":
                await stream.reset()

        w.serve("/other" if behave == "refuse" else PING_PROTOCOL, handler=answer)
        await w.accept_stream()
        with pytest.raises(PingFailed, match=reason):
            await host.ping(w.peer_id, timeout=0.1 if behave == "stall" else 4)


@pytest.mark.rule("PNG-03")
async def test_two_pings_at_once_open_one_stream(config):
    async with Host(config=config(), params=CALM) as host, dial(host.addresses[0]) as w:
        release = anyio.Event()

        async def echo_later(stream) -> None:
            payload = await stream.read_exactly(32)
            await release.wait()
            await stream.write(payload)

        w.serve(PING_PROTOCOL, handler=echo_later)
        await w.accept_stream()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host.ping, w.peer_id)
            await w.accept_stream()
            with pytest.raises(Exception, match="under way"):
                await host.ping(w.peer_id)
            release.set()
        assert len(w.accepted) == 2


async def test_a_ping_agreed_on_too_late_is_not_begun(config):
    config = config(negotiation_timeout=5)
    async with Host(config=config, params=CALM) as host, dial(host.addresses[0]) as w:
        await w.accept_stream()
        with pytest.raises(PingFailed, match="no answer"):
            await host.ping(w.peer_id, timeout=0.05)
        w.serve(PING_PROTOCOL)
        late = await w.accept_stream()
        await late.wait_reset()
