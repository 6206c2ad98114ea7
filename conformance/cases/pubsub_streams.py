"""The two one-way streams of pubsub: who opens them, who says what there, how they end (WIRE)."""

from __future__ import annotations

import math

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.relay import open_relay
from gossipsub.conformance.kit.trial import PROTOCOLS, Trial
from gossipsub.conformance.scripted_gossip import join, join_mesh, received, received_control
from gossipsub.conformance.scripted_peer import PUBSUB, ScriptedPeer
from gossipsub.conformance.scripted_stream import ScriptedStream
from gossipsub.conformance.scripted_wire import deadline

MESHSUB_1_0 = "/meshsub/1.0.0"
MESHSUB_1_1 = "/meshsub/1.1.0"
LARGE = 50_000
COUNT = 60


def out_of(w: ScriptedPeer) -> ScriptedStream:
    """W's own pubsub stream."""
    assert w.pubsub_out is not None
    return w.pubsub_out


def announced(w: ScriptedPeer, topic: str) -> list[bool]:
    """What the target said of that topic so far: subscribe, or unsubscribe."""
    return [
        option.subscribe
        for rpc in received(w)
        for option in rpc.subscriptions
        if option.topic == topic
    ]


async def wait_announced(w: ScriptedPeer, topic: str, times: int = 1) -> None:
    await w.until(lambda: len(announced(w, topic)) >= times, f"subscription to {topic}", 10)


@case("WIRE-08", fault="rpcs_come_on_the_peers_stream", also=("T3",), address=True)
async def the_target_opens_its_own_stream_and_only_writes_there(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await trial.upgrade(node)
    with trial.expecting("a pubsub stream accepted, and one opened back"):
        await w.serve_identify(PROTOCOLS)
        await w.open_pubsub(*PROTOCOLS)
        negotiated = out_of(w).received_bytes
        await w.wait_pubsub()
    relay = await open_relay(trial, node, reader=w)
    await relay.forwards(relay.message())
    trial.equal("bytes on W's stream", out_of(w).received_bytes - negotiated, 0)
    trial.equal("its end by the target", (out_of(w).ended, out_of(w).reset_code), (False, None))
    trial.equal("streams the target opened", len(w.pubsub_in), 1)


@case("WIRE-08b", fault="who_was_dialled_gets_no_stream", also=("T1",))
async def a_dialled_peer_gets_a_stream_before_it_opens_one(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    listener = await trial.listener()
    connecting = node.meanwhile("connect", addr=listener.address)
    async with connecting, listener.accept(timeout=10) as w:
        trial.watch("W1", w.journal)
        await w.serve_identify(PROTOCOLS)
        with trial.expecting("a pubsub stream with the target's subscription"):
            await w.wait_pubsub()
            await wait_announced(w, node.topic)


@case("WIRE-09", fault="an_earlier_stream_stays", also=("T4",), address=True)
async def a_second_stream_of_a_peer_replaces_its_first(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    first = out_of(relay.author)
    with trial.expecting("a second pubsub stream, accepted"):
        second = await relay.author.open_pubsub()
    await relay.forwards(relay.message(), "what comes on the second stream heard")
    with trial.expecting("the first stream reset"):
        await relay.author.until(
            lambda: first.ended or first.reset_code is not None, "end of the first stream", 5
        )
    trial.equal("reset of the second stream", second.reset_code, None)


@case("WIRE-10", fault="a_stream_that_was_reset_is_not_opened_again", address=True)
async def a_stream_that_the_peer_resets_is_opened_again(trial: Trial) -> None:
    """With the whole hello. How often and how soon in a row is the target's: go tries four
    times, ever later."""
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    for number in (1, 2):
        with trial.expecting(f"stream {number}, and the subscriptions at its beginning"):
            stream = await w.wait_pubsub(number, timeout=10)
            await wait_announced(w, node.topic, number)
        await stream.reset()
    with trial.expecting("a new stream after the second reset, and the subscriptions again"):
        await w.wait_pubsub(3, timeout=10)
        await wait_announced(w, node.topic, 3)


@case("WIRE-10b", fault="what_is_on_its_own_stream_is_ignored", also=("T3",), address=True)
async def a_peer_that_closes_our_stream_gets_a_new_one(trial: Trial) -> None:
    """The reader of a pubsub stream says nothing there; if it ends its side, it has gone away."""
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    stream = await w.wait_pubsub()
    with trial.expecting("the subscriptions"):
        await wait_announced(w, node.topic)
    await stream.finish()
    with trial.expecting("the closed stream ended, and another with the subscriptions"):
        await w.wait_pubsub(2, timeout=10)
        await wait_announced(w, node.topic, 2)


@case("WIRE-11", fault="only_the_newest_protocol_is_offered", address=True)
async def the_first_protocol_that_the_peer_accepts_is_used(trial: Trial) -> None:
    """W speaks meshsub 1.1 only."""
    node = await trial.start()
    w = await trial.upgrade(node)
    await w.serve_identify([MESHSUB_1_1])
    with trial.expecting(f"a stream of {MESHSUB_1_1}, the only one W speaks"):
        stream = await w.wait_pubsub()
    trial.equal("protocol", stream.protocol, MESHSUB_1_1)


@case("WIRE-11b", fault="the_oldest_protocol_is_offered_first", address=True)
async def the_newest_protocol_that_both_speak_is_used(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    with trial.expecting("an identify message, then FIN"):
        spoken = (await w.ask_identify()).protocols
    best = next((name for name in PUBSUB if name in spoken), None)
    trial.check(best, "a pubsub protocol among those listed", spoken)
    trial.observe(f"speaks up to {best}")
    await w.serve_identify(PUBSUB)
    with trial.expecting(f"a stream of {best}"):
        stream = await w.wait_pubsub()
    trial.equal("protocol", stream.protocol, best)


@case("WIRE-12", fault="meshsub_1_0_gets_what_1_2_gets")
async def a_peer_of_meshsub_1_0_is_told_nothing_of_later_versions(trial: Trial) -> None:
    """No backoff and no peers in PRUNE, no IDONTWANT."""
    node = await trial.start(subscribed=True, params={"doPX": True, "idontwantThreshold": 100})
    relay = await open_relay(trial, node, protocols=[MESHSUB_1_0])
    await relay.forwards(relay.message(bytes(2000)))
    w = relay.reader
    await node.command("unsubscribe", topic=node.topic)
    with trial.expecting("a PRUNE, since the target left the topic"):
        await w.until(lambda: any(each.prune for each in received_control(w)), "PRUNE", 5)
    pruned = [each for control in received_control(w) for each in control.prune]
    trial.equal("backoff", [each.backoff for each in pruned], [None] * len(pruned))
    trial.equal("peers", [list(each.peers) for each in pruned], [[]] * len(pruned))
    refused = [each for control in received_control(w) for each in control.idontwant]
    trial.equal("IDONTWANT", refused, [])


@case("WIRE-14", fault="pushes_are_not_heard", also=("IDY-08",), address=True)
async def a_peer_that_learns_pubsub_after_connecting_gets_a_stream(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.upgrade(node)
    await w.serve_identify([])
    with trial.expecting("identify, asked and answered"):
        await w.ask_identify()
        await w.until(lambda: any(each.protocol for each in w.accepted), "identify stream", 5)
    await trial.heartbeats(1, node)
    w.serve(*PROTOCOLS, handler=w.read_pubsub)
    with trial.expecting("identify push, accepted"):
        await w.push_identify(w.describe(PROTOCOLS))
    with trial.expecting("a pubsub stream after W pushed that it speaks it"):
        await w.wait_pubsub()


@case("WIRE-16", fault="a_peer_that_left_is_remembered")
async def of_a_peer_that_disconnected_nothing_is_left(trial: Trial) -> None:
    """Its subscriptions above all: when it comes back it is in no topic until it says so."""
    node = await trial.start(subscribed=True)
    w = await trial.peer(node, seed=5000)
    await join_mesh(w, node.process, node.topic)
    await w.wire.close()
    name = str(w.peer_id)
    with trial.expecting("W gone from peers, topic and mesh"):
        for question in ("topic_peers", "mesh"):
            await node.wait_answer(question, lambda got: name not in got["peers"], topic=node.topic)
        await node.wait_answer(
            "peers", lambda got: name not in [each["peer"] for each in got["peers"]]
        )
    again = await trial.peer(node, seed=5000)
    with trial.expecting("W's new subscription noted"):
        await join(again, node.process, "another")
    here = (await node.command("topic_peers", topic=node.topic))["peers"]
    trial.equal("peers of the topic that W has not announced again", here, [])


@case("WIRE-19", fault="a_deaf_peer_takes_the_others_messages")
async def a_peer_that_does_not_read_costs_the_others_nothing(trial: Trial) -> None:
    """3 MB are published, a tenth of which fits into the deaf peer's stream."""
    node = await trial.start(subscribed=True)
    deaf, other = await trial.peer(node), await trial.peer(node)
    for w in (deaf, other):
        await join_mesh(w, node.process, node.topic)
    deaf.stop_reading()
    with trial.expecting(f"all {COUNT} messages with the peer that reads, within 15 s"):
        await read_run(node, other, count=COUNT, timeout=15)


async def read_run(node: Node, w: ScriptedPeer, *, count: int, timeout: float) -> None:
    """The target publishes so many messages of 50 KB, and W reads them all; at most 8 are under
    way to it."""

    def messages() -> int:
        return sum(len(rpc.publish) for rpc in received(w))

    run = node.meanwhile(
        "publish_many", topic=node.topic, count=count, size=LARGE, window=8, timeout_ms=60_000
    )
    async with run:
        with deadline(timeout, f"{count} messages"):
            seen = 0
            while seen < count:
                await w.until(lambda: messages() > seen, "message", math.inf)  # noqa: B023
                seen = messages()
                await node.process.credit(seen)


@case("WIRE-21", fault="announcements_outlive_their_stream")
async def what_a_peer_announced_ends_with_its_stream(trial: Trial) -> None:
    """Current go forgets the subscriptions when the stream they came on closes, and counts on
    a new stream to begin with all of them. The connection lives on."""
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    await join(w, node.process, node.topic)
    await out_of(w).finish()
    name = str(w.peer_id)
    with trial.expecting("W gone from the topic when its stream is closed"):
        await node.wait_answer(
            "topic_peers", lambda got: name not in got["peers"], topic=node.topic, timeout=5
        )
    with trial.expecting("W back in the topic after it announced it on a new stream"):
        await w.open_pubsub()
        await join(w, node.process, node.topic)


@case("WIRE-21b", fault="a_reopened_stream_begins_without_hello", address=True)
async def a_new_stream_of_the_target_begins_with_its_subscriptions(trial: Trial) -> None:
    """The peer has forgotten those announced on the stream before."""
    node = await trial.start(subscribed=True)
    relay = await open_relay(trial, node)
    w = relay.reader
    before = len(received(w))
    await (await w.wait_pubsub()).reset()
    with trial.expecting("another stream"):
        await w.wait_pubsub(2, timeout=10)
        await w.until(lambda: len(received(w)) > before, "RPC on it", 10)
    first = received(w)[before]
    told = [option.topic for option in first.subscriptions if option.subscribe]
    trial.check(node.topic in told, f"{node.topic} in the first RPC of the stream", told)
