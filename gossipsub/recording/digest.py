"""What a router put out at one input, as a few bytes: equal exactly for equal effects."""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from gossipsub.recording.values import to_json
from gossipsub.router.effects import Deliver, Effect, SendRpc, Trace, Unqueue, Validate
from gossipsub.wire.message_codec import encode_message
from gossipsub.wire.rpc import Rpc
from gossipsub.wire.rpc_codec import encode_rpc

DIGEST_BYTES = 16


def digest(effects: Iterable[Effect]) -> str:
    """Over the effects in order, RPCs and messages as the bytes they have on the wire; in
    hexadecimal."""
    whole = blake2b(digest_size=DIGEST_BYTES)
    last: Rpc | None = None
    last_digest = b""
    for effect in effects:
        if isinstance(effect, SendRpc):
            if effect.rpc is not last:  # most often the same for many peers
                last = effect.rpc
                last_digest = blake2b(encode_rpc(last)).digest()
            parts: tuple[bytes, ...] = (b"S", bytes((effect.lane,)), effect.peer, last_digest)
        elif isinstance(effect, Validate):
            ticket = effect.ticket.to_bytes(8, "big")
            parts = (b"V" + ticket, effect.peer, effect.message_id, encode_message(effect.message))
        elif isinstance(effect, Deliver):
            sender = b"" if effect.received_from is None else b"\1" + effect.received_from
            parts = (b"D", sender, effect.message_id, encode_message(effect.message))
        else:
            parts = (as_text(_settled_json(effect)).encode(),)
        for part in parts:
            whole.update(len(part).to_bytes(4, "big"))
            whole.update(part)
    return whole.hexdigest()


def in_full(effects: Iterable[Effect]) -> list[Any]:
    """The effects themselves, for JSON."""
    return [_settled_json(effect) for effect in effects]


def _settled_json(effect: Effect) -> Any:
    """A message is written in another way once its bytes are known: here they always are."""
    if isinstance(effect, (SendRpc, Trace)):
        if effect.rpc is not None:
            encode_rpc(effect.rpc)
    elif isinstance(effect, (Validate, Deliver, Unqueue)):
        encode_message(effect.message)
    return to_json(effect)


as_text = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
"""One line of JSON."""
