from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gossipsub.conformance.build import PeerUnavailable
from gossipsub.conformance.build_js import SOURCE, build_js_peer, js_peer_dir

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="npm is played by a script")

NPM_CI = 'mkdir -p node_modules/node-here/bin && touch node_modules/node-here/bin/node "ran $*"'

Tool = Callable[[str, str], Path]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """Puts a script of this name on the PATH, where but for it only the shell's own tools are."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("mkdir", "touch"):
        (folder / name).symlink_to(shutil.which(name) or "")
    monkeypatch.setenv("PATH", str(folder))

    def make(name: str, script: str) -> Path:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
        return folder / name

    return make


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("package.json", "package-lock.json", "peer.mjs"):
        (folder / name).write_text("{}")
    return folder


def test_packages_are_installed_once_for_each_state_of_the_sources(
    source: Path, tmp_path: Path, tool: Tool
) -> None:
    npm = tool("npm", NPM_CI)
    folder = js_peer_dir(source=source, target_dir=tmp_path)
    node, program = build_js_peer(source=source, target_dir=tmp_path)
    assert node == str(folder / "node_modules/node-here/bin/node")
    assert Path(program).read_text() == "{}"
    assert (folder / "ran ci --no-audit --no-fund --ignore-scripts").exists()
    npm.unlink()
    assert build_js_peer(source=source, target_dir=tmp_path) == [node, program]
    (source / "peer.mjs").write_text("// changed")
    assert js_peer_dir(source=source, target_dir=tmp_path) != folder


def test_what_an_interrupted_build_left_is_made_anew(
    source: Path, tmp_path: Path, tool: Tool
) -> None:
    tool("npm", NPM_CI)
    left = js_peer_dir(source=source, target_dir=tmp_path)
    left.mkdir()
    (left / "half").touch()
    build_js_peer(source=source, target_dir=tmp_path)
    assert not (left / "half").exists()


def test_without_npm_or_packages_the_reason_is_told(
    source: Path, tmp_path: Path, tool: Tool
) -> None:
    with pytest.raises(PeerUnavailable) as caught:
        build_js_peer(source=source, target_dir=tmp_path)
    assert caught.value.reason == "there is no `npm` on the PATH"
    tool("npm", "echo no such package >&2; exit 1")
    for _ in range(2):  # nothing half done is taken for a whole one the next time
        with pytest.raises(PeerUnavailable) as caught:
            build_js_peer(source=source, target_dir=tmp_path)
        assert caught.value.reason == "`npm ci` failed: no such package"


def test_where_no_package_brings_node_the_systems_own_must_be_new_enough(
    source: Path, tmp_path: Path, tool: Tool
) -> None:
    tool("npm", "true")
    with pytest.raises(PeerUnavailable, match="there is no `node` on the PATH, nor a package"):
        build_js_peer(source=source, target_dir=tmp_path)
    tool("node", "echo v20.1.0")
    with pytest.raises(PeerUnavailable, match=r"it needs Node 22 or newer, here is v20\.1\.0"):
        build_js_peer(source=source, target_dir=tmp_path)
    node = tool("node", "echo v24.0.1")
    assert build_js_peer(source=source, target_dir=tmp_path)[0] == os.fspath(node)


def test_the_lock_file_has_a_hash_for_everything_and_names_no_host() -> None:
    text = (SOURCE / "package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    root = packages.pop("")
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    pinned = json.loads((SOURCE / "package.json").read_text())
    for kind in ("dependencies", "optionalDependencies"):
        assert root[kind] == pinned[kind]
        for name, version in pinned[kind].items():
            assert packages[f"node_modules/{name}"]["version"] == version
