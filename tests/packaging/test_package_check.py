"""The comparison behind `make package-check`: nothing lost, nothing added, nothing changed."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("package_check.py")


@pytest.fixture(scope="module")
def check() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def test_the_rooms_move_into_the_package_and_the_rest_stays_outside(check: dict[str, Any]) -> None:
    tracked = {
        "gossipsub/py.typed": b"",
        "wire/rpc.proto": b"proto",
        "conformance/peers/go/main.go": b"go",
        "tests/wire/test_rpc.py": b"test",
        "README.md": b"read",
    }
    assert check["wheel_files"](tracked) == {
        "gossipsub/py.typed": b"",
        "gossipsub/wire/rpc.proto": b"proto",
        "gossipsub/conformance/peers/go/main.go": b"go",
    }


def test_a_missing_a_foreign_and_a_changed_file_are_each_named(check: dict[str, Any]) -> None:
    expected = {"a.py": b"1", "b.py": b"2", "c.py": b"3"}
    found = {"b.py": b"2", "c.py": b"4", "d.py": b"5"}
    assert check["differences"](expected, found) == [
        "missing: a.py",
        "not tracked: d.py",
        "other content: c.py",
    ]
    assert check["differences"](expected, dict(expected)) == []


def test_the_lock_without_its_hashes_keeps_pins_and_markers(check: dict[str, Any]) -> None:
    lock = (
        "# made by a tool\n"
        "anyio==4.16.0 \\\n"
        "    --hash=sha256:aa== \\\n"
        "    --hash=sha256:bb\n"
        "colorama==0.4.6 ; sys_platform == 'win32' \\\n"
        "    --hash=sha256:cc\n"
    )
    assert check["lock_without_hashes"](lock) == (
        "anyio==4.16.0\ncolorama==0.4.6 ; sys_platform == 'win32'\n"
    )
