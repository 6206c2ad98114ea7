"""How commands with a node end: by themselves, by signals, by errors."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Awaitable, Callable

import anyio
import pytest

from gossipsub import LocalProtocolError
from gossipsub.cli.running import keeping_what_is_loaded, reason, run

Work = Callable[[], Awaitable[int]]


def raising(error: Exception) -> Work:
    async def work() -> int:
        raise error

    return work


def signalled(number: int, goodbyes: list[str]) -> Work:
    async def work() -> int:
        try:
            os.kill(os.getpid(), number)
            await anyio.sleep_forever()
        finally:
            goodbyes.append("said")
        return 0

    return work


def test_the_status_is_that_of_the_work() -> None:
    async def work() -> int:
        return 27

    assert run("sub", work) == 27


@pytest.mark.parametrize(
    ("number", "terminated", "status"),
    [(signal.SIGINT, 0, 130), (signal.SIGTERM, 0, 0), (signal.SIGTERM, 143, 143)],
)
def test_a_signal_lets_the_work_say_goodbye(number: int, terminated: int, status: int) -> None:
    goodbyes: list[str] = []
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert run("sub", signalled(number, goodbyes), terminated=terminated) == status
    assert goodbyes == ["said"]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_further_signals_do_not_disturb_the_goodbye() -> None:
    goodbyes: list[str] = []

    async def work() -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                    await anyio.sleep(0.01)
                    os.kill(os.getpid(), number)
                await anyio.sleep(0.01)
                goodbyes.append("said")
        return 1

    assert run("listen", work, terminated=0) == 0
    assert goodbyes == ["said"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (LocalProtocolError("cannot\nbe"), "cannot; be"),
        (TimeoutError("0 of 1 peers"), "0 of 1 peers"),
        (FileNotFoundError(2, "No such file", "a"), "a: No such file"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
    ],
)
def test_an_error_is_1_and_a_sentence(
    error: Exception, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("sub", raising(error)) == 1
    assert capsys.readouterr() == ("", f"gossipsub sub: {sentence}\n")
    assert reason(error) == sentence


def test_a_broken_pipe_is_left_to_the_command_line() -> None:
    with pytest.raises(BrokenPipeError):
        run("pub", raising(BrokenPipeError()))


def test_what_is_loaded_is_looked_through_for_garbage_again_when_the_node_has_ended() -> None:
    frozen = gc.get_freeze_count()
    with keeping_what_is_loaded():
        assert gc.get_freeze_count() > frozen + 10_000
    assert gc.get_freeze_count() == 0
