"""The matrix of pairs: all works between ours and go, and each step can see that it does not."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from gossipsub.conformance.driver import PeerError, PeerTimeout
from gossipsub.conformance.kit.verdict import Verdict
from gossipsub.conformance.matrix import grid, steps
from gossipsub.conformance.matrix.command import main
from gossipsub.conformance.matrix.grid import Grid
from gossipsub.conformance.matrix.known import Known, KnownFailure
from gossipsub.conformance.matrix.outcome import Matrix, PairResult, StepResult
from gossipsub.conformance.matrix.pairing import run_pair
from gossipsub.conformance.matrix.report import encode_json, encode_markdown, matrix_lines
from gossipsub.conformance.matrix.steps import STEPS, TITLES, TOPIC, Pair
from gossipsub.wire.errors import GossipSubError

OURS = (sys.executable, "-m", "gossipsub", "peer")

asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.mark.anyio
@asyncio_only
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("go_peer_available", "old_go_peer_available")
async def test_all_works_between_ours_and_go_and_the_older_go() -> None:
    grid = Grid(["python", "go", "go-old"], known=Known())
    await grid.run()
    matrix = grid.matrix()
    bad = [line for line in matrix_lines(matrix) if "->" in line or line.startswith(" ")]
    assert bad == []
    assert len(matrix.pairs) == 9
    assert all(pair.worked == len(STEPS) for pair in matrix.pairs)
    assert matrix.versions["go-old"]["go-libp2p-pubsub"] == "v0.12.0"


# A pretended network, whose nodes lie in one way each


class PretendedNode:
    """Knows all there is to know, at once, unless its `lie` says otherwise."""

    exit_status = None

    def __init__(self, network: dict[str, PretendedNode], name: str, lie: str = "") -> None:
        self.name = self.peer_id = name
        self.addresses = [f"/{name}"]
        self.lie = lie
        self.topics: set[str] = {TOPIC}
        self.links: dict[str, str] = {}
        self._network = network
        self._events: deque[dict[str, Any]] = deque()
        network[name] = self

    async def __aenter__(self) -> PretendedNode:
        return self

    async def __aexit__(self, *error: object) -> None:
        for name in list(self.links):
            self._cut(name)

    def _cut(self, name: str) -> None:
        del self.links[name], self._network[name].links[self.name]

    async def command(self, name: str, /, timeout: float = 1, **fields: Any) -> dict[str, Any]:
        return dict(getattr(self, f"_{name}")(**fields) or {})

    def _connect(self, addr: str) -> dict[str, Any]:
        other = addr[1:]
        self.links[other] = "in" if self.lie == "direction" else "out"
        self._network[other].links[self.name] = "in"
        return {"peer": "somebody" if self.lie == "peer" else other}

    def _disconnect(self, peer: str) -> None:
        if self.lie != "stays":
            self._cut(peer)

    def _subscribe(self, topic: str) -> None:
        self.topics.add(topic)

    def _unsubscribe(self, topic: str) -> None:
        if self.lie != "remains":
            self.topics.discard(topic)

    def _peers(self) -> dict[str, Any]:
        protocol = None if self.lie == "no stream" else "/meshsub/1.2.0"
        listed = [
            {"peer": peer, "direction": direction, "protocol": protocol}
            for peer, direction in self.links.items()
        ]
        more = {"peer": "third", "direction": "in", "protocol": protocol}
        return {"peers": [*listed, more] if self.lie == "knows all" else listed}

    def _topic_peers(self, topic: str) -> dict[str, Any]:
        hears = self.lie != "deaf"
        return {"peers": [p for p in self.links if hears and topic in self._network[p].topics]}

    def _mesh(self, topic: str) -> dict[str, Any]:
        return {"peers": []} if self.lie == "no mesh" else self._topic_peers(topic)

    def _stats(self) -> None:
        """Nothing is on its way."""

    def _publish_many(self, topic: str, count: int, size: int, window: int) -> dict[str, Any]:
        for number in range(count):
            self._spread(topic, number.to_bytes(8, "big").ljust(size, b"x"), self.name, number)
        return {"sent": count}

    async def credit(self, received: int) -> None:
        """They are all sent."""

    async def publish(self, topic: str, data: bytes) -> None:
        if self.lie == "lacks":
            raise PeerError("publish", "unsupported: this one only listens")
        self._spread(topic, data, self.name)

    def _spread(self, topic: str, data: bytes, author: str, number: int = 0) -> None:
        for peer in self.links:
            other = self._network[peer]
            if peer != author and (topic in other.topics or self.lie == "goes on"):
                other._hear(topic, data, author, self.name, number)

    def _hear(self, topic: str, data: bytes, author: str, sender: str, number: int) -> None:
        if self.lie == "changes" and len(data) > 60_000:
            data = data[:-1]
        if self.lie == "loses" and number == 500:
            return
        said = {"confuses": sender + "?"}.get(self.lie, author)
        event = {"topic": topic, "data": data, "from": said, "received_from": sender}
        self._events.append(event)
        if self.lie != "keeps":
            for peer in self.links:
                if peer not in (sender, author):
                    self._network[peer]._hear(topic, data, author, self.name, number)

    async def wait_answer(
        self, name: str, /, where: Callable[..., bool], *, timeout: float = 1, **fields: Any
    ) -> dict[str, Any]:
        answer = await self.command(name, **fields)
        if not where(answer):
            raise PeerTimeout(f"{self.name} says of {name}: {answer}")
        return answer

    async def wait_event(
        self, kind: str, *, timeout: float = 1, where: Callable[..., bool] = lambda event: True
    ) -> dict[str, Any]:
        for _ in range(100):  # turns of the loop, so that a slow machine changes nothing
            for event in self._events:
                if where(event):
                    self._events.remove(event)
                    return event
            await anyio.lowlevel.checkpoint()
        raise PeerTimeout(f"{self.name} sent no {kind}")

    def messages(self) -> list[dict[str, Any]]:
        events, self._events = list(self._events), deque()
        return events


async def failing_steps(*, dialler: str = "", listener: str = "") -> dict[str, str]:
    """The steps that fail between nodes that lie so, and what they say."""
    network: dict[str, PretendedNode] = {}
    a = PretendedNode(network, "dialler", dialler)
    b = PretendedNode(network, "listener", listener)
    b.topics.clear()
    pair: Any = Pair(a, b, lambda: PretendedNode(network, "third"))  # type: ignore[arg-type]
    failed = {}
    for step in STEPS:
        try:
            await step.run(pair)
        except GossipSubError as error:
            failed[step.name] = str(error)
    return failed


@pytest.mark.anyio
async def test_between_honest_nodes_no_step_fails() -> None:
    assert await failing_steps() == {}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("lies", "step", "complaint"),
    [
        ({"dialler": "peer"}, "connect", "dialler dialled listener and reached somebody"),
        ({"dialler": "direction"}, "connect", "dialler says that the connection goes in"),
        ({"listener": "no stream"}, "streams", "listener says of peers"),
        ({"dialler": "deaf"}, "subscribe", "dialler says of topic_peers"),
        ({"listener": "no mesh"}, "mesh", "listener says of mesh"),
        ({"listener": "confuses"}, "forth", "listener says that the message is by dialler?"),
        ({"dialler": "lacks"}, "forth", "unsupported"),
        ({"dialler": "confuses"}, "back", "dialler says that the message is by listener?"),
        ({"listener": "changes"}, "64 KiB", "listener sent no message"),
        ({"dialler": "loses"}, "1,000", "dialler sent no message"),
        ({"listener": "keeps"}, "relay", "third sent no message"),
        ({"dialler": "knows all"}, "relay", "dialler connected to the third by itself"),
        ({"listener": "remains"}, "leave", "dialler says of topic_peers"),
        ({"dialler": "goes on"}, "leave", "3 messages of the topic that it left"),
        ({"dialler": "stays"}, "reconnect", "dialler says of peers"),
    ],
)
async def test_each_step_fails_where_a_node_does_not_do_it(
    lies: dict[str, str], step: str, complaint: str
) -> None:
    assert complaint in (await failing_steps(**lies))[step]


# What is made of it


@pytest.mark.anyio
@asyncio_only
async def test_a_node_without_a_mesh_fails_there_and_passes_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(steps, "PATIENCE", 2.0)
    commands = {"ours": OURS, "flood": (*OURS, "--protocol", "floodsub")}
    why = KnownFailure(step="mesh", dialler="*", listener="flood", why="floodsub has none")
    pair = await run_pair("ours", "flood", commands=commands, known=Known((why,)))
    assert [(step.step, step.explanation) for step in pair.with_verdict(Verdict.KNOWN)] == [
        ("mesh", "floodsub has none")
    ]
    failed = [step.step for step in pair.with_verdict(Verdict.FAILED)]
    assert failed == ["relay", "leave", "reconnect"]  # they wait for a mesh, too
    assert pair.worked == len(STEPS) - 4
    assert pair.steps[1].observed == "/floodsub/1.0.0"


@pytest.mark.anyio
@asyncio_only
async def test_a_node_that_does_not_start_fails_and_nothing_is_tried() -> None:
    commands = {"ours": OURS, "broken": (sys.executable, "-c", "raise SystemExit('no disk')")}
    pair = await run_pair("ours", "broken", commands=commands, known=Known())
    assert [step.step for step in pair.steps] == list(TITLES)
    assert pair.steps[0].verdict is Verdict.FAILED
    assert "no disk" in pair.steps[0].reason
    assert {step.verdict for step in pair.steps[1:]} == {Verdict.SKIPPED}


PEER_OF_FEW_COMMANDS = """
import json, os, sys
print(json.dumps({"event": "ready", "peer_id": "x", "addrs": ["/ip4/127.0.0.1/tcp/1/p2p/x"]}),
      flush=True)
for line in sys.stdin:
    command = json.loads(line)
    if command["cmd"] in sys.argv[3:]:
        continue
    if command["cmd"] == "exit" and "--falls" in sys.argv:
        os.kill(os.getpid(), 11)
    answer = {"event": "ok", "cmd": command["cmd"], "id": command.get("id"), "peer": "x"}
    if command["cmd"] in sys.argv[1].split(","):
        answer |= {"event": "error", "error": sys.argv[2]}
    print(json.dumps(answer), flush=True)
    if command["cmd"] == "exit":
        break
"""


@pytest.mark.anyio
@asyncio_only
@pytest.mark.parametrize(
    ("words", "verdict", "reason"),
    [
        (["connect", "unsupported"], Verdict.SKIPPED, "connect: unsupported"),
        (["connect", "unsupported protocol"], Verdict.FAILED, "connect: unsupported protocol"),
    ],
)
async def test_what_a_node_lacks_is_told_from_what_it_fails_to_do(
    words: list[str], verdict: Verdict, reason: str
) -> None:
    few = (sys.executable, "-I", "-c", PEER_OF_FEW_COMMANDS, *words)
    pair = await run_pair("few", "ours", commands={"few": few, "ours": OURS}, known=Known())
    assert (pair.steps[0].verdict, pair.steps[0].reason) == (verdict, reason)


@pytest.mark.anyio
@asyncio_only
async def test_a_node_that_crashes_when_all_is_tried_fails_the_last_step() -> None:
    few = (sys.executable, "-I", "-c", PEER_OF_FEW_COMMANDS, "connect", "unsupported", "--falls")
    pair = await run_pair("few", "ours", commands={"few": few, "ours": OURS}, known=Known())
    assert [step.verdict for step in pair.with_verdict(Verdict.FAILED)] == [Verdict.FAILED]
    assert "exit status -11" in pair.steps[-1].reason


@pytest.mark.anyio
@asyncio_only
async def test_a_grid_that_is_cut_short_has_the_pairs_that_were_tried() -> None:
    few = (sys.executable, "-I", "-c", PEER_OF_FEW_COMMANDS, "connect", "unsupported")
    tried: list[PairResult] = []
    second = anyio.Event()

    def note(pair: PairResult) -> None:
        tried.append(pair)
        if len(tried) == 2:
            second.set()

    commands = {"few": few, "mute": (*few, "subscribe")}
    grid = Grid(["few", "mute"], commands=commands, known=Known(), jobs=1, progress=note)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(grid.run)
        with anyio.fail_after(60):
            await second.wait()
        tasks.cancel_scope.cancel()
    matrix = grid.matrix()
    assert matrix.pairs == tuple(tried)
    assert [(pair.dialler, pair.listener) for pair in tried] == [("few", "few"), ("few", "mute")]
    assert matrix.not_run == (("mute", "few"), ("mute", "mute"))
    assert set(matrix.versions) == {"few", "mute"}


def made_matrix(*failures: tuple[str, str, str]) -> Matrix:
    """Of two implementations; each failure is a dialler, a listener and a step."""
    names = ("one", "two|")
    pairs = []
    for dialler in names:
        for listener in names:
            results = [
                StepResult(step=name, verdict=Verdict.FAILED, seconds=1.0, reason="no <answer>")
                if (dialler, listener, name) in failures
                else StepResult(step=name, verdict=Verdict.PASSED, seconds=1.0)
                for name in ("connect", "mesh")
            ]
            pairs.append(
                PairResult(dialler=dialler, listener=listener, seconds=2.0, steps=tuple(results))
            )
    return Matrix(
        made="2026-01-02T03:04:05Z",
        machine="a machine",
        seconds=8.0,
        versions={"one": {"a": "1"}, "two|": {"b": "2", "c": "3"}},
        steps={"connect": "they meet", "mesh": "they mesh"},
        pairs=tuple(pairs),
    )


def test_the_table_for_terminals_has_a_cell_a_pair_and_tells_what_failed() -> None:
    assert list(matrix_lines(made_matrix(("one", "two|", "mesh")))) == [
        "dials \\ listens  one  two|",
        "one              2/2  1/2 no mesh",
        "two|             2/2  2/2",
        "one -> two|: mesh: failed",
        "    no <answer>",
        "7 of 8 steps work, 8 s",
    ]


def test_of_a_matrix_that_was_cut_short_the_rest_is_told() -> None:
    matrix = made_matrix()
    pairs, not_run = matrix.pairs[:3], (("two|", "two|"),)
    matrix = dataclasses.replace(matrix, pairs=pairs, not_run=not_run)
    lines = list(matrix_lines(matrix))
    assert lines[2:] == [
        "two|             2/2  not run",
        "6 of 6 steps work, 8 s",
        "not run: two| -> two|",
    ]
    page = encode_markdown(matrix)
    assert "6 of 6 steps work.\nCut short: not run are two\\| → two\\|.\n" in page
    assert "| **two\\|** | 2/2 | not run |" in page
    assert json.loads(encode_json(matrix))["not_run"] == [["two|", "two|"]]


def test_the_page_has_versions_marks_and_each_way_to_fail_once() -> None:
    failures = [("one", "two|", "mesh"), ("two|", "two|", "mesh")]
    page = encode_markdown(made_matrix(*failures))
    assert "Made 2026-01-02 on a machine, in 8 seconds.\n6 of 8 steps work." in page
    assert "| two\\| | b 2, c 3 |" in page
    assert "| **one** | 2/2 | 1/2 no mesh |" in page
    assert "| mesh | they mesh |" in page
    assert "| one | two\\| |  | yes | **no** |" in page
    assert page.endswith(
        "- **mesh** does not work: one → two\\|, two\\| → two\\|. no &lt;answer>\n"
    )


def test_json_has_all_of_it() -> None:
    entries = json.loads(encode_json(made_matrix(("one", "one", "mesh"))))
    assert (entries["format"], entries["version"]) == ("gossipsub interop matrix", 1)
    assert entries["pairs"][0]["steps"][1] == {
        "step": "mesh",
        "verdict": "failed",
        "seconds": 1.0,
        "reason": "no <answer>",
        "explanation": "",
        "observed": "",
    }


def test_known_failures_name_steps_that_there_are(tmp_path: Path) -> None:
    assert {failure.step for failure in Known.of_file().failures} <= set(TITLES)
    file = tmp_path / "known.json"
    file.write_text('[{"step": "mesh"}]')
    with pytest.raises(ValueError, match=r"known\.json: .*missing"):
        Known.of_file(file)


# The command


@pytest.fixture
def pretended_run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[list[str]]]:
    """The command then gives this matrix for whatever is asked, or is sent a signal before the end;
    which targets were?"""

    def pretend(matrix: Matrix, *, stopped_by: signal.Signals | None = None) -> list[list[str]]:
        asked: list[list[str]] = []

        class PretendedGrid:
            def __init__(self, targets: list[str], **options: Any) -> None:
                asked.append(targets)
                self._progress = options["progress"]

            async def run(self) -> None:
                self._progress(matrix.pairs[1])
                if stopped_by is not None:
                    os.kill(os.getpid(), stopped_by)
                    await anyio.sleep_forever()

            def matrix(self) -> Matrix:
                return matrix

        monkeypatch.setattr("gossipsub.conformance.matrix.command.Grid", PretendedGrid)
        return asked

    return pretend


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals there")
@pytest.mark.parametrize(
    ("number", "word", "status"),
    [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)],
)
def test_a_signal_leaves_a_matrix_of_the_pairs_that_were_tried(
    number: signal.Signals,
    word: str,
    status: int,
    pretended_run: Callable[..., list[list[str]]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    matrix = made_matrix(("one", "two|", "mesh"))
    matrix = dataclasses.replace(matrix, pairs=matrix.pairs[:3], not_run=(("two|", "two|"),))
    pretended_run(matrix, stopped_by=number)
    file = tmp_path / "matrix.json"
    assert main(["--targets", "python,go", "--json", str(file)]) == status
    told = capsys.readouterr()
    assert file.read_text() == encode_json(matrix)
    assert told.out.endswith("\nnot run: two| -> two|\n")
    last = f"gossipsub conformance matrix: {word}: 1 of 4 pairs were not run"
    assert told.err.splitlines()[-1] == last


def test_the_command_writes_what_was_asked_for_and_ends_with_what_came(
    pretended_run: Callable[..., list[list[str]]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = pretended_run(made_matrix())
    assert main(["--markdown", str(tmp_path / "m.md"), "--json", "-"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["machine"] == "a machine"
    assert told.err == "1 of 9: one -> two|: 2 of 2 in 2 s\n"
    assert (tmp_path / "m.md").read_text() == encode_markdown(made_matrix())

    pretended_run(made_matrix(("one", "two|", "mesh")))
    assert main(["--targets", "python, go"]) == 1
    told = capsys.readouterr()
    assert "one -> two|: mesh: failed" in told.out
    assert told.err == "1 of 4: one -> two|: 1 of 2 in 2 s; failed: mesh\n"
    assert asked == [["python", "go", "go-old"]]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--targets", "python,perl"], "no target is called 'perl'"),
        (["--targets", "go,go"], "name each target once"),
        (["--targets", ","], "name each target once"),
        (["--jobs", "0"], "1 to 16"),
    ],
)
def test_a_wrong_call_is_refused(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_report_that_cannot_be_written_is_a_wrong_call_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--targets", "python", "--json", str(tmp_path)]) == 2
    assert "Is a directory" in capsys.readouterr().err


def test_a_target_that_cannot_be_had_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(grid, "peer_command", lambda name: [f"/nonexistent/{name}"])
    assert main(["--targets", "python"]) == 3
    assert "cannot start the python peer" in capsys.readouterr().err
