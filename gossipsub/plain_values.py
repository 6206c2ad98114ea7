"""Any of the library's values as what JSON can say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import islice
from typing import Any

from gossipsub.crypto.peer_id import PeerId

MOST_KEYS = 1100
"""Of one mapping, so that a table that an application filled stays readable."""


def plain(value: object) -> Any:
    """Dataclasses as mappings of their fields, peer ids in base58, other bytes in hexadecimal,
    members of enumerations by name, what is not finite as None, functions by their names, and of
    anything else only its kind: it may hold what must not be shown."""
    if value is None or (isinstance(value, bool | int | str) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, bytes):
        return str(value) if isinstance(value, PeerId) else value.hex()
    if isinstance(value, Enum):
        return value.name.lower()
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        known = {_key(key): plain(each) for key, each in islice(value.items(), MOST_KEYS)}
        if len(value) > MOST_KEYS:
            known["…"] = f"{len(value) - MOST_KEYS} more"
        return known
    if isinstance(value, Sequence | set | frozenset):
        return [plain(each) for each in value]
    name = getattr(value, "__qualname__", None)
    return name if isinstance(name, str) else type(value).__qualname__


def _key(key: object) -> str:
    return key if isinstance(key, str) else str(plain(key))
