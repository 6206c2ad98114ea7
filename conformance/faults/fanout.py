"""Faults of fanout and flood publishing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.effects import Lane
from gossipsub.router.fanout import Fanout
from gossipsub.router.mesh import Mesh
from gossipsub.router.messages import Messages
from gossipsub.router.outside import OutsideMesh
from gossipsub.router.own_targets import OwnTargets
from gossipsub.router.peers import Peer
from gossipsub.router.pending import Pending
from gossipsub.wire.rpc import Message, Rpc


@fault
def the_fanout_is_chosen_anew() -> None:
    original = Fanout.publish

    def publish(self: Fanout, topic: str, size: int, *, now: float) -> Iterable[bytes]:
        self._topics.pop(topic, None)
        return original(self, topic, size, now=now)

    replace(Fanout, "publish", publish)


@fault
def a_fanout_of_nobody_stays_one() -> None:
    original = Fanout.publish
    empty: set[str] = set()

    def publish(self: Fanout, topic: str, size: int, *, now: float) -> Iterable[bytes]:
        targets = [] if topic in empty else list(original(self, topic, size, now=now))
        if not targets:
            empty.add(topic)
        return targets

    replace(Fanout, "publish", publish)


@fault
def the_fanout_takes_peers_of_any_score() -> None:
    original = Fanout.publish

    def publish(self: Fanout, topic: str, size: int, *, now: float) -> Iterable[bytes]:
        self._threshold = float("-inf")
        return original(self, topic, size, now=now)

    replace(Fanout, "publish", publish)


@fault
def fanouts_live_for_ever() -> None:
    original = Fanout.maintain

    def maintain(self: Fanout, size_of: Callable[[str], int], *, now: float) -> None:
        self._ttl = float("inf")
        original(self, size_of, now=now)

    replace(Fanout, "maintain", maintain)


@fault
def fanouts_are_not_maintained() -> None:
    replace(Fanout, "maintain", lambda self, size_of, now: None)


@fault
def joining_forgets_the_fanout() -> None:
    join, candidates = Mesh.join, Mesh._candidates

    def join_others(self: Mesh, topic: str, fanout: Iterable[bytes], *, now: float) -> None:
        forgotten = list(fanout)

        def others(self: Mesh, topic: str, now: float) -> list[Peer]:
            return [peer for peer in candidates(self, topic, now) if peer.id not in forgotten]

        replace(Mesh, "_candidates", others)
        join(self, topic, (), now=now)

    replace(Mesh, "join", join_others)


@fault
def direct_peers_are_left_out() -> None:
    replace(OutsideMesh, "targets", lambda self, topic, have_it=(): [])


@fault
def own_messages_go_to_the_mesh_only() -> None:
    _flood(own=False)


@fault
def own_messages_are_flooded() -> None:
    _flood(own=True)


def _flood(*, own: bool) -> None:
    original = OwnTargets.of

    def of(
        self: OwnTargets, message: Message, now: float, have_it: Collection[bytes] = ()
    ) -> Iterable[bytes]:
        self._flood_publish = own
        return original(self, message, now, have_it)

    replace(OwnTargets, "of", of)


@fault
def flood_publishing_reaches_peers_of_any_score() -> None:
    original = OwnTargets.of

    def of(
        self: OwnTargets, message: Message, now: float, have_it: Collection[bytes] = ()
    ) -> Iterable[bytes]:
        self._threshold = float("-inf")
        return original(self, message, now, have_it)

    replace(OwnTargets, "of", of)


@fault
def messages_of_others_are_flooded() -> None:
    def _forward(self: Messages, pending: Pending) -> None:
        message = pending.message
        everybody = [peer.id for peer in self._outside._peers.mesh_capable(message.topic)]
        self._outbox.send_to_all(everybody, Rpc(publish=(message,)), Lane.FORWARDED)

    replace(Messages, "_forward", _forward)
