"""IDONTWANT (GossipSub v1.2). Large messages here have 4 KiB, above every implementation's
threshold."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.scoring import (
    enter_mesh,
    has_read,
    has_score,
    judge,
    judge_messages,
    meet,
    stay_outside,
)
from gossipsub.conformance.kit.trial import PROTOCOLS, Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_control import (
    ask,
    received_data,
    refuse,
    refused,
    send,
)
from gossipsub.conformance.scripted_gossip import id_of, received, received_numbers, signed
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Message

LARGE_BYTES = 4096
V1_1 = ("/meshsub/1.1.0", "/meshsub/1.0.0", "/floodsub/1.0.0")
V1_3 = ("/meshsub/1.3.0", *PROTOCOLS)


def large(w: ScriptedPeer, topic: str, number: int) -> Message:
    return signed(w, topic, number, b"%d large " % number + bytes(LARGE_BYTES))


async def _meet(trial: Trial, node: Node, protocols: Sequence[str] = PROTOCOLS) -> ScriptedPeer:
    """CannotTry where the target has no IDONTWANT."""
    w = await meet(trial, node, protocols=protocols)
    if w.pubsub_in[-1].protocol in V1_1:
        raise CannotTry("the target does not speak v1.2")
    return w


async def _mesh(trial: Trial, node: Node, count: int) -> list[ScriptedPeer]:
    peers = [await _meet(trial, node) for _ in range(count)]
    for w in peers:
        await enter_mesh(trial, node, w)
    return peers


async def _wait_number(w: ScriptedPeer, number: int, *, timeout: float = 5.0) -> None:
    await w.until(lambda: number in received_numbers(w), f"message {number}", timeout)


async def _wait_refused(trial: Trial, w: ScriptedPeer) -> None:
    with trial.expecting("IDONTWANT for a large message"):
        await w.until(lambda: refused(w) != [], "IDONTWANT", 5)


def _is_first(w: ScriptedPeer, number: int) -> bool:
    """Whether W was sent IDONTWANT before the message."""
    for rpc in received(w):
        if rpc.control is not None and rpc.control.idontwant:
            return True
        if any(int.from_bytes(message.seqno or b"") == number for message in rpc.publish):
            return False
    return False


@case("IDW-01", fault="idontwant_waits_for_validation")
async def idontwant_for_a_large_message_leaves_before_it_is_validated(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    author, w, v = await _mesh(trial, node, 3)
    await judge_messages(node, b"1 large", "accept", delay_ms=1500)
    await send(author, large(author, node.topic, 1))
    for each in (w, v):
        await _wait_refused(trial, each)
        trial.equal("ids in IDONTWANT", refused(each), [id_of(author, 1)])
        trial.equal("messages sent so far", received_numbers(each), [])
    with trial.expecting("the message when it was validated"):
        await _wait_number(w, 1)


@case("IDW-01b", fault="idontwant_follows_the_message", address=True)
async def idontwant_for_a_large_message_comes_before_the_message_itself(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    author, w = await _mesh(trial, node, 2)
    await send(author, large(author, node.topic, 1))
    with trial.expecting("a large message, forwarded"):
        await _wait_number(w, 1)
    await _wait_refused(trial, w)
    trial.check(_is_first(w, 1), "IDONTWANT before the message", "the message before IDONTWANT")


@case("IDW-02", fault="idontwant_is_for_the_sender_too", address=True)
async def who_sent_a_large_message_gets_no_idontwant_for_it(trial: Trial) -> None:
    """Rust and nim leave out its author as well."""
    node = await trial.start(subscribed=True)
    author, bringer, w = await _mesh(trial, node, 3)
    await send(bringer, large(author, node.topic, 1))
    await _wait_refused(trial, w)
    with trial.expecting("a large message, forwarded"):
        await _wait_number(w, 1)
    await send(w, signed(w, node.topic, 2))
    for each in (author, bringer):
        with trial.expecting("the next message, forwarded"):
            await _wait_number(each, 2)
    trial.equal("IDONTWANT to who sent the message", refused(bringer), [])
    trial.observe(f"{'tells' if refused(author) else 'does not tell'} the author")


@case("IDW-03", fault="idontwant_is_for_old_versions_too", address=True)
async def a_peer_that_speaks_an_older_version_gets_no_idontwant(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    author, w = await _meet(trial, node), await _meet(trial, node)
    old = await meet(trial, node, protocols=V1_1)
    for each in (author, w, old):
        await enter_mesh(trial, node, each)
    await send(author, large(author, node.topic, 1))
    await _wait_refused(trial, w)
    with trial.expecting("a large message, forwarded to the older peer"):
        await _wait_number(old, 1)
    await send(author, signed(author, node.topic, 2))
    with trial.expecting("the next message"):
        await _wait_number(old, 2)
    trial.equal("IDONTWANT to a peer that speaks v1.1", refused(old), [])


@case("IDW-03b", fault="idontwant_is_for_one_version", address=True)
async def a_peer_that_speaks_the_newest_version_gets_idontwant(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    author, new = await _meet(trial, node), await _meet(trial, node, V1_3)
    for each in (author, new):
        await enter_mesh(trial, node, each)
    trial.observe(f"speaks {new.pubsub_in[-1].protocol} with a peer that offers v1.3")
    await send(author, large(author, node.topic, 1))
    await _wait_refused(trial, new)


@case("IDW-04", fault="idontwant_for_any_size", address=True)
async def there_is_no_idontwant_for_a_small_message(trial: Trial) -> None:
    """Which size is large is left open."""
    node = await trial.start(subscribed=True)
    author, w = await _mesh(trial, node, 2)
    await send(author, signed(author, node.topic, 1, bytes(100)))
    with trial.expecting("a message of 100 bytes, forwarded"):
        await _wait_number(w, 1)
    for number, size in enumerate((500, 512, 1000, 1024, LARGE_BYTES), 2):
        before = len(refused(w))
        trial.check(
            number > 2 or before == 0, "no IDONTWANT for a message of 100 bytes", "IDONTWANT"
        )
        await send(author, signed(author, node.topic, number, bytes(size)))
        with trial.expecting(f"a message of {size} bytes, forwarded"):
            await _wait_number(w, number)
        if len(refused(w)) > before:
            trial.observe(f"IDONTWANT for messages of {size} bytes")
            return
    await _wait_refused(trial, w)


@case("IDW-05", fault="idontwant_for_every_copy", address=True)
async def there_is_no_idontwant_for_a_second_copy(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    author, second, w = await _mesh(trial, node, 3)
    message = large(author, node.topic, 1)
    await send(author, message)
    with trial.expecting("a large message, forwarded"):
        await _wait_number(w, 1)
    await _wait_refused(trial, w)
    await send(second, message, signed(second, node.topic, 2))
    for each in (author, w):
        with trial.expecting("the next message"):
            await _wait_number(each, 2)
    ids = refused(w)
    trial.check(len(ids) == len(set(ids)), "no id in IDONTWANT twice", f"{len(ids)} ids")


@case("IDW-06", fault="refusals_are_not_heeded")
async def a_refused_message_is_not_forwarded(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    author, w, other = await _mesh(trial, node, 3)
    await refuse(w, id_of(author, 1))
    await has_read(trial, node, w)
    await send(author, large(author, node.topic, 1), signed(author, node.topic, 2))
    for each in (w, other):
        with trial.expecting("a message that nobody refused"):
            await _wait_number(each, 2)
    with trial.expecting("the message at a peer that did not refuse it"):
        await _wait_number(other, 1)
    await trial.heartbeats(0.5, node)
    trial.equal("copies of what W refused", received_numbers(w).count(1), 0)


@case("IDW-07", fault="refusals_are_forgotten_when_asked")
async def a_refused_message_is_not_sent_for_iwant_either(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    author, w = await _meet(trial, node), await _meet(trial, node)
    await stay_outside(trial, node, w)
    await refuse(w, id_of(author, 1))
    await send(author, signed(author, node.topic, 1), signed(author, node.topic, 2))
    with trial.expecting("two messages, delivered"):
        await node.delivered(b"1")
        await node.delivered(b"2")
    await ask(w, id_of(author, 1))
    await ask(w, id_of(author, 2))
    with trial.expecting("an answer to IWANT for a message that W did not refuse"):
        await _wait_number(w, 2)
    await trial.heartbeats(0.5, node)
    trial.equal("answers to IWANT for a refused message", received_numbers(w).count(1), 0)


@case("IDW-08", fault="one_refusal_in_each_rpc_is_heeded")
async def at_least_ten_ids_of_one_idontwant_are_heeded(trial: Trial) -> None:
    """How many more is left open: go heeds 10 of an RPC, js 512 and rust 10,000 at a time."""
    node = await trial.start(subscribed=True)
    author, w = await _mesh(trial, node, 2)
    await refuse(w, *(id_of(author, number) for number in range(1, 21)))
    await has_read(trial, node, w)
    await send(author, *(signed(author, node.topic, number) for number in range(1, 22)))
    with trial.expecting("a message that W did not refuse"):
        await _wait_number(w, 21)
    await trial.heartbeats(0.5, node)
    came = received_numbers(w)
    trial.equal("of the first ten refused", [number for number in came if number <= 10], [])
    trial.observe(f"heeds {20 - len([number for number in came if number <= 20])} of 20 ids")


@case("IDW-08b", fault="idontwant_costs", also=("SPAM-07", "IDW-12"))
async def a_flood_of_idontwant_costs_nothing_and_stops_nothing(trial: Trial) -> None:
    node = await judge(trial, behaviourPenaltyWeight=-1, behaviourPenaltyThreshold=0)
    author, w = await _mesh(trial, node, 2)
    for number in range(1200):
        first = 1000 + 10 * number
        await refuse(w, *(id_of(author, first + more) for more in range(10)))
    await has_read(trial, node, w)
    await has_score(trial, node, w, 0, why="IDONTWANT costs nothing")
    await send(author, signed(author, node.topic, 1))
    with trial.expecting("a message that W did not refuse"):
        await _wait_number(w, 1)


@case("IDW-09", fault="refusals_are_for_ever")
async def refusals_expire(trial: Trial) -> None:
    """Go forgets them after 3 heartbeats, js after 5, rust after 3 seconds."""
    node = await trial.start(subscribed=True)
    author, w = await _mesh(trial, node, 2)
    await refuse(w, *(id_of(author, number) for number in range(1, 11)))
    began = anyio.current_time()
    await has_read(trial, node, w)
    for number in range(1, 11):
        await send(author, signed(author, node.topic, number))
        with trial.expecting("a message, delivered"):
            await node.delivered(b"%d" % number)
        await trial.heartbeats(1.5, node)
        if received_numbers(w):
            break
    came = received_numbers(w)
    trial.check(came, "a refusal forgotten within 15 heartbeats", "none")
    trial.check(1 not in came, "what was refused just before not sent", "sent")
    trial.observe(f"forgets refusals within {anyio.current_time() - began:.1f} s")


@case("IDW-10", fault="idontwant_follows_the_message")
async def idontwant_for_an_own_message_comes_before_it_if_at_all(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    (w,) = await _mesh(trial, node, 1)
    await node.publish(b"own" + bytes(LARGE_BYTES))
    with trial.expecting("an own message"):
        await w.until(lambda: received_data(w) != [], "the message", 5)
    await trial.heartbeats(0.5, node)
    if not refused(w):
        trial.observe("sends no IDONTWANT for own messages")
        return
    trial.observe("sends IDONTWANT for own messages")
    seqno = next(message.seqno for rpc in received(w) for message in rpc.publish)
    is_first = _is_first(w, int.from_bytes(seqno or b""))
    trial.check(is_first, "IDONTWANT before the message", "the message before IDONTWANT")


@case("IDW-11", fault="idontwant_is_for_all_of_the_topic")
async def idontwant_goes_to_mesh_peers_only(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    author, w = await _mesh(trial, node, 2)
    outside = await meet(trial, node)
    await stay_outside(trial, node, outside)
    await send(author, large(author, node.topic, 1))
    await _wait_refused(trial, w)
    with trial.expecting("a large message, forwarded"):
        await _wait_number(w, 1)
    await trial.heartbeats(1, node)
    trial.equal("IDONTWANT to a peer outside of the mesh", refused(outside), [])


@case("IDW-12", fault="what_we_refused_is_spam")
async def who_sends_what_was_refused_is_not_charged(trial: Trial) -> None:
    node = await judge(
        trial,
        topic={"invalidMessageDeliveriesWeight": -10, "firstMessageDeliveriesWeight": 1},
        behaviourPenaltyWeight=-1,
        behaviourPenaltyThreshold=0,
    )
    author, w = await _mesh(trial, node, 2)
    message = large(author, node.topic, 1)
    await send(author, message)
    await _wait_refused(trial, w)
    with trial.expecting("a large message, forwarded"):
        await _wait_number(w, 1)
    await send(w, message, signed(w, node.topic, 2))
    await has_score(trial, node, w, 1, why="a copy costs nothing, and a message of its own earns")
