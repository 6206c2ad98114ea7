"""What has happened on one host, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostStatistics:
    """Totals since the host was opened."""

    rpc_in: int
    rpc_out: int
    rpc_dropped: int
    """RPCs that found a peer's queue full, or no stream to it."""
    rpc_refused: int
    """RPCs of peers that sent more besides messages than `overhead_bytes_per_second`."""
    published: int
    delivered: int
    """Messages handed to subscriptions, own ones included."""
    duplicates: int
    rejections: Mapping[str, int]
    """Messages not delivered for another reason, by go's names for the reasons."""
    connections: int
    connections_refused: Mapping[str, int]
    """Connections refused, by reason: `total`, `per ip` and `per peer` for the limits, `handshake`
    for those that gave way to others before it was done, `gate`, `blocked`, and `self`."""
    connections_trimmed: int
    """Connections closed to make room for others."""
    dials_dropped: int
    """Peers named in peer exchange, or found by discovery, that were not dialled, because too many
    waited."""
    validation_waiting: int
    """Messages that wait for their signature check now."""
    validation_queue_full: int
    """Messages that found no place there, or lost it to a topic or peer with fewer."""
    validation_throttled: int
    """Messages for which too many asynchronous validators ran already."""
    validation_timeouts: int
    """Calls of validators that gave no verdict in time."""
    validator_failures: int
    """Calls of validators that raised an exception or returned no verdict."""
