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
