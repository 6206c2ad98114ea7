"""Mesh parameters that contradict each other (GossipSub v1.1, "Outbound mesh quotas")."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.kit.verdict import RefusesStart


@case("CFG-03", fault="parameters_are_not_checked")
async def a_quota_of_outbound_peers_that_is_too_high_is_refused(trial: Trial) -> None:
    """D_out must be below D_low, and at most half of D."""
    for d_low, d_out in ((5, 4), (3, 3)):
        what = f"D = 6, D_low = {d_low}, D_out = {d_out}"
        starts = await _starts(trial, {"D": 6, "Dlo": d_low, "Dhi": 12, "Dout": d_out})
        trial.check(not starts, f"a refusal to start with {what}", "it started")


@case("CFG-03b", fault="a_quota_of_half_the_mesh_is_refused")
async def a_quota_of_half_the_mesh_is_accepted(trial: Trial) -> None:
    """The specification allows it; go does not."""
    starts = await _starts(trial, {"D": 6, "Dlo": 5, "Dhi": 12, "Dout": 3})
    trial.check(starts, "a node with D = 6 and D_out = 3", "it refused to start")


async def _starts(trial: Trial, params: dict[str, object]) -> bool:
    try:
        await trial.start(params=params)
    except RefusesStart:
        return False
    return True
