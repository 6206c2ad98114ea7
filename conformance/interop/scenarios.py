"""The scripts of the public experiments: what each node does, for any number of nodes and a seed.

The same seed gives the script that the public generator writes for it: the draws are the same, in
the same order. Beside the public timing there is a compressed one, for machines where time is real.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

Instruction = dict[str, Any]
"""One instruction in its JSON form."""

LINKS = 20
"""Connections a node makes at least, where there are so many others."""
MESSAGES = 16
BLOB_BYTES = 48 * 2 * 1024
"""48 columns of 2 KiB."""
SMALL_BYTES = 1024
VALIDATION_SECONDS = 0.005
FIRST_HEARTBEAT_NS = 100_000_000
HEARTBEAT_OFFSET_NS = 100_000
"""By so much the first heartbeat of each node is later than that of the one before."""
PARTS = 8
ALL_PARTS = (1 << PARTS) - 1
GROUPS = 16
FANOUT_NODES = 7

CHAIN_TOPIC = "partial-msg-chain"
SUBNET_TOPIC = "a-subnet"
HALVES = ("topic-a", "topic-b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Whole seconds of each phase."""

    ready: int
    """From the start until the first connection; 0: at once."""
    set_up: int
    """From the start until the first message."""
    partial_set_up: int
    """From the start until the first parts."""
    spacing: int
    """Between two messages."""
    group_spacing: int
    """Between two groups of parts."""
    tail: int
    """After the last message or group."""
    partial_tail: int
    """After the parts of a single group."""


PUBLIC = Timing(
    ready=0, set_up=120, partial_set_up=30, spacing=12, group_spacing=2, tail=30, partial_tail=10
)
"""As the public generator has it. Real processes need some seconds until all of them listen, and
go's node gives up where a dial is refused: replace `ready` for them."""

COMPRESSED = Timing(
    ready=2, set_up=6, partial_set_up=6, spacing=1, group_spacing=1, tail=4, partial_tail=4
)

PATIENT = Timing(
    ready=5, set_up=30, partial_set_up=30, spacing=2, group_spacing=2, tail=20, partial_tail=20
)
"""For machines that are busy with other things."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What a scenario is made for."""

    nodes: int
    rng: random.Random
    timing: Timing


def build_script(
    scenario: str, *, nodes: int, seed: int = 1, timing: Timing = PUBLIC, gossip: bool = True
) -> list[Instruction]:
    """The script of a scenario, the same for all nodes. Without `gossip` no node tells others of
    messages by IHAVE. ValueError for an unknown scenario, or fewer than two nodes."""
    if scenario not in SCENARIOS:
        raise ValueError(f"no scenario is called {scenario!r}; known are {', '.join(SCENARIOS)}")
    if nodes < 2:
        raise ValueError(f"a scenario needs at least 2 nodes, not {nodes}")
    script = [*_first(nodes, gossip)]
    if timing.ready:
        script.append(_wait(timing.ready))
    plan = _Plan(nodes=nodes, rng=random.Random(seed), timing=timing)
    return [*script, *SCENARIOS[scenario](plan)]


def duration(script: list[Instruction]) -> int:
    """Seconds after which the script ends."""
    return max(
        (each["elapsedSeconds"] for each in script if each["type"] == "waitUntil"), default=0
    )


# The scenarios


def _subnet_blob_msg(plan: _Plan) -> Iterator[Instruction]:
    """Messages of 96 KiB, validated in 5 ms, to a topic that everybody is in."""
    yield {
        "type": "setTopicValidationDelay",
        "topicID": SUBNET_TOPIC,
        "delaySeconds": VALIDATION_SECONDS,
    }
    yield from _random_links(plan)
    yield _subscribe(SUBNET_TOPIC)
    yield from _publish_by_anybody(plan, BLOB_BYTES, (SUBNET_TOPIC,))


def _simple_fanout(plan: _Plan) -> Iterator[Instruction]:
    """Small messages to two topics, each with half of the nodes: half come from outside."""
    yield from _random_links(plan)
    for node in range(plan.nodes):
        yield _only(node, _subscribe(HALVES[node % 2]))
    yield from _publish_by_anybody(plan, SMALL_BYTES, HALVES)


def _partial_messages(plan: _Plan) -> Iterator[Instruction]:
    """One group, of which each node has parts drawn by chance, and all say so at once."""
    rng, topic = plan.rng, SUBNET_TOPIC
    yield from _random_links(plan)
    yield _subscribe(topic, partial=True)
    group = rng.randint(0, 255)
    yield _wait(plan.timing.partial_set_up)
    parts = [rng.randint(0, ALL_PARTS) for _ in range(1 if plan.nodes == 2 else plan.nodes)]
    if plan.nodes == 2:  # two would often lack a part that nobody has
        parts.append(ALL_PARTS ^ parts[0])
    for node, bitmap in enumerate(parts):
        yield _only(node, _add_parts(topic, group, bitmap))
    yield _publish_parts(topic, group)
    yield _wait(plan.timing.partial_set_up + plan.timing.partial_tail)


def _partial_messages_chain(plan: _Plan) -> Iterator[Instruction]:
    """Groups whose single parts are dealt round a chain of nodes."""
    nodes, timing, topic = plan.nodes, plan.timing, CHAIN_TOPIC
    for node in range(nodes - 1):
        yield _only(node, {"type": "connect", "connectTo": [node + 1]})
    yield _subscribe(topic, partial=True)
    now = timing.partial_set_up
    yield _wait(now)
    for number in range(GROUPS * PARTS):
        group, part = divmod(number, PARTS)
        yield _only(number % nodes, _add_parts(topic, group, 1 << part))
    for group in range(GROUPS):
        now += timing.group_spacing
        yield _wait(now)
        yield _publish_parts(topic, group)
    yield _wait(now + timing.tail)


def _partial_messages_fanout(plan: _Plan) -> Iterator[Instruction]:
    """Node 0, outside of the topic, has a whole group and gives it to the seven after it."""
    topic = SUBNET_TOPIC
    yield from _random_links(plan)
    for node in range(1, plan.nodes):
        yield _only(node, _subscribe(topic, partial=True))
    group = plan.rng.randint(0, 255)
    yield _wait(plan.timing.partial_set_up)
    yield _only(0, _add_parts(topic, group, ALL_PARTS))
    targets = list(range(1, min(FANOUT_NODES + 1, plan.nodes)))
    yield _only(0, {**_publish_parts(topic, group), "publishToNodeIDs": targets})
    yield _wait(plan.timing.partial_set_up + plan.timing.partial_tail)


SCENARIOS: dict[str, Callable[[_Plan], Iterator[Instruction]]] = {
    "subnet-blob-msg": _subnet_blob_msg,
    "simple-fanout": _simple_fanout,
    "partial-messages": _partial_messages,
    "partial-messages-chain": _partial_messages_chain,
    "partial-messages-fanout": _partial_messages_fanout,
}
"""By the names of the public experiments."""


# Parts of the above


def _first(nodes: int, gossip: bool) -> Iterator[Instruction]:
    without = {} if gossip else {"Dlazy": 0, "GossipFactor": 0}
    for node in range(nodes):
        delay = FIRST_HEARTBEAT_NS + HEARTBEAT_OFFSET_NS * (node + 1)
        params = {**without, "HeartbeatInitialDelay": delay}
        yield _only(node, {"type": "initGossipSub", "gossipSubParams": params})


def _random_links(plan: _Plan) -> Iterator[Instruction]:
    """Each node in turn dials others until it has enough links, inbound ones included."""
    wanted = min(LINKS, plan.nodes - 1)
    linked: list[set[int]] = [set() for _ in range(plan.nodes)]
    for node in range(plan.nodes):
        dials: list[int] = []
        while len(linked[node]) < wanted:
            other = plan.rng.randint(0, plan.nodes - 1)
            if other != node and other not in linked[node]:
                linked[node].add(other)
                linked[other].add(node)
                dials.append(other)
        if dials:
            yield _only(node, {"type": "connect", "connectTo": dials})


def _publish_by_anybody(
    plan: _Plan, size_bytes: int, topics: tuple[str, ...]
) -> Iterator[Instruction]:
    now = plan.timing.set_up
    yield _wait(now)
    for number in range(MESSAGES):
        node = plan.rng.randint(0, plan.nodes - 1)
        publish = {
            "type": "publish",
            "messageID": number,
            "topicID": plan.rng.choice(topics),
            "messageSizeBytes": size_bytes,
        }
        yield _only(node, publish)
        now += plan.timing.spacing
        yield _wait(now)
    yield _wait(now + plan.timing.tail)


def _only(node: int, instruction: Instruction) -> Instruction:
    return {"type": "ifNodeIDEquals", "nodeID": node, "instruction": instruction}


def _wait(until: int) -> Instruction:
    return {"type": "waitUntil", "elapsedSeconds": until}


def _subscribe(topic: str, *, partial: bool = False) -> Instruction:
    return {"type": "subscribeToTopic", "topicID": topic, "partial": partial}


def _add_parts(topic: str, group: int, bitmap: int) -> Instruction:
    return {"type": "addPartialMessage", "topicID": topic, "groupID": group, "parts": bitmap}


def _publish_parts(topic: str, group: int) -> Instruction:
    return {"type": "publishPartial", "topicID": topic, "groupID": group}
