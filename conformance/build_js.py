"""Installs what the js-libp2p peer needs, once for each state of its sources.

The versions and hashes are those of `package-lock.json`. Node comes from a package of it where the
system has none that is new enough.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from gossipsub.conformance.build import (
    PEERS,
    PeerUnavailable,
    build_dir,
    build_lock,
    run_tool,
    sources_hash,
)

SOURCE = PEERS / "js"

OLDEST_NODE = 22
"""Major version that the libraries need."""

_SOURCES = ("package.json", "package-lock.json", "*.mjs")
_INSTALL = ("ci", "--no-audit", "--no-fund", "--ignore-scripts")


def js_peer_dir(*, source: Path = SOURCE, target_dir: Path | None = None) -> Path:
    """Where the peer with its packages is, or would be."""
    folder = build_dir() if target_dir is None else target_dir
    return folder / f"jspeer-{sources_hash(source, _SOURCES, _INSTALL)}"


def has_js_peer() -> bool:
    """Whether it is there already."""
    return (js_peer_dir() / "complete").is_file()


def build_js_peer(*, source: Path = SOURCE, target_dir: Path | None = None) -> list[str]:
    """The command that runs the peer; its packages are installed if they are not yet (blocks).

    PeerUnavailable where npm is missing or cannot install them (for example because they are
    neither cached nor to be downloaded), or there is no Node for them.
    """
    folder = js_peer_dir(source=source, target_dir=target_dir)
    if not (folder / "complete").is_file():
        with build_lock(folder.with_name(f"{folder.name}.lock")):
            if not (folder / "complete").is_file():
                _install(source, folder)
    return [_find_node(folder), str(folder / "peer.mjs")]


def _install(source: Path, folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise PeerUnavailable("js", "there is no `npm` on the PATH")
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted build left
    folder.mkdir()
    for pattern in _SOURCES:
        for file in source.glob(pattern):
            shutil.copy(file, folder)
    run_tool("js", [npm, *_INSTALL], folder, os.environ)
    _find_node(folder)
    (folder / "complete").touch()


def _find_node(folder: Path) -> str:
    """A package's where there is one for this system; else the system's own."""
    for packaged in folder.glob("node_modules/node-*/bin/node"):
        return str(packaged)
    node = shutil.which("node")
    if node is None:
        raise PeerUnavailable("js", "there is no `node` on the PATH, nor a package for this system")
    found = run_tool("js", [node, "--version"], folder, os.environ).strip()
    match = re.match(r"v(\d+)\.", found)
    if match is None or int(match[1]) < OLDEST_NODE:
        raise PeerUnavailable("js", f"it needs Node {OLDEST_NODE} or newer, here is {found}")
    return node
