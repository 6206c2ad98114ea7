"""What is tried between two nodes, step by step: the first dials the second.

A step returns what it observed, if that is worth telling. It raises what a peer's command raises,
or Unexpected. Later steps go on from where earlier ones left the pair.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from gossipsub.conformance.driver import Event, PeerError, PeerProcess
from gossipsub.conformance.exchange import exchange, in_mesh, knows
from gossipsub.wire.errors import GossipSubError

TOPIC, BARRIER = "matrix", "barrier"
PATIENCE = 15.0
"""Seconds for each thing that is waited for."""
LARGE_BYTES = 64 * 1024
MANY, MANY_BYTES = 1000, 256
WINDOW = 8
"""Below the smallest queue of an implementation: 32 RPCs for a peer, with up to two IDONTWANT for
each message among them."""
STEP_SECONDS, MANY_SECONDS = 60.0, 200.0
"""Beyond which a step is given up, and for the many messages: three seconds where the slowest has a
core of its own, a minute and more where it has not."""


class Unexpected(GossipSubError):
    """A peer answered, and not what it should have."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The dialler is subscribed to TOPIC before it dials."""

    a: PeerProcess
    """The dialler."""
    b: PeerProcess
    """The listener."""
    start_third: Callable[[], PeerProcess]
    """Another node of the dialler's implementation, with the same parameters, to be entered."""


Try = Callable[[Pair], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    title: str
    run: Try
    seconds: float
    """It may not take longer."""


async def connect(pair: Pair) -> None:
    await dial(pair.a, pair.b)
    for peer, other, direction in ((pair.a, pair.b, "out"), (pair.b, pair.a, "in")):
        entry = await entry_of(peer, other)
        if entry["direction"] != direction:
            raise Unexpected(f"{peer.name} says that the connection goes {entry['direction']}")


async def open_streams(pair: Pair) -> str:
    a = await entry_of(pair.a, pair.b, lambda entry: bool(entry["protocol"]))
    b = await entry_of(pair.b, pair.a, lambda entry: bool(entry["protocol"]))
    if a["protocol"] == b["protocol"]:
        return str(a["protocol"])
    return f"{a['protocol']} to the listener, {b['protocol']} to the dialler"


async def subscribe(pair: Pair) -> None:
    await knows(pair.b, pair.a, topic=TOPIC, timeout=PATIENCE)  # was subscribed before
    await pair.b.command("subscribe", topic=TOPIC)
    await knows(pair.a, pair.b, topic=TOPIC, timeout=PATIENCE)


async def graft(pair: Pair) -> None:
    await in_mesh(pair.a, pair.b, topic=TOPIC, timeout=PATIENCE)


async def publish_forth(pair: Pair) -> None:
    await deliver(pair.a, pair.b, b"from the dialler")


async def publish_back(pair: Pair) -> None:
    await deliver(pair.b, pair.a, b"from the listener")


async def publish_large(pair: Pair) -> None:
    await deliver(pair.a, pair.b, bytes(range(256)) * (LARGE_BYTES // 256))
    await deliver(pair.b, pair.a, bytes(reversed(range(256))) * (LARGE_BYTES // 256))


async def publish_many(pair: Pair) -> None:
    both = [pair.a, pair.b]
    await exchange(
        both,
        both,
        topic=TOPIC,
        count=MANY,
        size=MANY_BYTES,
        window=WINDOW,
        timeout=MANY_SECONDS - 10,
    )


async def relay(pair: Pair) -> None:
    """The third knows the listener only."""
    async with pair.start_third() as third:
        await third.command("subscribe", topic=TOPIC)
        await dial(third, pair.b)
        for one, other in ((third, pair.b), (pair.b, third)):
            await knows(one, other, topic=TOPIC, timeout=PATIENCE)
        await in_mesh(third, pair.b, topic=TOPIC, timeout=PATIENCE)
        await deliver(pair.a, third, b"through the listener", through=pair.b)
        await deliver(third, pair.a, b"and back", through=pair.b)
        for one, other in ((pair.a, third), (third, pair.a)):
            if any(entry["peer"] == other.peer_id for entry in await peers_of(one)):
                raise Unexpected(f"{one.name} connected to the third by itself")


async def leave(pair: Pair) -> None:
    """What the dialler still sent would come before the message in the other topic."""
    for peer in (pair.a, pair.b):
        await peer.command("subscribe", topic=BARRIER)
    for one, other in ((pair.a, pair.b), (pair.b, pair.a)):
        await knows(one, other, topic=BARRIER, timeout=PATIENCE)
    await in_mesh(pair.a, pair.b, topic=BARRIER, timeout=PATIENCE)
    await pair.b.command("unsubscribe", topic=TOPIC)
    for question in ("topic_peers", "mesh"):
        await pair.a.wait_answer(
            question,
            lambda answer: pair.b.peer_id not in answer["peers"],
            topic=TOPIC,
            timeout=PATIENCE,
        )
    pair.b.messages()
    for _ in range(3):
        with suppress(PeerError):  # some publish nothing where nobody is subscribed
            await pair.a.publish(TOPIC, b"not for those who left")
    await deliver(pair.a, pair.b, b"the end", topic=BARRIER)
    late = [event for event in pair.b.messages() if event["topic"] == TOPIC]
    if late:
        raise Unexpected(f"{len(late)} messages of the topic that it left reached {pair.b.name}")


async def reconnect(pair: Pair) -> None:
    """In the other topic: in the one that was left both keep from grafting for a while."""
    await pair.a.command("disconnect", peer=pair.b.peer_id)
    for one, other in ((pair.a, pair.b), (pair.b, pair.a)):
        await one.wait_answer(
            "peers",
            lambda answer, gone=other.peer_id: (  # type: ignore[misc]
                all(entry["peer"] != gone for entry in answer["peers"])
            ),
            timeout=PATIENCE,
        )
    await dial(pair.b, pair.a)
    for one, other in ((pair.a, pair.b), (pair.b, pair.a)):
        await knows(one, other, topic=BARRIER, timeout=PATIENCE)
    await in_mesh(pair.a, pair.b, topic=BARRIER, timeout=PATIENCE)
    await deliver(pair.b, pair.a, b"here again", topic=BARRIER)


async def dial(dialler: PeerProcess, listener: PeerProcess) -> None:
    answer = await dialler.command("connect", addr=listener.addresses[0], timeout=PATIENCE)
    if answer["peer"] != listener.peer_id:
        raise Unexpected(f"{dialler.name} dialled {listener.peer_id} and reached {answer['peer']}")


async def peers_of(peer: PeerProcess) -> list[dict[str, Any]]:
    return list((await peer.command("peers"))["peers"])


async def entry_of(
    peer: PeerProcess,
    other: PeerProcess,
    where: Callable[[dict[str, Any]], bool] = lambda entry: True,
) -> dict[str, Any]:
    """What `peer` lists of the other, as soon as it does and `where` holds for it."""

    def found(answer: Event) -> list[dict[str, Any]]:
        return [each for each in answer["peers"] if each["peer"] == other.peer_id and where(each)]

    answer = await peer.wait_answer("peers", lambda answer: bool(found(answer)), timeout=PATIENCE)
    return found(answer)[0]


async def deliver(
    author: PeerProcess,
    receiver: PeerProcess,
    data: bytes,
    *,
    topic: str = TOPIC,
    through: PeerProcess | None = None,
) -> None:
    """Publish, and see it arrive: whole, by its author's name, from whom it had to come."""
    await author.publish(topic, data)
    message = await receiver.wait_event(
        "message",
        where=lambda event: event["data"] == data and event["topic"] == topic,
        timeout=PATIENCE,
    )
    sender = author if through is None else through
    expected = (author.peer_id, sender.peer_id)
    if (message["from"], message["received_from"]) != expected:
        raise Unexpected(
            f"{receiver.name} says that the message is by {message['from']} and came from "
            f"{message['received_from']}, not by {expected[0]} from {expected[1]}"
        )


STEPS: tuple[Step, ...] = tuple(
    Step(name, title, run, MANY_SECONDS if run is publish_many else STEP_SECONDS)
    for name, title, run in (
        ("connect", "TCP, Noise, yamux; both list the connection and its direction", connect),
        ("streams", "identify, and a pubsub stream each way", open_streams),
        ("subscribe", "each learns what the other subscribed before and after", subscribe),
        ("mesh", "both have each other in the mesh", graft),
        ("forth", "the listener gets what the dialler publishes", publish_forth),
        ("back", "the dialler gets what the listener publishes", publish_back),
        ("64 KiB", "a message of 65,536 bytes each way", publish_large),
        ("1,000", "1,000 messages each way at once: all, once, unchanged", publish_many),
        ("relay", "a third gets and sends through the listener", relay),
        ("leave", "who unsubscribed is out of the mesh and gets nothing more", leave),
        ("reconnect", "after a disconnect the listener dials back, and all works", reconnect),
    )
)
TITLES: Mapping[str, str] = {step.name: step.title for step in STEPS}
