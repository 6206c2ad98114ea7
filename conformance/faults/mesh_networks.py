"""Faults that show among several nodes."""

from __future__ import annotations

from gossipsub.conformance.faults.backoff import pruned_peers_stay_in_the_mesh
from gossipsub.conformance.faults.fault import fault
from gossipsub.conformance.faults.mesh import every_subscriber_is_grafted, meshes_are_not_pruned


@fault
def links_are_of_one_side() -> None:
    """Whoever is there is taken into the mesh and stays, whatever it says."""
    pruned_peers_stay_in_the_mesh()
    every_subscriber_is_grafted()
    meshes_are_not_pruned()
