"""Ping (libp2p ping specification)."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.trial import Trial
from gossipsub.wire.ping import PAYLOAD_BYTES, PROTOCOL


@case("PNG-05", fault="ping_answers_what_comes_at_once", address=True)
async def the_echo_is_of_32_bytes_however_they_are_cut(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    payload = trial.rng.randbytes(PAYLOAD_BYTES)
    with trial.expecting("a ping stream"):
        stream = await w.open_stream(PROTOCOL)
    negotiated = stream.received_bytes
    await stream.write(payload[:16])
    await trial.heartbeats(1, node)
    trial.equal("echoed after 16 bytes", stream.received_bytes - negotiated, 0)
    await stream.write(payload[16:])
    with trial.expecting("the 32 bytes"):
        trial.equal("echo", await stream.read_exactly(PAYLOAD_BYTES), payload)


@case("PNG-01", fault="ping_answers_only_once", address=True)
async def ten_pings_on_one_stream_are_echoed(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    with trial.expecting("a ping stream"):
        stream = await w.open_stream(PROTOCOL)
    for number in range(1, 11):
        payload = trial.rng.randbytes(PAYLOAD_BYTES)
        await stream.write(payload)
        with trial.expecting(f"the echo of ping {number} on the same stream"):
            trial.equal("echo", await stream.read_exactly(PAYLOAD_BYTES), payload)


@case("PNG-03", fault="a_second_ping_stream_is_refused", address=True)
async def two_ping_streams_at_once_are_accepted(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    with trial.expecting("two ping streams"):
        streams = [await w.open_stream(PROTOCOL) for _ in range(2)]
    payloads = [trial.rng.randbytes(PAYLOAD_BYTES) for _ in streams]
    for stream, payload in zip(streams, payloads, strict=True):
        await stream.write(payload)
    for stream, payload in zip(streams, payloads, strict=True):
        with trial.expecting("an echo on each of two ping streams"):
            trial.equal("echo", await stream.read_exactly(PAYLOAD_BYTES), payload)


@case("PNG-04", fault="ping_streams_stay_half_open", address=True)
async def the_echoer_closes_its_side_after_the_pinger(trial: Trial) -> None:
    """By FIN, or by a reset once the echo is out."""
    node = await trial.start()
    w = await trial.upgrade(node)
    with trial.expecting("a ping stream"):
        stream = await w.open_stream(PROTOCOL)
    payload = trial.rng.randbytes(PAYLOAD_BYTES)
    await stream.write(payload)
    with trial.expecting("the echo"):
        trial.equal("echo", await stream.read_exactly(PAYLOAD_BYTES), payload)
    await stream.finish()
    with trial.expecting("the end of the target's side after FIN"):
        await w.until(lambda: stream.ended or stream.reset_code is not None, "FIN or reset", 5)
    trial.observe("ends a ping stream by " + ("FIN" if stream.ended else "a reset"))
