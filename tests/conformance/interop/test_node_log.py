from __future__ import annotations

import json
import os

import anyio
import pytest

from gossipsub import PrivateKey
from gossipsub.conformance.interop.node_log import NodeLog, rfc3339
from gossipsub.peer.json_lines import LineWriter
from gossipsub.router.effects import TraceKind
from gossipsub.tracing.event import TraceEvent, rpc_meta
from gossipsub.wire.rpc import Control, Graft, IDontWant, IHave, IWant, Message, Prune, Rpc, SubOpts

PEER = PrivateKey.from_node_number(1).peer_id()
NAME = "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X"

pytestmark = pytest.mark.anyio


async def written(*events: TraceEvent) -> bytes:
    """What a log prints of these events."""
    reader, writer = os.pipe()
    lines = LineWriter(writer)
    log = NodeLog(lines.write)
    for event in events:
        log.trace(event)
    await lines.flush()
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        return await anyio.to_thread.run_sync(file.read)


def event(kind: TraceKind, rpc: Rpc) -> TraceEvent:
    meta = rpc_meta(rpc, lambda message: (message.data or b"")[:8])
    return TraceEvent(
        kind=kind, node=b"me", timestamp=1_700_000_000_123_456_789, peer=PEER, meta=meta
    )


def number(value: int) -> bytes:
    return value.to_bytes(8)


async def test_each_copy_of_a_message_is_a_line_without_a_blank_after_a_colon() -> None:
    copy = event(TraceKind.RECV_RPC, Rpc(publish=[Message("a-subnet", number(31) + b"data")]))
    line = (
        '{"time":"2023-11-14T22:13:20.123456Z","msg":"Received Message","service":"gossipsub",'
        f'"from":"{NAME}","topic":"a-subnet","id":"31"}}\n'
    )
    assert (await written(copy, copy)).decode() == line * 2


async def test_all_that_an_rpc_carries_is_told_by_go_s_names() -> None:
    control = Control(
        graft=[Graft("t")],
        prune=[Prune("t")],
        ihave=[IHave("t", [number(1), number(2)])],
        iwant=[IWant([number(3)])],
        idontwant=[IDontWant([b"odd"])],
    )
    rpc = Rpc(subscriptions=[SubOpts("t", False)], publish=[Message("t", number(9))])
    rpc.control = control
    lines = [json.loads(it) for it in (await written(event(TraceKind.SEND_RPC, rpc))).splitlines()]
    assert {it["to"] for it in lines} == {NAME}
    told = [{k: v for k, v in it.items() if k not in ("time", "service", "to")} for it in lines]
    assert told == [
        {"msg": "Sent Message", "topic": "t", "id": "9"},
        {"msg": "Sent Subscription", "topic": "t", "subscribe": False},
        {"msg": "Sent Graft", "topic": "t"},
        {"msg": "Sent Prune", "topic": "t"},
        {"msg": "Sent Ihave", "topic": "t", "ids": "[1, 2]"},
        {"msg": "Sent Iwant", "ids": "[3]"},
        {"msg": "Sent Idontwant", "ids": f"[{int.from_bytes(b'odd')}]"},
    ]


async def test_other_events_are_not_told() -> None:
    other = TraceEvent(kind=TraceKind.JOIN, node=b"me", timestamp=1, topic="t")
    assert await written(other) == b""


def test_times_are_utc_to_the_microsecond() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(1_700_000_000_999_999_999) == "2023-11-14T22:13:20.999999Z"
