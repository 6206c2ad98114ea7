"""What the command understands, and what it refuses at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossipsub.benchmarks.harness.arguments import parse_arguments, plan_of, wishes_of
from gossipsub.benchmarks.harness.contestant import Contestant
from gossipsub.benchmarks.harness.plan import Wishes


def wished(*words: str) -> Wishes:
    return wishes_of(parse_arguments(words))


def test_without_arguments_ours_are_beside_go_in_all_sizes() -> None:
    wanted = wished()
    assert [each.title for each in wanted.contestants] == ["python", "python+fast", "go"]
    assert [each.backend for each in wanted.contestants] == ["asyncio", "uvloop", ""]
    assert [each.name for each in wanted.workloads] == ["pair", "relay", "mesh-8"]
    assert wanted.sizes == [256, 1024, 16384, 65536]
    assert wanted.paced_sizes == [1024]
    assert (wanted.repeats, wanted.seconds, wanted.signed, wanted.window) == (3, 2, True, None)


def test_quick_is_small_where_nothing_else_is_said() -> None:
    quick = wished("--quick")
    assert ([each.name for each in quick.workloads], quick.sizes) == (["pair", "relay"], [1024])
    assert (quick.repeats, quick.seconds) == (1, 1)
    more = wished("--quick", "--only", "pair", "--sizes", "256,16384", "--repeats", "2")
    assert ([each.name for each in more.workloads], more.sizes) == (["pair"], [256, 16384])
    assert (more.repeats, more.paced_sizes) == (2, [256])


def test_each_of_our_own_runs_on_each_backend_asked_for() -> None:
    wanted = wished("--peers", "python,rust", "--backend", "asyncio,trio")
    assert wanted.contestants == [
        Contestant("python", "asyncio"),
        Contestant("python", "trio"),
        Contestant("rust"),
    ]
    assert [each.title for each in wanted.contestants] == ["python", "python on trio", "rust"]
    assert wanted.contestants[1].arguments == ("--backend", "trio", "--crypto", "cryptography")
    assert wanted.contestants[2].arguments == ()


def test_with_the_extra_another_library_verifies_on_another_loop() -> None:
    (fast,) = wished("--peers", "python+fast").contestants
    assert fast.arguments == ("--backend", "uvloop", "--crypto", "pynacl")


def test_measurements_without_messages_are_asked_for_by_name() -> None:
    wanted = wished("--only", "idle,mesh-20,setup", "--sign", "none", "--topics", "1,10")
    assert wanted.single == ["idle", "setup"]
    assert [each.name for each in wanted.workloads] == ["mesh-20"]
    assert (wanted.signed, wanted.topics) == (False, [1, 10])


def test_the_aims_bring_what_they_need_of_which_a_part_can_be_asked_for() -> None:
    plan = plan_of(parse_arguments(["--aims", "--repeats", "2", "--endurance", "60"]))
    assert {each.name for part in plan for each in part.contestants} == {
        *("python", "python+fast", "go", "rust", "py-libp2p", "js")
    }
    assert {(part.repeats, part.endurance) for part in plan} >= {(2, 60.0)}
    (fan,) = plan_of(parse_arguments(["--aims", "--only", "fan", "--peers", "python"]))
    assert (fan.single, [each.name for each in fan.contestants]) == (["fan"], ["python"])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--aims", "--loads", "flood"], "--aims: not with --loads, which they settle"),
        (["--endurance", "5"], "argument --endurance: '5' is not a number from 10.0 to 86400.0"),
        (["--peers", "go,nim"], "argument --peers: 'nim' is none of python, python+fast, go"),
        (["--peers", ""], "argument --peers: name each once: ''"),
        (["--peers", "go,go"], "argument --peers: name each once: 'go,go'"),
        (["--only", "ring"], "argument --only: no workload is called 'ring'; there are pair"),
        (["--loads", "storm"], "argument --loads: 'storm' is none of flood, half, gentle"),
        (["--sizes", "8"], "argument --sizes: '8' is not a number from 16 to 524288"),
        (["--sizes", "1k"], "argument --sizes: '1k' is not a number"),
        (["--repeats", "0"], "argument --repeats: '0' is not a number from 1 to 100"),
        (["--seconds", "nan"], "argument --seconds: 'nan' is not a number from 0.1 to 60"),
        (["--rate", "fast"], "argument --rate: 'fast' is not a number"),
        (["--window", "-1"], "argument --window: '-1' is not a number from 1 to 4096"),
        (["--backend", "curio"], "argument --backend: 'curio' is none of asyncio, uvloop, trio"),
        (["--sign", "maybe"], "argument --sign: invalid choice: 'maybe'"),
        (["--peer", "go"], "unrecognized arguments: --peer go"),
        (["--json", "/nowhere/at/all.json"], "cannot write to /nowhere/at/all.json"),
        (["--plots", "/nowhere/at/all"], "cannot write to /nowhere/at/all: neither a folder"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_reason(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_arguments(words)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def test_a_folder_is_no_file_to_write_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--markdown", str(tmp_path)])
    assert f"cannot write to {tmp_path}: a folder, or in none" in capsys.readouterr().err
