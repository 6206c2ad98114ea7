"""The repository stands alone: no address of a package index, no path of one machine."""

from __future__ import annotations

import re
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]

INDEX_HOSTS = re.compile(
    r"\b(?:pypi\.org|pythonhosted\.org|registry\.npmjs\.org|registry\.yarnpkg\.com"
    r"|(?:proxy|sum)\.golang\.org|(?:static|index)\.crates\.io|crates\.io-index)\b"
)
ADDRESS = re.compile(r"https?://|git\+|file://")
LOCK_FILES = re.compile(r"[.-]lock\b|(?:^|/)(?:requirements[^/]*|\.npmrc|pip\.conf|go\.sum)$")


@cache
def tracked_texts() -> Mapping[str, str]:
    """Every tracked text file; the test is skipped where there is no git to ask."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    texts = {}
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            if b"\0" not in content:
                texts[name] = content.decode("utf-8", errors="replace")
    return texts


def places(pattern: re.Pattern[str], texts: Mapping[str, str]) -> Iterator[str]:
    for name, text in texts.items():
        for match in pattern.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{name}:{line}: {match.group()}"


def machine_paths(root: Path, home: Path) -> re.Pattern[str]:
    """Paths that exist on this machine only: the home and what lies around the checkout.

    Folders that every machine has tell nothing, and documents may name them.
    """
    everywhere = {Path("/"), Path("/tmp"), Path("/home"), Path(tempfile.gettempdir())}
    folders = [str(folder) for folder in (root, root.parent, home) if folder not in everywhere]
    return re.compile("|".join(re.escape(folder) + "/" for folder in folders) or r"(?!)")


def test_no_tracked_file_names_a_package_index() -> None:
    assert list(places(INDEX_HOSTS, tracked_texts())) == []


def test_no_lock_or_index_setting_holds_an_address() -> None:
    locks = {name: text for name, text in tracked_texts().items() if LOCK_FILES.search(name)}
    assert "requirements.lock" in locks
    assert list(places(ADDRESS, locks)) == []


def test_no_tracked_file_holds_a_path_of_this_machine() -> None:
    assert list(places(machine_paths(ROOT, Path.home()), tracked_texts())) == []


def test_a_planted_address_and_a_planted_path_are_found() -> None:
    host = "registry." + "npmjs.org"
    texts = {"a.txt": f"one\n{host}/x\n", "b.lock": "url = https" + "://host\n"}
    assert list(places(INDEX_HOSTS, texts)) == [f"a.txt:2: {host}"]
    assert list(places(ADDRESS, texts)) == ["b.lock:1: https" + "://"]

    paths = machine_paths(Path("/srv/code/checkout"), Path("/home/ann"))
    planted = {"c.md": "see /srv/code/other/x", "d.md": "key in /home/ann/.key", "e.md": "/tmp/x"}
    assert list(places(paths, planted)) == ["c.md:1: /srv/code/", "d.md:1: /home/ann/"]
    assert list(places(machine_paths(Path("/tmp"), Path("/")), planted)) == []


# The lock


def locked() -> dict[str, tuple[str, int]]:
    """Each pinned requirement with its version and the number of its hashes."""
    pins: dict[str, tuple[str, int]] = {}
    name = ""
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if pin := re.match(r"([\w.-]+)==([^\s;]+)", line):
            name = canonicalize_name(pin[1])
            pins[name] = (pin[2], 0)
        elif line.strip().startswith("--hash=sha256:"):
            version, hashes = pins[name]
            pins[name] = (version, hashes + 1)
    return pins


def test_the_lock_holds_each_requirement_in_a_version_it_allows_and_with_hashes() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    pins = locked()
    for text in [*project["dependencies"], *extras["dev"], *extras["cli"]]:
        requirement = Requirement(text)
        version, _ = pins.get(canonicalize_name(requirement.name), (None, 0))
        assert version, f"{requirement.name} is not in requirements.lock: make lock"
        assert requirement.specifier.contains(version), f"{text} but {version} locked: make lock"
    assert [name for name, (_, hashes) in pins.items() if not hashes] == []
