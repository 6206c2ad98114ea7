"""Message ids (pubsub README, "Message identification"): opaque bytes, of any length.

Any function `Message -> bytes` may replace the default; all nodes of a network must agree on it.
"""

from __future__ import annotations

from hashlib import sha256

from gossipsub.wire.rpc import Message

_LONG_ID_BYTES = 64


def origin_id(message: Message) -> bytes:
    """The default: `from` followed by `seqno`, the raw bytes of both.

    The spec's form, and go's; rust, js and nim each build another one by default. Raises
    ValueError where either field is missing: such a message has no id.
    """
    if not message.from_peer or not message.seqno:
        raise ValueError("a message without from and seqno has no default id")
    return message.from_peer + message.seqno


def content_id(message: Message) -> bytes:
    """SHA-256 of the data: for StrictNoSign, where a message has no origin (js does the same)."""
    return sha256(message.data or b"").digest()


def bounded_key(message_id: bytes) -> bytes:
    """Stands for an id in tables that peers fill: they send ids of any length, and of long ones
    only a digest is kept, so that memory is bounded."""
    return message_id if len(message_id) <= _LONG_ID_BYTES else sha256(message_id).digest()
