"""Virtual time for live hosts: the clock of the event loop jumps ahead when nothing is left to do.

What waits an hour takes as long as what happens in it. Under asyncio and trio:

    async def main() -> None:
        await anyio.sleep(3600)  # returns at once; anyio.current_time() says 3600.0

    run_in_virtual_time(main, backend="trio")

Time starts at 0.0 and stands still while anything can run, work in threads included
(`anyio.to_thread`, `asyncio.to_thread`). Sockets are refused, since what they bring comes in real
time: give hosts a `gossipsub.testing.memory.MemoryNetwork`. The wall clock, `time.monotonic()` and
threads that an application starts itself know nothing of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeVar, TypeVarTuple

import anyio

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")

_OPTIONS = {
    "asyncio": ("loop_factory", "gossipsub.testing.virtual_time_loop", "VirtualTimeLoop"),
    "trio": ("clock", "gossipsub.testing.virtual_time_clock", "VirtualTimeClock"),
}
"""By back end: the option of `anyio.run`, and where what it takes is."""


def virtual_backend(name: str) -> tuple[str, dict[str, Any]]:
    """A value for the fixture `anyio_backend` of anyio's pytest plugin: that back end, in virtual
    time. ValueError for a name that is not "asyncio" or "trio"."""
    if name not in _OPTIONS:
        raise ValueError(f"the back ends are asyncio and trio: {name!r}")
    option, module, kind = _OPTIONS[name]
    found = getattr(import_module(module), kind)
    return name, {option: found if name == "asyncio" else found()}


def is_virtual_backend(backend: object) -> bool:
    """Whether a value of `anyio_backend` has virtual time."""
    if not isinstance(backend, tuple) or len(backend) != 2 or backend[0] not in _OPTIONS:
        return False
    option, _, kind = _OPTIONS[backend[0]]
    given = backend[1].get(option)
    return kind in (getattr(given, "__name__", None), type(given).__name__)


def run_in_virtual_time(
    function: Callable[[*Arguments], Awaitable[T]],
    *args: *Arguments,
    backend: str = "asyncio",
) -> T:
    """As `anyio.run`, in virtual time."""
    name, options = virtual_backend(backend)
    return anyio.run(function, *args, backend=name, backend_options=options)
