"""RPCs on a stream: their lengths, their limits, and what an RPC may hold (WIRE)."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.relay import Relay, next_number, open_relay
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_gossip import received
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.conformance.scripted_stream import ScriptedStream
from gossipsub.crypto.message_signing import sign_message
from gossipsub.wire.framing import encode_frame
from gossipsub.wire.message_codec import encode_message
from gossipsub.wire.protobuf import encode_bytes_field, encode_varint_field
from gossipsub.wire.rpc import Message, Rpc
from gossipsub.wire.rpc_codec import encode_rpc

EXTRA = encode_bytes_field(99, b"unknown")
PIECE_BYTES = 16_384
NOT_AN_RPC = b"\x02\xff\xff"
MAX_BYTES = 4096


def framed(*messages: Message) -> bytes:
    """One RPC with these, behind its length."""
    return encode_frame(encode_rpc(Rpc(publish=messages)))


def out_of(w: ScriptedPeer) -> ScriptedStream:
    """W's own pubsub stream."""
    assert w.pubsub_out is not None
    return w.pubsub_out


@case("WIRE-02", fault="empty_entries_end_the_stream", address=True)
async def small_rpcs_of_empty_entries_are_read(trial: Trial) -> None:
    """An IHAVE, a GRAFT and a PRUNE without fields, a message with a topic alone."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    for rpc in ("1a020a00", "1a021a00", "1a022200", "12082206666f6f626172"):
        await out_of(relay.author).write_frame(bytes.fromhex(rpc))
    await relay.forwards(relay.message(), "the same stream heard afterwards")
    trial.equal("reset of the stream", out_of(relay.author).reset_code, None)


@case("WIRE-03", fault="a_message_without_topic_ends_the_connection", address=True)
async def a_message_without_topic_is_dropped(trial: Trial) -> None:
    """nim drops the whole RPC, go takes the topic for an empty one: either is allowed, and so is
    an end of that stream."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    await out_of(relay.author).write_frame(bytes.fromhex("1200"))
    with trial.expecting("the connection still there"):
        await relay.author.ping(3)
    await trial.heartbeats(0.5, node)
    if out_of(relay.author).reset_code is not None:
        trial.observe("such an RPC ends its stream")
        await relay.author.open_pubsub()
    await relay.forwards(relay.message(), "the next message forwarded")
    topics = {each.topic for rpc in received(relay.reader) for each in rpc.publish}
    trial.equal("topics of what was forwarded", topics, {node.topic})


@case("WIRE-04", fault="one_rpc_a_read_is_heard", address=True)
async def rpcs_are_cut_by_their_lengths_however_they_are_written(trial: Trial) -> None:
    """Three in one write, one in writes of one byte."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    messages = [relay.message() for _ in range(4)]
    stream = out_of(relay.author)
    await stream.send(b"".join(framed(each) for each in messages[:3]))
    for byte in framed(messages[3]):
        await stream.send(bytes([byte]))
    with trial.expecting("all four messages forwarded"):
        for message in messages:
            await relay.arrives(message)


@case("WIRE-05", fault="an_empty_rpc_ends_the_stream", address=True)
async def an_rpc_of_no_bytes_means_nothing(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    await out_of(relay.author).write(b"\x00")
    await relay.forwards(relay.message(), "the next RPC of that stream heard")
    trial.equal("reset of the stream", out_of(relay.author).reset_code, None)


@case("WIRE-06", fault="a_byte_above_the_limit_is_taken", also=("T29",))
async def an_rpc_above_the_limit_resets_its_stream(trial: Trial) -> None:
    """And one of exactly the limit is taken: 4096 bytes here."""
    node = await trial.start(subscribed=True, params={"maxMessageSize": MAX_BYTES})
    relay = await open_relay(trial, node)
    largest, larger = _of_size(relay, MAX_BYTES), _of_size(relay, MAX_BYTES + 1)
    with trial.expecting(f"an RPC of {MAX_BYTES} bytes taken"):
        await relay.send(largest)
        await node.delivered(largest.data or b"")
    await relay.send(larger)
    with trial.expecting(f"the stream reset by an RPC of {MAX_BYTES + 1} bytes"):
        await _wait_over(out_of(relay.author))
    with trial.expecting("the connection still there, and other peers heard"):
        await relay.author.ping(3)
        message = relay.message()
        await relay.reader.send_rpc(Rpc(publish=[message]))
        await node.delivered(message.data or b"")
    taken = [event["data"] for event in node.process.messages()]
    trial.check(larger.data not in taken, "nothing of it processed", "its message delivered")


def _of_size(relay: Relay, size: int) -> Message:
    """A message whose RPC has so many bytes."""
    bare = len(encode_rpc(Rpc(publish=[relay.message(bytes(size // 2))])))
    message = relay.message(relay.trial.rng.randbytes(size // 2 + size - bare))
    assert len(encode_rpc(Rpc(publish=[message]))) == size
    return message


def _is_over(stream: ScriptedStream) -> bool:
    """The target ended it: by a reset, or by FIN."""
    return stream.ended or stream.reset_code is not None


async def _wait_over(stream: ScriptedStream) -> None:
    await stream.peer.until(lambda: _is_over(stream), "end of the stream", 5)


@case("WIRE-07", fault="what_is_no_rpc_is_skipped", also=("T29",), address=True)
async def bytes_that_are_no_rpc_end_the_stream_and_only_it(trial: Trial) -> None:
    """By a reset (go), or by closing it (nim)."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    stream = out_of(relay.author)
    await stream.write(NOT_AN_RPC)
    with trial.expecting("the end of the stream after ff ff as an RPC"):
        await _wait_over(stream)
    trial.observe("ends it by " + ("a reset" if stream.reset_code is not None else "FIN"))
    with trial.expecting("a new stream, accepted on the same connection"):
        await relay.author.open_pubsub()
    await relay.forwards(relay.message(), "what comes on the new stream heard")


@case("WIRE-07b", fault="a_length_of_2_gib_is_waited_for", also=("T29",), address=True)
async def a_length_beyond_reason_ends_the_stream(trial: Trial) -> None:
    """2 GiB are announced; nothing is to be kept ready for them."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    stream = out_of(relay.author)
    await stream.write(b"\x80\x80\x80\x80\x08")
    with trial.expecting("the end of the stream after a length of 2 GiB"):
        await _wait_over(stream)
    with trial.expecting("a new stream, accepted on the same connection"):
        await relay.author.open_pubsub()
    await relay.forwards(relay.message(), "what comes on the new stream heard")


@case("WIRE-17", fault="the_first_of_several_topics_counts", address=True)
async def of_several_topics_the_last_counts(trial: Trial) -> None:
    """The field was once repeated. What is forwarded has one."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    message = relay.message()
    encoding = encode_message(message)
    other = encode_bytes_field(4, b"a topic of long ago")
    rpc = encode_bytes_field(2, other + encoding)
    with trial.expecting("the message forwarded in the topic that stands last"):
        await out_of(relay.author).write_frame(rpc)
        came = await relay.arrives(message)
    trial.equal("the message forwarded", came.encoding, encoding)


@case("WIRE-18", fault="unknown_fields_are_refused", address=True)
async def unknown_fields_at_every_level_do_no_harm(trial: Trial) -> None:
    """In the RPC, in subscriptions, control messages, their entries, and messages."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    w = await trial.peer(node)
    topic = node.topic.encode()
    subscription = encode_varint_field(1, 1) + encode_bytes_field(2, topic) + EXTRA
    graft = encode_bytes_field(3, encode_bytes_field(1, topic) + EXTRA)
    rpc = (
        encode_bytes_field(1, subscription)
        + encode_bytes_field(2, encode_bytes_field(4, b"elsewhere") + EXTRA)
        + encode_bytes_field(3, graft + EXTRA)
        + EXTRA
    )
    await out_of(w).write_frame(rpc)
    await relay.reaches(w, "a peer whose SUBSCRIBE and GRAFT came with fields unknown")
    trial.equal("reset of the stream", out_of(w).reset_code, None)


@case("SIGN-09", fault="unknown_fields_of_messages_are_lost", address=True)
async def unknown_fields_of_a_message_are_signed_and_forwarded(trial: Trial) -> None:
    """The signature covers "any fields not recognized": whoever drops one spoils the message for
    all behind it."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    message = relay.unsigned()
    message.seqno = next_number()
    message.unknown = encode_bytes_field(100, b"of a later version")
    message = sign_message(message, relay.author.key)
    came = await relay.forwards(message, "the message, whose signature covers field 100")
    trial.equal("the message forwarded", came.encoding, message.encoding)


@case("WIRE-22", fault="control_may_be_as_large_as_an_rpc", address=True)
async def an_rpc_with_600_kib_beside_its_payload_resets_the_stream(trial: Trial) -> None:
    """go limits that part to 512 KiB since 0.19. Whoever takes it must keep to the bound
    himself, so others may refuse less."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    stream = out_of(relay.author)
    subscriptions = b"".join(
        encode_bytes_field(1, encode_varint_field(1, n % 2) + encode_bytes_field(2, b"t" * 250))
        for n in range(2400)
    )
    with trial.expecting("the stream reset by 600 KiB of subscriptions"):
        await _write_until_over(stream, encode_frame(subscriptions))
        await _wait_over(stream)
    with trial.expecting("the connection still there"):
        await relay.author.ping(3)


async def _write_until_over(stream: ScriptedStream, data: bytes) -> None:
    """Whoever refuses it may close the stream, and give no more credit."""
    while data and not _is_over(stream):
        await stream.peer.until(lambda: stream.window > 0 or _is_over(stream), "credit", 10)
        size = min(stream.window, PIECE_BYTES)
        await stream.send(data[:size])
        data = data[size:]


@case("WIRE-22b", fault="a_large_payload_counts_as_control", address=True)
async def a_payload_of_600_kib_is_taken(trial: Trial) -> None:
    """It does not count as control data, and an RPC may have 1 MiB, or as much as was agreed
    on: a target that is started here is told so."""
    starts = trial.target.address is None
    node = await trial.start(
        subscribed=True, params={"maxMessageSize": 1 << 20} if starts else None
    )
    relay = await open_relay(trial, node)
    await relay.forwards(relay.message(trial.rng.randbytes(600 << 10)))
