"""What catching up asks of an event log, and what it makes of one that fails."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Protocol, cast, runtime_checkable

from gossipsub.pubsub.signed_message import SignedMessage

logger = logging.getLogger("gossipsub.chorus.catch_up")


@runtime_checkable
class MessageLog(Protocol):
    """A log that gives back the messages it keeps.

    One that drops what is old also has `async kept_since() -> int | None`, as `EventLog` has; one
    that reads many at once faster, `async signed_messages(origins) -> list`.
    """

    async def flush(self) -> None:
        """Return when all that was appended is there to be asked for."""

    async def origins_between(self, start: int, end: int) -> Iterable[bytes]:
        """Origins of the messages whose envelopes are from `start` to before `end`, nanoseconds
        since 1970; the oldest first."""

    async def signed_message(self, origin: bytes) -> SignedMessage | None:
        """The message as its author signed it; None where it is not there."""


class StoredMessages:
    """The messages of a log, or of none. A log that fails is logged, and gives nothing."""

    def __init__(self, log: object) -> None:
        self._log = log if isinstance(log, MessageLog) else None

    @property
    def are_there(self) -> bool:
        """Whether there is a log that gives messages back."""
        return self._log is not None

    async def between(self, start: int, end: int) -> tuple[bytes, ...]:
        """The origins of the messages from `start` to before `end`."""
        if self._log is None:
            return ()
        try:
            await self._log.flush()
            return tuple(await self._log.origins_between(start, end))
        except Exception:
            logger.exception("the event log failed call=origins_between")
            return ()

    async def kept_since(self) -> int | None:
        """When the oldest that is kept was logged, where the log tells that it dropped others."""
        ask = getattr(self._log, "kept_since", None)
        if ask is None:
            return None
        try:
            return cast(int | None, await ask())
        except Exception:
            logger.exception("the event log failed call=kept_since")
            return None

    async def get_all(self, origins: Sequence[bytes]) -> list[SignedMessage | None]:
        """What `get` gives for each; all at once where the log can do so."""
        ask = getattr(self._log, "signed_messages", None)
        if ask is None:
            return [await self.get(origin) for origin in origins]
        try:
            return cast(list[SignedMessage | None], await ask(origins))
        except Exception:
            logger.exception("the event log failed call=signed_messages")
            return []

    async def get(self, origin: bytes) -> SignedMessage | None:
        """None where it is not there, nor among what the log has yet to write."""
        if self._log is None:
            return None
        try:
            signed = await self._log.signed_message(origin)
            if signed is None:
                await self._log.flush()
                signed = await self._log.signed_message(origin)
            return signed
        except Exception:
            logger.exception("the event log failed call=signed_message")
            return None
