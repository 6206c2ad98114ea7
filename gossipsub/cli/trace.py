"""`gossipsub trace`: what trace files hold, as lines or summed up."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from gossipsub.cli.exit_status import DONE, FAILED
from gossipsub.cli.message_format import iso_time
from gossipsub.cli.parsing import Parser, encodable
from gossipsub.cli.running import fail
from gossipsub.cli.text import printable
from gossipsub.wire.errors import GossipSubError
from gossipsub.wire.rpc import Graft, IDontWant, IHave, IWant, Prune

if TYPE_CHECKING:
    from gossipsub.tracing import TraceEvent
    from gossipsub.tracing.event import RpcMeta

KINDS = (
    "PUBLISH_MESSAGE", "REJECT_MESSAGE", "DUPLICATE_MESSAGE", "DELIVER_MESSAGE", "ADD_PEER",
    "REMOVE_PEER", "RECV_RPC", "SEND_RPC", "DROP_RPC", "JOIN", "LEAVE", "GRAFT", "PRUNE",
)  # fmt: skip
"""The names of `TraceKind`; written out, so that asking for help loads nothing."""


def main(arguments: Sequence[str]) -> int:
    """0, or 1 for a file that is no trace or damaged; what came before is shown all the same."""
    options = _parse(arguments)
    problems: list[Exception] = []
    chosen = (each for each in _read(options.files, problems) if is_chosen(options, each))
    if options.summary:
        from gossipsub.cli.trace_summary import summarize

        for line in summarize(chosen).lines(as_json=options.json):
            print(line)
    else:
        for event in chosen:
            print(json.dumps(as_json(event)) if options.json else as_line(event))
    for problem in problems:
        fail("trace", problem)
    return FAILED if problems else DONE


def _read(files: Sequence[str], problems: list[Exception]) -> Iterator[TraceEvent]:
    """The events of all files; of one that is damaged, those before the damage."""
    from gossipsub.tracing import read_trace

    for path in files:
        try:
            yield from read_trace(path)
        except (GossipSubError, OSError) as error:
            problems.append(error)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        "trace",
        "Show the events of trace files, one line each: those of gossipsub, and of go's\n"
        "JSONTracer and PBTracer, compressed or not. Several conditions must all hold.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE")
    _add_conditions(parser)
    parser.add_argument(
        "--summary", action="store_true", help="counts, latencies and duplicates instead of events"
    )
    parser.add_json()
    return parser.parse_args(list(arguments))


def _add_conditions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--type",
        action="append",
        type=_kind,
        dest="kinds",
        metavar="KIND",
        help=f"only events of this kind; repeatable: {', '.join(KINDS).lower()}",
    )
    parser.add_argument(
        "--peer",
        action="append",
        type=_shown_peer,
        dest="peers",
        metavar="PEER",
        help="only what happened at, or with, this peer; repeatable",
    )
    parser.add_argument(
        "--topic",
        action="append",
        type=encodable,
        dest="topics",
        metavar="TOPIC",
        help="only what concerns this topic, RPCs that name it too; repeatable",
    )
    parser.add_argument(
        "--message",
        type=_hex,
        metavar="ID",
        help="only what concerns the message whose id, in hex, begins so; RPCs that name it too",
    )


def is_chosen(options: argparse.Namespace, event: TraceEvent) -> bool:
    if options.kinds and event.kind.name not in options.kinds:
        return False
    if options.peers and not (
        _peer(event.node) in options.peers
        or (event.peer is not None and _peer(event.peer) in options.peers)
    ):
        return False
    if options.topics and not any(topic in options.topics for topic in _topics(event)):
        return False
    return options.message is None or any(
        message_id.hex().startswith(options.message) for message_id in _message_ids(event)
    )


def _topics(event: TraceEvent) -> Iterator[str]:
    if event.topic is not None:
        yield event.topic
    if event.meta is None:
        return
    for message in event.meta.messages:
        yield message.topic
    for subscription in event.meta.subscriptions:
        yield subscription.topic
    if (control := event.meta.control) is not None:
        for each in chain[IHave | Graft | Prune](control.ihave, control.graft, control.prune):
            yield each.topic


def _message_ids(event: TraceEvent) -> Iterator[bytes]:
    if event.message_id is not None:
        yield event.message_id
    if event.meta is None:
        return
    for message in event.meta.messages:
        yield message.message_id
    if (control := event.meta.control) is not None:
        for each in chain[IHave | IWant | IDontWant](
            control.ihave, control.iwant, control.idontwant
        ):
            yield from each.message_ids


def as_line(event: TraceEvent) -> str:
    """The event for people: when, where, what."""
    words = [iso_time(event.timestamp), _peer(event.node), event.kind.name]
    if event.peer is not None:
        words.append(f"peer={_peer(event.peer)}")
    if event.topic is not None:
        words.append(f"topic={printable(event.topic)}")
    if event.message_id is not None:
        words.append(f"id={event.message_id.hex()}")
    for name, text in (("reason", event.reason), ("protocol", event.protocol)):
        if text is not None:
            words.append(f"{name}={printable(text)}")
    if event.meta is not None:
        words += [f"{name}={len(part)}" for name, part in _parts(event.meta) if part]
    return " ".join(words)


def _parts(meta: RpcMeta) -> Iterator[tuple[str, Sequence[Any]]]:
    yield "messages", meta.messages
    yield "subscriptions", meta.subscriptions
    if meta.control is not None:
        for name in ("ihave", "iwant", "graft", "prune", "idontwant"):
            yield name, getattr(meta.control, name)


def as_json(event: TraceEvent) -> dict[str, Any]:
    """The event for programs; bytes in hex, peers as their ids, no field that it lacks."""
    told: dict[str, Any] = {
        "time": iso_time(event.timestamp),
        "timestamp": event.timestamp,
        "node": _peer(event.node),
        "type": event.kind.name,
    }
    if event.peer is not None:
        told["peer"] = _peer(event.peer)
    if event.message_id is not None:
        told["message_id"] = event.message_id.hex()
    for name in ("topic", "reason", "protocol"):
        if getattr(event, name) is not None:
            told[name] = getattr(event, name)
    if event.meta is not None:
        told["rpc"] = {
            name: [_plain(each) for each in part] for name, part in _parts(event.meta) if part
        }
    return told


def _plain(part: Any) -> dict[str, Any]:
    """What an RPC carries, by the names of its fields."""
    told: dict[str, Any] = {}
    for name in ("topic", "subscribe"):
        if hasattr(part, name):
            told[name] = getattr(part, name)
    if hasattr(part, "message_id"):
        told["message_id"] = part.message_id.hex()
    if hasattr(part, "message_ids"):
        told["message_ids"] = [each.hex() for each in part.message_ids]
    if hasattr(part, "peers"):
        told["peers"] = [_peer(each.peer_id or b"") for each in part.peers]
    return told


@lru_cache(4096)
def _peer(peer: bytes) -> str:
    """How a peer is shown: its id, or, as simulated nodes have names, its bytes as text."""
    from gossipsub.crypto.peer_id import PeerId
    from gossipsub.wire.errors import RemoteProtocolError

    try:
        return str(PeerId.from_bytes(peer))
    except RemoteProtocolError:
        return printable(peer) if peer else "-"


def _kind(text: str) -> str:
    name = text.upper().replace("-", "_")
    if name not in KINDS:
        raise argparse.ArgumentTypeError(f"no such kind: {text!r}")
    return name


def _shown_peer(text: str) -> str:
    """A peer as `_peer` shows it, of whichever form of its id."""
    from gossipsub.crypto.peer_id import PeerId
    from gossipsub.wire.errors import LocalProtocolError

    try:
        return str(PeerId.parse(text))
    except LocalProtocolError:
        return text


def _hex(text: str) -> str:
    digits = text.lower()
    if not digits or any(digit not in "0123456789abcdef" for digit in digits):
        raise argparse.ArgumentTypeError(f"not hexadecimal: {text!r}")
    return digits
