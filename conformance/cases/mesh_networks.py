"""Several nodes of the target and of this project at work together."""

from __future__ import annotations

from itertools import combinations

import anyio

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.crowd import SMALL, mesh_of
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.trial import Trial

NETWORK_PATIENCE = 20.0
"""Seconds. Several processes have to start to work, and to agree."""
NO_MESH = {"D": 0, "Dlo": 0, "Dhi": 0, "Dscore": 0, "Dout": 0, "doPX": True}
THRESHOLDS = {"gossip": -10, "publish": -50, "graylist": -80, "opportunisticGraft": 1}


async def connect(trial: Trial, dialler: Node, listener: Node) -> None:
    """Both are subscribed; until each knows it of the other."""
    with trial.expecting("two nodes that know of each other's subscription"):
        await dialler.command("connect", addr=listener.address)
        for node, other in ((dialler, listener), (listener, dialler)):
            await node.wait_answer(
                "topic_peers",
                lambda got, other=other: other.peer_id in got["peers"],  # type: ignore[misc]
                timeout=NETWORK_PATIENCE,
                topic=node.topic,
            )


async def linked(trial: Trial, *pair: Node) -> None:
    """Until both are in each other's mesh."""
    for node, other in (pair, pair[::-1]):
        with trial.expecting("neighbours in each other's mesh"):
            await node.wait_answer(
                "mesh",
                lambda got, other=other: other.peer_id in got["peers"],  # type: ignore[misc]
                timeout=NETWORK_PATIENCE,
                topic=node.topic,
            )


async def received(trial: Trial, node: Node, count: int) -> None:
    """So many messages of others, and none twice."""
    with trial.expecting(f"{count} messages delivered"):
        await node.wait_answer(
            "stats", lambda got: got["received"] >= count, timeout=NETWORK_PATIENCE
        )
    trial.equal("messages delivered", (await node.command("stats"))["received"], count)


@case("MESH-13", fault="nothing_is_forwarded", time_limit=90.0)
async def along_a_line_everybody_gets_everything_once(trial: Trial) -> None:
    """The target is between two nodes of this project."""
    middle = await trial.start(subscribed=True)
    ends = [await trial.companion() for _ in range(2)]
    for end in ends:
        await end.command("subscribe", topic=end.topic)
        await connect(trial, end, middle)
        await linked(trial, end, middle)
    for number, node in enumerate((*ends, middle)):
        for count in range(20):
            await node.publish(b"%d from %d" % (count, number))
    for node in (*ends, middle):
        await received(trial, node, 40)


@case("MESH-14", fault="links_are_of_one_side", time_limit=90.0)
async def in_a_full_network_meshes_stay_small_and_mutual(trial: Trial) -> None:
    """Three nodes of the target and three of this project, all connected, of which each has one
    to three in its mesh."""
    params = SMALL | {"D": 2, "Dlo": 1, "Dhi": 3, "pruneBackoffMs": 1000}
    nodes = [await trial.start(subscribed=True, params=params, seed=n) for n in (1, 2, 3)]
    for number in (4, 5, 6):
        node = await trial.companion(params=params, seed=number)
        await node.command("subscribe", topic=node.topic)
        nodes.append(node)
    for one, other in combinations(nodes, 2):
        await connect(trial, one, other)
    seen: dict[str, set[str]] = {}
    with anyio.move_on_after(NETWORK_PATIENCE):
        while not _is_settled(seen):
            await anyio.sleep(0.1)
            seen = {node.peer_id: await mesh_of(node) for node in nodes}
    sizes = [len(mesh) for mesh in seen.values()]
    trial.check(
        _is_settled(seen),
        "meshes of 1 to 3 peers that are in each other's",
        f"sizes {sizes[:3]} at the target, {sizes[3:]} at others; {_one_sided(seen)} one-sided",
    )
    await nodes[0].publish(b"from the target")
    await nodes[-1].publish(b"from another")
    for node in nodes:
        await received(trial, node, 1 if node in (nodes[0], nodes[-1]) else 2)


def _is_settled(meshes: dict[str, set[str]]) -> bool:
    sizes = [len(mesh) for mesh in meshes.values()]
    return bool(sizes) and min(sizes) >= 1 and max(sizes) <= 3 and not _one_sided(meshes)


def _one_sided(meshes: dict[str, set[str]]) -> int:
    """Links that only one end has."""
    return sum(me not in meshes[other] for me, mesh in meshes.items() for other in mesh)


async def _star(trial: Trial, centre: Node, leaves: list[Node]) -> None:
    """Leaves know only the centre, have it not in their meshes, and find each other."""
    for node in (centre, *leaves):
        await node.command("subscribe", topic=node.topic)
    for leaf in leaves:
        await connect(trial, leaf, centre)
    others = {leaf.peer_id for leaf in leaves}
    for leaf in leaves:
        with trial.expecting("leaves of a star in the meshes of each other"):
            await leaf.wait_answer(
                "mesh",
                lambda got: len(others.intersection(got["peers"])) >= 2,
                timeout=NETWORK_PATIENCE,
                topic=leaf.topic,
            )
    trial.equal("the centre's mesh", await mesh_of(centre), set())


@case("PX-11", fault="nobody_is_named_in_prunes", time_limit=90.0)
async def the_centre_of_a_star_brings_its_leaves_together(trial: Trial) -> None:
    """The target is the centre, with an empty mesh (D is 0)."""
    centre = await trial.start(params=NO_MESH)
    await _star(trial, centre, [await trial.companion() for _ in range(4)])


@case("PX-11b", fault="nobody_that_is_named_is_dialled", time_limit=90.0)
async def the_leaves_of_a_star_come_together(trial: Trial) -> None:
    """The target is four leaves; the centre is a node of this project, and its score (0) is good
    enough for what it names."""
    centre = await trial.companion(params=NO_MESH)
    score = {"topics": {}, "thresholds": {**THRESHOLDS, "acceptPX": 0}}
    leaves = [await trial.start(seed=number, score=score) for number in (1, 2, 3, 4)]
    await _star(trial, centre, leaves)
