"""`gossipsub trace`: events as lines, chosen by conditions, and the files it cannot read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gossipsub.__main__ import main
from gossipsub.cli.trace import KINDS
from gossipsub.crypto.keys import PrivateKey
from gossipsub.tracing import MessageMeta, RpcMeta, TraceEvent, TraceFile, TraceKind
from gossipsub.wire.rpc import Control, Graft, IDontWant, IHave, IWant, PeerInfo, Prune, SubOpts

A, B, C = (PrivateKey.from_node_number(number).peer_id() for number in (1, 2, 3))
START = 1_700_000_000_000_000_000
ID, OTHER_ID = b"\x01\xff", b"\x02\x00"

RPC = RpcMeta(
    (MessageMeta(ID, "news"),),
    (SubOpts("news"), SubOpts("old", False)),
    Control(
        ihave=(IHave("news", (ID, OTHER_ID)),),
        iwant=(IWant((OTHER_ID,)),),
        graft=(Graft("weather"),),
        prune=(Prune("sports", (PeerInfo(C),)),),
        idontwant=(IDontWant((b"\x03",)),),
    ),
)
EVENTS = [
    TraceEvent(kind=TraceKind.JOIN, node=A, timestamp=START, topic="news"),
    TraceEvent(
        kind=TraceKind.ADD_PEER, node=A, timestamp=START + 1, peer=B, protocol="/meshsub/1.2.0"
    ),
    TraceEvent(kind=TraceKind.GRAFT, node=A, timestamp=START + 2, peer=B, topic="news"),
    TraceEvent(
        kind=TraceKind.REJECT_MESSAGE,
        node=A,
        timestamp=START + 3,
        peer=B,
        topic="ne\nws",
        message_id=OTHER_ID,
        reason="validation failed",
    ),
    TraceEvent(kind=TraceKind.SEND_RPC, node=A, timestamp=START + 4, peer=C, meta=RPC),
    TraceEvent(kind=TraceKind.RECV_RPC, node=b"n1", timestamp=START + 5, peer=A, meta=RpcMeta()),
]
SECOND = "2023-11-14T22:13:20.00000000"
LINES = [
    f"{SECOND}0Z {A} JOIN topic=news",
    f"{SECOND}1Z {A} ADD_PEER peer={B} protocol=/meshsub/1.2.0",
    f"{SECOND}2Z {A} GRAFT peer={B} topic=news",
    f"{SECOND}3Z {A} REJECT_MESSAGE peer={B} topic=ne\\nws id=0200 reason=validation failed",
    f"{SECOND}4Z {A} SEND_RPC peer={C} messages=1 subscriptions=2 "
    "ihave=1 iwant=1 graft=1 prune=1 idontwant=1",
    f"{SECOND}5Z n1 RECV_RPC peer={A}",
]


def write(path: Path, events: list[TraceEvent]) -> str:
    file = TraceFile(path)
    for event in events:
        file(event)
    assert file.close(10.0)
    return str(path)


@pytest.mark.parametrize("name", ["t.json", "t.pb", "t.json.gz", "t.pb.gz"])
def test_each_event_is_a_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trace", write(tmp_path / name, EVENTS)]) == 0
    assert capsys.readouterr() == ("".join(f"{line}\n" for line in LINES), "")


@pytest.mark.parametrize(
    ("conditions", "chosen"),
    [
        (["--type", "join", "--type", "ADD-PEER"], [0, 1]),
        (["--peer", str(B)], [1, 2, 3]),
        (["--peer", C.to_cid(), "--peer", "n1"], [4, 5]),
        (["--topic", "news"], [0, 2, 4]),
        (["--topic", "old"], [4]),
        (["--topic", "weather"], [4]),
        (["--topic", "sports"], [4]),
        (["--topic", "nowhere"], []),
        (["--message", "0200"], [3, 4]),
        (["--message", "01F"], [4]),
        (["--message", "03"], [4]),
        (["--topic", "news", "--peer", str(B), "--type", "graft"], [2]),
    ],
)
def test_conditions_choose_events(
    conditions: list[str],
    chosen: list[int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["trace", write(tmp_path / "t.pb", EVENTS), *conditions]) == 0
    assert capsys.readouterr().out.splitlines() == [LINES[number] for number in chosen]


def test_json_has_every_field(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trace", write(tmp_path / "t.pb", EVENTS), "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["type"] for each in told] == [event.kind.name for event in EVENTS]
    assert told[3] == {
        "time": f"{SECOND}3Z",
        "timestamp": START + 3,
        "node": str(A),
        "type": "REJECT_MESSAGE",
        "peer": str(B),
        "message_id": "0200",
        "topic": "ne\nws",
        "reason": "validation failed",
    }
    assert told[4]["rpc"] == {
        "messages": [{"topic": "news", "message_id": "01ff"}],
        "subscriptions": [
            {"topic": "news", "subscribe": True},
            {"topic": "old", "subscribe": False},
        ],
        "ihave": [{"topic": "news", "message_ids": ["01ff", "0200"]}],
        "iwant": [{"message_ids": ["0200"]}],
        "graft": [{"topic": "weather"}],
        "prune": [{"topic": "sports", "peers": [str(C)]}],
        "idontwant": [{"message_ids": ["03"]}],
    }
    assert told[5]["rpc"] == {}


@pytest.mark.parametrize("words", [[], ["--summary"]])
def test_of_a_damaged_file_the_rest_is_shown_and_the_status_is_1(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.json"
    whole = write(tmp_path / "whole.json", EVENTS[1:2])
    write(damaged, EVENTS[:1])
    damaged.write_bytes(damaged.read_bytes() + b"{}\n")
    nowhere = str(tmp_path / "nowhere")
    assert main(["trace", str(damaged), nowhere, whole, *words]) == 1
    out, err = capsys.readouterr()
    if words:
        assert out.startswith("2 events of 1 nodes in ")
    else:
        assert out.splitlines() == LINES[:2]
    assert err.splitlines() == [
        f"gossipsub trace: {damaged}, event 2: not a trace event: no type that is known, "
        "or no time",
        f"gossipsub trace: {nowhere}: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the following arguments are required: FILE"),
        (["t", "--type", "x"], "argument --type: no such kind: 'x'"),
        (["t", "--message", "xyz"], "argument --message: not hexadecimal: 'xyz'"),
    ],
)
def test_a_wrong_call_is_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["trace", *words])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_every_kind_that_files_have_can_be_chosen() -> None:
    assert list(KINDS) == [kind.name for kind in TraceKind if kind < 100]
