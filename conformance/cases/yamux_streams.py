"""yamux streams: opening, half closing, resetting, many at once."""

from __future__ import annotations

from contextlib import suppress

import anyio

from gossipsub.conformance.kit.blocked import block_stream
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.echo import NOBODYS, check_echo, check_serves, open_echo
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.trial import PROTOCOLS, Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_gossip import join_mesh
from gossipsub.conformance.scripted_peer import IDENTIFY, Frame, ScriptedPeer, echo_pings, play
from gossipsub.conformance.scripted_stream import ScriptedStream
from gossipsub.conformance.scripted_wire import (
    MULTISTREAM,
    WireClosed,
    WireTimeout,
    encode_line,
    key_of_seed,
)
from gossipsub.wire.ping import PAYLOAD_BYTES
from gossipsub.wire.ping import PROTOCOL as PING_PROTOCOL
from gossipsub.wire.yamux_frame import ACK, DATA, FIN, RST, SYN, WINDOW_UPDATE

KEY = key_of_seed(1)
ROUNDS, AT_ONCE = 10, 50
GIVING_UP_SECONDS = 20.0


@case("YMX-02", fault="a_listener_opens_odd_streams", address=True)
async def a_listener_opens_streams_of_even_ids(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.peer(node)
    parities = {stream.stream_id % 2 for stream in w.accepted}
    trial.equal("parity of the stream ids of who was dialled", parities, {0})
    trial.observe(f"begins with stream {w.accepted[0].stream_id} as listener")


@case("YMX-02b", fault="a_dialler_is_yamux_server")
async def a_dialler_opens_streams_of_odd_ids(trial: Trial) -> None:
    node = await trial.start()
    wire, _ = await trial.dialled_wire(node, seed=1)
    with trial.expecting("a connection up to yamux, and a stream of who dialled"):
        await wire.upgrade(KEY, initiator=False)
        async with play(wire, KEY, client=False) as w:
            stream = await w.accept_stream(timeout=10)
    trial.equal("parity of its id", stream.stream_id % 2, 1)
    trial.observe(f"begins with stream {stream.stream_id} as dialler")


async def check_ends(trial: Trial, node: Node, what: str, *frames: Frame) -> None:
    """Deviation unless these frames of a new W, the client, end the session."""
    w = await trial.upgrade(node)
    with suppress(WireClosed):
        await w.send_frames(*frames)
    await check_ended(trial, w, what)


async def check_ended(trial: Trial, w: ScriptedPeer, what: str) -> None:
    """Deviation unless W's session ends: by the end of the connection, or by a GoAway of an error,
    after which it is for W to close the connection (so rust does it)."""
    with trial.expecting(f"a session ended, or GoAway of an error, after {what}"):
        await w.until(lambda: w.ended or w.goaway not in (None, 0), "end of the session", 5)
    code = "no GoAway" if w.goaway is None else f"GoAway {w.goaway}"
    trial.observe(f"{code} seen after {what}")


@case("YMX-03", fault="stream_ids_are_not_checked", address=True)
async def a_stream_id_that_is_not_the_openers_ends_the_session(trial: Trial) -> None:
    node = await trial.start()
    await check_ends(trial, node, "a SYN of the client with id 2", Frame(WINDOW_UPDATE, SYN, 2, 0))
    await check_ends(trial, node, "a SYN with id 0, the session's", Frame(WINDOW_UPDATE, SYN, 0, 0))


@case("YMX-04", fault="streams_are_not_acknowledged", also=("T7",), address=True)
async def a_stream_opens_with_its_first_frame_and_is_acknowledged_once(trial: Trial) -> None:
    """ACK may come with the first data or by a window update."""
    node = await trial.start()
    w = await trial.upgrade(node)
    opening = encode_line(MULTISTREAM) + encode_line(NOBODYS)
    for kind in (DATA, WINDOW_UPDATE):
        stream = w.new_stream()
        if kind == DATA:
            await stream.send(opening, SYN)
        else:
            await stream.grant(0, SYN)
            await stream.send(opening)
        with trial.expecting("an answer on a stream that spoke before it was acknowledged"):
            trial.equal("the first line", await stream.read_line(), MULTISTREAM)
            trial.equal("the answer to a proposal nobody speaks", await stream.read_line(), "na")
        await check_serves(trial, w, "beside a stream just opened")
        acks = sum(
            frame.stream_id == stream.stream_id and frame.flags & ACK != 0
            for frame in w.journal.received("yamux")
            if isinstance(frame, Frame)
        )
        trial.equal("frames with ACK of that stream", acks, 1)


@case("YMX-05", fault="a_half_closed_stream_is_dropped", also=("T10",), address=True)
async def a_stream_that_its_peer_half_closed_still_answers(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    for kind in (WINDOW_UPDATE, DATA):  # FIN may come on either
        stream = await open_echo(trial, w)
        payload = trial.rng.randbytes(2 * PAYLOAD_BYTES)
        await w.send_frames(
            Frame(DATA, 0, stream.stream_id, len(payload), payload),
            Frame(kind, FIN, stream.stream_id, 0),
        )
        with trial.expecting("64 bytes echoed to a peer that has sent FIN"):
            trial.equal("the echo", await stream.read_exactly(len(payload)), payload)
        await check_serves(trial, w, "after a stream that was half closed")


@case("YMX-06", fault="resets_are_ignored", address=True)
async def nothing_comes_on_a_stream_after_its_peer_reset_it(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w, stream = await block_stream(trial, node)
    await _check_reset(trial, w, stream, Frame(WINDOW_UPDATE, RST, stream.stream_id, 0))


async def _check_reset(trial: Trial, w: ScriptedPeer, stream: ScriptedStream, reset: Frame) -> None:
    """Deviation if a stream that waits for credit is still spoken on after this frame."""
    before = stream.received_bytes
    await w.send_frames(reset, Frame(WINDOW_UPDATE, 0, stream.stream_id, 1 << 20))
    await check_serves(trial, w, "after a reset of another stream")
    trial.equal("bytes on a stream after its reset", stream.received_bytes - before, 0)


@case("YMX-13", fault="too_many_opened_streams_end_the_session", address=True)
async def a_thousand_streams_nobody_speaks_on_end_no_session(trial: Trial) -> None:
    """How many are kept is left open; the others are reset."""
    node = await trial.start()
    w = await trial.upgrade(node)
    await check_serves(trial, w, "a new connection")
    streams = [w.new_stream() for _ in range(1000)]
    await w.send_frames(*(Frame(WINDOW_UPDATE, SYN, s.stream_id, 0) for s in streams))
    with trial.expecting("a session that lives, with a ping answered, after 1000 streams opened"):
        await w.ping(1, timeout=10)
    refused = sum(stream.reset_code is not None for stream in streams)
    trial.observe(f"resets {refused} of 1000 streams at once" if refused else "keeps 1000 streams")
    await w.send_frames(*(Frame(WINDOW_UPDATE, RST, s.stream_id, 0) for s in streams))
    with trial.expecting("a stream served once those 1000 are reset"):
        answer, tries = "", 0
        while answer != "na" and tries < 20:  # room may be made a little later
            tries += 1
            with suppress(WireClosed, WireTimeout):
                answer = await (await w.start_stream()).propose(NOBODYS, timeout=2)
            await w.ping(100 + tries, timeout=10)
            await anyio.sleep(0.1 if answer != "na" else 0)
    trial.equal("the answer on a new stream to a proposal nobody speaks", answer, "na")


@case("YMX-14", fault="frames_of_unknown_streams_end_the_session", address=True)
async def frames_of_streams_that_are_over_are_read_away(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    for what, size in (("data", 1000), ("200 kB of data", 200_000)):
        stream = await w.start_stream()
        with trial.expecting("an answer on a new stream"):
            trial.equal("the answer", await stream.propose(NOBODYS), "na")
        await stream.reset()
        await w.send_frames(
            Frame(DATA, 0, stream.stream_id, size, bytes(size)),
            Frame(WINDOW_UPDATE, 0, stream.stream_id, 1000),
            Frame(WINDOW_UPDATE, FIN, stream.stream_id, 0),
            Frame(WINDOW_UPDATE, RST, stream.stream_id, 0),
        )
        await check_serves(trial, w, f"after {what}, credit, FIN and RST on a stream that is over")


@case("YMX-15", fault="streams_may_open_twice", address=True)
async def a_second_syn_of_an_id_in_use_ends_the_session(trial: Trial) -> None:
    node = await trial.start()
    syn = Frame(WINDOW_UPDATE, SYN, 1, 0)
    await check_ends(trial, node, "a second SYN of a stream that is open", syn, syn)


@case("YMX-18", fault="a_blocked_stream_blocks_all", address=True)
async def hundreds_of_streams_are_served_beside_one_that_is_blocked(trial: Trial) -> None:
    """50 at once: limits of streams are the implementation's."""
    node = await trial.start(subscribed=True)
    w, blocked = await block_stream(trial, node)
    opening = encode_line(MULTISTREAM) + encode_line(NOBODYS)
    answer = encode_line(MULTISTREAM) + encode_line("na")
    for _ in range(ROUNDS):
        streams = [w.new_stream() for _ in range(AT_ONCE)]
        await w.send_frames(
            *(Frame(DATA, SYN, s.stream_id, len(opening), opening) for s in streams)
        )
        with trial.expecting("each of 50 streams answered, while one more waits for credit"):
            for stream in streams:
                trial.equal("answer", await stream.read_exactly(len(answer), timeout=10), answer)
        await w.send_frames(*(Frame(WINDOW_UPDATE, RST, s.stream_id, 0) for s in streams))
    trial.observe(
        "gives up a stream that waits" if blocked.is_over else "keeps a stream that waits"
    )


@case("YMX-19", fault="a_timeout_of_a_stream_ends_the_connection", address=True)
async def what_times_out_on_a_stream_leaves_the_session_intact(trial: Trial) -> None:
    """A stream that nobody negotiates on, and an identify request that nobody answers."""
    node = await trial.start()
    w = await trial.upgrade(node)
    w.serve(IDENTIFY)  # and answer nothing
    silent = await w.start_stream()

    def given_up() -> bool:
        return silent.ended or any(s.reset_code is not None for s in (silent, *w.accepted))

    with trial.expecting("a session that lives while streams on it time out"):
        try:
            await w.until(given_up, "stream given up", GIVING_UP_SECONDS)
        except WireTimeout as error:
            raise CannotTry(f"no idle stream is given up in {GIVING_UP_SECONDS:g} s") from error
    await check_serves(trial, w, "after a stream that timed out")


@case("YMX-20", fault="a_reset_by_data_frame_is_ignored", also=("T10", "T11"), address=True)
async def a_reset_counts_on_either_frame_and_its_code_is_no_credit(trial: Trial) -> None:
    """go puts an error code where a window update has its credit."""
    node = await trial.start(subscribed=True)
    for kind, length in ((WINDOW_UPDATE, 0x1001), (DATA, 0)):
        w, stream = await block_stream(trial, node)
        await _check_reset(trial, w, stream, Frame(kind, RST, stream.stream_id, length))


@case("T16", fault="nothing_is_said_before_an_ack", address=True)
async def a_peer_that_never_acknowledges_is_spoken_to(trial: Trial) -> None:
    """rust sends SYN and ACK only with the first bytes it has to say."""
    node = await trial.start()
    w = await trial.upgrade(node)
    w.acknowledges = False
    w.serve(PING_PROTOCOL, handler=echo_pings)  # rust echoes nothing to who refuses it
    with trial.expecting("identify asked and pubsub opened on streams without ACK"):
        await w.serve_identify(PROTOCOLS)
        await w.wait_pubsub(timeout=10)
    stream = w.new_stream()
    await stream.send(encode_line(MULTISTREAM) + encode_line(PING_PROTOCOL), SYN)
    with trial.expecting("header and answer on a stream announced by its first bytes"):
        trial.equal("the first line", await stream.read_line(), MULTISTREAM)
        if await stream.read_line() == PING_PROTOCOL:
            await check_echo(trial, stream)


@case("T30", fault="a_stream_is_opened_for_each_rpc")
async def messages_share_one_stream(trial: Trial) -> None:
    """rust ends a connection at its 513th stream."""
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    await join_mesh(w, node.process, node.topic)
    before = len(w.accepted)
    with trial.expecting("50 messages published by the target"):
        for number in range(50):
            await node.publish(b"%d" % number)
        received = 0
        while received < 50:
            received += len((await w.receive_rpc()).publish)
    trial.check(
        len(w.accepted) - before <= 2, "no stream for each message", f"{len(w.accepted)} streams"
    )
