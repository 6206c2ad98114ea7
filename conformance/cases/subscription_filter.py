"""Which topics a peer may subscribe to."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.scoring import knows_subscription
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_control import subscribe

NAMES = ("a b", "/eth2/beacon/ssz_snappy", "тема", "line\nbreak", '{"name":"t"}', "x" * 256)


@case("FILT-06", fault="only_plain_names_are_topics")
async def without_a_filter_peers_may_subscribe_to_any_name(trial: Trial) -> None:
    node = await trial.start()
    w = await trial.peer(node)
    for name in NAMES:
        await subscribe(w, name)
    for name in NAMES:
        await knows_subscription(trial, node, w, name)
