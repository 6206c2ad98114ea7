"""yamux sessions: frames, pings, GoAway."""

from __future__ import annotations

from contextlib import suppress

from gossipsub.conformance.cases.yamux_streams import check_ends
from gossipsub.conformance.kit.blocked import block_stream
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.echo import check_echo, open_echo
from gossipsub.conformance.kit.trial import PROTOCOLS, Trial
from gossipsub.conformance.scripted_peer import Frame
from gossipsub.conformance.scripted_wire import WireClosed, WireTimeout
from gossipsub.wire.yamux_frame import ACK, FIN, GO_AWAY, PING, RST, SYN

FLAGS = SYN | ACK | FIN | RST


@case("YMX-01", fault="frames_have_version_1", address=True)
async def each_frame_has_a_header_of_12_bytes_of_known_values(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.peer(node)
    await w.ping(3)
    await check_echo(trial, await open_echo(trial, w))
    frames = [frame for frame in w.journal.received("yamux") if isinstance(frame, Frame)]
    odd = [
        frame
        for frame in frames
        if frame.version != 0
        or frame.kind > GO_AWAY
        or frame.flags & ~FLAGS
        or (frame.kind >= PING) != (frame.stream_id == 0)
    ]
    trial.equal("frames of unknown version, type or flags, or of the wrong stream", odd, [])


@case("YMX-11", fault="a_pong_has_syn_too", also=("T5", "T6", "T13"), address=True)
async def a_ping_is_answered_with_its_value_whatever_waits(trial: Trial) -> None:
    """With ACK alone, on stream 0."""
    node = await trial.start(subscribed=True)
    w = await trial.upgrade(node)
    with trial.expecting("a yamux ping of 0xdeadbeef answered: ACK, stream 0, the same value"):
        await w.ping(0xDEADBEEF)
    w, _ = await block_stream(trial, node)
    with trial.expecting("a yamux ping answered while a stream waits for credit"):
        await w.ping(0xFFFFFFFF)


@case("YMX-12", fault="a_goaway_is_not_heard", also=("T8", "T27"), address=True)
async def after_a_goaway_no_stream_is_opened(trial: Trial) -> None:
    """Whether the connection ends at once is left open; go ends it."""
    node = await trial.start()
    for code in (0, 1, 2, 0x1005):
        w = await trial.upgrade(node)
        await w.send_frame(GO_AWAY, 0, 0, code)
        with suppress(WireClosed):
            await w.ping(1)
        before = len(w.accepted)
        await w.serve_identify(PROTOCOLS)  # or it had no reason to open one
        try:
            await w.wait_ended(timeout=2 * node.heartbeat)
            trial.observe(f"ends the connection at GoAway {code:#x}")
        except WireTimeout:
            trial.observe(f"leaves the connection open after GoAway {code:#x}")
        trial.equal(f"streams opened after GoAway {code:#x}", len(w.accepted) - before, 0)


@case("YMX-12b", fault="a_goodbye_is_an_internal_error")
async def a_connection_that_is_closed_ends_with_goaway_0_or_none(trial: Trial) -> None:
    """go sends none."""
    node = await trial.start()
    w = await trial.peer(node)
    await node.command("disconnect", peer=str(w.peer_id))
    with trial.expecting("an end of the connection after a disconnect"):
        await w.wait_ended(timeout=10)
    trial.check(w.goaway in (None, 0), "GoAway 0 or none after a disconnect", f"GoAway {w.goaway}")
    trial.observe("says GoAway 0" if w.goaway == 0 else "says no GoAway")


@case("YMX-16", fault="headers_are_not_checked", address=True)
async def an_unknown_version_or_type_ends_the_session(trial: Trial) -> None:
    node = await trial.start()
    await check_ends(trial, node, "a frame of version 1", Frame(PING, SYN, 0, 1, version=1))
    await check_ends(trial, node, "a frame of type 4", Frame(4, 0, 0, 0))


@case("YMX-17", fault="unanswered_pings_are_forgotten", address=True, time_limit=90.0)
async def a_peer_that_answers_no_ping_is_given_up(trial: Trial) -> None:
    """go asks for the round trip at once, pings after 30 s and waits 10 s. Allowed here are a
    minute, and 20 s after a second ping."""
    node = await trial.start()
    w = await trial.upgrade(node)
    w.answers_pings = False

    def pings() -> int:
        frames = w.journal.received("yamux")
        return sum(isinstance(f, Frame) and f.kind == PING and f.flags == SYN for f in frames)

    with trial.expecting("pings on a connection on which nothing passes, and its end, in a minute"):
        await w.until(lambda: w.ended or pings() > 1, "second ping or end", 60)
    with trial.expecting("a connection ended within 20 s after pings that nobody answered"):
        await w.wait_ended(timeout=20)
    trial.check(pings(), "a yamux ping before a silent connection ends", "none")
