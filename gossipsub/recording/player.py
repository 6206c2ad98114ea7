"""Replaying a recording: the same inputs to a new router, which has to say the same."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from random import Random
from typing import Any, BinaryIO, cast

from gossipsub.recording.digest import as_text, digest, in_full
from gossipsub.recording.errors import RecordingUnreadable
from gossipsub.recording.recorder import INPUTS, VERSION, raised
from gossipsub.recording.values import Captured, from_json, to_json
from gossipsub.router.effects import Effect
from gossipsub.router.params import GossipParams
from gossipsub.router.router import Router

MAX_LINE_BYTES = 32 << 20
"""Longest line read: an RPC of 1 MiB makes one of 1.4 MB; with its effects in full, several."""
MAX_HISTORY = 100_000
"""Windows of the message cache: the one parameter whose size alone takes memory."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a replay first said something else."""

    number: int
    """Of the input, from 1."""
    name: str
    """Of the input."""
    what: str
    """"effects", "returned", "raised", or "asked" where it asked the application otherwise."""
    expected: str
    got: str

    def __str__(self) -> str:
        return (
            f"input {self.number} ({self.name}): {self.what} differ\n"
            f"  recorded: {self.expected}\n  replayed: {self.got}"
        )


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of a replay."""

    inputs: int
    """Inputs replayed; the last of them is the one that differs, if any does."""
    difference: Difference | None
    end: str | None
    """Why the recording ended; None where it was cut short."""


class _Answers:
    """What the application's functions answer, as recorded."""

    def __init__(self) -> None:
        self.left: deque[Any] = deque()
        self.unexpected: str | None = None

    def function(self, number: int) -> Captured:
        def answer(*arguments: object, **named: object) -> object:
            if not self.left or self.left[0][0] != number:
                self.unexpected = self.unexpected or f"function {number} is asked"
                return None
            value = self.left.popleft()[1]
            if isinstance(value, dict) and "$x" in value:
                raise RuntimeError(f"recorded: {value['$x']}")
            return from_json(value, self.function)

        return Captured(number, answer)


def replay(path: str | os.PathLike[str]) -> Replay:
    """Replay a file, plain or packed with gzip, as far as the first difference.

    RecordingUnreadable where it is no recording, is damaged, or names inputs, classes or
    parameters that this version does not have. OSError where it cannot be opened.
    """
    with open(path, "rb") as file:
        packed = file.peek(2)[:2] == b"\x1f\x8b"
        source = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
        try:
            return _replay(_lines(source))
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise RecordingUnreadable(f"damaged gzip: {error}") from error


def _lines(source: BinaryIO) -> Iterator[dict[str, Any]]:
    """Whole lines; one that was cut short at the end of the file is left out."""
    number = 0
    while (line := source.readline(MAX_LINE_BYTES)).endswith(b"\n"):
        number += 1
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise RecordingUnreadable(f"line {number} is no JSON: {error}") from error
        if not isinstance(value, dict):
            raise RecordingUnreadable(f"line {number} is no object")
        yield value
    if len(line) >= MAX_LINE_BYTES:
        raise RecordingUnreadable(f"line {number + 1} has more than {MAX_LINE_BYTES} bytes")


def _replay(lines: Iterator[dict[str, Any]]) -> Replay:
    answers = _Answers()
    router = _router(next(lines, {}), answers)
    number = 0
    for line in lines:
        if "end" in line:
            return Replay(number, None, str(line["end"]))
        number += 1
        try:
            difference = _step(router, number, line, answers)
        except RecordingUnreadable as error:
            raise RecordingUnreadable(f"input {number}: {error}") from error
        except Exception as error:  # whatever a stranger's values make fail
            raise RecordingUnreadable(f"input {number}: {raised(error)}") from error
        if difference is not None:
            return Replay(number, difference, None)
    return Replay(number, None, None)


def _router(header: dict[str, Any], answers: _Answers) -> Router:
    version = header.get("gossipsub recording")
    if version is None:
        raise RecordingUnreadable("not a recording: its first line is another")
    if version != VERSION:
        raise RecordingUnreadable(f"a recording of version {version!r}, this one reads {VERSION}")
    try:
        params = from_json(header["params"], answers.function)
        me = from_json(header["me"], answers.function)
        if not isinstance(params, GossipParams) or not isinstance(me, bytes):
            raise RecordingUnreadable("no parameters or no peer id")
        if params.lazy.history_length > MAX_HISTORY:
            raise RecordingUnreadable(f"history_length is {params.lazy.history_length}")
        rng = Random()
        answers.left = deque(_asked(header["asked"]))
        rng.setstate(from_json(header["rng"], answers.function))
        options = _named(header["options"], answers)
        return Router(params, me=me, rng=rng, now=header["now"], **options)
    except RecordingUnreadable as error:
        raise RecordingUnreadable(f"bad first line: {error}") from error
    except Exception as error:  # whatever a stranger's parameters make fail
        raise RecordingUnreadable(f"bad first line: {raised(error)}") from error


def _step(
    router: Router, number: int, line: dict[str, Any], answers: _Answers
) -> Difference | None:
    name = line.get("in")
    if name not in INPUTS:
        raise RecordingUnreadable(f"not an input of this version: {str(name)[:100]}")
    arguments, named = _arguments(line, answers)
    answers.left = deque(_asked(line.get("asked", [])))
    got: dict[str, Any] = {}
    try:
        got["returned"] = to_json(getattr(router, name)(*arguments, **named))
    except Exception as error:  # an outcome like others: it was recorded, or differs
        got["raised"] = raised(error)
    effects = router.effects()
    if answers.unexpected:
        return Difference(number, name, "asked", "no more is asked", answers.unexpected)
    for what in ("raised", "returned"):
        if got.get(what) != line.get(what):
            expected, replayed = str(line.get(what)), str(got.get(what))
            return Difference(number, name, what, expected, replayed)
    if answers.left:
        expected = f"{len(answers.left)} more answers"
        return Difference(number, name, "asked", expected, "no more is asked")
    return _compare(number, name, line.get("out"), effects)


def _compare(number: int, name: str, recorded: Any, effects: list[Effect]) -> Difference | None:
    if not effects and not recorded:
        return None
    if not isinstance(recorded, list):
        replayed = digest(effects)
        if replayed == recorded:
            return None
        told = "; ".join(f"{effect!r:.500}" for effect in effects)
        return Difference(number, name, "effects", str(recorded), f"{replayed} of [{told:.5000}]")
    got = [as_text(each) for each in in_full(effects)]
    expected = [as_text(each) for each in recorded]
    for one, other in zip_longest(expected, got, fillvalue="nothing"):
        if one != other:
            return Difference(number, name, "effects", one, other)
    return None


def _arguments(line: dict[str, Any], answers: _Answers) -> tuple[Any, dict[str, Any]]:
    arguments = from_json(line.get("args", []), answers.function)
    if not isinstance(arguments, tuple):
        raise RecordingUnreadable("args is no array")
    return arguments, _named(line.get("named", {}), answers)


def _named(values: Any, answers: _Answers) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise RecordingUnreadable("named is no object")
    return {name: from_json(part, answers.function) for name, part in values.items()}


def _asked(answers: Any) -> list[Any]:
    if not isinstance(answers, list) or not all(
        isinstance(each, list) and len(each) == 2 for each in answers
    ):
        raise RecordingUnreadable("asked is no list of answers")
    return answers
