"""What a host writes down of itself: its trace, and a recording that replays."""

from __future__ import annotations

import contextlib
import json
import logging
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from gossipsub import GossipParams, Host, HostConfig, LocalProtocolError, PeerScoreParams
from gossipsub.recording import replay
from gossipsub.router.effects import TraceKind
from gossipsub.tracing.event import TraceEvent
from gossipsub.tracing.trace_reader import read_trace
from gossipsub.watching import Watching
from gossipsub.wire.rpc import Rpc, SubOpts

pytestmark = pytest.mark.anyio


async def until(condition: Any, *, timeout: float = 20.0) -> None:
    with anyio.fail_after(timeout):
        while not condition():
            await anyio.sleep(0.005)


async def converse(watched: dict[str, Any], *, messages: int = 20) -> tuple[bytes, bytes]:
    """Two hosts talk; the first is watched. Their ids."""
    async with Host(**watched) as one, Host() as other:
        topics = [await one.join("news"), await other.join("news")]
        one.set_validator("news", lambda message: message.data != b"bad")
        async with topics[0].subscribe() as here, topics[1].subscribe() as there:
            await other.connect(one.addresses[0])
            await until(lambda: topics[0].peers() and topics[1].peers())
            for number in range(messages):
                await topics[number % 2].publish(f"message {number}".encode())
            await topics[1].publish(b"bad")
            for reader, count in ((here, messages), (there, messages + 1)):
                for _ in range(count):
                    with anyio.fail_after(20):
                        await anext(reader)
            await until(lambda: one.statistics().rejections)
        return one.peer_id, other.peer_id


def counted(events: list[TraceEvent]) -> Counter[str]:
    return Counter(event.kind.name for event in events)


@pytest.mark.parametrize("name", ["trace.json", "trace.pb", "trace.pb.gz"])
async def test_a_host_traces_to_a_file(name: str, tmp_path: Path) -> None:
    me, other = await converse({"trace": tmp_path / name})
    events = list(read_trace(tmp_path / name))
    assert {event.node for event in events} == {me}
    counts = counted(events)
    assert counts["PUBLISH_MESSAGE"] == 10
    assert counts["DELIVER_MESSAGE"] == 20
    assert (counts["JOIN"], counts["LEAVE"]) == (1, 1)
    assert (counts["ADD_PEER"], counts["REMOVE_PEER"]) == (1, 1)
    assert counts["GRAFT"] == counts["PRUNE"] > 0
    assert counts["SEND_RPC"] >= 11
    assert counts["RECV_RPC"] >= 11
    (reject,) = [event for event in events if event.kind is TraceKind.REJECT_MESSAGE]
    assert (reject.peer, reject.topic, reject.reason) == (other, "news", "validation failed")
    published = [e.message_id for e in events if e.kind is TraceKind.PUBLISH_MESSAGE]
    sent = [
        message.message_id
        for event in events
        if event.kind is TraceKind.SEND_RPC and event.meta is not None
        for message in event.meta.messages
    ]
    assert sent == published


async def test_a_host_traces_to_a_function_and_survives_what_it_raises(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events: list[TraceEvent] = []

    def sink(event: TraceEvent) -> None:
        events.append(event)
        if event.kind is TraceKind.JOIN:
            raise RuntimeError("full")

    with caplog.at_level(logging.ERROR):
        await converse({"trace": sink})
    assert caplog.messages == ["a trace sink failed; further failures are only counted"]
    assert counted(events)["DELIVER_MESSAGE"] == 20


async def test_what_finds_a_full_queue_is_traced_as_dropped() -> None:
    events: list[TraceEvent] = []
    config = HostConfig(outbound_queue_rpcs=1)
    async with Host(trace=events.append, config=config) as one, Host() as other:
        topics = [await one.join("news"), await other.join("news")]
        async with topics[1].subscribe():
            await other.connect(one.addresses[0])
            await until(lambda: topics[0].peers())
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(topics[0].publish, b"x" * 100)
            dropped = one.statistics().rpc_dropped
    counts = counted(events)
    assert counts["DROP_RPC"] == dropped > 0
    lost = [
        e.meta.messages[0].message_id for e in events if e.kind is TraceKind.DROP_RPC and e.meta
    ]
    sent = [
        message.message_id
        for event in events
        if event.kind is TraceKind.SEND_RPC and event.meta is not None
        for message in event.meta.messages
    ]
    assert set(lost).isdisjoint(sent)


@pytest.mark.parametrize("scored", [False, True])
async def test_a_recording_of_a_live_host_replays(scored: bool, tmp_path: Path) -> None:
    params = GossipParams()
    if scored:
        score = PeerScoreParams(app_specific_score=lambda peer: 1.0, app_specific_weight=1.0)
        params = GossipParams(score=score, message_id=lambda message: b"id" + (message.data or b""))
    await converse({"record": tmp_path / "r.jsonl", "params": params, "rng": Random(3)})
    result = replay(tmp_path / "r.jsonl")
    assert result.difference is None
    assert result.end == "closed"
    lines = (tmp_path / "r.jsonl").read_text(encoding="utf-8").splitlines()
    names = Counter(json.loads(line).get("in") for line in lines)
    assert names["validation_result"] == 11
    assert names["publish_batch"] == 10
    assert names["peer_connected"] == names["peer_disconnected"] == 1


async def test_tracing_and_recording_go_together(tmp_path: Path) -> None:
    await converse({"record": tmp_path / "r.jsonl.gz", "trace": tmp_path / "t.pb"})
    assert replay(tmp_path / "r.jsonl.gz").end == "closed"
    assert counted(list(read_trace(tmp_path / "t.pb")))["DELIVER_MESSAGE"] == 20


async def test_the_hosts_own_use_of_randomness_does_not_spoil_a_recording(tmp_path: Path) -> None:
    rng = Random(1)
    async with Watching(record=tmp_path / "r") as watching:
        router = watching.new_router(GossipParams(), me=b"me", rng=rng, now=0.0)
        for number in range(40):
            peer = b"%02d" % number
            router.peer_connected(peer, protocol="/meshsub/1.2.0", outbound=True, ip=None, now=0.0)
            router.receive_rpc(peer, Rpc((SubOpts("t"),)), now=0.0)
        rng.random()  # as when a lost peer is dialled again
        router.subscribe("t", now=0.0)
    assert replay(tmp_path / "r").difference is None


async def test_a_host_that_fails_leaves_a_recording_that_replays(tmp_path: Path) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with Host(record=tmp_path / "r") as host:
            await host.join("news")
            raise ZeroDivisionError
    assert replay(tmp_path / "r").end == "closed"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"trace": 5}, "trace is a path or a function: 5"),
        ({"record": print}, "record is a path: <built-in function print>"),
    ],
)
def test_wrong_values_are_refused_at_once(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(LocalProtocolError, match=complaint):
        Host(**options)


@pytest.mark.parametrize("options", [{"trace": "t.txt"}, {"trace": "t.json", "record": "no/r"}])
async def test_files_that_cannot_be_opened_are_told_on_opening(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((LocalProtocolError, FileNotFoundError)):
        async with Host(**options):
            pass
