"""How a host opens and ends: once, and whole, whatever happens meanwhile."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType

import anyio

from gossipsub.node import Node
from gossipsub.settings import HostSettings
from gossipsub.wire.errors import LocalProtocolError


class HostLife:
    """Owns the node while the host is open."""

    def __init__(self, settings: HostSettings) -> None:
        self._settings = settings
        self._node: Node | None = None
        self._exit: AsyncExitStack | None = None
        self._was_opened = False

    async def _open(self) -> None:
        if self._was_opened:
            raise LocalProtocolError("a host is opened once; make another")
        self._was_opened = True
        async with AsyncExitStack() as stack:
            self._node = await Node.open(self._settings, stack)
            self._exit = stack.pop_all()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self._exit is None or self._node is None:
            return None
        stack, self._exit = self._exit, None
        try:
            with anyio.CancelScope(shield=True):
                await self._node.say_goodbye()
        except BaseException as interruption:  # asyncio's own way to cancel knows no shield
            await self._stop(stack, interruption)
            raise
        return await self._stop(stack, error)

    async def _stop(self, stack: AsyncExitStack, error: BaseException | None) -> bool | None:
        """End all tasks, close the sockets; True when `error` was these tasks' cancellation."""
        if self._node is not None:
            self._node.tasks.cancel_scope.cancel()
        if error is not None and not _is_cancellation(error):
            error = None  # the application's own: it must not come out of here as part of a group
        try:
            return await stack.__aexit__(type(error) if error else None, error, None)
        except BaseExceptionGroup as group:
            if group.subgroup(KeyboardInterrupt) is None:
                raise
        # Ctrl-C while one of our tasks ran, where trio raises it: the application is not to care.
        raise KeyboardInterrupt

    def _running(self) -> Node:
        if self._exit is None and self._was_opened:
            raise LocalProtocolError("the host is closed")
        if self._exit is None or self._node is None:
            raise LocalProtocolError("open the host first: async with Host(…) as host")
        return self._node


def _is_cancellation(error: BaseException) -> bool:
    cancelled = anyio.get_cancelled_exc_class()
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(cancelled) is not None
    return isinstance(error, cancelled)
