"""Connections as a whole: the layers in their order, simultaneous dials, stalled upgrades."""

from __future__ import annotations

import anyio

from gossipsub.conformance.driver import Event
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.echo import NOBODYS, check_serves
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.trial import PROTOCOLS, Trial
from gossipsub.conformance.scripted_peer import IDENTIFY, Frame, play
from gossipsub.conformance.scripted_wire import (
    MULTISTREAM,
    NOISE,
    YAMUX,
    Wire,
    deadline,
    encode_line,
    key_of_seed,
)
from gossipsub.wire.yamux_frame import DATA, SYN

KEY = key_of_seed(1)
ROUNDS = 10
UPGRADE_SECONDS = 30.0
"""Loosely: go gives an inbound upgrade 15 s."""


@case("CONN-01", fault="the_muxer_is_mplex", address=True)
async def a_connection_is_noise_then_yamux_then_streams(trial: Trial) -> None:
    node = await trial.start()
    with trial.expecting("a connection: /noise, Noise, /yamux/1.0.0"):
        w = await trial.upgrade(node)
    await check_serves(trial, w, "a connection to the target")
    within = YAMUX.encode() in w.wire.remote_muxers
    how = "within the Noise handshake" if within else "by multistream-select"
    trial.observe(f"agrees on the muxer {how}")


@case("CONN-01b", fault="a_dialler_is_yamux_server")
async def a_dialler_is_initiator_of_noise_and_client_of_yamux(trial: Trial) -> None:
    node = await trial.start()
    wire, _ = await trial.dialled_wire(node, seed=1)
    with trial.expecting(
        "a dialler that proposes /noise and yamux, and begins the Noise handshake"
    ):
        await wire.upgrade(KEY, initiator=False)
    async with play(wire, KEY, client=False) as w:
        with trial.expecting("a stream of the target, which dialled"):
            stream = await w.accept_stream(timeout=10)
        trial.equal("parity of the stream ids of who dialled", stream.stream_id % 2, 1)
        await check_serves(trial, w, "a connection that the target dialled")


@case("CONN-02", fault="two_connections_to_a_peer_end_both")
async def simultaneous_dials_leave_a_peer_that_counts_once(trial: Trial) -> None:
    """Whether one or two connections stay is left open."""
    node = await trial.start(subscribed=True)
    other = await trial.companion()
    await other.command("subscribe", topic=node.topic)
    for number in range(ROUNDS):
        dials = [await trial.dials(node, other.address), await trial.dials(other, node.address)]
        with trial.expecting("an end of both dials"), deadline(15, "end of a dial"):
            for dial in dials:
                await dial.ended.wait()
        with trial.expecting("each in the topic of the other after both dialled at once"):
            await _counts_once(trial, node, other)
            await _counts_once(trial, other, node)
        if number < ROUNDS - 1:
            await node.command("disconnect", peer=other.peer_id)
            with trial.expecting("neither connected nor in a topic after a disconnect"):
                await _has_forgotten(node, other)
                await _has_forgotten(other, node)
    with trial.expecting("both in each other's mesh, and a message either way"):
        for here, there in ((node, other), (other, node)):
            await _has_in_mesh(here, there)
        await node.publish(b"there")
        await other.delivered(b"there")
        await other.publish(b"back")
        await node.delivered(b"back")


async def _counts_once(trial: Trial, node: Node, other: Node) -> None:
    answer = await node.wait_answer(
        "topic_peers", lambda got: other.peer_id in got["peers"], topic=node.topic
    )
    trial.equal("entries of it among the topic's peers", answer["peers"].count(other.peer_id), 1)
    trial.equal("entries among the peers", _entries(await node.command("peers"), other), 1)


async def _has_forgotten(node: Node, other: Node) -> None:
    await node.wait_answer("peers", lambda got: _entries(got, other) == 0)
    await node.wait_answer(
        "topic_peers", lambda got: other.peer_id not in got["peers"], topic=node.topic
    )


async def _has_in_mesh(node: Node, other: Node) -> None:
    await node.wait_answer("mesh", lambda got: other.peer_id in got["peers"], topic=node.topic)


def _entries(answer: Event, node: Node) -> int:
    return sum(entry["peer"] == node.peer_id for entry in answer["peers"])


@case("CONN-03", fault="upgrades_are_one_at_a_time", address=True, time_limit=60.0)
async def an_upgrade_that_stalls_or_fails_stops_no_other_and_is_given_up(trial: Trial) -> None:
    """Within what time is left open; 30 s are allowed here."""
    node = await trial.start()
    stalled = await _stalled(trial, node)
    failing = await trial.reach(node)
    await failing.write(trial.rng.randbytes(200))
    with trial.expecting("a connection beside stalled ones"):
        w = await trial.upgrade(node)
    await check_serves(trial, w, "a connection beside stalled ones")
    began = anyio.current_time()
    for where, wire in {**stalled, "after garbage": failing}.items():
        with trial.expecting(f"an end of a connection that stalled {where}, within 30 s"):
            left = UPGRADE_SECONDS - (anyio.current_time() - began)
            await wire.wait_closed(timeout=max(left, 0.1))
    await check_serves(trial, w, "a connection after the stalled ones have ended")


async def _stalled(trial: Trial, node: Node) -> dict[str, Wire]:
    """Connections that say no more, by where they stopped."""
    wires = {"at once": await trial.reach(node)}
    wires["within its first line"] = wire = await trial.reach(node)
    await wire.write(encode_line(MULTISTREAM)[:7])
    with trial.expecting("upgrades beside stalled ones, each up to where it stalls itself"):
        wires["after the proposal"] = wire = await trial.reach(node)
        await wire.propose(NOISE)
        wires["within Noise message 1"] = wire = await trial.reach(node)
        await wire.propose(NOISE)
        await wire.send_raw(b"\x00\x20" + bytes(16))
        wires["after Noise message 2"] = wire = await trial.reach(node)
        await wire.propose(NOISE)
        await wire.shake_hands(KEY, initiator=True, messages=2)
        wires["before the muxer"] = wire = await trial.reach(node)
        await wire.propose(NOISE)
        await wire.shake_hands(KEY, initiator=True, muxers=())
    return wires


@case("CONN-04", fault="identify_push_is_not_heard", address=True)
async def protocols_told_by_identify_push_count_from_then_on(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    with trial.expecting("an identify request of the target"):
        await w.serve_identify(())
        await w.until(lambda: any(s.protocol == IDENTIFY for s in w.accepted), "identify", 10)
    await check_serves(trial, w, "a connection without pubsub")
    for name in PROTOCOLS:
        w.serve(name, handler=w.read_pubsub)
    with trial.expecting("a pubsub stream of the target once a push told that W speaks it"):
        await w.push_identify(w.describe(PROTOCOLS))
        await w.wait_pubsub(timeout=15)  # some look again from time to time


@case("T19", fault="what_follows_the_agreement_is_lost", address=True)
async def layers_that_begin_in_one_segment_lose_nothing(trial: Trial) -> None:
    """Proposal and Noise message 1; message 3 and what comes first inside Noise."""
    node = await trial.start()
    wire = await trial.reach(node)
    wire.gathers = True
    with trial.expecting("/noise and message 2, after a proposal and message 1 in one segment"):
        await wire.shake_hands(KEY, initiator=True, muxers=(), proposes=True)
    opening = encode_line(MULTISTREAM) + encode_line(NOBODYS)
    await wire.write_lines(MULTISTREAM, YAMUX)
    await wire.write(Frame(DATA, SYN, 1, len(opening), opening).encode())
    wire.gathers = False
    await wire.send_raw()
    with trial.expecting("yamux agreed on, after message 3, proposal and a frame in one segment"):
        trial.equal("the first line", await wire.read_line(), MULTISTREAM)
        trial.equal("the answer", await wire.read_line(), YAMUX)
    async with play(wire, KEY, client=True) as w:
        stream = w.new_stream()
        with trial.expecting("an answer on the stream that this frame opened"):
            trial.equal("the first line", await stream.read_line(), MULTISTREAM)
            trial.equal("the answer", await stream.read_line(), "na")
