"""A program that carries out tasks: each is given to a process of its own, on standard input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, Process

if TYPE_CHECKING:
    from gossipsub.chorus.tasks.work import Work

MAX_OUTPUT_BYTES = 192 << 10
"""Of a result: with what stands around it, it has to fit into an envelope."""
REASON_CHARACTERS = 300
"""Of what a program says on standard error before it fails."""
ENDING = 1.0
"""Seconds that a program has between being told to end and being killed."""


class Program:
    """`carry_out` for a TaskRunner: runs `words` for each task.

    The task is one JSON object on its standard input: `task_id`, `description`, `input`,
    `announcer`, `attempt` and `lease`. What it writes to standard output is the result: JSON if it
    can be read as that, else text. TaskFailed where it cannot be run, ends with another status than
    0, or writes more than 192 KiB. When it is no longer wanted it is told to end, and then killed,
    with the processes that it started.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._words = list(words)

    async def carry_out(self, work: Work) -> object:
        from gossipsub.chorus.tasks.task import TaskFailed

        given = json.dumps(task_of(work)).encode() + b"\n"
        try:
            process = await anyio.open_process(
                self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise TaskFailed(f"{self._words[0]}: {error.strerror or error}") from error
        try:
            output, said = await _converse(process, given)
            if output is None:
                raise TaskFailed(f"it wrote more than {MAX_OUTPUT_BYTES} bytes")
            status = await process.wait()
        finally:
            await _end(process)
        if status:
            how = f"exit status {status}" if status > 0 else f"signal {-status}"
            raise TaskFailed(f"{how}: {said}" if said else how)
        return read_result(output)


def task_of(work: Work) -> dict[str, object]:
    """A task as the program, or the person, that does it reads it."""
    return {
        "task_id": work.task_id,
        "description": work.description,
        "input": work.input,
        "announcer": work.announcer,
        "attempt": work.attempt,
        "lease": work.lease,
    }


def read_result(output: bytes) -> object:
    """JSON where it is that, else the text without its last newline."""
    text = output.decode("utf-8", "replace")
    try:
        return json.loads(text, parse_constant=_no_json)
    except (ValueError, RecursionError):
        return text.removesuffix("\n")


def _no_json(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")


async def _converse(process: Process, given: bytes) -> tuple[bytes | None, str]:
    """What it writes, None if it is too much, and the last of what it says about it."""
    # All three are pipes: so it was opened.
    stdin = cast(ByteSendStream, process.stdin)
    stdout, stderr = (
        cast(ByteReceiveStream, process.stdout),
        cast(ByteReceiveStream, process.stderr),
    )
    said = bytearray()

    async def feed() -> None:
        with suppress(anyio.BrokenResourceError):  # it need not read
            await stdin.send(given)
        await stdin.aclose()

    async def listen() -> None:
        async for chunk in stderr:
            said.extend(chunk)
            del said[: -4 * REASON_CHARACTERS]

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(feed)
        tasks.start_soon(listen)
        output = await _read(stdout)
        if output is None:
            tasks.cancel_scope.cancel()
    return output, said.decode("utf-8", "replace").strip()[-REASON_CHARACTERS:]


async def _read(stream: ByteReceiveStream) -> bytes | None:
    data = bytearray()
    async for chunk in stream:
        data += chunk
        if len(data) > MAX_OUTPUT_BYTES:
            return None
    return bytes(data)


async def _end(process: Process) -> None:
    with anyio.CancelScope(shield=True):
        if process.returncode is None:
            _signal(process, signal.SIGTERM)
            with anyio.move_on_after(ENDING):
                await process.wait()
            _signal(process, signal.SIGKILL)
        await process.aclose()


def _signal(process: Process, number: signal.Signals) -> None:
    """To it and to all that it started and that is still in its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
