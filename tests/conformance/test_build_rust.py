from __future__ import annotations

import os
from pathlib import Path

import pytest

from gossipsub.conformance.build import PeerUnavailable
from gossipsub.conformance.build_rust import build_rust_peer, rust_peer_path

FAKE_CARGO = """#!/bin/sh
case "$1" in
--version) echo "cargo {version} (0123abc 2026-01-01)" ;;
metadata) echo '{{"packages": [{{"dependencies": [{{"source": "registry+of-cargo"}}]}}]}}' ;;
build)
    echo "$* $RUSTUP_AUTO_INSTALL ${{RUSTFLAGS-none}}" >> "{log}"
    cat Cargo.lock >> "{log}"
    {build} ;;
esac
"""
CRATES = """version = 4

[[package]]
name = "other"
version = "1.2.3"
checksum = "abcd"

[[package]]
name = "rustpeer"
version = "0.0.0"
dependencies = [
 "other",
]
"""
BUILD = "mkdir -p target/release && cat src/main.rs > target/release/rustpeer"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the pretended cargo is a shell script")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text('[package]\nrust-version = "1.88"\n')
    (folder / "crates.lock").write_text(CRATES)
    (folder / "src" / "main.rs").write_text("fn main() {}\n")
    return folder


@pytest.fixture
def target_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def install_cargo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, version: str = "1.88.0", build: str = BUILD
) -> Path:
    """Put a `cargo` on the PATH that only pretends; returns the log of its builds."""
    log = tmp_path / "builds.log"
    cargo = tmp_path / "bin" / "cargo"
    cargo.parent.mkdir()
    cargo.write_text(FAKE_CARGO.format(version=version, log=log, build=build))
    cargo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{cargo.parent}{os.pathsep}{os.environ['PATH']}")
    return log


def test_a_machine_without_cargo_is_told_so(
    source: Path, target_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(target_dir))
    with pytest.raises(PeerUnavailable) as caught:
        build_rust_peer(source=source, target_dir=target_dir)
    assert str(caught.value) == "the rust peer is not available: there is no `cargo` on the PATH"


@pytest.mark.parametrize("version", ["1.87.9", "0.99.0"])
def test_a_rust_that_is_too_old_is_told_so_and_never_replaced(
    version: str, source: Path, target_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = install_cargo(tmp_path, monkeypatch, version=version)
    with pytest.raises(PeerUnavailable) as caught:
        build_rust_peer(source=source, target_dir=target_dir)
    assert caught.value.reason == (
        f"it needs Rust 1.88, here is: cargo {version} (0123abc 2026-01-01)"
    )
    assert not log.exists()


def test_a_failed_build_says_what_the_compiler_said(
    source: Path, target_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_cargo(tmp_path, monkeypatch, build="echo error: no >&2; exit 1")
    with pytest.raises(PeerUnavailable) as caught:
        build_rust_peer(source=source, target_dir=target_dir)
    assert caught.value.reason == "`cargo build` failed: error: no"


def test_every_crate_is_locked_and_a_binary_is_built_once_for_each_state_of_the_sources(
    source: Path, target_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = install_cargo(tmp_path, monkeypatch)
    monkeypatch.setenv("RUSTFLAGS", "-Copt-level=0")
    monkeypatch.setenv("RUSTUP_AUTO_INSTALL", "1")
    first = rust_peer_path(source=source, target_dir=target_dir)
    assert build_rust_peer(source=source, target_dir=target_dir) == first
    assert build_rust_peer(source=source, target_dir=target_dir) == first
    lock = CRATES.replace("checksum", 'source = "registry+of-cargo"\nchecksum')
    assert log.read_text() == f"build --release --locked --quiet --target-dir target 0 none\n{lock}"
    (source / "src" / "main.rs").write_text("fn main() { }\n")
    second = build_rust_peer(source=source, target_dir=target_dir)
    assert [path.read_text() for path in (first, second)] == ["fn main() {}\n", "fn main() { }\n"]
    left = {path.name for path in target_dir.iterdir() if path.suffix != ".lock"}
    assert left == {first.name, second.name}
    assert {path.name for path in source.iterdir()} == {"Cargo.toml", "crates.lock", "src"}
