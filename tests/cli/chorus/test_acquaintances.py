from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import anyio
import pytest

from gossipsub.chorus import Delivery, Envelope, Timestamp
from gossipsub.cli.chorus.acquaintances import GONE_AFTER, Acquaintances
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message
from gossipsub.pubsub.signed_message import SignedMessage
from gossipsub.wire.rpc import Message

pytestmark = pytest.mark.anyio

KEY = PrivateKey.from_seed(bytes(32))
PEER = str(KEY.peer_id())


def heartbeat(age: float = 0.0, **fields: Any) -> Delivery:
    said_at = Timestamp.from_unix_ns(time.time_ns() - int(age * 1e9))
    data = {"name": "Ada", "status": "ready"}
    envelope = Envelope("availability_broadcast", PEER, said_at, data)
    signed = SignedMessage(sign_message(Message("t", b"", seqno=bytes(8)), KEY), genuine=True)
    return replace(Delivery(envelope, "t", KEY.peer_id(), signed, 0), **fields)


async def test_agents_are_known_by_what_they_say_and_by_what_logs_tell() -> None:
    live, told = Acquaintances(), Acquaintances()
    live.observe(heartbeat())
    told.observe(heartbeat(60.0, is_caught_up=True))
    for each in (live, told):
        assert [agent.card.name for agent in each.agents()] == ["Ada"]
        assert each.name_of(PEER) == "Ada"
        with anyio.fail_after(5):
            await each.changed.wait()
    (agent,) = told.agents()
    assert 59 < anyio.current_time() - agent.last_seen < 70


async def test_who_was_silent_for_too_long_is_not_there() -> None:
    others = Acquaintances()
    others.observe(heartbeat(GONE_AFTER + 1, is_caught_up=True))
    others.observe(heartbeat(is_own=True))
    assert others.name_of(PEER) != "Ada"
    assert others.agents() == ()


async def test_others_are_called_by_the_ends_of_their_id() -> None:
    others = Acquaintances()
    assert others.name_of(PEER) == f"{PEER[:2]}*{PEER[-6:]}"
    assert others.name_of("bob") == "bob"
