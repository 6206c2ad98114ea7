"""Standard output: slow readers, readers that go, files."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from gossipsub.cli.output import Output

pytestmark = pytest.mark.anyio


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    os.close(write)


async def test_a_slow_reader_makes_only_the_writer_wait(pipe: tuple[int, int]) -> None:
    read, write = pipe
    data = os.urandom(1_000_000)
    turns = 0
    got = bytearray()
    start_reading = threading.Event()

    def read_all() -> None:
        start_reading.wait(30)
        while len(got) < len(data) and (chunk := os.read(read, 65536)):
            got.extend(chunk)
        os.close(read)

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0.001)
            turns += 1
            if turns == 20:  # the writer waits with a full pipe
                start_reading.set()

    reader = threading.Thread(target=read_all)
    reader.start()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count_turns)
            await Output(write).write(data)
            tasks.cancel_scope.cancel()
        await anyio.to_thread.run_sync(reader.join)
    assert turns >= 20
    assert bytes(got) == data


async def test_a_pipe_is_left_in_the_mode_it_had(pipe: tuple[int, int]) -> None:
    read, write = pipe
    await Output(write).write(b"x")
    assert os.get_blocking(write)
    os.close(read)


async def test_writing_to_a_reader_that_has_gone_is_a_broken_pipe(pipe: tuple[int, int]) -> None:
    read, write = pipe
    assert signal.getsignal(signal.SIGPIPE) is signal.SIG_IGN
    output = Output(write)
    os.close(read)
    with anyio.fail_after(10), pytest.raises(BrokenPipeError):
        await output.write(b"x")


async def test_a_reader_that_goes_is_noticed_without_writing(pipe: tuple[int, int]) -> None:
    read, write = pipe
    output = Output(write)
    with anyio.move_on_after(0.05) as waiting:
        await output.reader_gone()
    assert waiting.cancelled_caught
    os.close(read)
    with anyio.fail_after(10):
        await output.reader_gone()


async def test_a_file_gets_everything_and_has_no_reader_to_go(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        output = Output(file.fileno())
        await output.write(b"a\n" * 100_000)
        await output.write(b"")
        await output.write(b"b\n")
        with anyio.move_on_after(0.05) as waiting:
            await output.reader_gone()
    assert waiting.cancelled_caught
    assert (tmp_path / "out").read_bytes() == b"a\n" * 100_000 + b"b\n"
