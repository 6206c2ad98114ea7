"""The chain of hashes, and what the node signs of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from struct import Struct
from typing import Self

from gossipsub.chorus.event_log.entry import Draft, Row, entry_hash
from gossipsub.crypto.keys import PrivateKey, PublicKey

FORMAT = 1
LOG_ID_BYTES = 16

_GENESIS = b"gossipsub-chorus-log:genesis:1:"
_HEAD = b"gossipsub-chorus-log:head:1:"
_PRUNED = b"gossipsub-chorus-log:pruned:1:"
_HEAD_FIELDS = Struct(">QQ32s")
_PRUNED_FIELDS = Struct(">Q32s")


@dataclass(frozen=True, slots=True)
class LogHead:
    """The log up to one entry, signed by its node. Kept elsewhere, it proves later that nothing
    up to there was taken away or written anew."""

    index: int
    previous: int
    """Index of the head before; 0 for the first."""
    hash: bytes
    """The entry's."""
    signature: bytes

    def is_signed_by(self, key: PublicKey) -> bool:
        """About 110 us."""
        return key.verify(head_statement(self.index, self.previous, self.hash), self.signature)


def genesis_hash(log_id: bytes, public_key: bytes) -> bytes:
    """`prev_hash` of the first entry: no two logs have the same."""
    return sha256(_GENESIS + log_id + public_key).digest()


def head_statement(index: int, previous: int, hash: bytes) -> bytes:
    return _HEAD + _HEAD_FIELDS.pack(index, previous, hash)


def pruned_statement(index: int, hash: bytes) -> bytes:
    return _PRUNED + _PRUNED_FIELDS.pack(index, hash)


@dataclass(slots=True)
class Chain:
    """Where the next entry goes."""

    index: int
    """Of the last entry."""
    hash: bytes
    timestamp: int
    head: int
    """Index of the last head."""

    def copy(self) -> Self:
        return replace(self)

    def extend(self, draft: Draft) -> Row:
        """The next entry, unsigned."""
        self.index += 1
        # Clocks are set back; order in the log is order in time all the same.
        self.timestamp = max(self.timestamp, draft.timestamp)
        prev_hash = self.hash
        self.hash = entry_hash(
            prev_hash,
            self.index,
            self.timestamp,
            draft.sent_at,
            draft.author.encode(),
            draft.type.encode(),
            draft.message_type.encode(),
            draft.topic.encode(),
            draft.project_id.encode(),
            draft.thread_id.encode(),
            draft.origin,
            draft.data,
            draft.signed,
        )
        return (self.index, self.timestamp, *draft[1:], prev_hash, self.hash, None)

    def sign(self, key: PrivateKey) -> LogHead:
        """A head at the last entry."""
        statement = head_statement(self.index, self.head, self.hash)
        head = LogHead(self.index, self.head, self.hash, key.sign(statement))
        self.head = self.index
        return head
