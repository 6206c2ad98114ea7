"""Partial messages, as far as they concern full ones (partial messages extension of GossipSub
v1.3). What is in parts is the application's."""

from __future__ import annotations

from gossipsub.conformance.cases.extensions import peer_of_v1_3, start_with
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.scoring import enter_mesh, knows_subscription, meet, stay_outside
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_control import (
    offered,
    received_data,
    refused,
    send,
    wait_data,
)
from gossipsub.conformance.scripted_gossip import (
    OUTSIDE_SECONDS,
    id_of,
    received,
    signed,
)
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Control, Extensions, Graft, Prune, Rpc, SubOpts

ANNOUNCED = Extensions(partial_messages=True)


async def _request_parts(
    trial: Trial, node: Node, w: ScriptedPeer, *, grafts: bool = True, requests: bool = True
) -> None:
    """W announces the extension and subscribes, to request parts or only to send them."""
    topic = node.topic
    control = Control(extensions=ANNOUNCED)
    if grafts:
        control.graft = [Graft(topic)]
    else:
        control.prune = [Prune(topic, (), OUTSIDE_SECONDS)]
    option = SubOpts(topic, requests_partial=requests, supports_sending_partial=True)
    await w.send_rpc(Rpc(control=control))
    await w.send_rpc(Rpc(subscriptions=[option]))
    await knows_subscription(trial, node, w, topic)
    if grafts:
        with trial.expecting("a peer that grafts in the mesh"):
            await node.has_in_mesh(w)


async def _subscription(trial: Trial, node: Node, w: ScriptedPeer) -> SubOpts:
    """What the target told W of its topic."""

    def told() -> list[SubOpts]:
        options = [option for rpc in received(w) for option in rpc.subscriptions]
        return [option for option in options if option.topic == node.topic]

    with trial.expecting("the target's subscription"):
        await w.until(lambda: told() != [], "subscription", 5)
    return told()[-1]


@case("PART-01", fault="parts_are_not_spoken_of")
async def a_node_that_requests_parts_says_so_in_its_subscription(trial: Trial) -> None:
    node = await start_with(trial, "--partial", "request")
    w = await peer_of_v1_3(trial, node)
    trial.check(
        (await _subscription(trial, node, w)).requests_partial, "requestsPartial", "no such flag"
    )


@case("PART-01b", fault="parts_are_not_spoken_of")
async def a_node_that_only_sends_parts_says_so_in_its_subscription(trial: Trial) -> None:
    node = await start_with(trial, "--partial", "support")
    w = await peer_of_v1_3(trial, node)
    told = await _subscription(trial, node, w)
    trial.check(told.supports_sending_partial, "supportsSendingPartial", "no such flag")
    trial.check(not told.requests_partial, "no requestsPartial", "requestsPartial")


@case("PART-02", fault="full_messages_are_for_all")
async def full_messages_do_not_go_to_a_peer_that_requests_parts_of_who_sends_them(
    trial: Trial,
) -> None:
    node = await start_with(trial, "--partial", "support")
    w, v = await peer_of_v1_3(trial, node), await meet(trial, node)
    await _request_parts(trial, node, w)
    await enter_mesh(trial, node, v)
    author = await meet(trial, node)
    await node.publish(b"own")
    await send(author, signed(author, node.topic, 1))
    for data in (b"own", b"1"):
        with trial.expecting("a full message at a peer that does not request parts"):
            await wait_data(v, data)
    await trial.heartbeats(0.5, node)
    trial.equal("full messages to a peer that requests parts", received_data(w), [])


@case("PART-02b", fault="who_requests_parts_gets_nothing_else")
async def full_messages_go_to_a_peer_that_requests_parts_of_who_sends_none(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    w = await peer_of_v1_3(trial, node)
    await _request_parts(trial, node, w)
    await node.publish(b"own")
    with trial.expecting("a full message"):
        await wait_data(w, b"own")


@case("PART-03", fault="full_messages_are_for_all")
async def there_is_no_ihave_to_a_peer_that_requests_parts(trial: Trial) -> None:
    node = await start_with(trial, "--partial", "support")
    w, v, author = await peer_of_v1_3(trial, node), await meet(trial, node), await meet(trial, node)
    await _request_parts(trial, node, w, grafts=False)
    await stay_outside(trial, node, v)
    await send(author, signed(author, node.topic, 1))
    with trial.expecting("IHAVE to a peer that does not request parts"):
        await v.until(lambda: id_of(author, 1) in offered(v), "IHAVE", 10)
    await trial.heartbeats(1, node)
    trial.equal("IHAVE to a peer that requests parts", offered(w), [])


@case("PART-03b", fault="idontwant_is_for_those_that_send_parts")
async def there_is_no_idontwant_to_a_peer_that_sends_parts(trial: Trial) -> None:
    node = await start_with(trial, "--partial", "request")
    w, v, author = await peer_of_v1_3(trial, node), await meet(trial, node), await meet(trial, node)
    await _request_parts(trial, node, w, requests=False)
    await enter_mesh(trial, node, v)
    await send(author, signed(author, node.topic, 1, b"large" + bytes(4096)))
    with trial.expecting("IDONTWANT to a peer that sends no parts"):
        await v.until(lambda: refused(v) != [], "IDONTWANT", 5)
    await trial.heartbeats(0.5, node)
    trial.equal("IDONTWANT to a peer that sends parts", refused(w), [])
