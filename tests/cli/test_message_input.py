"""What `gossipsub pub` reads, from pipes and files."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from gossipsub import HostConfig
from gossipsub.cli import message_input
from gossipsub.cli.message_input import InputTooLarge, messages_of, read_lines, read_whole

pytestmark = pytest.mark.anyio


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its reading and its writing end."""
    read, write = os.pipe()
    yield read, write
    for end in (read, write):
        if end_is_open(end):
            os.close(end)


def end_is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


async def test_lines_come_one_by_one_however_they_are_cut(pipe: tuple[int, int]) -> None:
    read, write = pipe
    lines = read_lines(read, 100)
    os.write(write, b"one\n\ntw")
    with anyio.fail_after(10):
        assert [await anext(lines), await anext(lines)] == [b"one", b""]
        os.write(write, b"o\xff\r\nthree")
        assert await anext(lines) == b"two\xff\r"
        os.close(write)
        assert [line async for line in lines] == [b"three"]


async def test_a_line_too_long_is_refused_before_it_ends(
    pipe: tuple[int, int],
) -> None:
    read, write = pipe
    os.write(write, b"12345\n123456")
    lines = read_lines(read, 5)
    with anyio.fail_after(10):
        assert await anext(lines) == b"12345"
        with pytest.raises(InputTooLarge) as refused:
            await anext(lines)
    assert str(refused.value) == "a message of more than 5 bytes"


async def test_a_file_is_read_whole_and_no_further_than_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"\x00\n\xff")
    with path.open("rb") as file:
        assert await read_whole(file.fileno(), 3) == b"\x00\n\xff"
    with path.open("rb") as file, pytest.raises(InputTooLarge):
        await read_whole(file.fileno(), 2)


@pytest.mark.parametrize(
    ("given", "messages"),
    [
        ({"message": ""}, [b""]),
        ({"message": "grüß\udcff"}, ["grüß".encode() + b"\xff"]),
        ({"file": "data"}, [b"a\nb\n"]),
        ({"file": "-"}, [b"in\nput"]),
        ({}, [b"in\nput"]),
        ({"lines": True}, [b"in", b"put"]),
    ],
)
async def test_the_options_say_what_is_read(
    given: dict[str, object],
    messages: list[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").write_bytes(b"a\nb\n")
    Path("stdin").write_bytes(b"in\nput")
    options = {"message": None, "file": None, "lines": False, "config": HostConfig(), **given}
    with open("stdin", "rb") as stdin:
        monkeypatch.setattr(message_input.sys, "stdin", stdin)
        assert [each async for each in messages_of(Namespace(**options))] == messages


async def test_a_named_pipe_is_waited_for_while_the_node_goes_on(tmp_path: Path) -> None:
    """Opened as usual, it would hold the event loop, and Ctrl-C, until somebody writes."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    options = Namespace(message=None, file=str(path), lines=False, config=HostConfig())
    found: list[bytes] = []

    async def read() -> None:
        found.extend([each async for each in messages_of(options)])

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            assert found == []
            # Never waits: it fails where nobody has opened the pipe for reading.
            write = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            os.write(write, b"da")
            await anyio.wait_all_tasks_blocked()
            os.write(write, b"ta")
            os.close(write)
    assert found == [b"data"]
