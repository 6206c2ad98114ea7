"""Faults of what scores decide about meshes."""

from __future__ import annotations

import statistics

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.mesh import Mesh
from gossipsub.router.params import MeshParams
from gossipsub.router.peers import Peer


@fault
def scores_do_not_matter_to_who_is_grafted() -> None:
    def _is_eligible(self: Mesh, peer: Peer, topic: str, now: float) -> bool:
        return not self._backoffs.forbids(topic, peer.id, now)

    replace(Mesh, "_is_eligible", _is_eligible)


@fault
def the_worst_peers_are_kept() -> None:
    def _keepers(self: Mesh, mesh: dict[bytes, None], params: MeshParams) -> dict[bytes, None]:
        return dict.fromkeys(sorted(mesh, key=self._score)[: params.d])

    replace(Mesh, "_keepers", _keepers)


@fault
def outbound_peers_have_no_quota() -> None:
    replace(Mesh, "_is_outbound", lambda self, peer: True)


@fault
def peers_of_negative_score_stay() -> None:
    original = Mesh.maintain

    def maintain(self: Mesh, topic: str, *, now: float) -> None:
        score = self._score
        self._score = lambda peer: max(score(peer), 0.0)
        original(self, topic, now=now)
        self._score = score

    replace(Mesh, "maintain", maintain)


@fault
def nobody_is_grafted_opportunistically() -> None:
    replace(Mesh, "improve", lambda self, topic, threshold, now: None)


@fault
def the_mean_is_taken_for_the_median() -> None:
    def improve(self: Mesh, topic: str, threshold: float, *, now: float) -> None:
        mesh = self.meshes[topic]
        mean = sum(map(self._score, mesh)) / max(len(mesh), 1)
        if mean < threshold:
            _take_in(self, topic, mean, now)

    replace(Mesh, "improve", improve)


@fault
def the_middle_two_are_averaged() -> None:
    def improve(self: Mesh, topic: str, threshold: float, *, now: float) -> None:
        median = statistics.median([self._score(peer) for peer in self.meshes[topic]] or [0.0])
        if median < threshold:
            _take_in(self, topic, median, now)

    replace(Mesh, "improve", improve)


@fault
def everybody_counts_as_better() -> None:
    def improve(self: Mesh, topic: str, threshold: float, *, now: float) -> None:
        _take_in(self, topic, 0.0, now)

    replace(Mesh, "improve", improve)


def _take_in(mesh: Mesh, topic: str, above: float, now: float) -> None:
    for peer in mesh._candidates(topic, now):
        if mesh._score(peer.id) > above:
            mesh._graft(peer.id, topic, now)
