"""What a node writes to standard output: a JSON object a line, with `time` and `msg` in each.

The names are those of go's node, so that logs of both can be laid side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from gossipsub import PeerId
from gossipsub.tracing.event import RpcMeta, TraceEvent
from gossipsub.wire.rpc import Control

_DIRECTIONS = {"RECV_RPC": ("Received", "from"), "SEND_RPC": ("Sent", "to")}


class NodeLog:
    """Makes the lines; `print_line` takes each as an object, and must not block."""

    def __init__(self, print_line: Callable[[dict[str, Any]], object]) -> None:
        self._print_line = print_line

    def write(self, msg: str, *, nanoseconds: int | None = None, **fields: Any) -> None:
        """`nanoseconds` since 1970; now where it is not given."""
        at = time.time_ns() if nanoseconds is None else nanoseconds
        self._print_line({"time": rfc3339(at), "msg": msg, **fields})

    def trace(self, event: TraceEvent) -> None:
        """Tell of an RPC that came or went; a host's trace sink. An RPC is traced when it is read,
        so of each message every copy is told, before any is looked at."""
        direction = _DIRECTIONS.get(event.kind.name)
        if direction is None or event.meta is None or event.peer is None:
            return
        action, preposition = direction
        about = {preposition: _name(event.peer)}
        for msg, fields in _parts(event.meta):
            self.write(
                f"{action} {msg}",
                nanoseconds=event.timestamp,
                service="gossipsub",
                **about,
                **fields,
            )


def rfc3339(nanoseconds: int) -> str:
    """Since 1970, in UTC, to the microsecond."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1000)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@lru_cache(maxsize=4096)
def _name(peer: bytes) -> str:
    return str(PeerId(peer))


def _parts(meta: RpcMeta) -> Iterable[tuple[str, dict[str, Any]]]:
    for message in meta.messages:
        yield "Message", {"topic": message.topic, "id": decimal_id(message.message_id)}
    for option in meta.subscriptions:
        yield "Subscription", {"topic": option.topic, "subscribe": option.subscribe}
    yield from _control(meta.control)


def _control(control: Control | None) -> Iterable[tuple[str, dict[str, Any]]]:
    if control is None:
        return
    for graft in control.graft:
        yield "Graft", {"topic": graft.topic}
    for prune in control.prune:
        yield "Prune", {"topic": prune.topic}
    for ihave in control.ihave:
        yield "Ihave", {"topic": ihave.topic, "ids": _decimal_ids(ihave.message_ids)}
    for iwant in control.iwant:
        yield "Iwant", {"ids": _decimal_ids(iwant.message_ids)}
    for idontwant in control.idontwant:
        yield "Idontwant", {"ids": _decimal_ids(idontwant.message_ids)}


def decimal_id(message_id: bytes) -> str:
    """As a big-endian number in base 10."""
    return str(int.from_bytes(message_id[:8]))


def _decimal_ids(ids: Iterable[bytes]) -> str:
    return f"[{', '.join(map(decimal_id, ids))}]"
