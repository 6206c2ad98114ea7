"""RPCs in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.rpc import Control, Message, Prune, Rpc

_SHOWN_IDS = 3
_SHOWN_PARTS = 8
_SHOWN_CHARACTERS = 60


def describe_rpc(rpc: Rpc) -> str:
    """Everything in it: `SUBSCRIBE t; GRAFT t; MESSAGE t #1 of 12D3KooW… 4 bytes`."""
    parts = list(_parts(rpc))
    hidden = len(parts) - _SHOWN_PARTS
    shown = "; ".join(parts[:_SHOWN_PARTS]) + (f"; and {hidden} more" if hidden > 0 else "")
    return f"RPC {shown or 'empty'}"


def _parts(rpc: Rpc) -> Iterator[str]:
    for change in rpc.subscriptions:
        partial = " requests partial" if change.requests_partial else ""
        partial += " sends partial" if change.supports_sending_partial else ""
        yield f"{'SUBSCRIBE' if change.subscribe else 'UNSUBSCRIBE'} {_text(change.topic)}{partial}"
    if rpc.control is not None:
        yield from _control_parts(rpc.control)
    for message in rpc.publish:
        yield _message_text(message)
    if rpc.partial is not None:
        group = _hex(rpc.partial.group_id or b"")
        sizes = [
            f"{what} {len(value)} bytes"
            for what, value in (
                ("message", rpc.partial.partial_message),
                ("metadata", rpc.partial.parts_metadata),
            )
            if value is not None
        ]
        yield f"PARTIAL {_text(rpc.partial.topic or '')} group {group}: {', '.join(sizes)}"
    if rpc.test_extension:
        yield "TEST EXTENSION"


def _control_parts(control: Control) -> Iterator[str]:
    if control.extensions is not None:
        offered = [
            name
            for name, offer in (
                ("partial messages", control.extensions.partial_messages),
                ("test extension", control.extensions.test_extension),
            )
            if offer
        ]
        yield f"EXTENSIONS {', '.join(offered) or 'none'}"
    for graft in control.graft:
        yield f"GRAFT {_text(graft.topic)}"
    for prune in control.prune:
        yield _prune_text(prune)
    for ihave in control.ihave:
        yield f"IHAVE {_text(ihave.topic)}: {_ids(ihave.message_ids)}"
    for iwant in control.iwant:
        yield f"IWANT {_ids(iwant.message_ids)}"
    for idontwant in control.idontwant:
        yield f"IDONTWANT {_ids(idontwant.message_ids)}"


def _prune_text(prune: Prune) -> str:
    backoff = "no backoff" if prune.backoff is None else f"backoff {prune.backoff} s"
    peers = f", {len(prune.peers)} peers" if prune.peers else ""
    return f"PRUNE {_text(prune.topic)} ({backoff}{peers})"


def _message_text(message: Message) -> str:
    author = "nobody" if message.from_peer is None else _peer(message.from_peer)
    number = "none" if message.seqno is None else _hex(message.seqno)
    signed = "unsigned" if message.signature is None else "signed"
    key = " with key" if message.key is not None else ""
    size = "no data" if message.data is None else f"{len(message.data)} bytes"
    return f"MESSAGE {_text(message.topic)} of {author}, seqno {number}, {size}, {signed}{key}"


def _peer(peer: bytes) -> str:
    try:
        return f"…{str(PeerId(peer))[-6:]}"
    except ValueError:
        return f"{len(peer)} bytes {_hex(peer)}"


def _ids(ids: Sequence[bytes]) -> str:
    shown = ", ".join(_hex(id) for id in ids[:_SHOWN_IDS])
    return f"{shown} and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else shown or "none"


def _hex(data: bytes) -> str:
    """The end of it: ids of messages begin with the author."""
    return data.hex() if len(data) <= 8 else f"…{data[-8:].hex()}"


def _text(topic: str) -> str:
    return topic if topic.isprintable() and len(topic) <= _SHOWN_CHARACTERS else repr(topic)[:60]
