"""Peer exchange (GossipSub v1.1, "Prune, backoff and peer exchange")."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

import anyio

from gossipsub.conformance.cases.mesh import overfill
from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.crowd import (
    FULL_WITH_TWO,
    NO_TOPIC_SCORES,
    PATIENCE,
    SMALL,
    STAY_AWAY,
    answered_with_prune,
    floodsub_peer,
    hears,
    members,
    mesh_becomes,
    named_in,
    names,
    outside,
    prunes,
    rate,
    send_control,
    settled,
    subscribe,
)
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.trial import PROTOCOLS, Trial
from gossipsub.conformance.kit.verdict import CannotTry
from gossipsub.conformance.scripted_gossip import join
from gossipsub.conformance.scripted_listener import ScriptedListener
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.conformance.scripted_wire import WireError, host_and_port, key_of_seed
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.wire.rpc import Graft, PeerInfo, Prune

V10 = ("/meshsub/1.0.0", "/floodsub/1.0.0")
MOST_NAMED = 16
NO_ADDRESS = b"\xff\x7f"
"""Where a multiaddr should be: of a protocol that nobody knows."""


def record_of(key: PrivateKey, port: int) -> bytes:
    """Says that it listens at this port of 127.0.0.1; signed by itself."""
    address = bytes([4, 127, 0, 0, 1, 6]) + port.to_bytes(2, "big")
    return PeerRecord(key.peer_id(), 1, [address]).seal(key)


async def pruned_by_heartbeat(
    trial: Trial, node: Node
) -> tuple[list[tuple[ScriptedPeer, Prune]], set[str]]:
    """Those of a mesh with too many peers that the target pruned, each with its PRUNE; and the
    names of all that are or were in the mesh."""
    peers = await overfill(trial, node, SMALL["Dhi"])
    mesh = await mesh_becomes(trial, node, "D (3) peers in the mesh", lambda got: len(got) == 3)
    pruned = outside(peers, mesh)
    for w in pruned:
        await hears(trial, w, "PRUNE to each that is not in the mesh any more", prunes)
    return [(w, prunes(w)[0]) for w in pruned], names(peers)


@case("PX-01", fault="nobody_is_named_in_prunes")
async def a_prune_of_too_many_names_others(trial: Trial) -> None:
    node = await trial.start(subscribed=True, params=SMALL | {"doPX": True})
    told, everybody = await pruned_by_heartbeat(trial, node)
    for w, prune in told:
        others = everybody - names([w])
        named = named_in(prune)
        trial.check(named, "peers named in the PRUNE", "none")
        trial.check(named <= others, "other peers of the topic", f"{sorted(named - others)}")
        trial.equal("peers named twice", len(prune.peers) - len(named), 0)


@case("PX-01b", fault="everybody_is_named_in_prunes")
async def a_prune_names_sixteen_at_most(trial: Trial) -> None:
    """Or as many as `prunePeers` says (2 here)."""
    params = SMALL | {"doPX": True, "prunePeers": 2}
    node = await trial.start(subscribed=True, params=params)
    told, _ = await pruned_by_heartbeat(trial, node)
    for _, prune in told:
        trial.equal("peers named in the PRUNE", len(prune.peers), 2)


@case("PX-02", fault="peers_of_any_sort_are_named")
async def only_peers_that_can_be_grafted_are_named(trial: Trial) -> None:
    """Neither such with a negative score nor such that speak floodsub only."""
    params = SMALL | {"doPX": True}
    node = await trial.start(subscribed=True, params=params, score=NO_TOPIC_SCORES)
    bad = await trial.peer(node)
    await rate(trial, node, bad, -1)
    with trial.expecting("W in the topic it subscribed to"):
        await join(bad, node.process, node.topic)
    floodsub = await floodsub_peer(trial, node)
    told, _ = await pruned_by_heartbeat(trial, node)
    for _, prune in told:
        named = named_in(prune)
        trial.check(named, "peers named in the PRUNE", "none")
        for w, what in ((bad, "score -1"), (floodsub, "floodsub only")):
            trial.equal(f"names a peer with {what}", str(w.peer_id) in named, False)


@case("PX-03", fault="who_grafts_badly_is_told_peers")
async def who_grafts_badly_is_told_no_peers(trial: Trial) -> None:
    """During the backoff; or together with a topic that is not joined, where the mesh is full."""
    node = await trial.start(subscribed=True, params=FULL_WITH_TWO | {"doPX": True})
    await members(trial, node, 2)
    fishing, early = await trial.peer(node), await trial.peer(node)
    await subscribe(fishing, node.topic)
    await send_control(fishing, Graft("not joined"), Graft(node.topic))
    await send_control(early, Prune(node.topic, (), STAY_AWAY))
    await send_control(early, Graft(node.topic))
    for w, why in ((fishing, "GRAFTs of which one is for an unknown topic"), (early, "GRAFT")):
        prune = await answered_with_prune(trial, node, w, why)
        trial.equal(f"peers named in answer to {why}", sorted(named_in(prune)), [])


@case("PX-04", fault="peers_are_named_though_it_is_off")
async def without_peer_exchange_nobody_is_named(trial: Trial) -> None:
    node = await trial.start(subscribed=True, params=FULL_WITH_TWO | {"doPX": False})
    await members(trial, node, 2)
    w = await trial.peer(node)
    await subscribe(w, node.topic)
    await send_control(w, Graft(node.topic))
    prune = await answered_with_prune(trial, node, w, "a GRAFT where the mesh is full")
    trial.equal("peers named", sorted(named_in(prune)), [])


@case("PX-05", fault="signed_records_are_kept_back")
async def signed_records_that_are_known_are_handed_on(trial: Trial) -> None:
    """Those that came with identify, as they are; of other peers the id alone."""
    node = await trial.start(subscribed=True, params=SMALL | {"doPX": True})
    record = record_of(key_of_seed(4001), 4001)
    known = await _introduced(trial, node, record, seed=4001)
    told, _ = await pruned_by_heartbeat(trial, node)
    for _, prune in told:
        records = {info.peer_id: info.signed_peer_record for info in prune.peers}
        trial.check(known.peer_id in records, "the peer whose record is known, named", "others")
        trial.equal("its record, as it gave it", records.pop(known.peer_id) == record, True)
        trial.equal("records of peers that gave none", {*map(bool, records.values())}, {False})


@case("ENV-09", fault="a_bad_address_spoils_a_record")
async def a_record_with_a_bad_address_is_of_use(trial: Trial) -> None:
    """Go drops the address; nim refuses the record. Seen by whether
    it is handed on."""
    node = await trial.start(subscribed=True, params=SMALL | {"doPX": True})
    address = bytes([4, 127, 0, 0, 1, 6, 15, 161])
    given: dict[bytes, bytes] = {}
    for seed, addresses in ((4001, (address,)), (4002, (NO_ADDRESS, address))):
        key = key_of_seed(seed)
        given[key.peer_id()] = PeerRecord(key.peer_id(), 1, addresses).seal(key)
        await _introduced(trial, node, given[key.peer_id()], seed=seed)
    sound, mixed = given
    told, _ = await pruned_by_heartbeat(trial, node)
    for _, prune in told:
        records = {info.peer_id: info.signed_peer_record for info in prune.peers}
        if records.get(sound) != given[sound]:
            raise CannotTry("the target hands on no signed records")
        trial.equal("the record, as it was given", records.get(mixed) == given[mixed], True)


async def _introduced(trial: Trial, node: Node, record: bytes, *, seed: int) -> ScriptedPeer:
    """W in the topic, not to be grafted, that gave this record of itself in identify."""
    w = await trial.upgrade(node, seed=seed)
    with trial.expecting("identify, and a pubsub stream each way"):
        said = replace(w.describe(PROTOCOLS), signed_peer_record=record)
        await w.serve_identify(PROTOCOLS, said=said)
        await w.open_pubsub(*PROTOCOLS)
        await w.wait_pubsub(timeout=PATIENCE)
    await send_control(w, Prune(node.topic, (), STAY_AWAY))
    with trial.expecting("W in the topic it subscribed to"):
        await join(w, node.process, node.topic)
    return w


@case("PX-10", fault="v1_0_peers_are_told_as_much_as_others")
async def a_v1_0_peer_is_told_no_peers(trial: Trial) -> None:
    node = await trial.start(subscribed=True, params=FULL_WITH_TWO | {"doPX": True})
    await members(trial, node, 2)
    w = await trial.peer(node, protocols=V10)
    await subscribe(w, node.topic)
    await send_control(w, Graft(node.topic))
    prune = await answered_with_prune(trial, node, w, "a GRAFT where the mesh is full")
    trial.equal("PRUNE", prune, Prune(node.topic))


class Dials:
    """Listens at several addresses, and notes which are dialled."""

    def __init__(self, listeners: Sequence[ScriptedListener]) -> None:
        self.listeners = listeners
        self.dialled: list[ScriptedListener] = []
        self._tasks = AsyncExitStack()

    async def __aenter__(self) -> Dials:
        tasks = await self._tasks.enter_async_context(anyio.create_task_group())
        self._tasks.callback(tasks.cancel_scope.cancel)
        for listener in self.listeners:
            tasks.start_soon(self._wait, listener)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._tasks.aclose()

    async def _wait(self, listener: ScriptedListener) -> None:
        async with listener.accept_wire(timeout=60.0) as wire:
            self.dialled.append(listener)
            try:
                await wire.upgrade(listener.key, initiator=False)
                await anyio.sleep_forever()
            except WireError:
                return  # it was dialled, and that is all that is asked

    async def at(self, trial: Trial, what: str, *wanted: ScriptedListener) -> None:
        """Wait until all of these, or any where none is given, were dialled."""
        with anyio.move_on_after(PATIENCE):
            while not (set(wanted) <= set(self.dialled) and self.dialled):
                await anyio.sleep(0.01)
            return
        trial.check(False, what, f"{len(self.dialled)} of {len(self.listeners)} dialled")


def info_of(listener: ScriptedListener) -> PeerInfo:
    """With a record of where it listens."""
    _, port = host_and_port(listener.address)
    return PeerInfo(listener.key.peer_id(), record_of(listener.key, port))


async def _trusted(trial: Trial, node: Node, score: float = 20) -> ScriptedPeer:
    w = await trial.peer(node)
    await rate(trial, node, w, score)
    await subscribe(w, node.topic)
    await settled(trial, node, w)
    return w


@case("PX-07", fault="all_that_are_named_are_dialled")
async def some_of_those_that_are_named_are_dialled(trial: Trial) -> None:
    """At most 16, or as many as `prunePeers` says (3 here)."""
    params = {"prunePeers": 3}
    node = await trial.start(subscribed=True, params=params, score=NO_TOPIC_SCORES)
    w = await _trusted(trial, node)
    async with Dials([await trial.listener() for _ in range(8)]) as dials:
        named = [info_of(listener) for listener in dials.listeners]
        await send_control(w, Prune(node.topic, named, 60))
        await dials.at(trial, "a dial to a peer that W names")
        await trial.heartbeats(3, node)
        trial.check(len(dials.dialled) <= 3, "3 dials at most", f"{len(dials.dialled)}")


@case("PX-07b", fault="peers_that_are_connected_are_dialled")
async def who_is_connected_already_is_not_dialled(trial: Trial) -> None:
    node = await trial.start(subscribed=True, score=NO_TOPIC_SCORES)
    w = await _trusted(trial, node)
    known, other = await trial.listener(seed=4002), await trial.listener()
    await trial.peer(node, seed=4002)
    async with Dials([known, other]) as dials:
        await send_control(w, Prune(node.topic, [info_of(known)], 60))
        await send_control(w, Prune(node.topic, [info_of(other)], 60))
        await dials.at(trial, "a dial to the peer that is not connected", other)
        await trial.heartbeats(1, node)
        trial.equal("dials to the peer that is connected", dials.dialled.count(known), 0)


@case("PX-08", fault="records_may_be_of_anybody")
async def a_record_of_somebody_else_is_not_used(trial: Trial) -> None:
    """Else a peer could have anybody be dialled. Nor is one that is none."""
    node = await trial.start(subscribed=True, score=NO_TOPIC_SCORES)
    w = await _trusted(trial, node)
    victim, other = await trial.listener(), await trial.listener()
    liar = PeerInfo(key_of_seed(4003).peer_id(), info_of(victim).signed_peer_record)
    broken = PeerInfo(key_of_seed(4004).peer_id(), trial.rng.randbytes(100))
    async with Dials([victim, other]) as dials:
        await send_control(w, Prune(node.topic, [broken, liar], 60))
        await send_control(w, Prune(node.topic, [info_of(other)], 60))
        await dials.at(trial, "a dial to the peer whose record is its own", other)
        await trial.heartbeats(1, node)
        trial.equal("dials to where another's record says", dials.dialled.count(victim), 0)


@case("PX-09", fault="anybody_may_name_peers")
async def who_is_below_the_threshold_names_peers_in_vain(trial: Trial) -> None:
    """The threshold for accepting peer exchange is 10 here. The PRUNE itself is obeyed."""
    node = await trial.start(subscribed=True, score=NO_TOPIC_SCORES)
    w = await _trusted(trial, node, 9.5)
    await send_control(w, Graft(node.topic))
    with trial.expecting("W in the mesh"):
        await node.has_in_mesh(w)
    first, second = await trial.listener(), await trial.listener()
    async with Dials([first, second]) as dials:
        await send_control(w, Prune(node.topic, [info_of(first)], 60))
        await mesh_becomes(trial, node, "a mesh without who pruned", lambda got: not got)
        await rate(trial, node, w, 10)
        await send_control(w, Prune(node.topic, [info_of(second)], 60))
        await dials.at(trial, "a dial to the peer named at the threshold", second)
        await trial.heartbeats(1, node)
        trial.equal("dials to the peer named below it", dials.dialled.count(first), 0)
