"""An event loop in a thread of its own, and the way for calls into it."""

from __future__ import annotations

import atexit
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager, suppress
from threading import Thread, get_ident
from typing import Any, TypeVar, TypeVarTuple, cast, overload

import anyio
from anyio.from_thread import BlockingPortal

from gossipsub.wire.errors import LocalProtocolError

Returned = TypeVar("Returned")
Arguments = TypeVarTuple("Arguments")


class HostClosed(LocalProtocolError):
    """The host of what was called has been closed."""

    def __init__(self) -> None:
        super().__init__("the host is closed")


class LoopThread:
    """Holds one async context manager open from `start` to `stop`.

    The thread is a daemon, so a program can end without `stop`; then the interpreter's exit calls
    it. (A `start_blocking_portal` left open would keep the interpreter from exiting for ever.)
    """

    def __init__(self, backend: str) -> None:
        if backend not in ("asyncio", "trio"):
            raise LocalProtocolError(f"the backend is 'asyncio' or 'trio': {backend!r}")
        self._backend = backend
        self._thread: Thread | None = None
        self._portal: BlockingPortal | None = None
        self._ended: Future[None] = Future()

    def start(self, held: AbstractAsyncContextManager[Any]) -> None:
        """Start the thread and enter `held` in it; raises what that raises."""
        if self._thread is not None:
            raise LocalProtocolError("a host is opened once; make another")
        opened: Future[BlockingPortal] = Future()
        self._thread = Thread(target=self._run, args=(held, opened), name="gossipsub", daemon=True)
        self._thread.start()
        try:
            self._portal = opened.result()
        except BaseException:
            opened.cancel()  # where this thread was interrupted: the other one leaves `held` then
            raise
        atexit.register(self.stop)

    def stop(self) -> None:
        """Leave what is held and end the thread; calls under way are cancelled. Raises what went
        wrong in leaving, or ended it earlier. Harmless when called again."""
        atexit.unregister(self.stop)
        portal = self._open_portal()
        with suppress(RuntimeError):  # it has ended, or is about to
            portal.start_task_soon(portal.stop, True)
        self._ended.result()

    @overload
    def call(
        self, function: Callable[[*Arguments], Awaitable[Returned]], *arguments: *Arguments
    ) -> Returned: ...

    @overload
    def call(
        self, function: Callable[[*Arguments], Returned], *arguments: *Arguments
    ) -> Returned: ...

    def call(
        self,
        function: Callable[[*Arguments], Awaitable[Returned] | Returned],
        *arguments: *Arguments,
    ) -> Returned:
        """Run a function of either kind in the loop, and return or raise what it does. HostClosed
        once it was stopped, also while the function runs; an interrupt cancels the function.
        LocalProtocolError before the start, and from within the loop's own thread."""
        portal = self._open_portal()
        try:
            future = portal.start_task_soon(function, *arguments)
        except RuntimeError as error:
            raise HostClosed from error
        try:
            return cast(Returned, future.result())
        except CancelledError as error:
            raise HostClosed from error
        except BaseException:
            future.cancel()
            raise

    def _open_portal(self) -> BlockingPortal:
        if self._portal is None or self._thread is None:
            raise LocalProtocolError("open the host first: with Host(…) as host")
        if self._thread.ident == get_ident():
            raise LocalProtocolError("this thread is the host's own and must not wait for it")
        return self._portal

    def _run(self, held: AbstractAsyncContextManager[Any], opened: Future[BlockingPortal]) -> None:
        try:
            anyio.run(self._hold, held, opened, backend=self._backend)
        except Exception as error:
            (self._ended if opened.done() else opened).set_exception(error)
        finally:
            if not opened.done():
                opened.set_exception(HostClosed())
            if not self._ended.done():
                self._ended.set_result(None)

    @staticmethod
    async def _hold(held: AbstractAsyncContextManager[Any], opened: Future[BlockingPortal]) -> None:
        async with held, BlockingPortal() as portal:
            opened.set_result(portal)
            await portal.sleep_until_stopped()
