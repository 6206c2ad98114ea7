"""multistream-select on connections and streams: lines, orders, refusals, limits."""

from __future__ import annotations

from collections.abc import Sequence

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.echo import NOBODYS, check_echo, check_serves
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_peer import IDENTIFY, Frame, ScriptedPeer
from gossipsub.conformance.scripted_stream import ScriptedStream
from gossipsub.conformance.scripted_wire import (
    MULTISTREAM,
    NOISE,
    Wire,
    WireClosed,
    WireTimeout,
    deadline,
    encode_line,
    key_of_seed,
)
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.ping import PAYLOAD_BYTES
from gossipsub.wire.ping import PROTOCOL as PING
from gossipsub.wire.varint import encode_uvarint
from gossipsub.wire.yamux_frame import DATA, FIN, SYN

KEY = key_of_seed(1)
HEADER = bytes.fromhex("132f6d756c746973747265616d2f312e302e300a")
NOT_AVAILABLE = bytes.fromhex("036e610a")
PING_OPENING = HEADER + encode_line(PING)
MALFORMED = {
    "a line without newline": b"\x07/noise/",
    "a line of no bytes": b"\x00",
    "a line of 16 MiB": encode_uvarint(16 << 20) + bytes(100),
    "a line of 2^63 bytes": encode_uvarint(1 << 63),
    "a length of 11 bytes": b"\xff" * 11,
}
LONGEST = "/" + "x" * 1022
"""With its newline 1024 bytes, which everybody must take."""
STREAMS = 320
"""So many of one protocol are opened before a target counts as one without a limit."""
BATCH = 64


@case("MSS-01", fault="a_line_is_counted_without_its_newline", address=True)
async def a_message_is_its_length_the_text_and_a_newline(trial: Trial) -> None:
    node = await trial.start()
    wire = await trial.reach(node)
    await wire.write(HEADER)
    with trial.expecting("20 bytes on a new connection: 13 2f6d…0a, /multistream/1.0.0"):
        trial.equal("the first 20", (await wire.read_exactly(20)).hex(), HEADER.hex())
    w = await trial.upgrade(node)
    stream = await w.start_stream()
    await stream.write(HEADER)
    with trial.expecting("20 bytes on a new stream: 13 2f6d…0a, /multistream/1.0.0"):
        trial.equal("the first 20", (await stream.read_exactly(20)).hex(), HEADER.hex())


@case("MSS-02", fault="the_header_waits_for_a_proposal", address=True)
async def a_listener_takes_header_and_proposal_together_or_one_by_one(trial: Trial) -> None:
    node = await trial.start()
    together = await trial.reach(node)
    with trial.expecting("the header and an echo, after header and proposal in one write"):
        trial.equal("the answer", await together.propose(NOISE), NOISE)
    one_by_one = await trial.reach(node)
    await one_by_one.write_lines(MULTISTREAM)
    with trial.expecting("the header of a listener that has the dialler's, before any proposal"):
        trial.equal("its first line", await one_by_one.read_line(), MULTISTREAM)
        await one_by_one.write_lines(NOISE)
        trial.equal("the answer to the proposal", await one_by_one.read_line(), NOISE)
    silent = await trial.reach(node)
    try:
        await silent.read_line(timeout=2 * node.heartbeat)
        trial.observe("a listener sends its header unasked")
    except WireTimeout:
        trial.observe("a listener sends its header after the dialler's")


@case("MSS-02b", fault="a_dialler_waits_for_the_header")
async def a_dialler_sends_its_header_before_or_after_the_listeners(trial: Trial) -> None:
    node = await trial.start()
    wire, _ = await trial.dialled_wire(node, seed=2)
    with trial.expecting("the header of a dialler that has heard nothing yet"):
        trial.equal("its first line", await wire.read_line(), MULTISTREAM)
    await wire.write_lines(MULTISTREAM)
    with trial.expecting("a proposal of /noise, and a Noise handshake"):
        while (name := await wire.read_line()) != NOISE:
            trial.check(name.startswith("/"), "a proposal", name)
            await wire.write_lines("na")
        await wire.write_lines(NOISE)
        await wire.shake_hands(key_of_seed(2), initiator=False)
    wire, _ = await trial.dialled_wire(node, seed=3)
    with trial.expecting("the same where the listener's header was there first"):
        await wire.choose(NOISE)
        await wire.shake_hands(key_of_seed(3), initiator=False)


@case("MSS-03", fault="a_refusal_ends_the_negotiation", address=True)
async def an_unknown_proposal_is_answered_na_and_the_next_is_awaited(trial: Trial) -> None:
    node = await trial.start()
    wire = await trial.reach(node)
    for number in range(3):
        await wire.write((b"" if number else HEADER) + encode_line(f"{NOBODYS}{number}"))
        with trial.expecting("03 6e610a in answer to a proposal nobody speaks"):
            if not number:
                trial.equal("the header", await wire.read_exactly(20), HEADER)
            trial.equal("the answer", await wire.read_exactly(4), NOT_AVAILABLE)
    await wire.write(encode_line(NOISE))
    echo = encode_line(NOISE)
    with trial.expecting("an exact echo of the proposal of /noise after others were refused"):
        trial.equal("the answer", await wire.read_exactly(len(echo)), echo)
    with trial.expecting("a Noise handshake after others were refused"):
        await wire.shake_hands(KEY, initiator=True)


@case("MSS-03b", fault="a_refusal_ends_the_negotiation", also=("T17",), address=True)
async def tls_is_refused_and_noise_taken_on_the_same_connection(trial: Trial) -> None:
    """go proposes /tls/1.0.0 first."""
    node = await trial.start()
    wire = await trial.reach(node)
    with trial.expecting("an answer to the proposal of /tls/1.0.0"):
        answer = await wire.propose("/tls/1.0.0")
    if answer == "/tls/1.0.0":
        raise CannotTry("the target speaks TLS")
    trial.equal("the answer", answer, "na")
    with trial.expecting("/noise taken after /tls/1.0.0 was refused"):
        trial.equal("the answer", await wire.propose(NOISE), NOISE)
        await wire.shake_hands(KEY, initiator=True)


@case("MSS-04", fault="a_dialler_takes_any_answer")
async def a_dialler_fails_after_the_last_na_and_at_any_other_answer(trial: Trial) -> None:
    node = await trial.start()
    wire, first = await trial.dialled_wire(node)
    await wire.write_lines(MULTISTREAM)
    with trial.expecting("an end after the last proposal is refused"):
        trial.equal("its first line", await wire.read_line(timeout=10), MULTISTREAM)
        proposed = await _refuse_all(trial, wire)
    trial.check(NOISE in proposed, "/noise among what a dialler proposes", proposed)
    trial.equal("proposals, each once", len(proposed), len(set(proposed)))
    wire, second = await trial.dialled_wire(node)
    with trial.expecting("a connection ended after an answer that is neither echo nor na"):
        await wire.write_lines(MULTISTREAM, NOBODYS)
        await wire.wait_closed()
    for dial, why in ((first, "nothing was agreed on"), (second, "the answer was no answer")):
        with trial.expecting(f"a dial that fails where {why}"), deadline(15, "end of the dial"):
            await dial.ended.wait()
        trial.check(dial.error, f"an error from connect where {why}", "none")


async def _refuse_all(trial: Trial, wire: Wire) -> list[str]:
    """What is proposed until the other side gives up."""
    proposed: list[str] = []
    try:
        while len(proposed) < 20:
            proposed.append(await wire.read_line(timeout=10))
            await wire.write_lines("na")
    except WireClosed:
        pass
    except RemoteProtocolError:  # no line: what a lazy dialler sent before it had an answer
        trial.observe("sends data together with its last proposal")
        await wire.wait_closed()
    return proposed


@case("MSS-05", fault="any_header_will_do", address=True)
async def another_first_line_than_the_header_ends_the_connection(trial: Trial) -> None:
    node = await trial.start()
    wire = await trial.reach(node)
    await wire.write_lines("/multistream/2.0.0", NOISE)
    with trial.expecting("a connection ended that began with /multistream/2.0.0"):
        said = await wire.wait_closed()
    trial.check(encode_line(NOISE) not in said, "no agreement after another header", repr(said))


@case("MSS-06", fault="lines_are_not_checked", also=("T29",), address=True)
async def malformed_lines_end_the_connection_and_1024_bytes_are_none(trial: Trial) -> None:
    node = await trial.start()
    for what, line in MALFORMED.items():
        wire = await trial.reach(node)
        await wire.write(HEADER + line)
        with trial.expecting(f"a connection ended on which came {what}"):
            await wire.wait_closed()
    wire = await trial.reach(node)
    with trial.expecting("na in answer to a proposal of 1024 bytes with its newline"):
        trial.equal("the answer", await wire.propose(LONGEST), "na")


@case("MSS-06b", fault="a_failed_negotiation_ends_the_connection", also=("T29",), address=True)
async def malformed_lines_on_a_stream_end_that_stream_alone(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    for what, line in MALFORMED.items():
        stream = await w.start_stream()
        await stream.write(HEADER + line)
        with trial.expecting(f"a stream reset on which came {what}, and its connection alive"):
            await _over(w, stream)
        await check_serves(trial, w, f"after a stream with {what}")
    stream = await w.start_stream()
    with trial.expecting("na in answer to a proposal of 1024 bytes with its newline"):
        trial.equal("the answer", await stream.propose(LONGEST), "na")


async def _over(w: ScriptedPeer, stream: ScriptedStream) -> None:
    await w.until(lambda: stream.reset_code is not None or stream.ended, "end of the stream", 5)


@case("MSS-07", fault="what_follows_the_agreement_is_lost", address=True)
async def data_sent_with_the_proposal_reaches_the_protocol(trial: Trial) -> None:
    """go opens streams this way all the time."""
    node = await trial.start()
    w = await trial.upgrade(node)
    stream = w.new_stream()
    payload = trial.rng.randbytes(PAYLOAD_BYTES)
    await stream.send(PING_OPENING + payload, SYN)
    await _read_agreement(trial, stream)
    with trial.expecting("the echo of a ping sent together with header and proposal"):
        trial.equal("the echo", await stream.read_exactly(PAYLOAD_BYTES), payload)


async def _read_agreement(trial: Trial, stream: ScriptedStream) -> None:
    with trial.expecting("header and echo of the proposal of ping"):
        trial.equal("the first line", await stream.read_line(), MULTISTREAM)
        answer = await stream.read_line()
    if answer == "na":
        raise CannotTry("the target does not speak ping, which serves as an echo here")
    trial.equal("the answer", answer, PING)


@case("MSS-08", fault="ls_ends_the_negotiation", address=True)
async def ls_is_refused_or_answered_and_never_a_failure(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    stream = await w.start_stream()
    await stream.write(HEADER + encode_line("ls"))
    with trial.expecting("an answer to ls: na or a list"):
        trial.equal("the first line", await stream.read_line(), MULTISTREAM)
        answer = await stream.read_prefixed()
    trial.observe("answers ls with na" if answer == b"na\n" else "answers ls with a list")
    await stream.write(encode_line(IDENTIFY))
    with trial.expecting("a stream on which identify is still agreed on after ls"):
        while answer != IDENTIFY.encode() + b"\n":  # some send a list in several messages
            answer = await stream.read_prefixed()


@case("MSS-09", fault="a_failed_negotiation_ends_the_connection", address=True)
async def where_nothing_is_agreed_on_the_stream_ends_and_not_the_connection(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    stream = await w.start_stream()
    with trial.expecting("na in answer to each unknown protocol on a stream"):
        for number in range(3):
            trial.equal("the answer", await stream.propose(f"{NOBODYS}{number}"), "na")
    await stream.finish()
    with trial.expecting("a stream reset after its opener gave up, and its connection alive"):
        await _over(w, stream)
    trial.observe("resets the stream" if stream.reset_code is not None else "closes the stream")
    await check_serves(trial, w, "after a stream on which nothing was agreed")


@case("MSS-11", fault="too_many_streams_end_the_connection", address=True)
async def streams_above_a_limit_are_reset_and_those_below_go_on(trial: Trial) -> None:
    """The limit itself is the implementation's."""
    node = await trial.start()
    w = await trial.upgrade(node)
    await check_serves(trial, w, "a new connection")
    streams: list[ScriptedStream] = []
    while not any(stream.reset_code is not None for stream in streams):
        if len(streams) >= STREAMS:
            raise CannotTry(f"the target has no limit below {STREAMS} streams of one protocol")
        batch = [w.new_stream() for _ in range(BATCH)]
        streams += batch
        await w.send_frames(*(_opening(stream) for stream in batch))
        with trial.expecting("each stream accepted or reset, and the connection alive"):
            await _answered(w, batch)
    kept = [stream for stream in streams if stream.reset_code is None]
    trial.check(kept, "some streams below the limit", "every stream reset")
    trial.observe(f"keeps {len(kept)} streams of ping by one peer")
    await _read_agreement(trial, kept[0])
    await check_echo(trial, kept[0])
    await check_serves(trial, w, "beside streams above a limit")


def _opening(stream: ScriptedStream) -> Frame:
    return Frame(DATA, SYN, stream.stream_id, len(PING_OPENING), PING_OPENING)


async def _answered(w: ScriptedPeer, streams: Sequence[ScriptedStream]) -> None:
    def are_answered() -> bool:
        return all(
            stream.reset_code is not None or stream.received_bytes >= len(PING_OPENING)
            for stream in streams
        )

    await w.until(are_answered, "answer on each stream", 15)


@case("MSS-12", fault="a_half_closed_stream_is_dropped", also=("T10",), address=True)
async def a_peer_that_speaks_and_closes_at_once_is_still_served(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    stream = w.new_stream()
    payload = trial.rng.randbytes(PAYLOAD_BYTES)
    await stream.send(PING_OPENING + payload, SYN | FIN)
    await _read_agreement(trial, stream)
    with trial.expecting("the echo of a ping whose sender has closed its side"):
        trial.equal("the echo", await stream.read_exactly(PAYLOAD_BYTES), payload)
    asking = w.new_stream()
    await asking.send(HEADER + encode_line(IDENTIFY), SYN | FIN)
    with trial.expecting("identify told to a peer that has closed its side"):
        trial.equal("the first line", await asking.read_line(), MULTISTREAM)
        trial.equal("the answer", await asking.read_line(), IDENTIFY)
        await asking.read_prefixed()
