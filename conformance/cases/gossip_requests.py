"""What comes of IHAVE and IWANT that a node is sent (GossipSub v1.0 and v1.1)."""

from __future__ import annotations

from hashlib import sha256

import anyio

from gossipsub.conformance.driver import PeerError
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.crowd import (
    FULL_WITH_TWO,
    NO_TOPIC_SCORES,
    asked_of,
    data_to,
    gossiped_to,
    hears,
    members,
    messages_to,
    offered_to,
    outsiders,
    publish,
    rate,
    send_control,
    settled,
)
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_gossip import id_of, join, received, signed
from gossipsub.wire.rpc import IHave, IWant
from gossipsub.wire.rpc_codec import encode_rpc


def some_ids(trial: Trial, count: int) -> list[bytes]:
    """Of messages that nobody has."""
    return [trial.rng.randbytes(20) for _ in range(count)]


@case("GOS-06", fault="nothing_is_asked_for", address=True)
async def what_is_offered_and_not_known_is_asked_for_once(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    wanted = some_ids(trial, 5)
    await send_control(w, IHave(node.topic, [*wanted, *wanted]), IHave(node.topic, wanted[:2]))
    await hears(trial, w, "IWANT for all that is offered", lambda w: set(asked_of(w)) >= {*wanted})
    await settled(trial, node, w)
    asked = [message_id for message_id in asked_of(w) if message_id in wanted]
    times = [asked.count(message_id) for message_id in wanted]
    trial.equal("how often each id was asked for", times, [1] * 5)


@case("GOS-07", fault="what_is_known_is_asked_for")
async def what_is_known_or_of_other_topics_is_not_asked_for(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    await publish(w, signed(w, node.topic, 1))
    with trial.expecting("the message, delivered"):
        await node.delivered(b"1")
    foreign, unknown = some_ids(trial, 2)
    await send_control(w, IHave("not joined", [foreign]))
    await send_control(w, IHave(node.topic, [id_of(w, 1), unknown]))
    await hears(trial, w, "IWANT for what is not known", lambda w: unknown in asked_of(w))
    await settled(trial, node, w)
    asked = asked_of(w)
    trial.equal("asked for a message that it has", id_of(w, 1) in asked, False)
    trial.equal("asked for a message of a topic that is not joined", foreign in asked, False)


@case("GOS-08", fault="bad_scores_take_part_in_gossip")
async def what_a_peer_below_the_gossip_threshold_offers_is_ignored(trial: Trial) -> None:
    """The threshold is -10 here."""
    node = await trial.start(subscribed=True, score=NO_TOPIC_SCORES)
    w = await trial.peer(node)
    await rate(trial, node, w, -10.5)
    below, at = some_ids(trial, 2)
    await send_control(w, IHave(node.topic, [below]))
    with trial.expecting("W in the topic it subscribed to"):
        await join(w, node.process, node.topic)
    await rate(trial, node, w, -10)
    await send_control(w, IHave(node.topic, [at]))
    await hears(trial, w, "IWANT at the threshold", lambda w: at in asked_of(w))
    trial.equal("asked for what was offered below the threshold", below in asked_of(w), False)


@case("GOS-09", fault="answers_leave_out_the_signature")
async def what_is_asked_for_is_sent_whole_and_unchanged(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    (w,) = await outsiders(trial, node, 1)
    author = await trial.peer(node)
    messages = [signed(author, node.topic, number) for number in (1, 2)]
    await publish(author, *messages)
    for message in messages:
        with trial.expecting("the message, delivered"):
            await node.delivered(message.data or b"")
    await send_control(w, IWant([id_of(author, 1), *some_ids(trial, 1), id_of(author, 2)]))
    await hears(trial, w, "two messages", lambda w: len(messages_to(w)) >= 2)
    came = sorted(messages_to(w), key=lambda message: message.seqno or b"")
    for number, (ours, theirs) in enumerate(zip(messages, came, strict=True), start=1):
        for field in ("topic", "data", "from_peer", "seqno", "signature", "key", "unknown"):
            what = f"{field} of message {number}"
            trial.equal(what, getattr(theirs, field), getattr(ours, field))


@case("GOS-10", fault="messages_are_kept_for_ever")
async def what_has_left_the_cache_is_not_sent(trial: Trial) -> None:
    """Nor are ids that nobody knows, and nothing is said of either."""
    params = {"historyLength": 3, "historyGossip": 2}
    node = await trial.start(subscribed=True, params=params)
    (w,) = await outsiders(trial, node, 1)
    author = await trial.peer(node)
    await publish(author, signed(author, node.topic, 1))
    with trial.expecting("the message, delivered"):
        await node.delivered(b"1")
    await trial.heartbeats(5, node)
    await publish(author, signed(author, node.topic, 2))
    with trial.expecting("the message, delivered"):
        await node.delivered(b"2")
    await send_control(w, IWant([id_of(author, 1), *some_ids(trial, 3)]))
    await send_control(w, IWant([id_of(author, 2)]))
    await hears(trial, w, "the message that is in the cache", lambda w: b"2" in data_to(w))
    await settled(trial, node, w)
    trial.equal("messages sent", data_to(w), [b"2"])


@case("GOS-10b", fault="messages_are_kept_while_they_are_gossiped_about")
async def what_is_not_gossiped_about_any_more_is_still_sent(trial: Trial) -> None:
    """For as many heartbeats as `historyLength` says (20 here); gossip is about the newest window
    alone."""
    params = {"historyLength": 20, "historyGossip": 1}
    node = await trial.start(subscribed=True, params=params)
    (w,) = await outsiders(trial, node, 1)
    author = await trial.peer(node)
    await publish(author, signed(author, node.topic, 1))
    with trial.expecting("the message, delivered"):
        await node.delivered(b"1")
    await trial.heartbeats(4, node)
    await send_control(w, IWant([id_of(author, 1)]))
    await hears(trial, w, "the message, which is in the cache", lambda w: b"1" in data_to(w))


@case("GOS-11", fault="bad_scores_take_part_in_gossip")
async def what_a_peer_below_the_gossip_threshold_asks_for_is_not_sent(trial: Trial) -> None:
    """The threshold is -10 here."""
    node = await trial.start(subscribed=True, score=NO_TOPIC_SCORES)
    w, author = await trial.peer(node), await trial.peer(node)
    await publish(author, *(signed(author, node.topic, number) for number in (1, 2)))
    for data in (b"1", b"2"):
        with trial.expecting("the message, delivered"):
            await node.delivered(data)
    await rate(trial, node, w, -10.5)
    await send_control(w, IWant([id_of(author, 1)]))
    with trial.expecting("W in the topic it subscribed to"):
        await join(w, node.process, node.topic)
    await rate(trial, node, w, -10)
    await send_control(w, IWant([id_of(author, 2)]))
    await hears(trial, w, "the message, at the threshold", lambda w: b"2" in data_to(w))
    trial.equal("messages sent", data_to(w), [b"2"])


@case("GOS-12", fault="every_iwant_is_answered")
async def a_message_is_sent_to_who_asks_three_times_at_most(trial: Trial) -> None:
    """Nim sends it once, and only to those it has offered it to."""
    node = await trial.start(subscribed=True, params=FULL_WITH_TWO)
    first, second = await gossiped_to(trial, node, 2)
    author = await trial.peer(node)
    await publish(author, signed(author, node.topic, 1))
    wanted = id_of(author, 1)
    for w in (first, second):
        await hears(trial, w, "IHAVE for the message", lambda w: wanted in offered_to(w))
    for _ in range(6):
        await send_control(first, IWant([wanted]))
    await settled(trial, node, first)
    await send_control(second, IWant([wanted]))
    await hears(trial, second, "the message, for another peer", data_to)
    await hears(trial, first, "the message", data_to)
    copies = len(data_to(first))
    trial.check(1 <= copies <= 3, "1 to 3 copies for 6 IWANTs", f"{copies}")
    trial.observe(f"answers {copies} of many IWANTs for a message")


@case("GOS-13", fault="nothing_is_forwarded")
async def a_message_got_by_gossip_is_delivered_and_forwarded(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    (w,) = await outsiders(trial, node, 1)
    (member,) = await members(trial, node, 1)
    message = signed(w, node.topic, 1)
    await send_control(w, IHave(node.topic, [id_of(w, 1)]))
    await hears(trial, w, "IWANT for the message", lambda w: id_of(w, 1) in asked_of(w))
    await publish(w, message)
    with trial.expecting("the message, delivered"):
        await node.delivered(b"1")
    await hears(trial, member, "the message, forwarded into the mesh", data_to)


LIMIT = 2000


@case("GOS-15", fault="answers_are_not_split")
async def no_answer_to_iwant_exceeds_the_largest_rpc(trial: Trial) -> None:
    """A message that is too large by itself is left out, where it could be published at all."""
    node = await trial.start(subscribed=True, params={"maxMessageSize": LIMIT}, msgid="content")
    (w,) = await outsiders(trial, node, 1)
    author = await trial.peer(node)
    data = [bytes([number]) * 1100 for number in range(3)]
    for number, each in enumerate(data, start=1):
        await publish(author, signed(author, node.topic, number, each))
        with trial.expecting("the message, delivered"):
            await node.delivered(each)
    too_large = bytes(LIMIT + 500)
    try:
        await node.publish(too_large)
    except PeerError:
        trial.observe("refuses to publish what is too large to send")
    await send_control(w, IWant([sha256(each).digest() for each in data[:2]]))
    await hears(trial, w, "both messages", lambda w: len(data_to(w)) >= 2)
    await send_control(w, IWant([sha256(each).digest() for each in (too_large, data[2])]))
    await hears(trial, w, "the message that is not too large", lambda w: data[2] in data_to(w))
    largest = max(len(encode_rpc(rpc)) for rpc in received(w))
    trial.check(largest <= LIMIT, f"RPCs of {LIMIT} bytes at most", f"one of {largest} bytes")
    trial.equal("messages sent", len(data_to(w)), 3)


@case("GOS-16", fault="only_the_first_is_asked")
async def who_offers_the_same_is_asked_where_the_first_does_not_deliver(trial: Trial) -> None:
    """Go, js and nim ask both at once. Rust does not ask the second while the first may still
    deliver: then a peer that offers all and sends nothing can hold up messages."""
    node = await trial.start(subscribed=True, params={"iwantFollowupMs": 10_000})
    silent, honest = await trial.peer(node), await trial.peer(node)
    (wanted,) = some_ids(trial, 1)
    await send_control(silent, IHave(node.topic, [wanted]))
    await hears(trial, silent, "IWANT to the first", lambda w: wanted in asked_of(w))
    for _ in range(3):  # as long as an honest node would gossip
        await send_control(honest, IHave(node.topic, [wanted]))
        await trial.heartbeats(1, node)
    await hears(trial, honest, "IWANT to the second", lambda w: wanted in asked_of(w), timeout=5.0)


@case("GOS-17", fault="budgets_are_never_renewed", address=True)
async def who_offers_too_much_is_heard_again_after_a_heartbeat(trial: Trial) -> None:
    """And others are heard all the time. Some count by the second: as long it takes at least."""
    node = await trial.start(subscribed=True)
    w, other = await trial.peer(node), await trial.peer(node)
    for message_id in some_ids(trial, 30):
        await send_control(w, IHave(node.topic, [message_id]))
    (from_other,) = some_ids(trial, 1)
    await send_control(other, IHave(node.topic, [from_other]))
    await hears(trial, other, "IWANT to another peer", lambda w: from_other in asked_of(w))
    await anyio.sleep(max(2 * node.heartbeat, 1.2))
    await settled(trial, node, w)
