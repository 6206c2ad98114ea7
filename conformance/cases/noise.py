"""Noise: the handshake, who is proved by it, and the frames behind it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from typing import Any

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.echo import ECHO_SECONDS, NOBODYS, check_serves, open_echo
from gossipsub.conformance.kit.trial import Dial, Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_peer import Frame, play
from gossipsub.conformance.scripted_wire import (
    MAX_PLAINTEXT_BYTES,
    NOISE,
    YAMUX,
    Wire,
    WireClosed,
    WireTimeout,
    deadline,
    key_of_seed,
)
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.ping import PAYLOAD_BYTES
from gossipsub.wire.yamux_frame import DATA, PING, SYN

KEY = key_of_seed(1)
KEY_BYTES = 32
"""Of the ephemeral key, with which message 2 begins."""
OTHER = key_of_seed(2)
FORGED: dict[str, dict[str, Any]] = {
    "a wrong signature": {"signature": bytes(64)},
    "no signature": {"signature": b""},
    "the key of another signer": {"identity": OTHER.public_key.encode()},
    "no key": {"identity": b""},
    "a key of an unknown type": {"identity": b"\x08\x09\x12\x01\x00"},
    "a key that is too short": {"identity": b"\x08\x01\x12\x01\x00"},
}
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "with a bit turned round": lambda frame: frame[:-1] + bytes([frame[-1] ^ 1]),
    "shorter than its tag": lambda frame: b"\x00\x0f" + frame[2:17],
    "sent twice": lambda frame: frame + frame,
}
EXTENSIONS = b"\x0a\x04cert" + b"\x12\x0c" + YAMUX.encode() + b"\x1a\x03new"
"""A certificate hash, yamux as the only muxer, a field 3."""
MORE_FIELDS = b"\x1a\x00" + b"\x22" + bytes([len(EXTENSIONS)]) + EXTENSIONS + b"\x7a\x05later"
"""Field 3, which libp2p has left; extensions; a field 15."""


@case("NOI-01", fault="the_prologue_is_not_empty", address=True)
async def the_handshake_is_noise_xx_and_the_dialler_begins(trial: Trial) -> None:
    """Noise_XX_25519_ChaChaPoly_SHA256 with an empty prologue."""
    node = await trial.start()
    wire = await trial.reach(node)
    with trial.expecting("/noise, and a Noise XX handshake that authenticates"):
        trial.equal("the answer to the proposal", await wire.propose(NOISE), NOISE)
        await wire.shake_hands(KEY, initiator=True)
    await _serves(trial, wire, client=True)


@case("NOI-01b", fault="the_prologue_is_not_empty")
async def the_handshake_of_a_dialler_is_noise_xx_as_well(trial: Trial) -> None:
    node = await trial.start()
    wire, _ = await trial.dialled_wire(node, seed=1)
    with trial.expecting("Noise message 1 of a dialler, and a handshake that authenticates"):
        await wire.choose(NOISE)
        await wire.shake_hands(KEY, initiator=False)
    trial.equal("who dialled", str(_remote(wire)), node.peer_id)


def _remote(wire: Wire) -> object:
    return None if wire.remote_key is None else wire.remote_key.peer_id()


async def _serves(trial: Trial, wire: Wire, *, client: bool) -> None:
    """Yamux on a wire behind its handshake, in which W listed yamux as its only muxer."""
    if YAMUX.encode() not in wire.remote_muxers:
        with trial.expecting("/yamux/1.0.0 agreed on by multistream-select"):
            answer = await (wire.propose(YAMUX) if client else wire.choose(YAMUX))
            trial.equal("the answer", answer, YAMUX)
    async with play(wire, KEY, client=client) as w:
        await check_serves(trial, w, "behind the handshake")


@case("NOI-03", fault="lengths_are_little_endian", address=True)
async def each_noise_message_has_its_length_in_two_bytes_in_front(trial: Trial) -> None:
    """Wherever the bytes are cut on their way."""
    node = await trial.start()
    wire = await trial.reach(node)
    with trial.expecting("/noise"):
        await wire.propose(NOISE)
    await wire.shake_hands(KEY, initiator=True, messages=1)
    with trial.expecting("message 2 with its length in front, 2 bytes big-endian"):
        size = int.from_bytes(await wire.read_exactly(2), "big")
        trial.check(96 <= size <= 4096, "a length of 96 bytes and a payload", size)
        await wire.read_exactly(size)
        trial.equal("bytes behind message 2", wire.take_raw(), b"")
    w = await trial.upgrade(node)
    with trial.expecting("a yamux ping answered that came in pieces of one byte"):
        await w.send_sealed(Frame(PING, SYN, 0, 7).encode(), cut=1)
        await w.until(lambda: 7 in w.pongs, "pong", 5)


@case("NOI-04", fault="message_1_has_a_payload")
async def message_1_is_a_key_alone_and_a_payload_in_it_never_counts(trial: Trial) -> None:
    """Such a payload may be refused or ignored."""
    node = await trial.start()
    wire, _ = await trial.dialled_wire(node, seed=1)
    with trial.expecting("0020 and 32 bytes, and no more before message 2"):
        await wire.choose(NOISE)
        trial.equal("length of message 1", (await wire.read_exactly(2)).hex(), "0020")
        await wire.read_exactly(32)
    with suppress(WireTimeout):
        await wire.wait_closed(timeout=node.heartbeat)
    trial.equal("what came behind message 1", wire.take_raw(), b"")
    wire = await trial.reach(node)
    with trial.expecting("a handshake refused at once, or completed, after a payload in message 1"):
        await wire.propose(NOISE)
        try:
            await wire.shake_hands(KEY, initiator=True, first_payload=b"early")
        except WireClosed:
            trial.observe("refuses a payload in message 1")
            return
        trial.observe("ignores a payload in message 1")
        await _serves(trial, wire, client=True)


@case("NOI-05", fault="unknown_payload_fields_are_refused", address=True)
async def payloads_are_protobuf_with_room_for_more_fields(trial: Trial) -> None:
    node = await trial.start()
    wire = await trial.reach(node)
    with trial.expecting("a payload with the target's public key as field 1"):
        await wire.propose(NOISE)
        await wire.shake_hands(KEY, initiator=True, muxers=(), more_payload=MORE_FIELDS)
    trial.equal("peer id of that key", str(_remote(wire)), node.peer_id)
    await _serves(trial, wire, client=True)


@case("NOI-06", fault="the_signed_key_has_no_prefix", also=("T24",), address=True)
async def the_identity_key_signs_the_static_key_behind_a_prefix(trial: Trial) -> None:
    """`noise-libp2p-static-key:` and the 32 bytes of the X25519 key."""
    node = await trial.start()
    wire = await trial.reach(node)
    with trial.expecting("message 2 with such a signature of the target, and message 3 taken"):
        await wire.propose(NOISE)
        await wire.shake_hands(KEY, initiator=True)
    await _serves(trial, wire, client=True)


@case("NOI-07", fault="signatures_are_not_verified", address=True)
async def an_identity_that_is_not_proved_ends_the_connection_at_once(trial: Trial) -> None:
    node = await trial.start()
    for what, forged in FORGED.items():
        wire = await trial.reach(node)
        with trial.expecting("a handshake up to message 3"):
            await wire.propose(NOISE)
            await wire.shake_hands(KEY, initiator=True, **forged)
        with trial.expecting(f"a connection ended whose dialler sent {what}"):
            rest = await wire.wait_closed()
        trial.equal(f"what came after {what}", rest, b"")


@case("NOI-07b", fault="signatures_are_not_verified")
async def a_listener_that_is_not_proved_is_left_at_once(trial: Trial) -> None:
    node = await trial.start()
    dials: dict[str, Dial] = {}
    early = False
    for seed, (what, forged) in enumerate(FORGED.items(), 10):  # nobody is dialled twice
        wire, dials[what] = await trial.dialled_wire(node, seed=seed)
        with trial.expecting("a handshake up to message 2"):
            await wire.choose(NOISE)
            await wire.shake_hands(key_of_seed(seed), initiator=False, messages=2, **forged)
        with trial.expecting(f"a connection ended whose listener sent {what}"):
            rest = await wire.wait_closed()
        size = 2 + int.from_bytes(rest[:2], "big") if rest else 0
        trial.equal(f"bytes that came after {what}, besides message 3", len(rest) - size, 0)
        early = early or bool(rest)
    when = "after" if early else "before"
    trial.observe(f"refuses such a listener {when} it has shown its identity in message 3")
    for what, dial in dials.items():
        await _fails(trial, dial, f"to a listener that sent {what}")


async def _fails(trial: Trial, dial: Dial, what: str) -> None:
    with trial.expecting(f"a failed dial {what}"), deadline(15, "end of the dial"):
        await dial.ended.wait()
    trial.check(dial.error, f"an error from connect, for a dial {what}", "none")


@case("NOI-08", fault="any_peer_will_do")
async def a_dial_reaches_the_peer_it_names_or_fails(trial: Trial) -> None:
    """Whether the dialler has shown its identity by then is left open."""
    node = await trial.start()
    named = str(OTHER.peer_id())
    wire, dial = await trial.dialled_wire(node, seed=1, peer_id=named)
    with trial.expecting("a connection ended whose listener is another than the address named"):
        await wire.choose(NOISE)
        await wire.shake_hands(KEY, initiator=False, messages=2)
        rest = await wire.wait_closed()
    trial.observe(
        "shows its identity before it refuses" if rest else "refuses before it shows its identity"
    )
    await _fails(trial, dial, "to an address that names another peer")
    w = await trial.upgrade(node, seed=1)
    await check_serves(trial, w, "an inbound connection of the same peer")


@case("NOI-09", fault="the_prologue_is_not_empty", address=True)
async def another_prologue_of_the_dialler_fails_the_handshake(trial: Trial) -> None:
    node = await trial.start()
    wire = await trial.reach(node)
    with trial.expecting("/noise"):
        await wire.propose(NOISE)
    try:
        await wire.shake_hands(KEY, initiator=True, prologue=b"x")
    except RemoteProtocolError:
        await wire.send_raw(b"\x00\x80" + bytes(128))
    else:
        trial.check(False, "a message 2 that does not fit another prologue", "one that does")
    with trial.expecting("a connection ended after a message 3 that does not authenticate"):
        trial.equal("what came behind it", await wire.wait_closed(), b"")


@case("NOI-09b", fault="the_prologue_is_not_empty")
async def another_prologue_of_the_listener_fails_the_handshake(trial: Trial) -> None:
    node = await trial.start()
    wire, dial = await trial.dialled_wire(node, seed=1)
    with trial.expecting("Noise message 1"):
        await wire.choose(NOISE)
        await wire.shake_hands(KEY, initiator=False, prologue=b"x", messages=2)
    with trial.expecting("a connection ended after a message 2 with another prologue"):
        trial.equal("what came behind it", await wire.wait_closed(), b"")
    await _fails(trial, dial, "to a listener with another prologue")


@case("NOI-10", fault="large_noise_frames_are_refused", address=True)
async def noise_frames_of_any_size_are_one_stream_of_bytes(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    stream = await open_echo(trial, w)
    sent = trial.rng.randbytes(PAYLOAD_BYTES * 4)
    framed = b"".join(
        Frame(
            DATA, 0, stream.stream_id, PAYLOAD_BYTES, sent[start : start + PAYLOAD_BYTES]
        ).encode()
        for start in range(0, len(sent), PAYLOAD_BYTES)
    )
    cuts = [0, *sorted(trial.rng.sample(range(1, len(framed)), 20)), len(framed)]
    pieces = [framed[start:stop] for start, stop in pairwise(cuts)]
    await w.send_sealed(*pieces)
    with trial.expecting("pings echoed whose yamux frames came in odd pieces"):
        trial.equal("the echo", await stream.read_exactly(len(sent)), sent)
    sent = trial.rng.randbytes(PAYLOAD_BYTES * 2100)
    framed = Frame(DATA, 0, stream.stream_id, len(sent), sent).encode()
    starts = range(0, len(framed), MAX_PLAINTEXT_BYTES)
    await w.send_sealed(*(framed[start : start + MAX_PLAINTEXT_BYTES] for start in starts))
    with trial.expecting(
        "67200 bytes echoed that came in a Noise frame of 65535 bytes and another"
    ):
        trial.equal("the echo", await stream.read_exactly(len(sent), timeout=ECHO_SECONDS), sent)


@case("NOI-11", fault="frames_that_do_not_authenticate_are_skipped", address=True)
async def a_frame_that_does_not_authenticate_ends_the_connection(trial: Trial) -> None:
    node = await trial.start()
    for what, damage in DAMAGES.items():
        w = await trial.upgrade(node)
        await w.send_sealed(Frame(PING, SYN, 0, 1).encode(), damage=damage)
        with suppress(WireClosed):
            await w.send_sealed(Frame(PING, SYN, 0, 2).encode())
        with trial.expecting(f"a connection ended on which a frame came {what}"):
            await w.wait_ended()
        trial.check(2 not in w.pongs, f"nothing after a frame {what}", "an answer to a later ping")


@case("NOI-13", fault="lists_of_muxers_are_not_read", address=True)
async def the_muxer_is_the_first_of_the_initiator_that_both_list(trial: Trial) -> None:
    """Early negotiation is optional: where the target lists none, see NOI-13b."""
    node = await trial.start()
    wire = await trial.reach(node)
    with trial.expecting("a Noise handshake"):
        await wire.propose(NOISE)
        await wire.shake_hands(KEY, initiator=True, muxers=(NOBODYS, YAMUX))
    if not wire.remote_muxers:
        raise CannotTry("the target lists no muxers in the handshake")
    trial.check(YAMUX.encode() in wire.remote_muxers, "yamux among its muxers", wire.remote_muxers)
    await _serves(trial, wire, client=True)
    wire = await trial.reach(node)
    with trial.expecting("no muxer agreed on where the lists have nothing in common"):
        await wire.propose(NOISE)
        await wire.shake_hands(KEY, initiator=True, muxers=(NOBODYS,))
        try:
            trial.equal("the answer to such a proposal", await wire.propose(NOBODYS), "na")
            trial.observe("goes on by multistream-select where no muxer is in both lists")
        except WireClosed:
            trial.observe("ends the connection where no muxer is in both lists")


@case("NOI-13b", fault="yamux_is_taken_for_granted", address=True)
async def without_a_list_the_muxer_is_agreed_on_by_multistream(trial: Trial) -> None:
    node = await trial.start()
    with trial.expecting("/yamux/1.0.0 agreed on by multistream-select inside Noise"):
        w = await trial.upgrade(node, muxers=())
    await check_serves(trial, w, "with a muxer agreed on by multistream-select")


@case("NOI-14", fault="ephemeral_keys_are_used_again", address=True)
async def each_handshake_has_an_ephemeral_key_of_its_own(trial: Trial) -> None:
    node = await trial.start()
    keys = set[bytes]()
    for _ in range(3):
        wire = await trial.reach(node)
        with trial.expecting("a handshake up to message 2"):
            await wire.propose(NOISE)
            await wire.shake_hands(KEY, initiator=True, messages=1)
            size = int.from_bytes(await wire.read_exactly(2), "big")
            keys.add((await wire.read_exactly(size))[:KEY_BYTES])
    trial.equal("ephemeral keys in three handshakes", len(keys), 3)


@case("NOI-15", fault="a_listener_speaks_before_message_3", address=True)
async def nothing_is_said_before_the_handshake_is_complete(trial: Trial) -> None:
    node = await trial.start()
    wire = await trial.reach(node)
    with trial.expecting("a handshake up to message 2"):
        await wire.propose(NOISE)
        await wire.shake_hands(KEY, initiator=True, messages=2)
    with suppress(WireTimeout):
        await wire.wait_closed(timeout=1.5 * node.heartbeat)
    trial.equal("what came between message 2 and message 3", wire.take_raw(), b"")
