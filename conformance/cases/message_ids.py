"""Message ids (MID)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256

from gossipsub.conformance.cases.message_signing import in_mesh
from gossipsub.conformance.driver import PeerError
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.relay import Relay, open_relay
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_gossip import (
    OUTSIDE_SECONDS,
    received,
    received_control,
)
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.conformance.scripted_wire import WireTimeout, key_of_seed
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.rpc import Control, IWant, Message, Prune, Rpc, SubOpts

FROM_AND_SEQNO = "from, then seqno"


def _author(message: Message) -> PeerId:
    return PeerId.from_bytes(message.from_peer or b"")


def _key_and_seqno(message: Message) -> bytes:
    """A peer id of a small key is that key, behind the two bytes that say so."""
    return _author(message)[2:] + (message.seqno or b"")


def _text_and_number(message: Message) -> bytes:
    return f"{_author(message)}{int.from_bytes(message.seqno or b'')}".encode()


def _digits_and_text(message: Message) -> bytes:
    return f"{(message.seqno or b'').hex()}{_author(message)}".encode()


ID_FORMS: Mapping[str, Callable[[Message], bytes]] = {
    FROM_AND_SEQNO: lambda message: (message.from_peer or b"") + (message.seqno or b""),
    "the author's public key, then seqno": _key_and_seqno,
    "the author in base58, then seqno in decimal": _text_and_number,
    "seqno in hexadecimal, then the author in base58": _digits_and_text,
}
"""Ids that libraries make where the application does not say how: the specification's form, and
those of js, rust and nim, in this order."""


def offered(w: ScriptedPeer) -> list[bytes]:
    """Ids of all IHAVE W got so far."""
    entries = [each for control in received_control(w) for each in control.ihave]
    return [message_id for entry in entries for message_id in entry.message_ids]


async def outsider(trial: Trial, node: Node) -> ScriptedPeer:
    """In the topic and outside of the mesh: it is told of messages by IHAVE."""
    w = await trial.peer(node)
    await w.send_rpc(Rpc(control=Control(prune=[Prune(node.topic, (), OUTSIDE_SECONDS)])))
    await w.send_rpc(Rpc(subscriptions=[SubOpts(node.topic)]))
    return w


async def is_offered(relay: Relay, w: ScriptedPeer, message_id: bytes) -> None:
    """Where the target tells of the message at all, by this id."""
    with suppress(WireTimeout):
        await w.until(lambda: message_id in offered(w), "IHAVE", 3 * relay.node.heartbeat + 0.5)
    if not offered(w):
        relay.trial.observe("no IHAVE was seen")
        return
    expected = f"IHAVE with the id {message_id.hex()}"
    relay.trial.check(message_id in offered(w), expected, [each.hex() for each in offered(w)])


async def is_sent(relay: Relay, w: ScriptedPeer, message_id: bytes, data: bytes) -> None:
    """W asks for it."""
    await w.send_rpc(Rpc(control=Control(iwant=[IWant([message_id])])))
    with relay.trial.expecting("the message in answer to IWANT with that id"):
        await w.until(
            lambda: any(each.data == data for rpc in received(w) for each in rpc.publish),
            "message",
            5,
        )


@case("MID-01", fault="ids_are_as_in_rust", address=True)
async def the_default_id_is_from_followed_by_seqno(trial: Trial) -> None:
    """As the specification has it, and go. The defaults of js, rust and nim are others: their
    networks need one function on all nodes."""
    node = await trial.start(subscribed=True)
    w = await outsider(trial, node)
    relay = await open_relay(trial, node)
    message = await relay.forwards(relay.message())
    message_id = (message.from_peer or b"") + (message.seqno or b"")
    await is_sent(relay, w, message_id, message.data or b"")
    await is_offered(relay, w, message_id)


@case("MID-01b", fault="the_librarys_ids_are_as_in_js")
async def ids_of_the_librarys_own_making_are_from_followed_by_seqno(trial: Trial) -> None:
    """Where the application names no function. Nodes that make different ids exchange messages all
    the same, but ask for those that they have by the ids of others' IHAVE, and IDONTWANT stops
    nothing: their application has to name one function."""
    node = await trial.start(subscribed=True, msgid="library")
    w = await outsider(trial, node)
    relay = await open_relay(trial, node)
    trial.equal("the form of the id it is sent by", await _form_sent_by(relay, w), FROM_AND_SEQNO)
    message = await relay.forwards(relay.message())
    await is_offered(relay, w, ID_FORMS[FROM_AND_SEQNO](message))


async def _form_sent_by(relay: Relay, w: ScriptedPeer) -> str:
    """W asks by one form after the other, each time for a new message: it may not be kept long."""
    for form, message_id in ID_FORMS.items():
        message = await relay.forwards(relay.message())
        await w.send_rpc(Rpc(control=Control(iwant=[IWant([message_id(message)])])))
        with suppress(WireTimeout):
            await relay.arrives(message, w, timeout=2)
            return form
    return "unknown"


@case("MID-03", fault="ids_are_sent_as_text")
async def ids_are_opaque_bytes(trial: Trial) -> None:
    """Here SHA-256 of the data: a hash that begins with 0 and is no text."""
    node = await trial.start(subscribed=True, msgid="content")
    w = await outsider(trial, node)
    relay = await open_relay(trial, node)
    data = next(
        data
        for data in iter(lambda: trial.rng.randbytes(24), None)
        if sha256(data).digest()[0] == 0 and max(sha256(data).digest()) > 0xF7
    )
    await relay.forwards(relay.message(data))
    await is_sent(relay, w, sha256(data).digest(), data)
    await is_offered(relay, w, sha256(data).digest())


@case("MID-04", fault="a_message_without_id_is_taken")
async def a_message_without_an_id_is_dropped(trial: Trial) -> None:
    """The default id needs from and seqno, which under LaxSign may be absent. go computes an
    empty id."""
    node = await trial.start(subscribed=True, sign="lax")
    relay = await open_relay(trial, node)
    await relay.drops(relay.unsigned(), what="a message without from and seqno is dropped")


@case("MID-05", fault="content_is_told_apart_by_author")
async def with_ids_of_the_content_equal_messages_are_one(trial: Trial) -> None:
    node = await trial.start(subscribed=True, msgid="content")
    relay = await open_relay(trial, node)
    first = await relay.forwards(relay.message())
    await relay.send(relay.message(first.data, key=key_of_seed(7777)))
    await relay.forwards(relay.message(), "the next message forwarded")
    await trial.heartbeats(0.5, node)
    trial.equal("copies forwarded", len(relay.copies(first)), 1)
    delivered = [event["data"] for event in node.process.messages()]
    trial.equal("deliveries", delivered.count(first.data), 1)


@case("MID-06", fault="a_duplicate_is_published_again")
async def an_id_that_was_published_is_not_sent_again(trial: Trial) -> None:
    """rust and js tell the caller; go returns success. Either is allowed."""
    node = await trial.start(subscribed=True, msgid="content")
    w = await in_mesh(trial, node)
    data, after = trial.rng.randbytes(24), trial.rng.randbytes(24)
    await node.publish(data)
    try:
        await node.publish(data)
        trial.observe("publishing a duplicate is no error")
    except PeerError:
        trial.observe("publishing a duplicate is an error")
    await node.publish(after)

    def copies(text: bytes) -> int:
        return [each.data for rpc in received(w) for each in rpc.publish].count(text)

    with trial.expecting("what was published after it, in the mesh"):
        await w.until(lambda: copies(after) > 0, "message", 5)
    await trial.heartbeats(0.5, node)
    trial.equal("copies sent", copies(data), 1)
