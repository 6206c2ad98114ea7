"""The demo's tasks are real work on the package's own files, and on nothing else."""

from __future__ import annotations

import hashlib

import pytest

from gossipsub.demo.work import PACKAGE, carry_out, choose_tasks


def test_a_task_counts_and_hashes_its_file() -> None:
    text = (PACKAGE / "wake.py").read_bytes()
    assert carry_out("wake.py") == {
        "lines": len(text.splitlines()),
        "functions": 3,
        "sha256": hashlib.sha256(text).hexdigest(),
    }


@pytest.mark.parametrize(
    "file", ["../README.md", "/etc/passwd", "chorus/../../setup.py", "", "nothing.py", "py.typed"]
)
def test_a_file_outside_the_package_is_refused(file: str) -> None:
    with pytest.raises(ValueError, match=r"^not a file of the package: "):
        carry_out(file)


def test_tasks_are_numbered_and_name_different_files() -> None:
    tasks = choose_tasks(5)
    assert [task.task_id for task in tasks] == [f"task-0{n}" for n in range(1, 6)]
    assert len({task.file for task in tasks}) == 5


@pytest.mark.parametrize("count", [0, -1, 10_000])
def test_more_tasks_than_files_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match="there is work for 1 to"):
        choose_tasks(count)
