"""yamux flow control: the initial window, credit and its return."""

from __future__ import annotations

from contextlib import suppress

from gossipsub.conformance.cases.yamux_streams import check_ended
from gossipsub.conformance.kit.blocked import (
    MESSAGE_BYTES,
    MESSAGES,
    SLACK_BYTES,
    block_stream,
    credit_left,
    receiver,
    send_messages,
)
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.echo import (
    block_echo,
    check_echo,
    open_echo,
)
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_peer import Frame
from gossipsub.conformance.scripted_wire import WireClosed, WireTimeout
from gossipsub.wire.ping import PAYLOAD_BYTES
from gossipsub.wire.rpc import Message, Rpc
from gossipsub.wire.yamux_frame import DATA, INITIAL_WINDOW_BYTES

RPC = Rpc(publish=[Message("nobody-is-in-this-topic", bytes(50_000))])
UPLOADS = 30
LARGEST_WINDOW_BYTES = 17 << 20
"""Implementations let a window grow to 16 MiB where it is read fast."""
OVERRUN_BYTES = 64 << 10
PIECE_BYTES = 64 << 10


@case("YMX-07", fault="the_first_window_is_512_kib", also=("T9",), address=True)
async def the_first_window_is_256_kib_and_never_exceeded(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w, stream = await block_stream(trial, node)
    left = credit_left(w, stream)
    trial.check(left >= 0, "at most 262144 bytes without more credit", f"{-left} more")
    trial.observe(f"leaves {left} bytes of a window unused")
    await stream.grant(4 * SLACK_BYTES)
    with trial.expecting("more bytes after more credit"):
        await w.until(lambda: credit_left(w, stream) <= left + SLACK_BYTES, "use of credit", 10)
    await w.ping(7)
    left = credit_left(w, stream)
    trial.check(left >= 0, "no more bytes than credit was given", f"{-left} more")


@case("YMX-08", fault="credit_is_never_returned", address=True, time_limit=60.0)
async def more_than_a_window_flows_both_ways_at_once(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w, author = await receiver(trial, node)
    with trial.expecting("credit for 1.5 MB on W's stream, and 400 kB of messages from the target"):
        await send_messages(author, node.topic)
        for _ in range(UPLOADS):
            await w.send_rpc(RPC, timeout=10)
        large = 0
        while large < MESSAGES:
            rpc = await w.receive_rpc(timeout=10)
            large += sum(len(message.data or b"") == MESSAGE_BYTES for message in rpc.publish)


@case("YMX-09", fault="overruns_are_taken", address=True)
async def more_than_the_credit_ends_the_session(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    stream = await open_echo(trial, w)
    size = stream.window + OVERRUN_BYTES
    with suppress(WireClosed):
        await w.send_frames(Frame(DATA, 0, stream.stream_id, size, bytes(size)))
    await check_ended(trial, w, f"a frame {OVERRUN_BYTES} bytes above its credit")


@case("YMX-10", fault="a_window_may_wrap", address=True)
async def window_updates_never_wrap_a_window(trial: Trial) -> None:
    """Beyond 32 bits a window stays at its largest, or the session ends."""
    node = await trial.start()
    w = await trial.upgrade(node)
    w.returns_credit = False
    stream = await open_echo(trial, w)
    left = INITIAL_WINDOW_BYTES - stream.received_bytes
    await stream.grant((1 << 32) - left)  # 2^32 in all: 0 where it wraps
    payload = trial.rng.randbytes(PAYLOAD_BYTES)
    with trial.expecting("an echo, or an ended session, after 2^32 bytes of credit"):
        try:
            await stream.write(payload)
            trial.equal("the echo", await stream.read_exactly(PAYLOAD_BYTES), payload)
            trial.observe("keeps a window at its largest")
        except WireClosed:
            trial.check(w.ended, "an ended session", "an ended stream")
            trial.observe("ends the session where a window exceeds 32 bits")


@case("T15", fault="credit_returns_before_bytes_are_used", also=("T6",), address=True)
async def credit_returns_for_what_was_used_and_not_for_what_arrived(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    stream = await block_echo(trial, w)
    pushed = 0
    with suppress(WireTimeout, WireClosed):  # the stream may also be given up
        while pushed < LARGEST_WINDOW_BYTES:
            await stream.write(bytes(PIECE_BYTES), timeout=1.5)
            pushed += PIECE_BYTES
    expected = "no credit for pings that wait for their echo"
    trial.check(pushed < LARGEST_WINDOW_BYTES, expected, f"credit for {pushed} bytes")
    w.returns_credit = True
    other = await open_echo(trial, w)
    await check_echo(trial, other)
