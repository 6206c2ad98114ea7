from __future__ import annotations

import base64
import json
import logging
import subprocess
from pathlib import Path

import pytest

from gossipsub.router.effects import Trace, TraceKind
from gossipsub.tracing.event import MessageMeta, RpcMeta, TraceEvent
from gossipsub.tracing.trace_reader import read_trace
from gossipsub.tracing.trace_writer import HostTrace, TraceFile
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message, Rpc


@pytest.mark.parametrize("name", ["t.json", "t.jsonl", "t.pb", "t.pb.gz", "t.json.gz"])
def test_a_trace_file_holds_what_it_was_given(
    name: str, go_events: list[TraceEvent], tmp_path: Path
) -> None:
    file = TraceFile(tmp_path / name)
    for event in go_events:
        file(event)
    assert file.close(10.0)
    assert list(read_trace(tmp_path / name)) == go_events
    assert file.dropped == 0


def test_another_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalProtocolError, match=r"a trace file ends in \.json or \.pb"):
        TraceFile(tmp_path / "trace.txt")


def test_an_event_that_no_reader_takes_is_dropped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = TraceFile(tmp_path / "t.pb")
    file(TraceEvent(kind=TraceKind.JOIN, node=b"n", timestamp=1, topic="x" * (1 << 20)))
    with caplog.at_level(logging.WARNING):
        assert file.close(10.0)
    assert file.dropped == 1
    assert caplog.messages == [f"trace events dropped path={tmp_path / 't.pb'} count=1"]
    assert list(read_trace(tmp_path / "t.pb")) == []


def host_trace(events: list[TraceEvent]) -> HostTrace:
    times = iter(range(100))
    return HostTrace(
        events.append, node=b"me", clock=lambda: next(times), message_id=lambda m: m.data or b""
    )


def test_what_the_router_and_the_driver_tell_becomes_events() -> None:
    events: list[TraceEvent] = []
    trace = host_trace(events)
    rpc = Rpc(publish=(Message("t", b"1"), Message("u", b"2")))
    meta = RpcMeta((MessageMeta(b"1", "t"), MessageMeta(b"2", "u")))
    trace.happened(Trace(TraceKind.ADD_PEER, b"p", detail="/meshsub/1.2.0"))
    trace.happened(Trace(TraceKind.REJECT_MESSAGE, b"p", "t", b"1", "validation failed"))
    trace.happened(Trace(TraceKind.DELIVER_MESSAGE, None, "t", b"1"))
    trace.happened(Trace(TraceKind.RECV_RPC, b"p", rpc=rpc))
    trace.sent(b"p", rpc)
    trace.dropped(b"p", Rpc())
    kinds = TraceKind
    assert events == [
        TraceEvent(
            kind=kinds.ADD_PEER, node=b"me", timestamp=0, peer=b"p", protocol="/meshsub/1.2.0"
        ),
        TraceEvent(
            kind=kinds.REJECT_MESSAGE, node=b"me", timestamp=1, peer=b"p", topic="t",
            message_id=b"1", reason="validation failed",
        ),
        TraceEvent(
            kind=kinds.DELIVER_MESSAGE, node=b"me", timestamp=2, peer=b"me", topic="t",
            message_id=b"1",
        ),
        TraceEvent(kind=kinds.RECV_RPC, node=b"me", timestamp=3, peer=b"p", meta=meta),
        TraceEvent(kind=kinds.SEND_RPC, node=b"me", timestamp=4, peer=b"p", meta=meta),
        TraceEvent(kind=kinds.DROP_RPC, node=b"me", timestamp=5, peer=b"p", meta=RpcMeta()),
    ]  # fmt: skip


def test_a_sink_that_fails_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: TraceEvent) -> None:
        raise RuntimeError("full")

    trace = HostTrace(fail, node=b"me", clock=lambda: 0, message_id=lambda m: b"")
    for _ in range(3):
        trace.sent(b"p", Rpc())
    assert caplog.messages == ["a trace sink failed; further failures are only counted"]
    assert trace.failures == 3


@pytest.mark.parametrize("answer", [None, RuntimeError("no id")])
def test_a_message_without_an_id_is_traced_without(answer: object) -> None:
    def no_id(message: Message) -> bytes:
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]

    events: list[TraceEvent] = []
    trace = HostTrace(events.append, node=b"me", clock=lambda: 0, message_id=no_id)
    trace.sent(b"p", Rpc(publish=(Message("t"),)))
    assert events[0].meta == RpcMeta((MessageMeta(b"", "t"),))


def test_go_reads_our_protobuf(
    go_program: Path, go_events: list[TraceEvent], go_traces: dict[str, bytes], tmp_path: Path
) -> None:
    file = TraceFile(tmp_path / "ours.pb")
    for event in go_events:
        file(event)
    assert file.close(10.0)
    command = [go_program, "read", tmp_path / "ours.pb"]
    ran = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert ran.stdout == go_traces["json"]


def test_the_vectors_are_what_gos_tracers_write(
    go_program: Path, go_traces: dict[str, bytes], tmp_path: Path
) -> None:
    ran = subprocess.run([go_program], capture_output=True, check=True, timeout=60)
    written = json.loads(ran.stdout)
    assert {name: base64.b64decode(text) for name, text in written.items()} == go_traces
