"""`gossipsub chorus announce`, and an agent in the same process that carries its tasks out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gossipsub.__main__ import main
from gossipsub.chorus.tasks.runner import TaskRunner, Work
from gossipsub.chorus.tasks.task import TaskFailed, TaskParams
from gossipsub.cli.chorus.announce import announce, parse
from tests.cli.chorus.agents import Other

pytestmark = pytest.mark.anyio


async def carry_out(work: Work) -> object:
    if work.input == "fail":
        raise TaskFailed("no \x1b[2Jdisk")
    return work.input if work.input is not None else {"did": work.description}


def worker(ada: Other) -> TaskRunner:
    params = TaskParams(claim_spread=0.01)
    return TaskRunner(ada.chorus, carry_out=carry_out, capabilities=("count",), params=params)


async def test_the_result_is_written_when_the_task_is_complete(captured: Any, ada: Other) -> None:
    words = ["--description", "count", "--capability", "Count", "--wait", "-b", ada.address]
    async with worker(ada):
        assert await announce(parse(words), captured.output) == 0
    assert captured.rest() == b'{"did": "count"}\n'


async def test_a_result_that_is_text_is_written_as_lines(captured: Any, ada: Other) -> None:
    words = ["--data", json.dumps("one\ntwo \x1b"), "--wait", "-b", ada.address]
    async with worker(ada):
        assert await announce(parse(words), captured.output) == 0
    assert captured.rest() == b"one\ntwo \\x1b\n"


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_task_that_failed_is_1(
    captured: Any, ada: Other, capfd: pytest.CaptureFixture[str], as_json: bool
) -> None:
    words = ["--data", '"fail"', "--task-id", "t-9", "--wait", "-b", ada.address]
    words += ["--attempts", "1"] + ["--json"] * as_json
    async with worker(ada):
        options = parse(words)
        assert await announce(options, captured.output) == 1
    peer = str(ada.host.peer_id)
    if as_json:
        told = json.loads(captured.rest())
        del told["announcer"], told["attempt"]
        assert told == {
            "task_id": "t-9", "result": "failed", "agent": peer, "output": None,
            "error": "no \x1b[2Jdisk",
        }  # fmt: skip
    else:
        assert captured.rest() == b""
        err = capfd.readouterr().err.splitlines()
        assert err[-1].endswith(": no \\x1b[2Jdisk")
        assert err[-1].startswith("gossipsub chorus announce: t-9: failed")


async def test_without_wait_the_id_is_written_at_once(captured: Any, ada: Other) -> None:
    heard = []
    ada.chorus.add_observer(heard.append)
    words = ["--task-id", "t-1", "--name", "Lead", "--json", "-b", ada.address]
    assert await announce(parse(words), captured.output) == 0
    told = json.loads(captured.rest())
    assert told["task_id"] == "t-1"
    await ada.chorus.wait_for_peers(0, timeout=1)
    announced = [each for each in heard if each.envelope.type == "task_announcement"]
    assert [str(each.sender) for each in announced] == [told["announcer"]]


async def test_a_task_that_nobody_does_in_time_is_withdrawn(
    captured: Any, ada: Other, capfd: pytest.CaptureFixture[str]
) -> None:
    heard = []
    ada.chorus.add_observer(heard.append)
    words = ["--task-id", "t-1", "--wait", "-W", "0.3", "-b", ada.address]
    assert await announce(parse(words), captured.output) == 27
    assert "nobody has done t-1 in time: it is withdrawn" in capfd.readouterr().err
    (over,) = [each.envelope.data for each in heard if each.envelope.type == "task_complete"]
    assert over["result"] == "withdrawn"


def test_where_nobody_is_the_status_is_1(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["chorus", "announce", "--timeout", "0.1"]) == 1
    assert "gossipsub chorus announce: no other agent came within 0.1 s" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-W", "1"], "-W goes with --wait"),
        (["--data", "{"], "argument --data: no JSON: "),
        (["--data", "NaN"], "argument --data: no JSON: NaN is none"),
        (["--log", "x"], "--log needs --key"),
        (["--task-id", "x" * 129], "argument --task-id: not a text of 1 to 128 characters"),
    ],
)
def test_a_wrong_call_is_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["chorus", "announce", *words])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
