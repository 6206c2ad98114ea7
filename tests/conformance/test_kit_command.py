"""`gossipsub conformance`: its calls, right and wrong, and what they print."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gossipsub.conformance.kit.command import main
from gossipsub.conformance.kit.report_json import decode_report

PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--only", "PNG,PONG"], "there is no case PONG"),
        (["--explain", "PNG-99"], "there is no case PNG-99"),
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


def test_a_failure_is_status_1_and_no_target_is_status_3(
    capsys: pytest.CaptureFixture[str],
) -> None:
    faulty = f"{sys.executable} -m gossipsub.conformance.faults ping_answers_what_comes_at_once"
    assert main(["--peer-command", faulty, "--name", "mine", "--only", "PNG-05"]) == 1
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
    for file in (tmp_path, tmp_path / "none" / "report.json"):
        assert main(["--only", "PNG-05", "--json", str(file)]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert "cannot write a report to" in printed.err


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
