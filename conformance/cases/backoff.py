"""GRAFT, PRUNE and backoff (GossipSub v1.1, "Adding backoff")."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_gossip import join, signed
from gossipsub.wire.rpc import Control, Graft, Rpc


@case("BACK-04", fault="graft_needs_a_subscription")
async def a_graft_without_a_subscription_is_accepted(trial: Trial) -> None:
    """Rust also takes the peer for subscribed; go, js and nim do not."""
    node = await trial.start(subscribed=True)
    w = await trial.peer(node)
    author = await trial.peer(node)
    await w.send_rpc(Rpc(control=Control(graft=[Graft("t")])))
    with trial.expecting("W in the mesh"):
        await node.has_in_mesh(w)
    await join(author, node.process, "t")
    await author.send_rpc(Rpc(publish=[signed(author, "t", 1)]))
    with trial.expecting("the message, forwarded to W"):
        await w.receive_rpc_with(lambda rpc: rpc.publish)
