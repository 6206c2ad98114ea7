"""Faults of the check of mesh parameters."""

from __future__ import annotations

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.router.params import MeshParams


@fault
def parameters_are_not_checked() -> None:
    replace(MeshParams, "__post_init__", lambda self: None)


@fault
def a_quota_of_half_the_mesh_is_refused() -> None:
    original = MeshParams.__post_init__

    def stricter(self: MeshParams) -> None:
        original(self)
        if 0 < self.d <= 2 * self.d_out:
            raise ValueError(f"need d_out < d/2: {self.d_out}")

    replace(MeshParams, "__post_init__", stricter)
