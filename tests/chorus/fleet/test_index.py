from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from gossipsub.chorus.fleet.index import (
    CHUNK_BYTES,
    index_file,
    index_folder,
    is_index,
    list_files,
    write_index,
)
from gossipsub.chorus.tasks.task import TaskFailed


def test_a_folder_is_listed_without_links_and_hidden_files(tmp_path: Path) -> None:
    for name in ("b.txt", ".hidden", "sub/a.txt", ".git/config", "sub/.x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "b.txt")
    (tmp_path / os.fsdecode(b"not-utf-8-\xff")).write_text("x")
    assert list_files(tmp_path) == ["b.txt", "sub/a.txt"]


def test_what_is_no_index_is_told_from_one(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    assert is_index(index_file(tmp_path, "a"))
    for value in (None, {}, {"bytes": "1"}, {**index_file(tmp_path, "a"), "sha256": None}):
        assert not is_index(value)


def test_an_index_has_totals_frequent_words_and_duplicates(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("The cat and the dog.\nthe end\n")
    (tmp_path / "b").write_text("same")
    (tmp_path / "c").write_text("same")
    index = index_folder(tmp_path)
    assert index["files"]["a"] == {
        "bytes": 29,
        "lines": 2,
        "words": 7,
        "sha256": hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest(),
        "frequent": [["the", 3], ["and", 1], ["cat", 1], ["dog", 1], ["end", 1]],
    }
    assert index["totals"] == {"bytes": 37, "lines": 2, "words": 9}
    assert index["duplicates"] == [["b", "c"]]


def test_words_across_chunks_are_counted_once(tmp_path: Path) -> None:
    text = b"abcd " * (CHUNK_BYTES // 5 + 3)
    (tmp_path / "large").write_bytes(text)
    index = index_file(tmp_path, "large")
    assert (index["words"], index["frequent"]) == (len(text) // 5, [["abcd", len(text) // 5]])


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "none", "sub", "a\0b", 7, None])
def test_what_is_no_file_of_the_folder_fails(tmp_path: Path, name: object) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    with pytest.raises(TaskFailed):
        index_file(folder, name)


def test_an_index_is_written_whole(tmp_path: Path) -> None:
    write_index({"files": {}}, tmp_path / "index.json")
    assert json.loads((tmp_path / "index.json").read_text()) == {"files": {}}
    assert [path.name for path in tmp_path.iterdir()] == ["index.json"]
