"""The work: what is in a file, and the index of a folder that comes of it all."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from gossipsub.chorus.tasks.task import TaskFailed

CHUNK_BYTES = 1 << 20
FREQUENT_WORDS = 5
_WORD = re.compile(rb"[A-Za-z]{3,64}")


def list_files(folder: Path) -> list[str]:
    """Paths below the folder with `/` between their parts, in order; no links, nothing hidden, no
    names that are not Unicode."""
    found: list[str] = []
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(root, name)
            if name.startswith(".") or not path.is_file() or path.is_symlink():
                continue
            below = path.relative_to(folder).as_posix()
            if not any("\ud800" <= character <= "\udfff" for character in below):
                found.append(below)
    return sorted(found)


def index_file(folder: Path, name: object) -> dict[str, Any]:
    """Size, lines, words, SHA-256 and the most frequent words (of ASCII letters) of one file.

    TaskFailed where there is no such file in the folder: the name may come from the network.
    """
    if not isinstance(name, str) or "\0" in name:
        raise TaskFailed("the input is not a path")
    path = folder / name
    try:
        is_within = path.resolve().is_relative_to(folder.resolve())
        if not is_within or not path.is_file():
            raise TaskFailed(f"there is no such file in the folder: {name[:200]}")
        return _index(path)
    except OSError as error:
        raise TaskFailed(f"it cannot be read: {error.strerror}") from error


def _index(path: Path) -> dict[str, Any]:
    digest, lines, words, size = hashlib.sha256(), 0, 0, 0
    frequent: Counter[bytes] = Counter()
    rest = b""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            lines += chunk.count(b"\n")
            # A word that goes on in the next chunk is left for it.
            whole, space, rest = (rest + chunk).rpartition(b" ")
            if len(rest) > CHUNK_BYTES:
                whole, rest = whole + space + rest, b""
            words += len(whole.split())
            frequent.update(_WORD.findall(whole.lower()))
    words += len(rest.split())
    frequent.update(_WORD.findall(rest.lower()))
    ranked = sorted(frequent.items(), key=lambda item: (-item[1], item[0]))[:FREQUENT_WORDS]
    return {
        "bytes": size,
        "lines": lines,
        "words": words,
        "sha256": digest.hexdigest(),
        "frequent": [[word.decode(), count] for word, count in ranked],
    }


def is_index(value: object) -> TypeGuard[dict[str, Any]]:
    """Whether it is what `index_file` returns; it may come from the network."""
    return (
        isinstance(value, dict)
        and all(isinstance(value.get(what), int) for what in ("bytes", "lines", "words"))
        and isinstance(value.get("sha256"), str)
        and isinstance(value.get("frequent"), list)
    )


def merge(files: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The index of a folder from those of its files: totals, and files that are the same."""
    by_hash: dict[str, list[str]] = {}
    for name in sorted(files):
        by_hash.setdefault(str(files[name]["sha256"]), []).append(name)
    return {
        "files": {name: dict(files[name]) for name in sorted(files)},
        "totals": {
            what: sum(int(file[what]) for file in files.values())
            for what in ("bytes", "lines", "words")
        },
        "duplicates": sorted(names for names in by_hash.values() if len(names) > 1),
    }


def index_folder(folder: Path) -> dict[str, Any]:
    """The same by one process alone."""
    return merge({name: index_file(folder, name) for name in list_files(folder)})


def write_index(index: Mapping[str, Any], path: Path) -> None:
    """Whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(f"{json.dumps(index, indent=1)}\n", encoding="utf-8")
    partial.replace(path)
