"""Whether the values of a parameter class are of the kinds its annotations name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

_NAMES = {bool: "True or False", int: "a whole number", float: "a number", NoneType: "None"}


def require_kinds(owner: object) -> None:
    """ValueError for the first field that holds something else than its annotation says.

    A float may be given as int; a bool is no number; of a mapping or tuple every
    entry counts; of a function only that it can be called.
    """
    described: Any = type(owner)
    for name, kind in _kinds(described).items():
        value = getattr(owner, name)
        if not _is_of(value, kind):
            raise ValueError(f"{name} must be {_name(kind)}: {value!r}")


@cache
def _kinds(described: type[Any]) -> dict[str, Any]:
    return get_type_hints(described)


def _is_of(value: object, kind: Any) -> bool:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Union or origin is UnionType:
        return any(_is_of(value, each) for each in inner)
    if origin is Callable:
        return callable(value)
    if origin is Mapping:
        of_key, of_value = inner
        return isinstance(value, Mapping) and all(
            _is_of(key, of_key) and _is_of(each, of_value) for key, each in value.items()
        )
    if origin is tuple:
        return isinstance(value, tuple) and all(_is_of(each, inner[0]) for each in value)
    if kind is float or kind is int:
        is_number = isinstance(value, int) or (kind is float and isinstance(value, float))
        return is_number and not isinstance(value, bool)
    return isinstance(value, kind)


def _name(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Callable:
        return "a function"
    inner = [_name(each) for each in get_args(kind) if each is not ...]
    if origin is Union or origin is UnionType:
        return " or ".join(inner)
    if origin is Mapping:
        return f"a mapping of {inner[0]} to {inner[1]}"
    if origin is tuple:
        return f"a tuple of {inner[0]}"
    return _NAMES.get(kind) or str(kind.__name__)
