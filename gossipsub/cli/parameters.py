"""`--param NAME=VALUE`: single fields of `GossipParams` and `HostConfig`, by name."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import gossipsub

if TYPE_CHECKING:
    from gossipsub.config import HostConfig
    from gossipsub.router.params import GossipParams

_SIMPLE = {"int": int, "float": float, "bool": bool, "float | None": float, "int | None": int}
"""Types that one word can be a value of."""


def parameter(text: str) -> tuple[str, str]:
    """NAME=VALUE, split."""
    name, is_pair, value = text.partition("=")
    if not (name and is_pair):
        raise argparse.ArgumentTypeError(f"not NAME=VALUE: {text!r}")
    return name, value


def apply(given: Sequence[tuple[str, str]]) -> tuple[GossipParams, HostConfig]:
    """The defaults with these changes made, all at once so that their order does not matter.

    ValueError for an unknown name, a value of another type, or values that do not go together.
    """
    params, config = gossipsub.GossipParams(), gossipsub.HostConfig()
    types = {**_types(params), **_types(config)}
    of_config = _types(config)
    changes: dict[str, Any] = {}
    for name, text in given:
        if name not in types:
            near = get_close_matches(name, types, n=1)
            raise ValueError(
                f"no such parameter: {name}" + (f" (did you mean {near[0]}?)" if near else "")
            )
        changes[name] = _value(name, types[name], text)
    ours = {name: value for name, value in changes.items() if name not in of_config}
    theirs = {name: value for name, value in changes.items() if name in of_config}
    try:
        return _changed(params, ours), replace(config, **theirs)
    except gossipsub.LocalProtocolError as error:
        raise ValueError(str(error)) from error


def _types(of: Any, prefix: str = "") -> dict[str, str]:
    """Fields that can be given, in this object and those in it: dotted name to type."""
    found: dict[str, str] = {}
    for field in fields(of):
        value = getattr(of, field.name)
        if is_dataclass(value):
            found |= _types(value, f"{prefix}{field.name}.")
        elif str(field.type) in _SIMPLE:
            found[prefix + field.name] = str(field.type)
    return found


def _changed(of: Any, changes: Mapping[str, Any]) -> Any:
    here = {name: value for name, value in changes.items() if "." not in name}
    for part in dict.fromkeys(name.partition(".")[0] for name in changes if "." in name):
        below = {
            name.removeprefix(f"{part}."): value
            for name, value in changes.items()
            if name.startswith(f"{part}.")
        }
        here[part] = _changed(getattr(of, part), below)
    return replace(of, **here)


def _value(name: str, kind: str, text: str) -> Any:
    simple = _SIMPLE[kind]
    if text == "none" and kind.endswith("None"):
        return None
    if simple is bool:
        if text in ("true", "false"):
            return text == "true"
        raise ValueError(f"{name}: true or false, not {text!r}")
    try:
        value = simple(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        wanted = "a whole number" if simple is int else "a number"
        raise ValueError(f"{name}: {wanted}, not {text!r}")
    return value
