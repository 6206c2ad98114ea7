"""Access rules as people write them down: a TOML or JSON file, or the same as a mapping."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from gossipsub.chorus.access_rule import AccessGroup, AccessRule
from gossipsub.wire.errors import LocalProtocolError

_Made = TypeVar("_Made", AccessRule, AccessGroup)

_KEYS = ("default", "roles_must_be_granted", "roles", "groups", "rules")
_RULE_KEYS = tuple(field.name for field in fields(AccessRule))
_GROUP_KEYS = tuple(field.name for field in fields(AccessGroup))


def read_file(path: str | os.PathLike[str]) -> object:
    """What a `.toml` or `.json` file says; LocalProtocolError where it cannot be read. Blocks."""
    file = Path(path)
    if file.suffix not in (".toml", ".json"):
        raise LocalProtocolError("the name of the file ends in .toml or .json")
    try:
        text = file.read_text(encoding="utf-8")
        return tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise LocalProtocolError(f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise LocalProtocolError(f"not {file.suffix[1:].upper()}: {error}") from error


def arguments_of(data: object) -> tuple[list[AccessRule], dict[str, Any]]:
    """The rules, and the other arguments of AccessRules; LocalProtocolError says where `data` is
    wrong."""
    top = _mapping("the file", data, _KEYS)
    if "default" not in top:
        raise LocalProtocolError("default is missing: 'allow' or 'deny'")
    must = top.get("roles_must_be_granted", False)
    if not isinstance(must, bool):
        raise LocalProtocolError(f"roles_must_be_granted is true or false: {must!r}")
    listed = top.get("rules", [])
    if not isinstance(listed, list):
        raise LocalProtocolError(f"rules is a list: {listed!r}"[:200])
    rules: list[AccessRule] = []
    for number, rule in enumerate(listed, 1):
        given = _mapping(f"rule {number}", rule, _RULE_KEYS)
        if "access" not in given:
            raise LocalProtocolError(f"rule {number}: access is missing: 'allow' or 'deny'")
        rules.append(_made(AccessRule, f"rule {number}", given))
    groups = {
        name: _made(
            AccessGroup, f"groups[{name!r}]", _mapping(f"groups[{name!r}]", group, _GROUP_KEYS)
        )
        for name, group in _mapping("groups", top.get("groups", {})).items()
    }
    return rules, {
        "default": top["default"],
        "roles": _mapping("roles", top.get("roles", {})),
        "groups": groups,
        "roles_must_be_granted": must,
    }


def _mapping(where: str, value: object, keys: tuple[str, ...] | None = None) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise LocalProtocolError(f"{where} is a table of names: {value!r}"[:200])
    for key in value:
        if keys is not None and key not in keys:
            raise LocalProtocolError(f"{where}: no such key: {key!r}; there are {', '.join(keys)}")
    return value


def _made(kind: type[_Made], where: str, given: Mapping[str, Any]) -> _Made:
    try:
        return kind(**given)
    except LocalProtocolError as error:
        raise LocalProtocolError(f"{where}: {error}") from error
