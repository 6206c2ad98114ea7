"""Questions to the application: it must not bring the router down by its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec

Asked = ParamSpec("Asked")


class Callbacks:
    """Asks, and counts how often the application failed to answer."""

    def __init__(self) -> None:
        self.failures = 0

    def allow(
        self, function: Callable[Asked, bool], *args: Asked.args, **kwargs: Asked.kwargs
    ) -> bool:
        """The answer; False where there is an exception instead."""
        try:
            return bool(function(*args, **kwargs))
        except Exception:
            self.failures += 1
            return False
