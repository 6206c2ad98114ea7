"""What the parts of an agent have in common: opened inside its `ChorusPubSub`, they hear all that
is said there, and run tasks, until they are closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import anyio
from anyio.abc import TaskGroup

from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.wire.errors import LocalProtocolError


class AgentPart(ABC):
    """`async with` it inside the `async with` of `chorus`; it may be opened again afterwards."""

    def __init__(self, chorus: ChorusPubSub) -> None:
        self._chorus = chorus
        self._exit: AsyncExitStack | None = None

    async def __aenter__(self) -> Self:
        if self._exit is not None:
            raise LocalProtocolError("it is open already")
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._exit = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stack, self._exit = self._exit, None
        if stack is not None:
            # Not told of `error`, which would come out of a task group wrapped.
            await stack.__aexit__(None, None, None)

    @abstractmethod
    async def _open(self, stack: AsyncExitStack) -> None:
        """Begin; what is pushed on `stack` is undone at the end, the last first."""

    @abstractmethod
    def _observe(self, delivery: Delivery) -> None:
        """Hear one message."""

    async def _start_tasks(self, stack: AsyncExitStack) -> TaskGroup:
        """Tasks that are cancelled and waited for at the end."""
        tasks = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(tasks.cancel_scope.cancel)
        return tasks

    def _start_observing(self, stack: AsyncExitStack) -> None:
        self._chorus.add_observer(self._observe)
        stack.callback(self._chorus.remove_observer, self._observe)

    def _require_open(self) -> None:
        if self._exit is None:
            kind = type(self).__name__
            raise LocalProtocolError(f"open it first: async with {kind}(…)")
