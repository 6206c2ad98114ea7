"""The Extensions control message (GossipSub v1.3), tried with the test extension."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.scoring import (
    NEVER_MS,
    NO_THRESHOLDS,
    enter_mesh,
    has_read,
    has_score,
    meet,
    score_of,
)
from gossipsub.conformance.kit.trial import PROTOCOLS, Trial
from gossipsub.conformance.kit.verdict import CannotTry, Deviation
from gossipsub.conformance.scripted_control import received_data, send, subscribe, wait_data
from gossipsub.conformance.scripted_gossip import received, received_control, signed
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Control, Extensions, Rpc
from gossipsub.wire.varint import encode_uvarint

V1_3 = "/meshsub/1.3.0"
W = 71
"""A peer that comes twice."""
TEST = Rpc(control=Control(extensions=Extensions(test_extension=True)))
SCORE = {
    "behaviourPenaltyWeight": -1,
    "behaviourPenaltyThreshold": 0,
    "decayIntervalMs": NEVER_MS,
    "thresholds": NO_THRESHOLDS,
}
TEST_EXTENSION_FIELD = 6492434


async def start_with(trial: Trial, *arguments: str, scored: bool = False) -> Node:
    """The target with these flags, which are no part of the test-peer protocol. CannotTry where
    it does not know them."""
    return await trial.start(subscribed=True, arguments=arguments, score=SCORE if scored else None)


async def peer_of_v1_3(trial: Trial, node: Node, *, seed: int | None = None) -> ScriptedPeer:
    w = await meet(trial, node, seed=seed, protocols=(V1_3, *PROTOCOLS))
    if w.pubsub_in[-1].protocol != V1_3:
        raise CannotTry("the target does not speak v1.3")
    return w


def _announcements(w: ScriptedPeer) -> list[Extensions]:
    controls = received_control(w)
    return [control.extensions for control in controls if control.extensions is not None]


async def _first_announces(trial: Trial, w: ScriptedPeer) -> Extensions:
    """In the first RPC: neither later nor in one before."""
    with trial.expecting("a first RPC on the target's stream"):
        first = await w.receive_rpc()
    announced = None if first.control is None else first.control.extensions
    if announced is None:
        raise Deviation("an Extensions message in the first RPC", f"{first}")
    return announced


async def _wait_test(trial: Trial, w: ScriptedPeer) -> None:
    with trial.expecting("an RPC of the test extension, which both sides announced"):
        await w.until(lambda: _tests(w) > 0, "test extension", 5)


def _tests(w: ScriptedPeer) -> int:
    return sum(rpc.test_extension for rpc in received(w))


@case("EXT-01", fault="extensions_come_later")
async def extensions_are_announced_in_the_first_rpc(trial: Trial) -> None:
    """With subscriptions, as go does it, or alone before them, as nim."""
    node = await start_with(trial, "--test-extension")
    announced = await _first_announces(trial, await peer_of_v1_3(trial, node))
    trial.equal("announced", announced, Extensions(test_extension=True))


@case("EXT-01b", fault="extensions_come_later", address=True)
async def if_a_node_announces_extensions_it_does_so_at_first_and_once(trial: Trial) -> None:
    """Also one that has none to announce."""
    node = await _start_with_any(trial)
    w = await peer_of_v1_3(trial, node)
    await trial.heartbeats(2, node)
    if not _announcements(w):
        raise CannotTry("the target announces no extensions")
    trial.observe(f"announces {await _first_announces(trial, w)}")
    trial.equal("times that extensions were announced", len(_announcements(w)), 1)


async def _start_with_any(trial: Trial) -> Node:
    """With the test extension, or with whatever it announces by itself."""
    try:
        return await start_with(trial, "--test-extension")
    except CannotTry:
        return await trial.start(subscribed=True)


@case("EXT-02", fault="extensions_are_announced_again")
async def extensions_are_announced_once(trial: Trial) -> None:
    node = await start_with(trial, "--test-extension")
    w, author = await peer_of_v1_3(trial, node), await meet(trial, node)
    await enter_mesh(trial, node, w)
    for number in range(20):
        await send(author, signed(author, node.topic, number))
    await node.command("subscribe", topic="another")
    with trial.expecting("20 messages and another subscription"):
        await w.until(lambda: len(received_data(w)) == 20, "messages", 10)
        await w.until(
            lambda: "another" in [o.topic for rpc in received(w) for o in rpc.subscriptions],
            "subscription",
            10,
        )
    trial.equal("times that extensions were announced", len(_announcements(w)), 1)


@case("EXT-03", fault="extensions_may_come_again")
async def who_announces_extensions_twice_is_charged(trial: Trial) -> None:
    """With 10 of P7 by go, and a penalty by nim. Rust ignores the second."""
    try:
        node = await start_with(trial, "--test-extension", scored=True)
    except CannotTry:  # the rule holds for whoever speaks v1.3
        node = await trial.start(subscribed=True, score=SCORE)
    w = await peer_of_v1_3(trial, node)
    await w.send_rpc(TEST)
    await has_read(trial, node, w)
    await has_score(trial, node, w, 0, why="it announced extensions once")
    await w.send_rpc(TEST)
    await _is_charged(trial, node, w)


@case("EXT-03b", fault="extensions_may_come_late")
async def who_announces_extensions_later_than_in_its_first_rpc_is_charged(trial: Trial) -> None:
    """And they are not used: the first RPC decides."""
    node = await start_with(trial, "--test-extension", scored=True)
    w = await peer_of_v1_3(trial, node)
    await subscribe(w, "first")
    await w.send_rpc(TEST)
    await has_read(trial, node, w)
    await trial.heartbeats(0.5, node)
    trial.equal("RPCs of the test extension", _tests(w), 0)
    await _is_charged(trial, node, w)


async def _is_charged(trial: Trial, node: Node, w: ScriptedPeer) -> None:
    await has_read(trial, node, w)
    await trial.heartbeats(1.2 / node.heartbeat, node)  # a score may be a second old
    score = await score_of(node, w)
    trial.check(score is not None and score < 0, "a penalty: a score below 0", score)
    trial.observe(f"P7 {(-(score or 0)) ** 0.5:g}")


@case("EXT-04", fault="unknown_extensions_spoil_known_ones")
async def unknown_extensions_are_ignored_and_known_ones_beside_them_used(trial: Trial) -> None:
    node = await start_with(trial, "--test-extension", scored=True)
    w = await peer_of_v1_3(trial, node)
    await w.send_rpc(Rpc(encoding=_with_unknown_extensions()))
    await _wait_test(trial, w)
    await has_read(trial, node, w)
    await has_score(trial, node, w, 0, why="an unknown extension is no misbehaviour")


def _with_unknown_extensions() -> bytes:
    """RPC{control{extensions{a flag and bytes that nobody knows, testExtension}}}."""
    extensions = encode_uvarint(99_991 << 3) + b"\x01"
    extensions += encode_uvarint(99_992 << 3 | 2) + b"\x05hello"
    extensions += encode_uvarint(TEST_EXTENSION_FIELD << 3) + b"\x01"
    control = b"\x32" + encode_uvarint(len(extensions)) + extensions
    return b"\x1a" + encode_uvarint(len(control)) + control


@case("EXT-05", fault="the_test_extension_needs_no_announcement")
async def a_node_that_announces_no_extension_uses_none(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await peer_of_v1_3(trial, node)
    await w.send_rpc(TEST)
    await enter_mesh(trial, node, w)
    await node.publish(b"own")
    with trial.expecting("an own message"):
        await wait_data(w, b"own")
    announced = _announcements(w)
    trial.observe(f"announces {announced[0]}" if announced else "announces no extensions")
    if not any(extensions.test_extension for extensions in announced):
        trial.equal("RPCs of the test extension", _tests(w), 0)


@case("EXT-06", fault="extensions_are_known_of_a_peer")
async def what_was_announced_is_forgotten_with_the_connection(trial: Trial) -> None:
    node = await start_with(trial, "--test-extension", scored=True)
    for _ in range(2):
        w = await peer_of_v1_3(trial, node, seed=W)
        announced = await _first_announces(trial, w)
        trial.equal("announced", announced, Extensions(test_extension=True))
        await w.send_rpc(TEST)
        await _wait_test(trial, w)
        await has_score(trial, node, w, 0, why="it announced extensions once on this stream")
        await w.wire.close()
        with trial.expecting("a peer gone that closed its connection"):
            await node.wait_answer("peers", lambda got: got["peers"] == [])


@case("EXT-07", fault="the_test_extension_is_not_carried_out")
async def the_test_extension_is_carried_out_once(trial: Trial) -> None:
    node = await start_with(trial, "--test-extension")
    w = await peer_of_v1_3(trial, node)
    await w.send_rpc(TEST)
    await _wait_test(trial, w)
    await w.send_rpc(Rpc(test_extension=True))
    await has_read(trial, node, w)
    trial.equal("RPCs of the test extension", _tests(w), 1)


@case("EXT-08", fault="extensions_are_for_all_versions", also=("WIRE-12",), address=True)
async def extensions_are_neither_announced_nor_used_with_older_versions(trial: Trial) -> None:
    node = await _start_with_any(trial)
    w, author = await meet(trial, node), await meet(trial, node)
    await w.send_rpc(TEST)
    await enter_mesh(trial, node, w)
    await send(author, signed(author, node.topic, 1))
    with trial.expecting("a message, forwarded"):
        await wait_data(w, b"1")
    trial.equal("announced to a peer that speaks v1.2", _announcements(w), [])
    trial.equal("RPCs of the test extension to it", _tests(w), 0)
