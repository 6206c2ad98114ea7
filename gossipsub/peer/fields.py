"""The fields of a command, checked as they are read."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import GossipSubError

MAX_NUMBER = 2**63 - 1


class BadCommand(GossipSubError):
    """A command that cannot be carried out; says which field is wrong."""


class Fields:
    """What came with a command. Every method raises BadCommand for a field it cannot use."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        value = self._need(name)
        if not isinstance(value, str):
            raise BadCommand(f"{name}: must be a text: {value!r}")
        return value

    def data(self, name: str, *, default: bytes | None = None) -> bytes:
        """Bytes that came as base64."""
        if default is not None and self._values.get(name) is None:
            return default
        try:
            return base64.b64decode(self.text(name), validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadCommand(f"{name}: not base64: {error}") from error

    def peer(self, name: str) -> PeerId:
        return PeerId.parse(self.text(name))

    def whole(
        self, name: str, *, least: int = 0, most: int = MAX_NUMBER, default: int | None = None
    ) -> int:
        value = self._number(name, least, most, default)
        if not isinstance(value, int):
            raise BadCommand(f"{name}: must be a whole number: {value!r}")
        return value

    def number(self, name: str, *, default: float | None = None) -> float:
        """Not negative."""
        return float(self._number(name, 0, MAX_NUMBER, default))

    def signed(self, name: str) -> float:
        """A number of either sign."""
        return float(self._number(name, -MAX_NUMBER, MAX_NUMBER, None))

    def _number(self, name: str, least: int, most: int, default: float | None) -> float:
        if default is not None and self._values.get(name) is None:
            return default
        value = self._need(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise BadCommand(f"{name}: must be a number: {value!r}")
        if value < least:
            what = "must not be negative" if value < 0 <= least else f"must be at least {least}"
            raise BadCommand(f"{name}: {what}")
        if not value <= most:  # NaN, too
            raise BadCommand(f"{name}: must be at most {most}")
        return value

    def _need(self, name: str) -> Any:
        value = self._values.get(name)
        if value is None:
            raise BadCommand(f"{name}: missing")
        return value
