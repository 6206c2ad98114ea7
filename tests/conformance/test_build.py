from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from gossipsub.conformance import build
from gossipsub.conformance.build import PeerUnavailable, build_go_peer, go_version

FAKE_GO = """#!/bin/sh
case "$1" in
version) echo go version go{version} linux/amd64 ;;
build) echo "$GOTOOLCHAIN $CGO_ENABLED $GOFLAGS" >> "{log}"; {build} ;;
esac
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "go.mod").write_text("module peer\n\ngo 1.26.6\n")
    (folder / "main.go").write_text("package main\n")
    return folder


@pytest.fixture
def target_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


def install_go(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    version: str = "1.26.6",
    script: str = 'while [ "$1" != -o ]; do shift; done; sleep 0.2; echo built > "$2"',
) -> Path:
    """Put a `go` on the PATH that only pretends; returns the log of its builds."""
    log = tmp_path / "builds.log"
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(FAKE_GO.format(version=version, log=log, build=script))
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}{os.pathsep}{os.environ['PATH']}")
    return log


posix_only = pytest.mark.skipif(os.name != "posix", reason="the pretended Go is a shell script")


def test_a_machine_without_go_is_told_so(
    source: Path, target_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(target_dir))
    with pytest.raises(PeerUnavailable) as caught:
        build_go_peer(source=source, target_dir=target_dir)
    assert str(caught.value) == "the go peer is not available: there is no `go` on the PATH"


@posix_only
def test_a_go_that_is_too_old_is_told_so_and_never_replaced(
    source: Path, target_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = install_go(tmp_path, monkeypatch, version="1.26.5")
    with pytest.raises(PeerUnavailable) as caught:
        build_go_peer(source=source, target_dir=target_dir)
    assert caught.value.reason == "it needs Go 1.26.6, here is: go version go1.26.5 linux/amd64"
    assert not log.exists()


@posix_only
def test_a_failed_build_says_what_the_compiler_said(
    source: Path, target_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_go(tmp_path, monkeypatch, script="echo main.go:1: no >&2; exit 1")
    with pytest.raises(PeerUnavailable) as caught:
        build_go_peer(source=source, target_dir=target_dir)
    assert caught.value.reason == "`go build` failed: main.go:1: no"


@posix_only
def test_a_binary_is_built_once_for_each_state_of_the_sources(
    source: Path, target_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = install_go(tmp_path, monkeypatch)
    first = build_go_peer(source=source, target_dir=target_dir)
    assert build_go_peer(source=source, target_dir=target_dir) == first
    assert log.read_text() == "local 0 -mod=readonly\n"
    (source / "main.go").write_text("package main\n\nfunc main() {}\n")
    second = build_go_peer(source=source, target_dir=target_dir)
    assert second != first
    assert [path.read_text() for path in (first, second)] == ["built\n", "built\n"]


@posix_only
def test_builds_at_the_same_time_do_the_work_once(
    source: Path, target_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = install_go(tmp_path, monkeypatch)
    built: list[Path] = []
    threads = [
        threading.Thread(
            target=lambda: built.append(build_go_peer(source=source, target_dir=target_dir))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 4
    assert len(set(built)) == 1
    assert log.read_text() == "local 0 -mod=readonly\n"


def test_a_lock_that_nobody_lets_go_of_ends_the_wait(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with (
        build.build_lock(lock),
        pytest.raises(TimeoutError, match="another process holds"),
        build.build_lock(lock, timeout=0),
    ):
        pass
    with build.build_lock(lock, timeout=0):
        pass


def test_the_hash_changes_with_a_name_a_file_and_the_recipe(source: Path) -> None:
    patterns = ("go.mod", "*.go")
    hashes = [build.sources_hash(source, patterns), build.sources_hash(source, patterns, ["-s"])]
    (source / "main.go").rename(source / "other.go")
    hashes.append(build.sources_hash(source, patterns))
    (source / "other.go").write_text("package other\n")
    hashes.append(build.sources_hash(source, patterns))
    (source / "README").write_text("not a source\n")
    assert len(set(hashes)) == 4
    assert build.sources_hash(source, patterns) == hashes[-1]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 darwin/arm64", (1, 27, 0)),
        ("go version devel go1.28-abcdef linux/amd64", (1, 28, 0)),
        ("1.26.6", (1, 26, 6)),
    ],
)
def test_a_go_version_is_read(text: str, version: tuple[int, int, int]) -> None:
    assert go_version(text) == version


def test_both_go_programs_have_the_same_versions() -> None:
    for name in ("go.mod", "go.sum"):
        peer, node = (build.PEERS / folder / name for folder in ("go", "go_interop"))
        lines = [file.read_text().splitlines() for file in (peer, node)]
        assert [line for line in lines[0] if not line.startswith("module ")] == [
            line for line in lines[1] if not line.startswith("module ")
        ]


@posix_only
def test_a_variant_is_built_of_all_sources_with_its_own_in_front(
    source: Path, target_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variant = tmp_path / "variant"
    variant.mkdir()
    (variant / "go.mod").write_text("module peer\n\ngo 1.20\n")
    (variant / "more.go").write_text("// more\n")
    script = 'while [ "$1" != -o ]; do shift; done; cat go.mod *.go > "$2"'
    install_go(tmp_path, monkeypatch, version="1.21", script=script)
    built = build_go_peer(source=source, variant=variant, target_dir=target_dir)
    assert built.read_text() == "module peer\n\ngo 1.20\npackage main\n// more\n"
    (source / "main.go").write_text("package main\n\nfunc main() {}\n")
    assert build_go_peer(source=source, variant=variant, target_dir=target_dir) != built
    with pytest.raises(PeerUnavailable, match=r"it needs Go 1\.26\.6"):
        build_go_peer(source=source, target_dir=target_dir)
