"""Signatures of messages: what one's own are, and which of others are taken (SIGN, KEY)."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.relay import Relay, next_number, open_relay
from gossipsub.conformance.kit.scoring import WEIGHTLESS, has_score, score_of
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.kit.verdict import CannotTry, Deviation
from gossipsub.conformance.scripted_gossip import join_mesh, received
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.conformance.scripted_wire import WireTimeout, key_of_seed
from gossipsub.crypto.keys import KeyType, PrivateKey, PublicKey
from gossipsub.crypto.message_signing import SIGNATURE_PREFIX
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.message_codec import bytes_to_sign, encode_message
from gossipsub.wire.protobuf import encode_bytes_field
from gossipsub.wire.rpc import Message

SCORE = {
    "topics": {"*": {**WEIGHTLESS, "invalidMessageDeliveriesWeight": -1}},
    "decayIntervalMs": 3_600_000,
    "thresholds": {"gossip": -1000, "publish": -2000, "graylist": -3000},
}
"""A score is what invalid messages cost. Counters stay as they are, and nobody is shut out."""


def sign_anyhow(message: Message, key: PrivateKey, *, signed: bytes = b"") -> Message:
    """Sign what `sign_message` would refuse; `signed` is covered too."""
    message.signature = key.sign(SIGNATURE_PREFIX + bytes_to_sign(message) + signed)
    message.encoding = None
    encode_message(message)
    return message


def stamped(relay: Relay, data: bytes | None = None) -> Message:
    """By the author and with a number, not signed yet."""
    message = relay.unsigned(data)
    message.from_peer, message.seqno = relay.author.peer_id, next_number()
    return message


def flipped(relay: Relay) -> Message:
    """Its data is not what was signed."""
    message = relay.message()
    message.data = relay.trial.rng.randbytes(24)
    message.encoding = None
    return message


async def published(trial: Trial, node: Node, w: ScriptedPeer, count: int = 1) -> list[Message]:
    """What the target publishes, as it reaches W."""
    texts = [trial.rng.randbytes(24) for _ in range(count)]

    def got() -> list[Message]:
        messages = [each for rpc in received(w) for each in rpc.publish]
        return [each for text in texts for each in messages if each.data == text]

    for text in texts:
        await node.publish(text)
    with trial.expecting("what it published, with a peer in its mesh"):
        await w.until(lambda: len(got()) >= count, "message", 5)
    return got()


async def in_mesh(trial: Trial, node: Node) -> ScriptedPeer:
    w = await trial.peer(node)
    await join_mesh(w, node.process, node.topic)
    return w


async def invalid_messages(trial: Trial, relay: Relay, count: int) -> None:
    """Deviation unless the author has been charged (P4) with so many."""
    why = f"{count} invalid message deliveries on the sender's account, squared"
    await has_score(trial, relay.node, relay.author, -(count**2), why=why)


# What the target publishes


@case("SIGN-01", fault="signatures_lack_their_prefix", also=("SIGN-14", "SIGN-02"))
async def its_own_messages_are_signed_over_all_but_signature_and_key(trial: Trial) -> None:
    """With "libp2p-pubsub:" in front. The specification leaves out only the signature; all
    implementations leave out the key as well."""
    node = await trial.start(subscribed=True)
    (message,) = await published(trial, node, await in_mesh(trial, node))
    key = PublicKey.from_peer_id(PeerId.parse(node.peer_id))
    trial.check(key is not None, "a peer id that holds its key", node.peer_id)
    signature, signed = message.signature or b"", SIGNATURE_PREFIX + bytes_to_sign(message)
    trial.check(
        key is not None and key.verify(signed, signature),
        "a signature over the prefix and the message without signature and key",
        f"signature {signature.hex() or 'none'}",
    )


@case("SIGN-03", fault="messages_name_their_author_in_text")
async def from_is_the_authors_multihash(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    (message,) = await published(trial, node, await in_mesh(trial, node))
    expected = bytes(PeerId.parse(node.peer_id)).hex()
    trial.equal("from", (message.from_peer or b"").hex(), expected)


@case("SIGN-04", fault="sequence_numbers_begin_at_one", also=("T22",))
async def sequence_numbers_grow_beyond_a_restart(trial: Trial) -> None:
    """8 bytes, big-endian, each above the one before; peers take lower ones for replays."""
    numbers: list[int] = []
    for _ in range(2):
        node = await trial.start(subscribed=True, seed=77)
        for message in await published(trial, node, await in_mesh(trial, node), 4):
            seqno = message.seqno or b""
            trial.equal("bytes of seqno", len(seqno), 8)
            numbers.append(int.from_bytes(seqno))
        await node.process.command("exit")
    trial.check(numbers == sorted(set(numbers)), "numbers that only grow", numbers)


@case("SIGN-05", fault="messages_always_carry_the_key")
async def the_key_is_left_out_where_the_peer_id_holds_it(trial: Trial) -> None:
    """js and nim send it all the same, which is harmless: 36 bytes more in each message."""
    node = await trial.start(subscribed=True)
    (message,) = await published(trial, node, await in_mesh(trial, node))
    trial.equal("key", message.key, None)


# What others have signed


@case("SIGN-02", fault="a_key_in_a_message_is_refused", also=("SIGN-05",), address=True)
async def the_key_field_is_not_covered_by_the_signature(trial: Trial) -> None:
    """Of an Ed25519 author it may be there or not."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    with_key = relay.message()
    with_key.key = relay.author.key.public_key.encode()
    with_key.encoding = None
    await relay.forwards(with_key, "a message with its author's key in it, forwarded")
    covered = stamped(relay)
    covered.key = relay.author.key.public_key.encode()
    sign_anyhow(covered, relay.author.key, signed=encode_bytes_field(6, covered.key))
    await relay.drops(covered, what="a message whose signature covers the key is dropped")


@case("SIGN-06", fault="anybody_may_sign")
async def a_key_that_is_not_the_authors_makes_a_message_invalid(trial: Trial) -> None:
    node = await trial.start(subscribed=True, score=SCORE)
    relay = await open_relay(trial, node)
    other = key_of_seed(8888)
    message = stamped(relay)
    message.key = other.public_key.encode()
    sign_anyhow(message, other)
    await relay.drops(message, what="a message with another's key and signature is dropped")
    await invalid_messages(trial, relay, 1)


@case("SIGN-07", fault="what_cannot_be_verified_is_taken", address=True)
async def a_message_whose_authors_key_is_nowhere_is_invalid(trial: Trial) -> None:
    """The author is an RSA key's peer id, a hash, and the message has no key."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    message = relay.message(key=PrivateKey.generate(KeyType.RSA))
    message.key = message.encoding = None
    await relay.drops(message, what="a message that cannot be verified is dropped")


@case("SIGN-08", fault="message_signatures_are_not_verified")
async def a_message_with_a_wrong_signature_is_dropped_and_charged(trial: Trial) -> None:
    node = await trial.start(subscribed=True, score=SCORE)
    relay = await open_relay(trial, node)
    message = flipped(relay)
    await relay.drops(message, what="a message with a changed byte is dropped")
    delivered = [event["data"] for event in node.process.messages()]
    trial.check(message.data not in delivered, "a message that is not delivered", "delivered")
    await invalid_messages(trial, relay, 1)


@case("SIGN-08b", fault="message_signatures_are_not_verified", address=True)
async def a_message_with_a_wrong_signature_is_not_forwarded(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    replaced = relay.message()
    replaced.signature, replaced.encoding = bytes(64), None
    renumbered = relay.message()
    renumbered.seqno, renumbered.encoding = next_number(), None
    forged = (flipped(relay), replaced, renumbered)
    await relay.drops(*forged, what="messages that nobody signed are dropped")


@case("SIGN-10", fault="a_malformed_author_ends_the_stream", also=("T29",))
async def garbage_in_from_key_and_signature_is_an_invalid_message(trial: Trial) -> None:
    """Each costs its sender one, and the stream goes on."""
    node = await trial.start(subscribed=True, score=SCORE)
    relay = await open_relay(trial, node)
    me = relay.author.peer_id
    garbage = [b"\x00", b"\x00\x24", b"\x12\x20", b"\xff" * 40, bytes(me)[:-1], bytes(300)]
    messages: list[Message] = []
    for junk in garbage:
        for field in ("from_peer", "key", "signature"):
            message = relay.message()
            setattr(message, field, junk)
            message.encoding = None
            messages.append(message)
    await relay.drops(*messages, what="messages with garbage in them are dropped")
    await invalid_messages(trial, relay, len(messages))


@case("SIGN-11", fault="sequence_numbers_of_any_length_are_taken", address=True)
async def a_seqno_that_is_not_of_8_bytes_is_refused(trial: Trial) -> None:
    """The specification has a 64-bit number. rust, js and nim refuse others; go does not look."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    messages = []
    for size in (7, 9):
        message = stamped(relay)
        message.seqno = (message.seqno or b"").rjust(9, b"\x00")[-size:]
        messages.append(sign_anyhow(message, relay.author.key))
    await relay.drops(*messages, what="well signed messages with a seqno of 7 and 9 bytes dropped")


@case("SIGN-12", fault="its_own_name_on_a_message_is_believed")
async def a_message_in_the_targets_own_name_is_refused(trial: Trial) -> None:
    """go and rust charge it to the sender; for js and nim it is a duplicate without blame."""
    node = await trial.start(subscribed=True, seed=12, score=SCORE)
    relay = await open_relay(trial, node)
    own = relay.message(key=PrivateKey.from_node_number(12))
    trial.equal("its author", str(PeerId.from_bytes(own.from_peer or b"")), node.peer_id)
    await relay.drops(own, what="a message in the target's own name is dropped")
    delivered = [event["data"] for event in node.process.messages()]
    trial.check(own.data not in delivered, "a message that is not delivered", "delivered")
    charged = await score_of(node, relay.author)
    trial.observe(f"{'charges' if charged else 'does not charge'} the sender for it")


# Authors with other keys


async def _author_is_believed(trial: Trial, type: KeyType, *, optional: bool) -> None:
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    key, name = PrivateKey.generate(type), type.name
    good = relay.message(key=key)
    await relay.send(good)
    try:
        await relay.arrives(good)
    except WireTimeout as error:
        if optional:
            raise CannotTry(f"the target does not take messages signed with {name}") from error
        raise Deviation(f"a message signed with {name} forwarded", str(error)) from error
    bad = relay.message(key=key)
    bad.data, bad.encoding = trial.rng.randbytes(24), None
    await relay.drops(bad, what=f"one with a wrong {name} signature dropped")


@case("KEY-06", fault="rsa_is_unknown", also=("SIGN-05",), address=True)
async def messages_of_rsa_authors_are_verified(trial: Trial) -> None:
    """SHOULD; many nodes of the public IPFS network have such keys."""
    await _author_is_believed(trial, KeyType.RSA, optional=False)


@case("KEY-06b", fault="any_secp256k1_signature_is_good", address=True)
async def messages_of_secp256k1_authors_are_verified(trial: Trial) -> None:
    """MAY; the nodes of Ethereum have such keys."""
    await _author_is_believed(trial, KeyType.SECP256K1, optional=True)


@case("KEY-06c", fault="any_ecdsa_signature_is_good", address=True)
async def messages_of_ecdsa_authors_are_verified(trial: Trial) -> None:
    """MAY."""
    await _author_is_believed(trial, KeyType.ECDSA, optional=True)
