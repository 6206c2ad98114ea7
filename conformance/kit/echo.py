"""Ping streams as echoes, and the question whether a connection still serves."""

from __future__ import annotations

import anyio

from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.conformance.scripted_stream import ScriptedStream
from gossipsub.wire.ping import PAYLOAD_BYTES, PROTOCOL
from gossipsub.wire.yamux_frame import INITIAL_WINDOW_BYTES

NOBODYS = "/nobody-speaks-this/1.0.0"
BLOCKED_BYTES = INITIAL_WINDOW_BYTES + 32 * PAYLOAD_BYTES
"""What is sent to an echo to block it."""
SLACK_BYTES = 1024
"""What a target may leave of a window, where it sends no piece of a block."""
ECHO_SECONDS = 30.0
"""For eight thousand pings, which some implementations answer at a few hundred a second."""
SETTLING_SECONDS = 0.3
"""After so long without another byte it has left the rest."""


async def open_echo(trial: Trial, w: ScriptedPeer) -> ScriptedStream:
    """A stream on which blocks of 32 bytes come back. CannotTry where ping is not spoken."""
    with trial.expecting("an answer to the proposal of ping on a new stream"):
        stream = await w.start_stream()
        answer = await stream.propose(PROTOCOL)
    if answer == "na":
        raise CannotTry("the target does not speak ping, which serves as an echo here")
    trial.equal("the answer to the proposal of ping", answer, PROTOCOL)
    stream.protocol = PROTOCOL
    return stream


async def check_echo(trial: Trial, stream: ScriptedStream) -> None:
    """Deviation unless a block comes back as it was sent."""
    payload = trial.rng.randbytes(PAYLOAD_BYTES)
    with trial.expecting("32 bytes echoed on a ping stream"):
        await stream.write(payload)
        trial.equal("the echo", await stream.read_exactly(PAYLOAD_BYTES), payload)


async def check_serves(trial: Trial, w: ScriptedPeer, what: str) -> None:
    """Deviation unless the connection lives and new streams are answered on it; `what` says why
    they should be."""
    with trial.expecting(f"{what}: a yamux ping and a new stream still answered"):
        await w.ping(trial.rng.getrandbits(32))
        stream = await w.start_stream()
        answer = await stream.propose(NOBODYS)
        await stream.reset()
    trial.equal("the answer to a proposal that nobody speaks", answer, "na")


async def block_echo(trial: Trial, w: ScriptedPeer) -> ScriptedStream:
    """A ping stream on which the target waits for credit, with more to echo than it has."""
    w.returns_credit = False
    stream = await open_echo(trial, w)
    with trial.expecting("echoes on a ping stream until the initial window of 256 KiB is used up"):
        await stream.write(bytes(BLOCKED_BYTES), timeout=ECHO_SECONDS)
        await stream.wait_received(INITIAL_WINDOW_BYTES - SLACK_BYTES, timeout=ECHO_SECONDS)
        before = 0
        while before != stream.received_bytes < INITIAL_WINDOW_BYTES:
            before = stream.received_bytes
            await anyio.sleep(SETTLING_SECONDS)
            await w.ping(trial.rng.getrandbits(32))
    return stream
