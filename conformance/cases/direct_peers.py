"""Direct peers (GossipSub v1.1, "Explicit Peering Agreements")."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.crowd import FULL_WITH_TWO, gossiped_to
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.scoring import (
    has_read,
    judge,
    knows_subscription,
    meet,
    name_of,
)
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_control import (
    offered,
    prunes,
    received_data,
    refuse,
    send,
    subscribe,
    wait_data,
)
from gossipsub.conformance.scripted_gossip import id_of, received_control, signed
from gossipsub.conformance.scripted_listener import ScriptedListener
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Control, Graft, Rpc

W = 71
"""The direct peer's seed."""
TICKS = 300
"""Heartbeats between two looks whether all direct peers are connected."""


def direct(seed: int = W) -> dict[str, object]:
    """The peer dials by itself, so that its address does not matter."""
    return {"direct": [f"/ip4/127.0.0.1/tcp/1/p2p/{name_of(seed)}"]}


async def _subscribed(trial: Trial, node: Node, seed: int = W) -> ScriptedPeer:
    w = await meet(trial, node, seed=seed)
    await subscribe(w, node.topic)
    await knows_subscription(trial, node, w, node.topic)
    return w


@case("DIR-01", fault="direct_peers_are_not_dialled")
async def a_direct_peer_is_dialled_after_the_start(trial: Trial) -> None:
    listener = await trial.listener(seed=W)
    await trial.start(subscribed=True, params={"direct": [listener.address]})
    with trial.expecting("a connection from the target, about a second after its start"):
        await _greeted(trial, listener, "W1")


@case("DIR-01b", fault="direct_peers_are_dialled_once", time_limit=60.0)
async def a_direct_peer_that_was_lost_is_dialled_again(trial: Trial) -> None:
    """At the latest after 300 heartbeats, of 20 ms here; earlier is as well."""
    listener = await trial.listener(seed=W)
    params = {"direct": [listener.address], "heartbeatMs": 20}
    node = await trial.start(subscribed=True, params=params)
    with trial.expecting("a connection from the target, about a second after its start"):
        await _greeted(trial, listener, "W1")
    with trial.expecting(f"another one within {TICKS} heartbeats after it was lost"):
        await _greeted(trial, listener, "W2", timeout=2 * TICKS * node.heartbeat + 5)


async def _greeted(
    trial: Trial, listener: ScriptedListener, name: str, *, timeout: float = 8
) -> None:
    async with listener.accept(timeout=timeout) as w:
        trial.watch(name, w.journal)
        await w.serve_identify()
        await w.open_pubsub()
        await w.wait_pubsub(timeout=10)


@case("DIR-02", fault="direct_peers_are_judged_by_score")
async def a_direct_peer_gets_every_message_whatever_its_score(trial: Trial) -> None:
    node = await judge(trial, params=direct(), appScores={name_of(W): -1000})
    w = await _subscribed(trial, node)
    author = await meet(trial, node)
    await send(author, signed(author, node.topic, 1))
    with trial.expecting("a message, forwarded to the direct peer"):
        await wait_data(w, b"1")
    await node.publish(b"own")
    with trial.expecting("an own message at the direct peer"):
        await wait_data(w, b"own")


@case("DIR-03", fault="direct_peers_are_graylisted", also=("THR-08",))
async def what_a_direct_peer_says_is_heard_whatever_its_score(trial: Trial) -> None:
    node = await judge(trial, params=direct(), appScores={name_of(W): -1000})
    w = await meet(trial, node, seed=W)
    await send(w, signed(w, node.topic, 1))
    with trial.expecting("a message of the direct peer, delivered"):
        await node.delivered(b"1")
    await trial.heartbeats(2, node)
    with trial.expecting("the connection to the direct peer alive"):
        await w.ping(1)


@case("DIR-04", fault="direct_peers_are_grafted", also=("DIR-05",))
async def a_graft_of_a_direct_peer_is_refused(trial: Trial) -> None:
    """With PRUNE, by the specification; rust gives no answer."""
    node = await trial.start(subscribed=True, params=direct())
    w = await _subscribed(trial, node)
    await w.send_rpc(Rpc(control=Control(graft=[Graft(node.topic)])))
    await has_read(trial, node, w)
    mesh = (await node.command("mesh", topic=node.topic))["peers"]
    trial.equal("mesh", mesh, [])
    with trial.expecting("PRUNE"):
        await w.until(lambda: prunes(w) != [], "PRUNE", 5)
    trial.equal("peers named in it", list(prunes(w)[0].peers), [])


@case("DIR-05", fault="direct_peers_are_like_others")
async def a_direct_peer_gets_neither_graft_nor_gossip(trial: Trial) -> None:
    node = await trial.start(subscribed=True, params=FULL_WITH_TWO | direct())
    w = await _subscribed(trial, node)
    (v,), author = await gossiped_to(trial, node, 1), await meet(trial, node)
    for number in range(1, 4):
        await send(author, signed(author, node.topic, number))
        with trial.expecting("IHAVE for each message to another peer outside of the mesh"):
            await v.until(lambda n=number: id_of(author, n) in offered(v), "IHAVE", 10)  # type: ignore[misc]
    with trial.expecting("the messages at the direct peer"):
        await wait_data(w, b"3")
    await trial.heartbeats(0.5, node)
    grafts = [graft for control in received_control(w) for graft in control.graft]
    trial.equal("GRAFT to the direct peer", grafts, [])
    trial.equal("IHAVE to the direct peer", offered(w), [])
    mesh = (await node.command("mesh", topic=node.topic))["peers"]
    trial.check(name_of(W) not in mesh, "the direct peer outside of the mesh", mesh)


@case("DIR-07", fault="who_refuses_once_refuses_all")
async def idontwant_of_a_direct_peer_is_about_that_message_only(trial: Trial) -> None:
    """Whether it counts at all is left open: go sends the message all the same, rust does not."""
    node = await trial.start(subscribed=True, params=direct())
    w = await _subscribed(trial, node)
    author = await meet(trial, node)
    await refuse(w, id_of(author, 1))
    await has_read(trial, node, w)
    await send(author, signed(author, node.topic, 1), signed(author, node.topic, 2))
    with trial.expecting("a message that the direct peer did not refuse"):
        await wait_data(w, b"2")
    await trial.heartbeats(0.5, node)
    is_sent = b"1" in received_data(w)
    trial.observe(f"{'sends' if is_sent else 'does not send'} what a direct peer refused")
