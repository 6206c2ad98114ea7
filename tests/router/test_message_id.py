"""Message ids."""

from __future__ import annotations

import hashlib

import pytest

from gossipsub.conformance.vectors import read_vectors
from gossipsub.router.message_id import content_id, origin_id
from gossipsub.wire.rpc import Message


@pytest.mark.rule("MID-01")
def test_the_default_id_is_from_followed_by_seqno() -> None:
    vector = read_vectors("message_ids")[0]
    author, seqno = bytes.fromhex(vector["from"]), bytes.fromhex(vector["seqno"])
    assert origin_id(Message("t", b"", author, seqno)).hex() == vector["id"]


@pytest.mark.rule("MID-04")
@pytest.mark.parametrize(
    "message",
    [
        Message("t", seqno=bytes(8)),
        Message("t", from_peer=b"author"),
        Message("t", from_peer=b"", seqno=bytes(8)),
    ],
)
def test_without_from_or_seqno_there_is_no_default_id(message: Message) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        origin_id(message)
    assert str(caught.value) == "a message without from and seqno has no default id"


def test_a_content_id_depends_on_the_data_alone() -> None:
    digest = hashlib.sha256(b"data").digest()
    assert content_id(Message("a", b"data")) == content_id(Message("b", b"data")) == digest
    assert content_id(Message("a")) == hashlib.sha256(b"").digest()
