"""Signature policies: what is published, and what is refused (POL)."""

from __future__ import annotations

from gossipsub.conformance.cases.message_signing import (
    SCORE,
    flipped,
    in_mesh,
    invalid_messages,
    published,
    stamped,
)
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.relay import Relay, next_number, open_relay
from gossipsub.conformance.kit.trial import Trial
from gossipsub.wire.protobuf import iter_fields
from gossipsub.wire.rpc import Message


def field_numbers(message: Message) -> list[int]:
    """Which fields it came with."""
    return [each[0] for each in iter_fields(message.encoding or b"")]


@case("POL-01", fault="unsigned_messages_are_taken", address=True)
async def strict_sign_refuses_what_is_not_signed(trial: Trial) -> None:
    """Neither a message of nobody nor one that only names an author and a number."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    empty = stamped(relay)
    empty.signature = b""
    await relay.drops(
        relay.unsigned(), stamped(relay), empty, what="messages without signature are dropped"
    )


@case("POL-01b", fault="own_messages_lack_their_origin", also=("SIGN-14",))
async def strict_sign_publishes_from_seqno_and_signature(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    (message,) = await published(trial, node, await in_mesh(trial, node))
    numbers = field_numbers(message)
    trial.check({1, 2, 3, 4, 5} <= set(numbers), "fields 1 to 5 (and 6 perhaps)", numbers)


@case("POL-02", fault="unsigned_policy_publishes_an_origin", also=("POL-07", "SIGN-14"))
async def strict_no_sign_publishes_data_and_topic_alone(trial: Trial) -> None:
    """The other fields are absent, not empty."""
    node = await trial.start(subscribed=True, sign="none")
    (message,) = await published(trial, node, await in_mesh(trial, node))
    trial.equal("fields of the message", sorted(field_numbers(message)), [2, 4])


@case("POL-02b", fault="unsigned_policy_takes_signed_messages")
async def strict_no_sign_refuses_what_is_signed(trial: Trial) -> None:
    relay = await _unsigned_relay(trial)
    await _drops_among_unsigned(relay, "a signed message is dropped", relay.message())
    await invalid_messages(trial, relay, 1)


@case("POL-03", fault="unsigned_policy_looks_at_the_signature_alone")
async def strict_no_sign_refuses_each_field_of_an_origin(trial: Trial) -> None:
    """The specification wants all four absent. js does not look at from, rust not at key."""
    relay = await _unsigned_relay(trial)
    me = relay.author
    fields = {
        "from": {"from_peer": bytes(me.peer_id)},
        "seqno": {"seqno": next_number()},
        "signature": {"signature": bytes(64)},
        "key": {"key": me.key.public_key.encode()},
    }
    taken: list[str] = []
    for name, values in fields.items():
        message = relay.unsigned()
        for field, value in values.items():
            setattr(message, field, value)
        await _send_before_good(relay, message)
        if relay.copies(message):
            taken.append(name)
    trial.check(not taken, "messages with from, seqno, signature or key dropped", f"taken: {taken}")


async def _unsigned_relay(trial: Trial) -> Relay:
    node = await trial.start(subscribed=True, sign="none", score=SCORE)
    return await open_relay(trial, node, unsigned=True)


async def _send_before_good(relay: Relay, *messages: Message) -> None:
    """As they stand, then one without origin that must be forwarded."""
    for message in messages:
        message.encoding = None
        await relay.send(message)
    await relay.forwards(relay.unsigned(), "a message without origin forwarded")
    await relay.trial.heartbeats(0.5, relay.node)


async def _drops_among_unsigned(relay: Relay, what: str, *messages: Message) -> None:
    await _send_before_good(relay, *messages)
    relay.none_arrived(messages, what)


@case("POL-04", fault="lax_signing_is_strict")
async def lax_sign_takes_unsigned_messages_and_refuses_wrong_signatures(trial: Trial) -> None:
    """MAY; a legacy of the first versions."""
    node = await trial.start(subscribed=True, sign="lax")
    relay = await open_relay(trial, node)
    await relay.forwards(stamped(relay), "a message without signature forwarded")
    await relay.drops(flipped(relay), what="one with a wrong signature dropped")


@case("POL-06", fault="missing_signatures_cost_nothing")
async def each_refused_message_costs_its_sender_one(trial: Trial) -> None:
    """Missing signatures as well as wrong ones."""
    node = await trial.start(subscribed=True, score=SCORE)
    relay = await open_relay(trial, node)
    bad = [stamped(relay), relay.unsigned(), flipped(relay), flipped(relay)]
    await relay.drops(*bad, what="messages without a good signature are dropped")
    await invalid_messages(trial, relay, len(bad))


@case("POL-08", fault="unsigned_messages_are_refused_anyway")
async def nodes_without_signatures_exchange_messages(trial: Trial) -> None:
    node = await trial.start(subscribed=True, sign="none")
    other = await trial.companion(sign="none")
    await _connect(trial, node, other)
    for publisher, receiver in ((node, other), (other, node)):
        data = trial.rng.randbytes(24)
        await publisher.publish(data)
        with trial.expecting("what one publishes, delivered at the other"):
            await receiver.delivered(data)


@case("POL-08b", fault="unsigned_messages_are_taken")
async def nodes_of_different_policies_exchange_nothing(trial: Trial) -> None:
    """And both go on: what others send is still forwarded."""
    node = await trial.start(subscribed=True)
    other = await trial.companion(sign="none")
    await _connect(trial, node, other)
    relay = await open_relay(trial, node)
    data = [trial.rng.randbytes(24) for _ in range(2)]
    await other.publish(data[0])
    await node.publish(data[1])
    await trial.heartbeats(1.5, node)
    for receiver, each in ((node, data[0]), (other, data[1])):
        taken = [event["data"] for event in receiver.process.messages()]
        trial.check(each not in taken, "nothing of the other's delivered", "its message delivered")
    await relay.forwards(relay.message(), "messages of others forwarded as before")


async def _connect(trial: Trial, node: Node, other: Node) -> None:
    """Each knows the other in the topic, and has had time for the mesh."""
    await other.command("subscribe", topic=other.topic)
    await node.command("connect", addr=other.address)
    with trial.expecting("two nodes in each other's topic and mesh"):
        for one, peer in ((node, other), (other, node)):
            for question in ("topic_peers", "mesh"):
                await _lists(one, question, peer)


async def _lists(one: Node, question: str, peer: Node) -> None:
    await one.wait_answer(question, lambda got: peer.peer_id in got["peers"], topic=one.topic)
