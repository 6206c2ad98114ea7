"""What becomes of a message: verdicts, and whom it is forwarded to (pubsub README; the order of
checks and the outcomes are those that implementations share)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gossipsub.conformance.driver import PeerError
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.relay import open_relay
from gossipsub.conformance.kit.scoring import (
    deliveries,
    enter_mesh,
    has_read,
    has_score,
    judge,
    judge_messages,
    meet,
)
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_control import received_data, send, wait_data
from gossipsub.conformance.scripted_gossip import received_numbers, signed
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Rpc

FORGERIES: Mapping[str, Mapping[str, Any]] = {
    "a wrong signature": {"signature": bytes(64)},
    "other data": {"data": b"what the author never said"},
}


@case("VAL-02", fault="what_is_not_joined_is_seen")
async def a_message_of_a_topic_not_joined_leaves_no_trace(trial: Trial) -> None:
    """It is not marked as seen either (so go and nim; rust and js mark it): when the topic is
    joined later another copy of the message may still come."""
    node = await judge(
        trial, topic={"invalidMessageDeliveriesWeight": -10, "firstMessageDeliveriesWeight": 1}
    )
    w, v = await meet(trial, node), await meet(trial, node)
    early = signed(w, "later", 1, b"early")
    await send(w, early, signed(w, node.topic, 2, b"barrier"))
    with trial.expecting("a message of a joined topic, delivered"):
        await node.delivered(b"barrier")
    trial.equal("other deliveries", deliveries(node), [])
    await has_score(trial, node, w, 1, why="for the message of the joined topic")
    await node.command("subscribe", topic="later")
    await send(v, early)
    with trial.expecting("a copy that comes after the topic was joined, delivered"):
        await node.delivered(b"early")


@case("VAL-04", fault="ignored_messages_are_forwarded", also=("VAL-03", "SCORE-20"))
async def accepted_rejected_and_ignored_messages_have_three_outcomes(trial: Trial) -> None:
    node = await judge(
        trial, topic={"invalidMessageDeliveriesWeight": -10, "firstMessageDeliveriesWeight": 1}
    )
    accepted, rejected, ignored, v = [await meet(trial, node) for _ in range(4)]
    await enter_mesh(trial, node, v)
    await judge_messages(node, b"bad", "reject")
    await judge_messages(node, b"meh", "ignore")
    await send(ignored, signed(ignored, node.topic, 1, b"meh"))
    await send(rejected, signed(rejected, node.topic, 2, b"bad"))
    await has_score(trial, node, rejected, -10, why="a rejected message is an invalid one (P4)")
    for w, number in ((accepted, 3), (ignored, 4)):
        await send(w, signed(w, node.topic, number, b"good %d" % number))
        with trial.expecting("an accepted message, delivered and forwarded"):
            await node.delivered(b"good %d" % number)
            await wait_data(v, b"good %d" % number)
    trial.equal("other deliveries", deliveries(node), [])
    trial.equal("forwarded", sorted(received_data(v)), [b"good 3", b"good 4"])
    await has_score(trial, node, accepted, 1, why="one valid message (P2)")
    await has_score(trial, node, ignored, 1, why="an ignored message costs nothing, a valid earns")


@case("VAL-08", fault="throttled_messages_are_invalid")
async def a_message_beyond_the_throttle_is_dropped_without_blame(trial: Trial) -> None:
    node = await judge(
        trial,
        topic={"invalidMessageDeliveriesWeight": -10, "firstMessageDeliveriesWeight": 1},
        params={"validateThrottle": 1},
    )
    w, v = await meet(trial, node), await meet(trial, node)
    await judge_messages(node, b"slow", "accept", delay_ms=700)
    await send(w, signed(w, node.topic, 1, b"slow 1"))
    await has_read(trial, node, w)
    await trial.heartbeats(0.5, node)
    await send(v, signed(v, node.topic, 2, b"slow 2"))
    with trial.expecting("the message under validation, delivered"):
        await node.delivered(b"slow 1")
    await trial.heartbeats(1, node)
    trial.equal("deliveries of what came while one was under validation", deliveries(node), [])
    await has_score(trial, node, v, 0, why="a throttled message is nobody's fault")
    await send(v, signed(v, node.topic, 3, b"slow 3"))
    with trial.expecting("a message that comes when there is room, delivered"):
        await node.delivered(b"slow 3")


@case("VAL-10", fault="forged_copies_are_seen", address=True)
async def a_forged_copy_does_not_keep_the_genuine_message_out(trial: Trial) -> None:
    """Sent by somebody else, before it or at the same time: what is badly signed is not marked as
    seen."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    liar = await trial.peer(node)
    for what, change in FORGERIES.items():
        genuine = relay.message()
        forged = replace(genuine, **change, encoding=None)
        await liar.send_rpc(Rpc(publish=[forged]))
        barrier = relay.message(key=liar.key)
        with trial.expecting("a well signed message of the peer that sent a forged one, forwarded"):
            await liar.send_rpc(Rpc(publish=[barrier]))
            await relay.arrives(barrier)
        await trial.heartbeats(0.5, node)
        came = await relay.forwards(genuine, f"a message, forwarded after its copy with {what}")
        trial.equal("signature of what was forwarded", came.signature, genuine.signature)
    genuine = relay.message()
    forged = replace(genuine, **FORGERIES["a wrong signature"], encoding=None)
    with trial.expecting("a message, forwarded that came while a forged copy was looked at"):
        await liar.send_rpc(Rpc(publish=[forged]))
        await relay.send(genuine)
        await relay.arrives(genuine)


@case("VAL-11", fault="own_messages_are_not_validated")
async def own_messages_are_validated_and_a_rejected_one_is_an_error(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await meet(trial, node)
    await enter_mesh(trial, node, w)
    await judge_messages(node, b"bad", "reject")
    try:
        await node.publish(b"bad")
        answer = "accepted"
    except PeerError as error:
        answer = "an error"
        trial.observe(f"says: {error.reason}")
    await node.publish(b"good")
    with trial.expecting("an own message that the validator accepts"):
        await wait_data(w, b"good")
    trial.equal("sent", received_data(w), [b"good"])
    trial.equal("publishing a message that the validator rejects", answer, "an error")


@case("VAL-12", fault="authors_get_their_own_messages", address=True)
async def a_message_goes_to_all_of_the_mesh_but_its_author_and_who_delivered_it(
    trial: Trial,
) -> None:
    node = await trial.start(subscribed=True)
    author, bringer, other = [await meet(trial, node) for _ in range(3)]
    for w in (author, bringer, other):
        await enter_mesh(trial, node, w)
    await send(bringer, signed(author, node.topic, 1))
    with trial.expecting("the message at a third peer of the mesh"):
        await other.until(lambda: _count(other, 1) == 1, "the message", 5)
    await send(other, signed(other, node.topic, 2))
    for w in (author, bringer):
        with trial.expecting("the next message, forwarded"):
            await w.until(lambda w=w: _count(w, 2) == 1, "message 2", 5)  # type: ignore[misc]
    trial.equal("copies that the author got back", _count(author, 1), 0)
    trial.equal("copies that the peer who delivered it got back", _count(bringer, 1), 0)
    trial.equal("copies at the third peer", _count(other, 1), 1)


def _count(w: ScriptedPeer, number: int) -> int:
    return received_numbers(w).count(number)


@case("VAL-13", fault="who_sent_a_copy_gets_one")
async def peers_that_sent_a_copy_during_validation_need_none(trial: Trial) -> None:
    """So rust, js and nim."""
    node = await trial.start(subscribed=True)
    author, first, second, other = [await meet(trial, node) for _ in range(4)]
    for w in (first, second, other):
        await enter_mesh(trial, node, w)
    await judge_messages(node, b"slow", "accept", delay_ms=1000)
    message = signed(author, node.topic, 1, b"slow")
    for w in (first, second):
        await send(w, message)
    with trial.expecting("the message at a third peer of the mesh"):
        await wait_data(other, b"slow")
    await send(other, signed(other, node.topic, 2))
    for w in (first, second):
        with trial.expecting("the next message, forwarded"):
            await wait_data(w, b"2")
    copies = _count(first, 1) + _count(second, 1)
    trial.equal("copies at two peers that had both sent one themselves", copies, 0)


@case("VAL-19", fault="an_ignored_message_cannot_be_published", also=("MID-06",))
async def an_id_that_was_only_ignored_before_can_be_published(trial: Trial) -> None:
    node = await trial.start(subscribed=True, msgid="content")
    w, v = await meet(trial, node), await meet(trial, node)
    await enter_mesh(trial, node, v)
    await judge_messages(node, b"same", "ignore")
    await send(w, signed(w, node.topic, 1, b"same"))
    await has_read(trial, node, w)
    await _validation_is_over(trial, node, w)
    await judge_messages(node, b"same", "clear")
    trial.equal("forwarded while it is ignored", received_data(v).count(b"same"), 0)
    for attempt in range(2):
        try:
            await node.publish(b"same")
        except PeerError as error:
            trial.check(
                attempt, "an id that was only ignored before, published", f"an error: {error}"
            )
            trial.observe("publishing what was delivered is an error")
    with trial.expecting("the message, published"):
        await wait_data(v, b"same")
    await node.publish(b"barrier")
    with trial.expecting("another own message"):
        await wait_data(v, b"barrier")
    trial.equal("copies sent of what was published twice", received_data(v).count(b"same"), 1)


async def _validation_is_over(trial: Trial, node: Node, w: ScriptedPeer) -> None:
    """Of what W sent before: so is that of a message that it sends now."""
    await send(w, signed(w, node.topic, 99, b"over"))
    with trial.expecting("a message that no validator minds, delivered"):
        await node.delivered(b"over")
    await trial.heartbeats(0.5, node)
