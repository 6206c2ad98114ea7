from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gossipsub.recording import Difference, Replay, player, replay
from gossipsub.recording.errors import RecordingUnreadable
from gossipsub.router.effects import Verdict
from gossipsub.router.mesh import Mesh
from gossipsub.router.params import GossipParams
from gossipsub.router.router import Router
from gossipsub.wire.message_codec import encode_message
from gossipsub.wire.rpc import Control, Graft, IDontWant, IHave, IWant, Message, Prune, Rpc, SubOpts

Record = Callable[..., Path]

PEERS = [f"peer{number}".encode() for number in range(6)]
peers = st.sampled_from(PEERS)
topics = st.sampled_from(["t", "u"])
ids = st.sampled_from([b"author" + bytes(7) + bytes([number]) for number in range(4)])


@st.composite
def messages(draw: st.DrawFn) -> Message:
    author = draw(st.sampled_from([b"author", b"me", None]))
    seqno = bytes(7) + bytes([draw(st.integers(0, 3))])
    data = draw(st.sampled_from([None, b"", b"data", b"long" * 300]))
    message = Message(draw(topics), data, author, seqno, draw(st.sampled_from([None, b"s"])))
    if draw(st.booleans()):
        encode_message(message)  # as one that came from the network
    return message


def several(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(inner, max_size=2).map(tuple)


controls = st.builds(
    Control,
    ihave=several(st.builds(IHave, topics, several(ids))),
    iwant=several(st.builds(IWant, several(ids))),
    graft=several(st.builds(Graft, topics)),
    prune=several(st.builds(Prune, topics, backoff=st.sampled_from([None, 0, 10]))),
    idontwant=several(st.builds(IDontWant, several(ids))),
)
rpcs = st.builds(
    Rpc, several(st.builds(SubOpts, topics, st.booleans())), several(messages()), controls
)
steps = st.one_of(
    st.tuples(st.just("connect"), peers, st.sampled_from(["/meshsub/1.2.0", "/floodsub/1.0.0"])),
    st.tuples(st.just("disconnect"), peers),
    st.tuples(st.just("receive"), peers, rpcs),
    st.tuples(st.just("drop"), peers, rpcs),
    st.tuples(st.just("subscribe"), topics),
    st.tuples(st.just("unsubscribe"), topics),
    st.tuples(st.just("publish"), messages()),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0, 5.0])),
    st.tuples(st.just("params"), topics),
    st.tuples(st.just("verdict"), st.integers(0, 3), st.sampled_from(Verdict)),
)
scripts = st.lists(steps, max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(scripts, st.booleans(), st.booleans())
def test_whatever_is_recorded_replays_the_same(
    record: Record, script: list[Any], full: bool, plain: bool
) -> None:
    file = record(script, full=full, params=GossipParams() if plain else None)
    assert replay(file) == Replay(len(lines_of(file)) - 2, None, "closed")


def test_a_replay_is_the_same_under_any_hash_seed(record: Record, tmp_path: Path) -> None:
    names: list[str] = []

    @settings(max_examples=25, deadline=None, database=None)
    @given(scripts)
    def write(script: list[Any]) -> None:
        names.append(f"{len(names)}.jsonl")
        record(script, name=names[-1])

    write()
    code = (
        "import sys; from gossipsub.recording import replay\n"
        "assert all(replay(name).difference is None for name in sys.argv[1:])"
    )
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, *names],
            check=True, cwd=tmp_path, env=os.environ | {"PYTHONHASHSEED": seed}, timeout=120,
        )  # fmt: skip


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def number_of(path: Path, name: str, occurrence: int = 1) -> int:
    """Which input it is, from 1."""
    numbers = [n for n, line in enumerate(lines_of(path)) if line.get("in") == name]
    return numbers[occurrence - 1]


@pytest.mark.parametrize("full", [False, True])
def test_another_router_is_caught_at_the_input_where_it_first_differs(
    full: bool, record: Record, script: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = record(script, full=full)
    monkeypatch.setattr(Mesh, "leave", lambda self, topic, *, now: self.meshes.pop(topic))
    difference = replay(file).difference
    assert difference is not None
    expected = (number_of(file, "unsubscribe"), "unsubscribe", "effects")
    assert (difference.number, difference.name, difference.what) == expected
    if full:
        prune = '{"$":"Trace","kind":{"$e":["TraceKind","PRUNE"]}'
        assert difference.expected.startswith(prune)
        assert difference.got.startswith('{"$":"SendRpc"')
    else:
        assert "SubOpts(topic='t', subscribe=False" in difference.got


def test_an_answer_and_an_exception_are_compared_too(
    record: Record, script: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = record(script)
    monkeypatch.setattr(Router, "validation_result", lambda *arguments, **named: False)
    at = number_of(file, "validation_result")
    assert replay(file) == Replay(
        at, Difference(at, "validation_result", "returned", "True", "False"), None
    )
    monkeypatch.undo()

    def publish(*arguments: object, **named: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(Router, "publish", publish)
    at = number_of(file, "publish")
    assert replay(file) == Replay(
        at, Difference(at, "publish", "raised", "None", "KeyError: 'a bug'"), None
    )


def test_a_bug_that_was_recorded_happens_again(
    record: Record, script: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(*arguments: object, **named: object) -> None:
        raise ZeroDivisionError("division by zero")

    with monkeypatch.context() as broken:
        broken.setattr(Mesh, "leave", leave)
        with pytest.raises(ZeroDivisionError):
            record(script)
        file = record([step for step in script if step[0] != "unsubscribe"])
        assert replay(file).difference is None


def test_asking_the_application_more_or_less_is_a_difference(
    record: Record, script: list[Any]
) -> None:
    file = record(script)
    lines = lines_of(file)
    at = number_of(file, "publish")
    for asked, expected, got in (
        ([], "no more is asked", "function 2 is asked"),
        ([*lines[at]["asked"], [1, None]], "1 more answers", "no more is asked"),
    ):
        changed = [*lines]
        changed[at] = lines[at] | {"asked": asked}
        file.write_text("".join(json.dumps(line) + "\n" for line in changed))
        difference = replay(file).difference
        assert difference == Difference(at, "publish", "asked", expected, got)


@pytest.mark.parametrize("cut", [1, 100])
def test_a_recording_that_is_cut_short_replays_so_far_and_says_so(
    cut: int, record: Record, script: list[Any]
) -> None:
    file = record(script)
    whole = file.read_bytes()
    left = whole[: len(whole) - len(b'{"end":"closed"}\n') - cut]
    file.write_bytes(left)
    assert replay(file) == Replay(left.count(b"\n") - 1, None, None)


BAD_FIRST_LINES = {
    "": "not a recording: its first line is another",
    "\n": "line 1 is no JSON",
    "{}\n": "not a recording: its first line is another",
    "[]\n": "line 1 is no object",
    "[" * 5000 + "\n": "line 1 is no JSON",
    '{"gossipsub recording":2}\n': "a recording of version 2, this one reads 1",
    '{"gossipsub recording":1}\n': "bad first line: KeyError: 'params'",
}


def test_what_a_router_is_made_with_is_recorded(record: Record) -> None:
    graft = Rpc((SubOpts("t"),), control=Control(graft=(Graft("t"),)))
    connect = ("connect", PEERS[4], "/meshsub/1.2.0")
    file = record([("subscribe", "t"), connect, ("receive", PEERS[4], graft)])
    options = {"direct_peers": [{"$b": "cGVlcjQ="}]}
    assert lines_of(file)[0]["options"] == options
    file.write_text(file.read_text().replace(json.dumps(options, separators=(",", ":")), "{}"))
    assert replay(file).difference is not None


@pytest.mark.parametrize("text", BAD_FIRST_LINES, ids=range(len(BAD_FIRST_LINES)))
def test_what_is_no_recording_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "r").write_text(text)
    with pytest.raises(RecordingUnreadable, match=f"^{BAD_FIRST_LINES[text]}"):
        replay(tmp_path / "r")


def edited(record: Record, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    file = record([("subscribe", "t")])
    lines = lines_of(file)
    change(lines)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


BAD_LINES: dict[str, tuple[Callable[[Any], object], str]] = {
    "unknown class": (
        lambda lines: lines[0].update(params={"$": "Popen"}),
        "bad first line: KeyError: 'Popen'",
    ),
    "unknown function": (
        lambda lines: lines[0]["params"].update(message_id={"$f": "eval"}),
        "bad first line: KeyError: 'eval'",
    ),
    "unknown parameter": (
        lambda lines: lines[0]["params"].update(new=1),
        "bad first line: TypeError: .* unexpected keyword argument 'new'",
    ),
    "wrong parameter": (
        lambda lines: lines[0]["params"].update(heartbeat_interval=-1),
        "bad first line: ValueError: heartbeat_interval must be positive",
    ),
    "no parameters": (
        lambda lines: lines[0].update(params={"$": "Graft", "topic": "t"}),
        "bad first line: no parameters or no peer id",
    ),
    "endless history": (
        lambda lines: lines[0]["params"]["lazy"].update(history_length=10**12),
        "bad first line: history_length is 1000000000000",
    ),
    "no random state": (
        lambda lines: lines[0].update(rng=[3, [1, 2], None]),
        "bad first line: ValueError: state vector is the wrong size",
    ),
    "no input": (
        lambda lines: lines[1].update({"in": "__init__"}),
        "input 1: not an input of this version: __init__",
    ),
    "arguments": (lambda lines: lines[1].update(args=5), "input 1: args is no array"),
    "named": (lambda lines: lines[1].update(named=5), "input 1: named is no object"),
    "answers": (lambda lines: lines[1].update(asked=[1]), "input 1: asked is no list"),
    "bytes": (lambda lines: lines[1].update(args=[{"$b": "%"}]), "input 1: Error: "),
    "message": (
        lambda lines: lines[1].update(args=[{"$": "Message", "encoding": {"$b": "IgU="}}]),
        "input 1: ",
    ),
    "value": (lambda lines: lines[1].update(args=[{"$z": 1}]), "input 1: unknown value"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_what_no_recorder_wrote_is_refused(name: str, record: Record) -> None:
    change, complaint = BAD_LINES[name]
    with pytest.raises(RecordingUnreadable, match=f"^{complaint}"):
        replay(edited(record, change))


def test_a_line_is_not_read_beyond_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(player, "MAX_LINE_BYTES", 1000)
    (tmp_path / "r").write_text("x" * 2000 + "\n")
    with pytest.raises(RecordingUnreadable, match="line 1 has more than 1000 bytes"):
        replay(tmp_path / "r")


def test_damaged_gzip_is_told(record: Record, script: list[Any]) -> None:
    file = record(script, name="r.gz")
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(RecordingUnreadable, match="damaged gzip"):
        replay(file)


def test_garbage_in_any_place_is_refused_or_differs_and_never_raises_otherwise(
    record: Record, script: list[Any]
) -> None:
    file = record(script)
    whole = file.read_bytes()
    rng = random.Random(5)
    start = whole.index(b"\n")
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(rng.randrange(1, 4)):
            damaged[rng.randrange(start, len(damaged))] = rng.choice(b'0{}[]",:$atx\xff\n')
        file.write_bytes(damaged)
        with contextlib.suppress(RecordingUnreadable):
            assert isinstance(replay(file), Replay)
