"""Builds the rust-libp2p peer with cargo, once for each state of its sources.

`crates.lock` beside its manifest is a Cargo.lock without the addresses of the registry: every crate
with its version and checksum. Cargo itself knows the address, so that a build gets exactly these.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

from gossipsub.conformance.build import (
    PEERS,
    PeerUnavailable,
    build_dir,
    build_lock,
    run_tool,
    sources_hash,
)

SOURCE = PEERS / "rust"

_SOURCES = ("Cargo.toml", "crates.lock", "src/*.rs")
_BUILD = ("build", "--release", "--locked", "--quiet")
_SUFFIX = ".exe" if sys.platform == "win32" else ""
_NOT_FOR_US = ("CARGO_BUILD_TARGET", "CARGO_TARGET_DIR", "RUSTFLAGS")


def rust_peer_path(*, source: Path = SOURCE, target_dir: Path | None = None) -> Path:
    """Where the peer's binary is, or would be."""
    folder = build_dir() if target_dir is None else target_dir
    return folder / f"rustpeer-{sources_hash(source, _SOURCES, _BUILD)}{_SUFFIX}"


def has_rust_peer() -> bool:
    """Whether it is there already."""
    return rust_peer_path().is_file()


def build_rust_peer(*, source: Path = SOURCE, target_dir: Path | None = None) -> Path:
    """Path of the peer's binary, built if it is not there yet (blocks).

    A cold build takes two and a half minutes of CPU time, and 400 MB of disk meanwhile.

    PeerUnavailable when cargo is missing, older than the manifest's `rust-version`, or cannot build
    it (for example because the crates are neither cached nor to be downloaded).
    """
    binary = rust_peer_path(source=source, target_dir=target_dir)
    if binary.is_file():
        return binary
    cargo = shutil.which("cargo")
    if cargo is None:
        raise PeerUnavailable("rust", "there is no `cargo` on the PATH")
    # Built in a copy, since cargo writes beside the manifest and the sources may be read-only. What
    # an interrupted build left there is gone on with.
    workshop = binary.with_name(f"unfinished-{binary.name}")
    with build_lock(binary.with_name(f"{binary.name}.lock")):
        if not binary.is_file():
            shutil.copytree(source / "src", workshop / "src", dirs_exist_ok=True)
            shutil.copyfile(source / "Cargo.toml", workshop / "Cargo.toml")
            _check_version(cargo, workshop)
            lock = _with_addresses((source / "crates.lock").read_text(), cargo, workshop)
            (workshop / "Cargo.lock").write_text(lock)
            _run_cargo([cargo, *_BUILD, "--target-dir", "target"], workshop)
            (workshop / "target" / "release" / f"rustpeer{_SUFFIX}").replace(binary)
            shutil.rmtree(workshop)
    return binary


def _check_version(cargo: str, workshop: Path) -> None:
    wanted = re.search(
        r'^rust-version = "(\d+)\.(\d+)"$', (workshop / "Cargo.toml").read_text(), re.MULTILINE
    )
    found = _run_cargo([cargo, "--version"], workshop)
    version = re.search(r"(\d+)\.(\d+)", found)
    if wanted is None or version is None:
        raise PeerUnavailable("rust", f"no version in Cargo.toml or in {found.strip()!r}")
    if (int(version[1]), int(version[2])) < (int(wanted[1]), int(wanted[2])):
        needed = f"{wanted[1]}.{wanted[2]}"
        raise PeerUnavailable("rust", f"it needs Rust {needed}, here is: {found.strip()}")


def _with_addresses(crates: str, cargo: str, workshop: Path) -> str:
    """The text of a Cargo.lock. Only crates of the registry have a checksum."""
    told = _run_cargo([cargo, "metadata", "--no-deps", "--format-version=1"], workshop)
    source = json.loads(told)["packages"][0]["dependencies"][0]["source"]
    return re.sub(r"^checksum = ", rf'source = "{source}"\n\g<0>', crates, flags=re.MULTILINE)


def _run_cargo(command: list[str], folder: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_US}
    # Never download another Rust.
    return run_tool("rust", command, folder, environment | {"RUSTUP_AUTO_INSTALL": "0"})
