"""Starts nodes of ours fast: one process loads everything once, and each node is a fork of it.

A node started anew spends half a second of CPU on imports, which is most of what a case costs. The
command of a warm start is a small program that hands its standard streams to the process that is
loaded already (`warm_server.py`), waits for the fork, and ends as it ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Timer
from typing import Self

from gossipsub.wire.errors import GossipSubError

_CLIENT = Path(__file__).with_name("warm_client.py")
_FAULTS = "gossipsub.conformance.faults"
_END_SECONDS = 5.0


class WarmStartFailed(GossipSubError):
    """The process that nodes are to be forks of did not come up."""


class WarmStart:
    """A context manager; the process starts with the first command asked for. Nodes started by its
    commands run no longer than the block."""

    def __init__(self, *, start_timeout: float = 30.0) -> None:
        """`start_timeout`: seconds that the process may take to load everything."""
        self._start_timeout = start_timeout
        self._stack = ExitStack()
        self._path: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def command(self, fault: str | None = None) -> tuple[str, ...]:
        """What starts `gossipsub peer`, with a fault if one is named; flags may follow (blocks).

        An ordinary command where processes cannot be forked. WarmStartFailed where the process
        that nodes are to be forks of does not come up.
        """
        if not hasattr(os, "fork"):
            module = ("gossipsub", "peer") if fault is None else (_FAULTS, fault)
            return (sys.executable, "-m", *module)
        if self._path is None:
            self._path = self._stack.enter_context(_server(self._start_timeout))
        return (sys.executable, "-I", "-S", str(_CLIENT), str(self._path), fault or "")


@contextmanager
def _server(start_timeout: float) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gossipsub-warm-") as folder:
        path = Path(folder) / "socket"
        command = [sys.executable, "-m", "gossipsub.conformance.kit.warm_server", str(path)]
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            if not _gets_ready(server, start_timeout):
                how = f"ended, or was not ready within {start_timeout:g} s"
                raise WarmStartFailed(f"the process for warm starts {how}")
            yield path
        finally:
            if server.stdin is not None:
                server.stdin.close()  # whose end is the server's
            try:
                server.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            if server.stdout is not None:
                server.stdout.close()


def _gets_ready(server: subprocess.Popen[bytes], timeout: float) -> bool:
    too_late = Timer(timeout, server.kill)
    too_late.start()
    try:
        return server.stdout is not None and server.stdout.readline() == b"ready\n"
    finally:
        too_late.cancel()
