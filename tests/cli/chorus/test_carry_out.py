"""A program for tasks: real processes, quick ones."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from gossipsub.chorus.tasks.runner import Work
from gossipsub.chorus.tasks.task import Job, Task, TaskFailed
from gossipsub.cli.chorus.carry_out import MAX_OUTPUT_BYTES, Program, read_result

pytestmark = pytest.mark.anyio

TASK = Task(task_id="t-1", description="count", capabilities=("c",), input={"path": "/a"})


def work() -> Work:
    return Work(Job(TASK, "12D3", 2, 10.0), lambda progress, message: None)


def shell(script: str) -> Program:
    return Program(["sh", "-c", script])


async def carry_out(program: Program) -> Any:
    with anyio.fail_after(20):
        return await program.carry_out(work())


async def test_the_task_is_on_standard_input_and_the_result_on_standard_output() -> None:
    assert await carry_out(shell("cat")) == {
        "task_id": "t-1", "description": "count", "input": {"path": "/a"},
        "announcer": "12D3", "attempt": 2, "lease": 10.0,
    }  # fmt: skip


async def test_a_program_need_not_read_its_task() -> None:
    assert await carry_out(shell("exec <&-; echo done")) == "done"


@pytest.mark.parametrize(
    ("output", "result"),
    [
        (b'{"n": [1, 2.5]}\n', {"n": [1, 2.5]}),
        (b"two\nlines\n", "two\nlines"),
        (b"", ""),
        (b"NaN", "NaN"),
        (b"caf\xe9\n", "caf\ufffd"),
        (b"[" * 100_000, "[" * 100_000),
    ],
)
def test_output_is_json_where_it_is_that_else_text(output: bytes, result: object) -> None:
    assert read_result(output) == result


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo the disk is full >&2; exit 3", "exit status 3: the disk is full"),
        ("exit 1", "exit status 1"),
        ("kill -9 $$", "signal 9"),
        (f"head -c {MAX_OUTPUT_BYTES + 1} /dev/zero", "it wrote more than 196608 bytes"),
        ("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1", f"exit status 1: {'x' * 300}"),
    ],
)
async def test_a_program_that_fails_says_why(script: str, why: str) -> None:
    with pytest.raises(TaskFailed) as failed:
        await carry_out(shell(script))
    assert str(failed.value) == why


async def test_a_program_that_is_not_there_has_failed() -> None:
    with pytest.raises(TaskFailed, match="/no/such: No such file or directory"):
        await carry_out(Program(["/no/such"]))


async def test_a_program_that_writes_without_end_is_stopped() -> None:
    with pytest.raises(TaskFailed, match="it wrote more than"):
        await carry_out(shell("yes"))


async def test_what_is_not_wanted_any_more_is_killed_with_all_that_it_started(
    tmp_path: Path,
) -> None:
    pids = tmp_path / "pids"
    stubborn = tmp_path / "stubborn.py"
    stubborn.write_text(
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(pids) + '.new'!r}, 'w').write(f'{{os.getpid()}} {{os.getppid()}}')\n"
        f"os.rename({str(pids) + '.new'!r}, {str(pids)!r})\n"
        "time.sleep(60)\n"
    )
    script = f"{shlex.quote(sys.executable)} {shlex.quote(str(stubborn))}; true"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(shell(script).carry_out, work())
        with anyio.fail_after(20):
            while not pids.exists():
                await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    for pid in pids.read_text().split():
        deadline = time.monotonic() + 10
        while _runs(int(pid)):
            assert time.monotonic() < deadline
            await anyio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"  # nobody waits for orphans
    except OSError:
        return not Path("/proc").exists()
