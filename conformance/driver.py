"""Starts a test peer of any implementation as a child process and steers it by JSON lines.

    async with start_peer("go", seed=1, params={"D": 4}) as peer:
        await peer.command("subscribe", topic="news")
        message = await peer.wait_event("message", timeout=5)

Works under asyncio and trio. Every wait has a deadline, every buffer a bound, and only what was
started here is ever ended: the child, and what it started in turn.
"""

from __future__ import annotations

import base64
import json
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.abc import AnyByteReceiveStream, Process, TaskGroup

from gossipsub.conformance.build import build_go_peer, build_old_go_peer
from gossipsub.conformance.build_js import build_js_peer
from gossipsub.conformance.build_python import build_py_libp2p_peer
from gossipsub.conformance.build_rust import build_rust_peer
from gossipsub.conformance.events import EventBuffer, LineReader
from gossipsub.conformance.process_group import kill_group, open_group, signal_group
from gossipsub.wire.errors import GossipSubError

Event = dict[str, Any]
"""One line a peer printed. A `message` event also has its payload as bytes under `data`."""

PEERS: Mapping[str, Callable[[], list[str]]] = {
    "python": lambda: [sys.executable, "-m", "gossipsub", "peer"],
    "go": lambda: [str(build_go_peer())],
    "go-old": lambda: [str(build_old_go_peer())],
    "js": build_js_peer,
    "py-libp2p": build_py_libp2p_peer,
    "rust": lambda: [str(build_rust_peer())],
}
"""The named peers, and what gives the command of each."""

_ANSWERS: Mapping[str, tuple[str, type]] = {
    "mesh": ("peers", list),
    "peers": ("peers", list),
    "scores": ("scores", dict),
    "topic_peers": ("peers", list),
}
"""What answers must have, since whoever asks looks at it at once."""

_READY: Mapping[str, type] = {"peer_id": str, "addrs": list}
"""And what `ready` must have."""
_READY_OPTIONAL: Mapping[str, type] = {"versions": dict, "unsupported_params": list}

CRASH = re.compile(
    r"(?m)(^|: )(panic: |fatal error: |goroutine \d+ \[|Traceback \(most|thread '.*' .*panicked at)"
)
"""In the standard error of a program that crashed, whose exit status need not tell."""
_SIGNALLED = range(129, 193)
"""Exit statuses of shells and containers for what a signal ended."""

_LACKS = re.compile(r"unsupported(:| command|$)|unknown command", re.IGNORECASE)
_STDERR_BYTES = 64 * 1024
_STDERR_SHOWN = 2000
_POLL_SECONDS = 0.02
_KILL_SECONDS = 2.0
_GRACE_SECONDS = 0.5
"""Between SIGTERM, which a wrapper may pass on to where signals do not reach, and SIGKILL."""


class PeerError(GossipSubError):
    """The peer answered a command with an error; it goes on working."""

    def __init__(self, command: str, reason: str) -> None:
        super().__init__(f"{command}: {reason}")
        self.command = command
        self.reason = reason


class PeerLacks(PeerError):
    """The peer has nothing for the command: its error is "unsupported", or begins with
    "unsupported:", "unsupported command" or "unknown command". An "unsupported protocol", say, is
    a failure like any other."""


class PeerFailed(GossipSubError):
    """The peer ended or broke the protocol. `exit_status` is None where it did not end."""

    def __init__(self, message: str, *, exit_status: int | None = None) -> None:
        super().__init__(message)
        self.exit_status = exit_status


class PeerTimeout(PeerFailed, TimeoutError):
    """The peer did not answer, or an event did not come, in time."""


def peer_command(target: str) -> list[str]:
    """The command that runs a named peer, built on first use (blocks).

    PeerUnavailable where it cannot be had; ValueError for an unknown name.
    """
    if target not in PEERS:
        raise ValueError(f"no peer is called {target!r}; known are {', '.join(PEERS)}")
    return PEERS[target]()


def peer_arguments(
    *,
    listen: str | None = None,
    seed: int | None = None,
    protocol: str | None = None,
    params: Mapping[str, object] | None = None,
    score: Mapping[str, object] | None = None,
    msgid: str | None = None,
    sign: str | None = None,
    quiet: bool = False,
) -> list[str]:
    """The flags every peer takes; what is None is left to the peer."""
    arguments: list[str] = []
    for flag, value in (
        ("--listen", listen),
        ("--seed", None if seed is None else str(seed)),
        ("--protocol", protocol),
        ("--params", None if params is None else json.dumps(params)),
        ("--score", None if score is None else json.dumps(score)),
        ("--msgid", msgid),
        ("--sign", sign),
    ):
        if value is not None:
            arguments += [flag, value]
    return [*arguments, "--quiet"] if quiet else arguments


def start_peer(
    target: str = "go",
    *,
    command: Sequence[str] | None = None,
    listen: str | None = None,
    seed: int | None = None,
    protocol: str | None = None,
    params: Mapping[str, object] | None = None,
    score: Mapping[str, object] | None = None,
    msgid: str | None = None,
    sign: str | None = None,
    quiet: bool = False,
    arguments: Sequence[str] = (),
    start_timeout: float = 20.0,
    command_timeout: float = 10.0,
    stop_timeout: float = 5.0,
) -> PeerProcess:
    """A peer to be entered with `async with`: it is up inside the block and ended after it.

    `target` names one of our peers; `command` runs any other program that speaks the protocol, and
    `target` is then only its name in errors. `arguments` are put behind the flags. Times are
    seconds: until the peer is ready (a build on first use does not count), for a command's answer
    where none is given, and from being asked to end to being killed.
    """
    flags = peer_arguments(
        listen=listen,
        seed=seed,
        protocol=protocol,
        params=params,
        score=score,
        msgid=msgid,
        sign=sign,
        quiet=quiet,
    )
    return PeerProcess(
        target,
        command,
        [*flags, *arguments],
        start_timeout=start_timeout,
        command_timeout=command_timeout,
        stop_timeout=stop_timeout,
    )


def _peer_error(command: str, reason: str) -> PeerError:
    return PeerLacks(command, reason) if _LACKS.match(reason) else PeerError(command, reason)


def _check_ready(event: Event) -> None:
    """ValueError for what would go wrong only later, where it looks like somebody else's fault."""
    for name, kind in _READY.items():
        if not isinstance(event.get(name), kind):
            raise ValueError(f"ready has no {name}")
    for name, kind in _READY_OPTIONAL.items():
        if not isinstance(event.setdefault(name, kind()), kind):
            raise ValueError(f"the {name} of ready are no {kind.__name__}")
    for name in ("addrs", "unsupported_params"):
        if not all(isinstance(entry, str) for entry in event[name]):
            raise ValueError(f"the {name} of ready are not all text")


class _Pending:
    """A command on its way; `answer` stays None when the peer fails first."""

    __slots__ = ("answer", "done")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.answer: Event | None = None


class PeerProcess:
    """A running test peer. Made by `start_peer`; an async context manager.

    Entering raises PeerUnavailable, PeerFailed (with the peer's standard error and exit status) or
    PeerTimeout. Leaving asks the peer to `exit`, and kills it after `stop_timeout`.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str] | None,
        arguments: Sequence[str],
        *,
        start_timeout: float,
        command_timeout: float,
        stop_timeout: float,
    ) -> None:
        self.name = name
        self.ready: Event = {}
        """The `ready` event: peer_id, addrs, impl, versions, pid, unsupported_params."""
        self.killed = False
        """Whether the peer had to be killed because it did not end when asked to."""
        self._command = command
        self._arguments = list(arguments)
        self._timeouts = (start_timeout, command_timeout, stop_timeout)
        self._process: Process | None = None
        self._tasks: TaskGroup | None = None
        self._sending = anyio.Lock()
        self._next_id = 0
        self._pending: dict[int, _Pending] = {}
        self._events = EventBuffer()
        self._stderr = bytearray()
        self._failure: str | None = None
        self._is_told_to_end = False
        self._ended_early = False

    @property
    def peer_id(self) -> str:
        return str(self.ready["peer_id"])

    @property
    def addresses(self) -> list[str]:
        """Multiaddrs to reach the peer at; each ends in its peer id."""
        return list(self.ready["addrs"])

    @property
    def exit_status(self) -> int | None:
        """None while the peer runs; minus the signal's number if one ended it."""
        return None if self._process is None else self._process.returncode

    @property
    def crash(self) -> str | None:
        """How it ended by itself, once it was left. None where it ran until it was told to end, and
        ended then without a panic, a traceback or a signal that was not the driver's."""
        if self._ended_early:
            return self._describe(f"was not to end yet: {self._failure or 'it ended'}")
        status = 0 if self.killed else self.exit_status or 0
        if status < 0 or status in _SIGNALLED or (status and CRASH.search(self.stderr)):
            return self._describe("crashed when it was told to end")
        return None

    @property
    def stderr(self) -> str:
        """The last 64 KiB of what the peer printed for people."""
        return self._stderr.decode(errors="replace")

    @property
    def dropped_events(self) -> dict[str, int]:
        """How many events of a kind were thrown away because nobody took them in time."""
        return self._events.dropped

    async def command(self, name: str, /, timeout: float | None = None, **fields: Any) -> Event:
        """Send a command and return its answer.

        PeerError when the peer says no, PeerTimeout after `timeout` seconds (default: the
        `command_timeout` given at the start), PeerFailed when the peer is gone.
        """
        patience = self._timeouts[1] if timeout is None else timeout
        self._is_told_to_end = self._is_told_to_end or name == "exit"
        self._next_id += 1
        number, pending = self._next_id, _Pending()
        self._pending[number] = pending
        try:
            with anyio.move_on_after(patience):
                await self._send({"cmd": name, "id": number, **fields})
                await pending.done.wait()
        finally:
            del self._pending[number]
        if pending.answer is None:
            if self._failure is not None:
                raise self._failed(f"cannot do {name}: {self._failure}")
            raise self._timed_out(f"did not answer {name} within {patience:g} s")
        if pending.answer["event"] == "error":
            raise _peer_error(name, str(pending.answer.get("error")))
        field, kind = _ANSWERS.get(name, ("cmd", str))
        if not isinstance(pending.answer.get(field), kind):
            raise self._failed(f"broke the protocol: its answer to {name} has no {field}")
        return pending.answer

    async def credit(self, received: int) -> None:
        """Tell a running publish_many how many of its messages have arrived everywhere."""
        patience = self._timeouts[1]
        with anyio.move_on_after(patience) as scope:
            await self._send({"cmd": "credit", "received": received})
        if scope.cancelled_caught:
            raise self._timed_out(f"did not read a credit within {patience:g} s")

    async def publish(self, topic: str, data: bytes) -> Event:
        return await self.command("publish", topic=topic, data_b64=base64.b64encode(data).decode())

    async def wait_event(
        self,
        kind: str,
        *,
        timeout: float = 10.0,
        where: Callable[[Event], bool] | None = None,
    ) -> Event:
        """Take the oldest event of a kind (for which `where` holds) out of the buffer.

        Waits up to `timeout` seconds for it, then PeerTimeout. Other events stay in the buffer.
        """
        with anyio.move_on_after(timeout):
            checked = 0
            while True:
                found = self._events.take(kind, where, since=checked)
                if found is not None:
                    return found
                if self._failure is not None:
                    raise self._failed(f"sent no such {kind} event: {self._failure}")
                checked = self._events.total
                await self._events.changed()
        dropped = self._events.dropped.get(kind, 0)
        raise self._timed_out(
            f"sent no such {kind} event within {timeout:g} s ({dropped} thrown away unread)"
        )

    async def wait_answer(
        self,
        name: str,
        /,
        where: Callable[[Event], bool],
        *,
        timeout: float = 10.0,
        **fields: Any,
    ) -> Event:
        """Ask the same question again and again until `where` holds for the answer.

        PeerTimeout, with the last answer, after `timeout` seconds.
        """
        answer: Event | None = None
        with anyio.move_on_after(timeout):
            while True:
                answer = await self.command(name, timeout=timeout, **fields)
                if where(answer):
                    return answer
                await anyio.sleep(_POLL_SECONDS)
        raise self._timed_out(f"gave no such answer to {name} in {timeout:g} s; last: {answer}")

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the peer's process, and to those that it started; harmless where they
        have ended."""
        if self._process is not None and self._process.returncode is None:
            signal_group(self._process, number)

    def events(self, kind: str) -> list[Event]:
        """Take all events of a kind that came so far out of the buffer, oldest first."""
        return self._events.take_all(kind)

    def messages(self) -> list[Event]:
        """Take all `message` events that came so far out of the buffer, oldest first."""
        return self._events.take_all("message")

    async def __aenter__(self) -> Self:
        if self._process is not None:
            raise PeerFailed(f"the {self.name} peer was started before")
        base = self._command
        if base is None:
            base = await anyio.to_thread.run_sync(peer_command, self.name)
        try:
            self._process = await open_group([*base, *self._arguments])
        except OSError as error:
            raise PeerFailed(f"cannot start the {self.name} peer: {error}") from error
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        try:
            self._tasks.start_soon(self._read_stdout, self._process)
            self._tasks.start_soon(self._read_stderr, self._process)
            self.ready = await self.wait_event("ready", timeout=self._timeouts[0])
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The block's own exception goes on as it is: handed to the task group it would come out
        # wrapped in a group.
        await self._stop()

    async def _stop(self) -> None:
        process, tasks = self._process, self._tasks
        if process is None or tasks is None:
            return
        with anyio.move_on_after(self._timeouts[2] + _KILL_SECONDS, shield=True):
            with anyio.move_on_after(self._timeouts[2]):
                await self._ask_to_end(process)
                await process.wait()
            self.killed = process.returncode is None
            await kill_group(process, grace=_GRACE_SECONDS)
        tasks.cancel_scope.cancel()
        await tasks.__aexit__(None, None, None)
        with anyio.move_on_after(_KILL_SECONDS, shield=True):
            await process.aclose()

    async def _ask_to_end(self, process: Process) -> None:
        has_ended = process.returncode is not None or self._failure is not None
        if not has_ended:
            try:
                await self._send({"cmd": "exit"})
            except PeerFailed:
                has_ended = True  # just now
        self._ended_early = has_ended and not self._is_told_to_end
        if process.stdin is not None:
            await process.stdin.aclose()

    async def _send(self, line: Event) -> None:
        process = self._process
        if process is None or process.stdin is None or self._failure is not None:
            raise self._failed(f"is not running: {self._failure or 'not started'}")
        body = json.dumps(line).encode() + b"\n"
        async with self._sending:
            try:
                await process.stdin.send(body)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
                raise self._failed("does not read its commands") from error

    async def _read_stdout(self, process: Process) -> None:
        reader = LineReader()
        try:
            async for chunk in _stream(process.stdout):
                for line in reader.receive_data(chunk):
                    self._receive(line)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the same as its end
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self._fail(f"broke the protocol: {error!r}")
            return
        with anyio.move_on_after(_KILL_SECONDS):  # usually it has ended when its output ends
            await process.wait()
        self._fail("closed its standard output")

    async def _read_stderr(self, process: Process) -> None:
        try:
            async for chunk in _stream(process.stderr):
                self._stderr += chunk
                del self._stderr[:-_STDERR_BYTES]
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # nothing more to read

    def _receive(self, line: bytes) -> None:
        event = json.loads(line)
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            raise ValueError(f"not an event: {line[:200]!r}")
        kind = event["event"]
        if kind in ("ok", "error") and event.get("id") is not None:
            pending = self._pending.get(event["id"])
            if pending is not None:  # else it came too late, and nobody waits for it any more
                pending.answer = event
                pending.done.set()
            return
        if kind == "ready":
            _check_ready(event)
        if kind == "message":
            event["data"] = base64.b64decode(event["data_b64"])
        self._events.add(kind, event, len(line))

    def _fail(self, what: str) -> None:
        self._failure = what
        for pending in self._pending.values():
            pending.done.set()
        self._events.wake()

    def _failed(self, what: str) -> PeerFailed:
        return PeerFailed(self._describe(what), exit_status=self.exit_status)

    def _timed_out(self, what: str) -> PeerTimeout:
        return PeerTimeout(self._describe(what), exit_status=self.exit_status)

    def _describe(self, what: str) -> str:
        text = f"the {self.name} peer {what}"
        if self.exit_status is not None:
            text += f"; exit status {self.exit_status}"
        said = self.stderr.strip()[-_STDERR_SHOWN:]
        return f"{text}; standard error: {said}" if said else text


def _stream(stream: AnyByteReceiveStream | None) -> AnyByteReceiveStream:
    if stream is None:
        raise PeerFailed("the peer was started without pipes")
    return stream
