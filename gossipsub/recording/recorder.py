"""Recording: a router that writes down all it is told, and a digest of all it says.

The file is lines of JSON, so that people can look at it and tools can cut it. The first line
tells the version, who the node is, its parameters and the state of its random generator. Every
further line is one input: its name (`in`), its arguments by place (`args`) and by name (`named`),
what the application's functions answered meanwhile (`asked`), what it returned or raised, and the
digest of its effects (`out`), or with `full` the effects themselves. The last line says why the
recording ends.
"""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from random import Random
from typing import Any

from gossipsub.recording.digest import as_text, digest, in_full
from gossipsub.recording.values import Captured, answer_to_json, capture, settled, to_json
from gossipsub.router.effects import Effect
from gossipsub.router.params import GossipParams
from gossipsub.router.queries import Queries
from gossipsub.router.router import Router
from gossipsub.tracing.background_file import BackgroundFile
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.recording")

VERSION = 1
INPUTS = tuple(
    name
    for name in dir(Router)
    if not (name.startswith("_") or name in ("effects", "message_id") or hasattr(Queries, name))
)
"""The router's methods that may change it."""


class _Tape:
    """What a recording router has beside a router: its lines, and effects not yet asked for."""

    def __init__(self, write: Callable[[dict[str, Any]], None], *, full: bool) -> None:
        self.write = write
        self.effects: list[Effect] = []
        self._full = full
        self._captured = 0
        self._asked: list[list[Any]] | None = None

    def capture(self, value: Any) -> Any:
        """`value`, and whatever its functions will answer is recorded."""
        return capture(value, self._wrap)

    def _wrap(self, function: Callable[..., object]) -> Captured:
        number, self._captured = self._captured, self._captured + 1

        def ask(*arguments: object, **named: object) -> object:
            try:
                answer = function(*arguments, **named)
            except Exception as error:
                if self._asked is not None:
                    self._asked.append([number, {"$x": type(error).__name__}])
                raise
            if self._asked is not None:  # else a query asked, which changes nothing
                self._asked.append([number, answer_to_json(answer)])
            return answer

        return Captured(number, ask)

    def start(self, header: dict[str, Any], make: Callable[[], None]) -> None:
        """Record how a router is made."""
        self._asked = header["asked"] = []
        make()
        self._asked = None
        self.write(header)

    def is_running(self) -> bool:
        """An input is being recorded: another is a part of it."""
        return self._asked is not None

    def run(
        self,
        line: dict[str, Any],
        call: Callable[[], Any],
        drain: Callable[[], list[Effect]],
    ) -> Any:
        """Record one input."""
        self._asked = []
        try:
            result = call()
            if result is not None:
                line["returned"] = to_json(result)
            return result
        except Exception as error:
            line["raised"] = raised(error)
            raise
        finally:
            effects = drain()
            self.effects += effects
            if self._asked:
                line["asked"] = self._asked
            self._asked = None
            if effects:
                line["out"] = in_full(effects) if self._full else digest(effects)
            self.write(line)


class RecordingRouter(Router):
    """A router, and a line given to `write` for every input; see `Recorder`.

    `rng` must be the router's alone; `options` are what else a router is made with.
    LocalProtocolError where the parameters hold something that
    is neither data nor a function.
    """

    def __init__(
        self,
        params: GossipParams,
        *,
        me: bytes,
        rng: Random,
        now: float,
        write: Callable[[dict[str, Any]], None],
        full: bool = False,
        **options: Any,
    ) -> None:
        options = {name: settled(value) for name, value in options.items()}
        self._tape = _Tape(write, full=full)
        params = self._tape.capture(params)
        header = {
            "gossipsub recording": VERSION,
            "me": to_json(me),
            "now": now,
            "params": to_json(params),
            "rng": to_json(rng.getstate()),
            "options": {name: to_json(value) for name, value in options.items()},
        }
        make = functools.partial(super().__init__, params, me=me, rng=rng, now=now, **options)
        self._tape.start(header, make)

    def effects(self) -> list[Effect]:
        held, self._tape.effects = self._tape.effects, []
        return held

    def _record(
        self, name: str, call: Callable[..., Any], arguments: list[Any], named: dict[str, Any]
    ) -> Any:
        tape = self._tape
        if tape.is_running():
            return call(self, *arguments, **named)
        arguments = [tape.capture(settled(each)) for each in arguments]
        named = {key: tape.capture(settled(each)) for key, each in named.items()}
        line = {"in": name, "args": to_json(arguments)}
        if named:
            line["named"] = {key: to_json(each) for key, each in named.items()}
        return tape.run(line, functools.partial(call, self, *arguments, **named), super().effects)


def raised(error: Exception) -> str:
    """An exception as recordings tell it."""
    return f"{type(error).__name__}: {error}"


def _recorded(name: str) -> Callable[..., Any]:
    method = getattr(Router, name)

    @functools.wraps(method)
    def record(self: RecordingRouter, *arguments: Any, **named: Any) -> Any:
        return self._record(name, method, list(arguments), named)

    return record


for _name in INPUTS:
    setattr(RecordingRouter, _name, _recorded(_name))


class Recorder:
    """A file for one router's life: give `router` to a driver in place of `Router`.

    Written by a thread. Where the disk cannot keep up or fails, the recording ends there, which a
    WARNING tells; so far it can be replayed. The file is for its owner's eyes alone, since
    messages are in it. OSError where it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, full: bool = False) -> None:
        self._full = full
        self._file = BackgroundFile(path, mode=0o600)
        self._is_used = False
        self._end = "closed"

    def router(
        self, params: GossipParams, *, me: bytes, rng: Random, now: float, **options: Any
    ) -> Router:
        """As the class `Router`; once."""
        if self._is_used:
            raise LocalProtocolError("a recording holds the life of one router")
        self._is_used = True
        return RecordingRouter(
            params, me=me, rng=rng, now=now, write=self._write, full=self._full, **options
        )

    def close(self, timeout: float) -> bool:
        """End the recording; False if it was not on the disk within `timeout` seconds."""
        self._file.write(_line({"end": self._end}))
        return self._file.close(timeout)

    def _write(self, line: dict[str, Any]) -> None:
        if self._end == "closed" and not self._file.write(_line(line)):
            self._end = "the disk did not take it"
            logger.warning("the recording ends: %s path=%s", self._end, self._file.path)


def _line(value: dict[str, Any]) -> bytes:
    return as_text(value).encode() + b"\n"
