"""An async iterator over what comes in pages; whoever stops in the middle leaves nothing behind,
as an async generator might."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Self, TypeVar

T = TypeVar("T")


class Pages(AsyncIterator[T]):
    """`fetch` gives the next page, which may be empty, or None when there are no more."""

    def __init__(self, fetch: Callable[[], Awaitable[Iterable[T] | None]]) -> None:
        self._fetch = fetch
        self._page: deque[T] = deque()
        self._has_ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._page:
            page = None if self._has_ended else await self._fetch()
            if page is None:
                self._has_ended = True
                raise StopAsyncIteration
            self._page.extend(page)
        return self._page.popleft()
