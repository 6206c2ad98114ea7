from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gossipsub.recording import Replay, replay
from gossipsub.recording.digest import digest
from gossipsub.recording.recorder import INPUTS, Recorder, RecordingRouter
from gossipsub.router.features import Features
from gossipsub.router.params import GossipParams, MeshParams, TopicParams
from gossipsub.router.queries import Queries
from gossipsub.router.router import Router
from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Message, Rpc

Lines = list[dict[str, Any]]


def recording(params: GossipParams | None = None, *, full: bool = False) -> tuple[Router, Lines]:
    lines: Lines = []
    router = RecordingRouter(
        params or GossipParams(), me=b"me", rng=Random(1), now=0.0, write=lines.append, full=full
    )
    return router, lines


def test_every_input_of_the_router_is_recorded() -> None:
    public = {name for name in dir(Router) if not name.startswith("_")}
    queries = {name for name in dir(Queries) if not name.startswith("_")}
    assert public - queries - {"effects", "message_id"} == set(INPUTS)
    assert {"receive_rpc", "validation_result", "handle_timer", "publish"} <= set(INPUTS)


def test_a_recorded_router_does_what_it_would_do_otherwise(
    drive: Callable[..., None], script: list[Any]
) -> None:
    params = GossipParams(tracing=True)
    plain = Router(params, me=b"me", rng=Random(1), now=0.0)
    recorded = recording(params)[0]
    said: list[list[str]] = [[], []]
    for router, digests in zip((plain, recorded), said, strict=True):
        drive(router, script, lambda effects, digests=digests: digests.append(digest(effects)))
    assert said[0] == said[1]
    assert len(said[0]) == len(script)
    assert plain.snapshot() == recorded.snapshot()


def test_an_input_is_a_line_with_its_arguments_its_answer_and_its_effects() -> None:
    router, lines = recording(full=True)
    router.subscribe("t", deliver=False, now=0.5)
    router.peer_connected(b"p", protocol="/meshsub/1.2.0", outbound=True, ip=None, now=0.5)
    assert not router.validation_result(5, verdict=None, now=0.5)  # type: ignore[arg-type]
    hello = {"$": "Rpc", "subscriptions": [{"$": "SubOpts", "topic": "t"}]}
    assert lines[1:] == [
        {"in": "subscribe", "args": ["t"], "named": {"deliver": False, "now": 0.5}},
        {
            "in": "peer_connected", "args": [{"$b": "cA=="}],
            "named": {
                "protocol": "/meshsub/1.2.0", "outbound": True, "ip": None, "now": 0.5,
            },
            "out": [
                {
                    "$": "SendRpc", "peer": {"$b": "cA=="}, "rpc": hello,
                    "lane": {"$e": ["Lane", "URGENT"]},
                }
            ],
        },
        {
            "in": "validation_result", "args": [5], "named": {"verdict": None, "now": 0.5},
            "returned": False,
        },
    ]  # fmt: skip


def test_the_effects_come_out_once_whatever_was_called_before() -> None:
    router, _ = recording()
    router.subscribe("t", now=0.0)
    router.peer_connected(b"p", protocol="/meshsub/1.2.0", outbound=True, ip=None, now=0.0)
    router.peer_connected(b"q", protocol="/meshsub/1.2.0", outbound=True, ip=None, now=0.0)
    assert len(router.effects()) == 2
    assert router.effects() == []


def test_what_the_application_answers_during_an_input_is_recorded() -> None:
    answers: Iterator[Any] = iter([1.5, RuntimeError("no idea"), "odd", object(), 2.5])

    def app_score(peer: bytes) -> float:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    score = PeerScoreParams(app_specific_score=app_score, app_specific_weight=1.0)
    router, lines = recording(GossipParams(score=score))
    router.peer_connected(b"p", protocol="/meshsub/1.2.0", outbound=True, ip=None, now=0.0)
    for _ in range(4):
        router.receive_rpc(b"p", Rpc(), now=0.0)
    assert router.score(b"p") == 2.5
    assert [line.get("asked") for line in lines[2:]] == [
        [[0, 1.5]],
        [[0, {"$x": "RuntimeError"}]],
        [[0, "odd"]],
        [[0, {"$u": "object"}]],
    ]


def test_functions_given_later_are_captured_too() -> None:
    router, lines = recording()
    own = TopicParams(message_id=lambda message: b"own")
    router.set_topic_params("t", own, now=0.0)
    router.publish(Message("t", b"data"), now=0.0)
    assert lines[1]["args"][1]["message_id"] == {"$f": 0}
    assert lines[2]["asked"] == [[0, {"$b": "b3du"}]]


def test_an_input_that_calls_another_is_one_input() -> None:
    router, lines = recording(GossipParams(score=PeerScoreParams()))
    router.set_topic_params("t", TopicParams(score=TopicScoreParams()), now=0.0)
    assert [line.get("in") for line in lines] == [None, "set_topic_params"]


def test_an_exception_is_recorded_and_raised() -> None:
    router, lines = recording()
    with pytest.raises(LocalProtocolError, match="scoring is off"):
        router.set_topic_score_params("t", None, now=0.0)  # type: ignore[arg-type]
    assert lines[1]["raised"] == (
        "LocalProtocolError: scoring is off: no score parameters were given"
    )


def test_parameters_that_are_no_data_are_refused() -> None:
    class Degrees(MeshParams): ...

    with pytest.raises(LocalProtocolError, match=r"cannot record a .*Degrees"):
        recording(GossipParams(mesh=Degrees()))


def test_functions_of_the_library_go_by_name_and_those_of_the_application_by_number() -> None:
    def features(protocol: str) -> Features:
        return Features(mesh=True)

    _, lines = recording(GossipParams(features=features))
    assert lines[0]["params"]["message_id"] == {"$f": "origin_id"}
    assert lines[0]["params"]["features"] == {"$f": 0}


def test_only_the_owner_may_read_a_recording(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "r")
    assert recorder.close(10.0)
    assert (tmp_path / "r").stat().st_mode & 0o777 == 0o600


def test_a_file_holds_one_router(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "r")
    recorder.router(GossipParams(), me=b"me", rng=Random(1), now=0.0)
    with pytest.raises(LocalProtocolError, match="the life of one router"):
        recorder.router(GossipParams(), me=b"me", rng=Random(1), now=0.0)
    assert recorder.close(10.0)


def test_a_recording_ends_where_the_disk_is_too_slow_and_so_far_it_replays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow = tmp_path / "slow"
    os.mkfifo(slow)  # a disk that takes nothing, until somebody reads
    reader = os.open(slow, os.O_RDONLY | os.O_NONBLOCK)
    recorder = Recorder(slow)
    router = recorder.router(GossipParams(), me=b"me", rng=Random(1), now=0.0)
    with caplog.at_level(logging.WARNING):
        for number in range(60):
            router.publish(Message("t", bytes(500_000), b"me", number.to_bytes(8)), now=0.0)
    assert caplog.messages == [f"the recording ends: the disk did not take it path={slow}"]
    assert not recorder.close(0.05)
    os.set_blocking(reader, True)
    with os.fdopen(reader, "rb") as source:
        lines = source.read().splitlines(keepends=True)
    assert recorder.close(10.0)
    (tmp_path / "r").write_bytes(b"".join(lines))
    result = replay(tmp_path / "r")
    assert result.difference is None
    assert 10 < result.inputs < 60


def test_a_recording_can_be_compressed(
    record: Callable[..., Path], script: list[Any], tmp_path: Path
) -> None:
    plain, packed = record(script), record(script, name="r.jsonl.gz")
    assert replay(packed) == replay(plain) == Replay(len(lines_of(plain)) - 2, None, "closed")
    assert packed.stat().st_size * 2 < plain.stat().st_size


def lines_of(path: Path) -> Lines:
    return [json.loads(line) for line in path.read_bytes().splitlines()]
