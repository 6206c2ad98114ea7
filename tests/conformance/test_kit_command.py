"""`gossipsub conformance`: its calls, right and wrong, and what they print."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest

from gossipsub.conformance.kit.arguments import WrongCall, parse_arguments, targets_of
from gossipsub.conformance.kit.case import choose_cases
from gossipsub.conformance.kit.command import main
from gossipsub.conformance.kit.deviations import known_deviations
from gossipsub.conformance.kit.report_json import decode_report

PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
ADDRESS = ["--address", f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}"]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--only", "PNG,PONG"], "there is no case PONG"),
        (["--only", ""], "--only names no case"),
        (["--only", " , "], "--only names no case"),
        (["--explain", "PNG-99"], "there is no case PNG-99"),
        (["--explain", "PNG"], "there is no case PNG"),
        (["--explain", ""], "there is no case "),
        (
            ["--target", "cobol"],
            "no target is called 'cobol'; there are python, go",
        ),
        (["--peer-command", " "], "--peer-command is empty"),
        (["--heartbeat", "0"], "a heartbeat of 0.0 s; 0.05 to 10 are possible"),
        (
            ["--address", "/ip4/127.0.0.1/tcp/1"],
            "not an address of a TCP node: '/ip4/127.0.0.1/tcp/1': it does not end in /p2p/",
        ),
        (["--address", f"/ip4/127.0.0.1/udp/1/p2p/{PEER}"], "not an address of a TCP node"),
        (["--address", "/ip4/127.0.0.1/tcp/1/p2p/me"], "not an address of a TCP node"),
        (["--peer-command", "x", "--known", "/no/such/file"], "--known: [Errno 2]"),
        (["--compare", "/no/such/file"], "[Errno 2]"),
    ],
)
def test_a_call_that_makes_no_sense_is_told_why_at_once(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"gossipsub conformance: {complaint}")
    assert printed.err.count("\n") == 1


KNOWN = {"PNG-05": "It cuts the echo; the specification says nothing of it."}


def test_known_deviations_are_of_the_one_target_whichever_way_it_was_named(tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text(json.dumps(KNOWN), encoding="utf-8")

    def known(*call: str) -> list[dict[str, str]]:
        options = parse_arguments([*call, "--known", str(tmp_path / "known.json")])
        return [dict(target.known) for target in targets_of(options)]

    assert known() == [KNOWN]
    assert known("--target", "go") == [{**known_deviations("go"), **KNOWN}]
    assert known("--peer-command", "x") == [KNOWN]
    assert known("--target", "go", "--peer-command", "x") == [known_deviations("go"), KNOWN]
    for several in (["--target", "go", "--target", "js"], ["--peer-command", "x", *ADDRESS]):
        with pytest.raises(WrongCall, match="--known is about one target, and there are several"):
            known(*several)


@pytest.mark.parametrize("known", ["[]", '{"PNG-05": 1}', '{"PONG-1": "why"}', "{"])
def test_deviations_that_name_no_cases_and_reasons_are_a_wrong_call(
    known: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "known.json").write_text(known, encoding="utf-8")
    assert main(["--peer-command", "x", "--known", str(tmp_path / "known.json")]) == 2
    assert capsys.readouterr().err.startswith("gossipsub conformance: --known: ")


def test_cases_are_listed_with_their_level_and_what_they_need(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--list", "--only", "PNG-05,BACK-04"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "BACK-04   MUST    control  a graft without a subscription is accepted",
        "PNG-05    MUST    address  the echo is of 32 bytes however they are cut",
    ]


def test_a_case_is_explained_by_its_rule_and_an_exchange(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--explain", "BACK-04"]) == 0
    printed = capsys.readouterr().out
    head, _, exchange = printed.partition("\n\non python: passed")
    assert head.startswith("BACK-04 [MUST, implementations differ] a graft without")
    for part in ("\nrule       GRAFT without", "\nsource     rs:", "\ntest       W grafts"):
        assert part in head
    assert "the fault: graft needs a subscription" in head
    assert "W1          > RPC GRAFT t\n" in exchange


def test_a_run_is_written_in_every_form_and_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {name: tmp_path / f"report.{name}" for name in ("json", "junit", "html", "markdown")}
    forms = [word for name, file in files.items() for word in (f"--{name}", str(file))]
    assert main(["--only", "PNG-05", "--seed", "5", *forms]) == 0
    assert "1 passed in" in capsys.readouterr().out
    report = decode_report(files["json"].read_text(encoding="utf-8"))
    assert report.seed == 5
    assert [run.target for run in report.runs] == ["python"]
    assert files["junit"].read_text(encoding="utf-8").startswith("<?xml")
    assert files["html"].read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "| PNG-05 | MUST |" in files["markdown"].read_text(encoding="utf-8")

    assert main(["--compare", *[str(files["json"])] * 2, "--json", "-"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [run["target"] for run in printed["runs"]] == ["python", "python"]


def test_a_running_nodes_heartbeat_is_a_second_unless_it_is_said() -> None:
    def heartbeats(*call: str) -> list[float]:
        return [target.heartbeat for target in targets_of(parse_arguments([*call, *ADDRESS]))]

    assert heartbeats() == [1.0]
    assert heartbeats("--target", "python") == [0.3, 1.0]
    assert heartbeats("--target", "python", "--heartbeat", "0.5") == [0.5, 0.5]


FAULTY = f"{sys.executable} -m gossipsub.conformance.faults ping_answers_what_comes_at_once"


def test_a_case_that_fails_is_explained_with_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--explain", "PNG-05", "--peer-command", FAULTY]) == 1
    assert "\n\non target: failed, " in capsys.readouterr().out


def test_a_failure_is_status_1_and_no_target_is_status_3(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--peer-command", FAULTY, "--name", "mine", "--only", "PNG-05"]) == 1
    printed = capsys.readouterr()
    assert "failed: PNG-05 [MUST]" in printed.out
    assert "once more: --only PNG-05 --transcript" in printed.out
    assert printed.err == (
        "mine: 1 of 1: failed PNG-05 the echo is of 32 bytes however they are cut\n"
    )
    assert main(["--address", f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}"]) == 3
    assert capsys.readouterr().err.startswith("gossipsub conformance: no connection to /ip4/")
    assert main(["--peer-command", "/no/such/file"]) == 3
    assert capsys.readouterr().err.startswith("gossipsub conformance: cannot start the target peer")


def test_a_report_that_has_no_place_to_go_is_a_wrong_call_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in (tmp_path, tmp_path / "none" / "report.json", Path("/proc/no/such/process")):
        for call in (["--only", "PNG-05"], ["--compare", "/no/such/file"]):
            assert main([*call, "--html", str(tmp_path / "html"), "--json", str(file)]) == 2
            printed = capsys.readouterr()
            assert printed.out == ""
            assert printed.err.startswith("gossipsub conformance: [Errno ")
            assert str(file) in printed.err
    assert list(tmp_path.iterdir()) == []


def test_a_report_that_was_there_is_left_as_it_is_by_a_wrong_call(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text("old", encoding="utf-8")
    assert main(["--only", "PONG", "--json", str(tmp_path / "report.json")]) == 2
    assert (tmp_path / "report.json").read_text(encoding="utf-8") == "old"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_what_cannot_be_written_at_the_end_is_told_and_the_other_reports_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["--only", "PNG-05", "--json", "/dev/full", "--html", str(tmp_path / "html")]
    assert main(call) == 1
    printed = capsys.readouterr()
    assert "1 passed in" in printed.out
    assert "No space left on device" in printed.err
    assert (tmp_path / "html").stat().st_size


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals there")
@pytest.mark.parametrize(
    ("number", "word", "status"),
    [(signal.SIGINT, "interrupted", 130), (signal.SIGTERM, "terminated", 143)],
)
def test_a_signal_leaves_a_report_of_what_was_run_and_no_node(
    number: signal.Signals, word: str, status: int, tmp_path: Path
) -> None:
    """The node passes its first case, and is silent from its second start on."""
    peer, started = tmp_path / "peer.py", tmp_path / "started"
    peer.write_text(
        f"import os, sys, time\nstarted = {str(started)!r}\n"
        "if os.path.exists(started):\n"
        "    print(os.getpid(), file=open(started, 'w'), flush=True)\n"
        "    time.sleep(600)\n"
        "if '--params' in sys.argv:\n"
        "    open(started, 'w').close()\n"
        "from gossipsub.__main__ import main\n"
        "main(['peer', *sys.argv[1:]])\n"
    )
    report = tmp_path / "report.json"
    call = ["--only", "PNG", "--jobs", "1", "--json", str(report), "--junit", str(tmp_path / "xml")]
    command = [sys.executable, "-m", "gossipsub", "conformance", *call]
    wrapped = shlex.join(["sh", "-c", '"$0" "$@"; exit $?', sys.executable, str(peer)])
    with subprocess.Popen(
        [*command, "--peer-command", wrapped], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        deadline = time.monotonic() + 60
        while not (started.exists() and started.read_text()):
            assert run.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        run.send_signal(number)
        out, err = run.communicate(timeout=30)
    cases = [case.id for case in choose_cases(["PNG"])]
    assert run.returncode == status
    assert f"not run: --only {','.join(cases[1:])}\n" in out.decode()
    assert err.decode() == (
        f"gossipsub conformance: {word}: {len(cases) - 1} of {len(cases)} cases were not run\n"
    )
    (told,) = decode_report(report.read_text(encoding="utf-8")).runs
    assert [result.id for result in told.results] == cases[:1]
    assert told.not_run == tuple(cases[1:])
    assert (tmp_path / "xml").read_text(encoding="utf-8").count("not run: the run was") == 3
    deadline = time.monotonic() + 20
    while _is_there(int(started.read_text())):  # until it is waited for, by whom it fell to
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals there")
@pytest.mark.parametrize("call", [["--explain", "PNG-05"], ["--self-test", "--only", "PNG-05"]])
def test_a_signal_ends_what_writes_no_report(
    call: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run_for_ever(*arguments: object, **options: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):  # of which the first counts
            os.kill(os.getpid(), number)
        await anyio.sleep_forever()

    for name in ("run_case", "run_controls"):
        monkeypatch.setattr(f"gossipsub.conformance.kit.command.{name}", run_for_ever)
    assert main(call) == 143
    assert capsys.readouterr().err == "gossipsub conformance: terminated\n"


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_half_a_surrogate_pair_and_escapes_of_a_target_break_no_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = "\ud800 \x1b[2J"
    ready = {"event": "ready", "peer_id": "x", "addrs": ["/ip4/127.0.0.1/tcp/1/p2p/x"]}
    line = json.dumps({**ready, "versions": {"lib": hostile}})
    peer = tmp_path / "peer.py"
    peer.write_text(f"import sys\nprint({line!r}, flush=True)\nsys.stdin.readline()\n")
    forms = ("json", "junit", "html", "markdown")
    files = [word for form in forms for word in (f"--{form}", str(tmp_path / form))]
    call = ["--peer-command", f"{sys.executable} {peer}", "--only", "PNG-05", *files]
    assert main(call) == 1
    assert "\x1b" not in capsys.readouterr().out
    report = decode_report((tmp_path / "json").read_text(encoding="utf-8"))
    assert report.runs[0].versions == {"lib": hostile}
    assert all((tmp_path / form).stat().st_size for form in forms)


def test_the_kit_tests_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--self-test", "--only", "PNG-05"]) == 0
    assert capsys.readouterr().out == "1 of 1 cases can fail\n"
