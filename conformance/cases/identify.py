"""Identify and identify push (libp2p identify specification)."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.relay import open_relay
from gossipsub.conformance.kit.trial import PROTOCOLS, Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_peer import IDENTIFY, PUSH, ScriptedPeer
from gossipsub.conformance.scripted_stream import ScriptedStream
from gossipsub.conformance.scripted_wire import (
    PATIENCE,
    WireClosed,
    WireTimeout,
    host_and_port,
    key_of_seed,
)
from gossipsub.crypto.envelope import SignedEnvelope
from gossipsub.crypto.keys import PublicKey
from gossipsub.crypto.peer_record import DOMAIN, PAYLOAD_TYPE, PeerRecord
from gossipsub.wire.framing import encode_frame
from gossipsub.wire.identify import Identify, encode_identify
from gossipsub.wire.protobuf import encode_bytes_field

ODD_ADDRESSES = (
    b"",
    b"\x04",
    b"\x04\x7f",
    b"\x04\x7f\x00\x00\x01\x06\x0f",
    b"\xff" * 20,
    b"\x36\x05a/b/c\x06\x00\x01",
    b"\x04\x7f\x00\x00\x01\x06\x0f\xa1\xa5\x03\x02\x00\x00",
)
"""Nothing, pieces of addresses, an unknown protocol, a name with slashes, a broken peer id."""
GOOD_ADDRESS = b"\x04\x7f\x00\x00\x01\x06\x0f\xa1"


async def wait_asked(w: ScriptedPeer, *, timeout: float = PATIENCE) -> ScriptedStream:
    """The stream on which the target asks W who it is."""
    asked: list[ScriptedStream] = []

    def has_asked() -> bool:
        asked[:] = [each for each in w.accepted if each.protocol == IDENTIFY]
        return bool(asked)

    await w.until(has_asked, "identify stream", timeout)
    return asked[0]


async def opens_pubsub(trial: Trial, w: ScriptedPeer, what: str) -> None:
    """The target has taken W for one that speaks pubsub."""
    w.serve(*PROTOCOLS, handler=w.read_pubsub)
    with trial.expecting(what):
        await w.wait_pubsub()


@case("IDY-01", fault="identify_answer_is_left_open", also=("T2",), address=True)
async def identify_is_answered_with_one_whole_message_and_fin(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    with trial.expecting("an identify message, then FIN"):
        said = await w.ask_identify()
    trial.check(said.public_key is not None, "the public key (field 1)", "none")
    key = PublicKey.decode(said.public_key or b"")
    trial.equal("the key's peer", key.peer_id(), w.remote_peer)
    trial.check(IDENTIFY in said.protocols, f"{IDENTIFY} among the protocols", said.protocols)
    trial.observe(f"agent version {'' if said.agent_version else 'not '}told")
    trial.observe(f"signed record {'' if said.signed_peer_record else 'not '}told")


@case("IDY-02", fault="who_dialled_is_not_asked", address=True)
async def a_peer_that_dialled_is_asked_who_it_is(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    await w.serve_identify()
    with trial.expecting("a stream that asks identify"):
        await wait_asked(w)


@case("IDY-02b", fault="who_was_dialled_is_not_asked")
async def a_peer_that_was_dialled_is_asked_who_it_is(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.dialled_peer(node)
    with trial.expecting("a stream that asks identify"):
        await wait_asked(w)


@case("IDY-02c", fault="identify_lists_no_pubsub", also=("T1",), address=True)
async def identify_lists_the_pubsub_protocols_that_are_spoken(trial: Trial) -> None:
    """go opens pubsub streams only to peers whose identify lists one of its protocols."""
    node = await trial.start()
    w = await trial.upgrade(node)
    with trial.expecting("an identify message, then FIN"):
        said = await w.ask_identify()
    listed = [name for name in PROTOCOLS if name in said.protocols]
    trial.check(listed, "a pubsub protocol among those listed", said.protocols)
    for name in listed:
        with trial.expecting(f"a stream of {name}, which is listed"):
            await w.open_stream(name)


@case("IDY-03", fault="only_the_first_part_of_identify_counts", address=True)
async def an_answer_in_several_messages_is_put_together(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    whole = w.describe(PROTOCOLS)
    first = Identify(public_key=whole.public_key, agent_version=whole.agent_version)
    rest = Identify(protocols=whole.protocols, protocol_version=whole.protocol_version)
    await answer(w, encode_identify(first) + encode_identify(rest))
    await opens_pubsub(trial, w, "a pubsub stream: the protocols came in the second message")


async def answer(w: ScriptedPeer, encoded: bytes) -> None:
    """What W says to identify, whatever it is."""

    async def tell(stream: ScriptedStream) -> None:
        await stream.write(encoded)
        await stream.finish()

    w.serve(IDENTIFY, handler=tell)


@case("IDY-04", fault="identify_takes_messages_of_any_size", also=("T29",), address=True)
async def an_answer_of_a_mebibyte_is_refused(trial: Trial) -> None:
    """By a reset, or by never granting the credit for it."""
    node = await trial.start()
    w = await trial.upgrade(node)
    w.serve(IDENTIFY)
    with trial.expecting("a stream that asks identify"):
        stream = await wait_asked(w)
    huge = encode_bytes_field(6, bytes(1 << 20))
    try:
        await stream.write(encode_frame(huge), timeout=4)
        await stream.wait_reset(timeout=1)
    except WireClosed:
        trial.observe("refuses by a reset")
    except WireTimeout as error:
        taken = not str(error).startswith("no credit")
        trial.check(not taken, "a reset, or no more credit", "all of it taken")
        trial.observe("refuses by granting no credit")
    await still_lives(trial, w)


async def still_lives(trial: Trial, w: ScriptedPeer) -> None:
    with trial.expecting("a connection that still answers"):
        await w.ping(7)


@case("IDY-04b", fault="identify_takes_4_kib_only", address=True)
async def an_answer_of_8000_bytes_is_taken(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    others = [encode_bytes_field(3, b"/other/%04d" % number) for number in range(550)]
    mine = encode_identify(w.describe(PROTOCOLS))[2:]
    body = b"".join(others) + mine
    trial.check(len(body) < 8192, "a message below 8 KiB", len(body))
    await answer(w, encode_frame(body))
    await opens_pubsub(trial, w, "a pubsub stream: the protocols stand at the end of the message")


@case("IDY-05", fault="a_public_key_in_identify_is_believed")
async def a_public_key_of_somebody_else_is_not_adopted(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    other = key_of_seed(9999)
    said = w.describe(PROTOCOLS)
    said.public_key = other.public_key.encode()
    await answer(w, encode_identify(said))
    with trial.expecting("a stream that asks identify"):
        stream = await wait_asked(w)
        await w.until(lambda: stream.ended or stream.is_over, "end of that stream", 5)
    trial.observe(f"such an answer is {'refused' if stream.reset_code is not None else 'taken'}")
    peers = (await node.command("peers"))["peers"]
    names = [each["peer"] for each in peers]
    trial.check(str(other.peer_id()) not in names, f"{w.peer_id} or nobody", names)


@case("IDY-06", fault="identify_without_a_key_is_refused", address=True)
async def an_answer_without_a_public_key_is_taken(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    await answer(w, encode_identify(Identify(protocols=[IDENTIFY, PUSH, *PROTOCOLS])))
    await opens_pubsub(trial, w, "a pubsub stream: identify lists its protocols")


@case("IDY-07", fault="a_broken_address_spoils_identify", address=True)
async def broken_addresses_do_not_spoil_the_rest_of_an_answer(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    said = w.describe(PROTOCOLS)
    said.listen_addresses = [*ODD_ADDRESSES, GOOD_ADDRESS]
    await answer(w, encode_identify(said))
    await opens_pubsub(trial, w, "a pubsub stream: identify lists its protocols")


@case("IDY-08", fault="a_push_replaces_all_that_was_known", also=("T25",), address=True)
async def a_push_without_protocols_leaves_those_that_are_known(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    with trial.expecting("a stream for identify push"):
        await relay.reader.push_identify(Identify(agent_version="another"))
    await trial.heartbeats(0.5, node)
    await relay.forwards(relay.message(), "messages as before the push")


@case("IDY-10", fault="the_observed_address_is_ones_own", address=True)
async def the_observed_address_is_the_peers_end_of_the_connection(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    with trial.expecting("an identify message, then FIN"):
        said = await w.ask_identify()
    host, _ = host_and_port(node.address)
    if host != "127.0.0.1":
        raise CannotTry("the address from which W dials is known on this machine only")
    expected = b"\x04\x7f\x00\x00\x01\x06" + w.wire.local_port.to_bytes(2)
    seen = said.observed_address
    trial.check(
        seen is not None and seen.startswith(expected),
        f"/ip4/127.0.0.1/tcp/{w.wire.local_port}, {expected.hex()}",
        "none" if seen is None else seen.hex(),
    )


@case("IDY-11", fault="who_does_not_identify_itself_is_hung_up_on", address=True, time_limit=90.0)
async def a_peer_that_never_answers_identify_may_still_speak_pubsub(trial: Trial) -> None:
    """Its own pubsub stream is heard. When the question is given up, the connection stays. How
    long that may take is left open: 5 s in go, a minute in rust."""
    node = await trial.start(subscribed=True)
    w = await trial.upgrade(node)
    w.serve(IDENTIFY)
    w.serve(*PROTOCOLS, handler=w.read_pubsub)
    with trial.expecting("a stream that asks identify"):
        stream = await wait_asked(w)
    with trial.expecting("a pubsub stream from W, accepted"):
        await w.open_pubsub(*PROTOCOLS)
    relay = await open_relay(trial, node, author=w)
    with trial.expecting("the question given up by a reset within 70 s"):
        await stream.wait_reset(timeout=70)
    await relay.forwards(relay.message(), "W's messages forwarded as before")


@case("ENV-05", fault="records_are_sealed_for_the_domain_of_the_rfc", also=("T26",), address=True)
async def the_signed_record_in_identify_is_sealed_as_everybody_does(trial: Trial) -> None:
    """Domain `libp2p-peer-record`, type 03 01, as go, js and nim; the RFC's text and rust's
    legacy form are another. Telling a record is optional."""
    envelope = await _signed_record(trial, await trial.start())
    with trial.expecting("an envelope signed for that domain and of that type"):
        SignedEnvelope.open(envelope, domain=DOMAIN, payload_type=PAYLOAD_TYPE)


@case("ENV-07", fault="records_name_another_peer", address=True)
async def the_signed_record_in_identify_is_about_its_signer(trial: Trial) -> None:
    node = await trial.start()
    envelope = SignedEnvelope.decode(await _signed_record(trial, node))
    record = PeerRecord.decode(envelope.payload)
    trial.equal("the signer", str(envelope.public_key.peer_id()), node.peer_id)
    trial.equal("the record's peer", str(record.peer_id), node.peer_id)


async def _signed_record(trial: Trial, node: Node) -> bytes:
    w = await trial.upgrade(node)
    with trial.expecting("an identify message, then FIN"):
        said = await w.ask_identify()
    if said.signed_peer_record is None:
        raise CannotTry("identify has no signed record")
    return said.signed_peer_record
