"""The log while strangers do what they can: nothing but DEBUG, and INFO as they come and go."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace

import anyio
import pytest

from gossipsub import GossipParams, PeerGaterParams, PeerScoreParams, TopicScoreParams
from gossipsub.conformance.scripted_peer import PUBSUB, dial
from gossipsub.conformance.scripted_wire import WireClosed
from gossipsub.wire.rpc import (
    Control,
    Graft,
    IDontWant,
    IHave,
    IWant,
    Message,
    PeerInfo,
    Prune,
    Rpc,
    SubOpts,
)

pytestmark = pytest.mark.anyio

MAY_INFORM = {"gossipsub.connections", "gossipsub.host"}
"""Who tells of connections, and of what the application does."""
NASTY = "a\nb\x1b[31m\u202e"

PARAMS = GossipParams(
    score=PeerScoreParams(
        other_topics=TopicScoreParams(
            invalid_message_deliveries_weight=-1.0, invalid_message_deliveries_decay=0.5
        ),
        behaviour_penalty_weight=-1.0,
        behaviour_penalty_decay=0.5,
    ),
    gater=PeerGaterParams(),
    disconnect_graylisted=True,
)

HOSTILE = [
    Rpc([SubOpts(NASTY), SubOpts("good")], control=Control(graft=[Graft("good"), Graft(NASTY)])),
    Rpc(publish=[Message("good", b"x", bytes(3), bytes(8), bytes(64)), Message(NASTY)] * 50),
    Rpc(control=Control(ihave=[IHave("good", [bytes([n]) * 250 for n in range(200)])])),
    Rpc(control=Control(iwant=[IWant([b"unknown", b""])], idontwant=[IDontWant([b"x"] * 100)])),
    Rpc(control=Control(prune=[Prune("good", [PeerInfo(b"nobody", b"garbage")], 2**63)])),
    *[Rpc(control=Control(graft=[Graft("good")]))] * 20,
]


async def test_a_hostile_session_logs_nothing_above_debug_but_its_coming_and_going(
    good_pair, short_config, caplog
):
    config = short_config(overhead_bytes_per_second=1000.0, overhead_burst_bytes=20_000)
    async with good_pair(config=config, params=PARAMS) as pair:
        for _ in range(2):
            async with dial(pair.address) as w:
                with suppress(WireClosed):  # the host may show it the door meanwhile
                    said = replace(w.describe(PUBSUB), agent_version=NASTY)
                    await w.serve_identify(said=said)
                    await w.open_pubsub()
                    for rpc in HOSTILE:
                        await w.send_rpc(rpc)
                    await anyio.sleep(0.05)
    ours = [record for record in caplog.records if record.name.startswith("gossipsub")]
    loud = [record for record in ours if record.levelno > logging.DEBUG]
    assert loud
    assert {record.name for record in loud} <= MAY_INFORM
    assert {record.levelno for record in loud} == {logging.INFO}
    assert [
        text for text in map(logging.LogRecord.getMessage, ours) if not text.isprintable()
    ] == []
