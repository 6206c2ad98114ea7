"""What the experiments fix for every node, and go's parameters as ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gossipsub import (
    BackoffParams,
    ExtensionParams,
    GossipParams,
    HostConfig,
    LazyParams,
    MeshParams,
    SignaturePolicy,
)
from gossipsub.peer.values import Values, number, whole
from gossipsub.wire.rpc import Message

MESSAGE_ID_BYTES = 8
QUEUE = 600
"""Outbound and validation queues, as go's node has them: bursts of 96 KiB need room."""
MAX_RPC_BYTES = 10 << 20
OUTBOUND_BYTES = 64 << 20
GROUP_HEARTBEATS = 120
"""Groups are kept for the whole of an experiment: a chain's are published one after the other."""

_MESH = {
    "D": "d",
    "Dlo": "d_low",
    "Dhi": "d_high",
    "Dscore": "d_score",
    "Dout": "d_out",
    "OpportunisticGraftTicks": "opportunistic_graft_ticks",
    "OpportunisticGraftPeers": "opportunistic_graft_peers",
}
_LAZY = {
    "HistoryLength": "history_length",
    "HistoryGossip": "history_gossip",
    "Dlazy": "d_lazy",
    "GossipRetransmission": "gossip_retransmission",
    "MaxIHaveLength": "max_ihave_length",
    "MaxIHaveMessages": "max_ihave_messages",
    "MaxIDontWantLength": "max_idontwant_length",
    "MaxIDontWantMessages": "max_idontwant_messages",
    "IDontWantMessageThreshold": "idontwant_threshold",
    "IDontWantMessageTTL": "idontwant_heartbeats",
}
_LAZY_TIMES = {"IWantFollowupTime": "iwant_followup"}
_FACTOR = {"GossipFactor": "gossip_factor"}
_BACKOFF_TIMES = {
    "PruneBackoff": "prune_backoff",
    "UnsubscribeBackoff": "unsubscribe_backoff",
    "GraftFloodThreshold": "graft_flood_threshold",
}
_ROUTER = {"PrunePeers": "exchange_peers", "DirectConnectTicks": "direct_connect_ticks"}
_ROUTER_TIMES = {
    "HeartbeatInitialDelay": "heartbeat_initial_delay",
    "HeartbeatInterval": "heartbeat_interval",
    "FanoutTTL": "fanout_ttl",
    "DirectConnectInitialDelay": "direct_connect_delay",
}
_CONFIG = {"Connectors": "exchange_dials", "MaxPendingConnections": "exchange_queue"}
_CONFIG_TIMES = {"ConnectionTimeout": "exchange_dial_timeout"}
_KNOWN = {
    *(*_MESH, *_LAZY, *_LAZY_TIMES, *_FACTOR, *_BACKOFF_TIMES, *_ROUTER, *_ROUTER_TIMES),
    *(*_CONFIG, *_CONFIG_TIMES),
}


def message_id(message: Message) -> bytes:
    """The first eight bytes of the data. ValueError where there are fewer."""
    data = message.data or b""
    if len(data) < MESSAGE_ID_BYTES:
        raise ValueError(f"a message of {len(data)} bytes has no id")
    return data[:MESSAGE_ID_BYTES]


def node_params(given: Mapping[str, Any]) -> GossipParams:
    """The router's parameters; what is not given is the library's default. ValueError says which
    cannot be."""
    values = _values(given)
    return GossipParams(
        mesh=replace(MeshParams(), **values.pick(_MESH, whole)),
        lazy=replace(
            LazyParams(),
            **values.pick(_LAZY, whole),
            **values.pick(_LAZY_TIMES, _seconds),
            **values.pick(_FACTOR, number),
        ),
        backoff=replace(BackoffParams(), **values.pick(_BACKOFF_TIMES, _seconds)),
        signature_policy=SignaturePolicy.STRICT_NO_SIGN,
        message_id=message_id,
        extensions=ExtensionParams(
            partial_messages=True, partial_group_heartbeats=GROUP_HEARTBEATS
        ),
        flood_publish=False,  # as go's node, or copies could not be compared
        **values.pick(_ROUTER, whole),
        **values.pick(_ROUTER_TIMES, _seconds),
    )


def node_config(given: Mapping[str, Any]) -> HostConfig:
    """The host's limits; ValueError says which cannot be."""
    values = _values(given)
    return HostConfig(
        max_rpc_bytes=MAX_RPC_BYTES,
        outbound_queue_rpcs=QUEUE,
        outbound_queue_bytes=OUTBOUND_BYTES,
        validation_queue=QUEUE,
        **values.pick(_CONFIG, whole),
        **values.pick(_CONFIG_TIMES, _seconds),
    )


def without_counterpart(given: Mapping[str, Any]) -> list[str]:
    """Parameters that mean nothing here: go's own, and those not known yet."""
    return sorted(name for name in given if given[name] is not None and name not in _KNOWN)


def _values(given: Mapping[str, Any]) -> Values:
    return Values({name: value for name, value in given.items() if value is not None})


def _seconds(nanoseconds: Any) -> float:
    if number(nanoseconds) < 0:
        raise ValueError("must not be negative")
    return number(nanoseconds) / 1e9
