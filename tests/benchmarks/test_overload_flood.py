"""What flooders send is what it claims to be."""

from __future__ import annotations

from itertools import islice

import pytest

from gossipsub.benchmarks.overload_flood import (
    REPEATED,
    forged_messages,
    repeated_messages,
    signed_messages,
)
from gossipsub.crypto.message_signing import verify_message
from gossipsub.wire.rpc import Message
from gossipsub.wire.rpc_codec import RpcLimits, decode_rpc


def messages(encoded: list[bytes]) -> tuple[Message, ...]:
    return decode_rpc(b"".join(encoded), RpcLimits()).publish


def test_forged_messages_differ_and_none_verifies() -> None:
    made = messages(list(islice(forged_messages(1, 64), 50)))
    assert len({(message.from_peer, message.seqno) for message in made}) == 50
    assert {message.topic for message in made} == {"flooded"}
    assert not any(verify_message(message) for message in made)


def test_signed_messages_are_good_and_of_many_authors() -> None:
    made = messages(list(islice(signed_messages(1, 64), 100)))
    assert all(verify_message(message) for message in made)
    assert len({(message.from_peer, message.seqno) for message in made}) == 100
    assert len({message.from_peer for message in made}) > 50


@pytest.mark.parametrize("make", [forged_messages, signed_messages])
def test_flooders_of_other_seeds_send_others(make) -> None:
    first, second = (set(islice(make(seed, 64), 20)) for seed in (1, 1001))
    assert not first & second


def test_repeated_messages_come_again() -> None:
    made = list(islice(repeated_messages(1, 64), 2 * REPEATED))
    assert made[:REPEATED] == made[REPEATED:]
    assert all(verify_message(message) for message in messages(made[:20]))
