"""Faults in dividing RPCs."""

from __future__ import annotations

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.pubsub import sender
from gossipsub.wire.rpc import Rpc
from gossipsub.wire.rpc_codec import RpcLimits
from gossipsub.wire.rpc_split import split_rpc


@fault
def of_a_divided_rpc_one_part_is_sent() -> None:
    def split(rpc: Rpc, max_bytes: int, limits: RpcLimits) -> tuple[list[Rpc], list[Rpc]]:
        parts, alone = split_rpc(rpc, max_bytes, limits)
        return parts[:1], alone

    replace(sender, "split_rpc", split)
