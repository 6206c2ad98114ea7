"""Builds the test peers that need a compiler, once for each state of their sources.

A peer's binary is named after a hash of its sources and recipe and kept beside the checkout in
the git-ignored `.build/`, or in the user's cache when the package was installed from a wheel.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from gossipsub.wire.errors import GossipSubError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

PEERS = Path(__file__).resolve().parent / "peers"
"""Where the peers' sources lie, one folder an implementation."""

BUILD_TIMEOUT = 900.0
"""Seconds a build may take; a cold one was measured at 45 to 120."""

_GO_SOURCES = ("go.mod", "go.sum", "*.go")
_GO_BUILD = ("build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w")
_REASON_CHARACTERS = 2000


class PeerUnavailable(GossipSubError):
    """A test peer cannot be had on this machine; `reason` says what is missing."""

    def __init__(self, peer: str, reason: str) -> None:
        super().__init__(f"the {peer} peer is not available: {reason}")
        self.peer = peer
        self.reason = reason


def build_dir() -> Path:
    """The folder for built peers, made if need be."""
    top = PEERS.parent.parent
    folder = top / ".build" if (top / "pyproject.toml").is_file() else _user_cache() / "peers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _user_cache() -> Path:
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        if os.environ.get(variable):
            return Path(os.environ[variable]) / "gossipsub"
    return Path.home() / ".cache" / "gossipsub"


def sources_hash(folder: Path, patterns: Sequence[str], recipe: Sequence[str] = ()) -> str:
    """16 hex digits that change with any file matched in `folder`, its name, or the recipe."""
    digest = hashlib.sha256()
    for part in recipe:
        digest.update(f"{len(part)}:{part}".encode())
    for file in sorted({file for pattern in patterns for file in folder.glob(pattern)}):
        body = file.read_bytes()
        digest.update(f"{file.name}:{len(body)}:".encode())
        digest.update(body)
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def build_lock(path: Path, *, timeout: float = BUILD_TIMEOUT) -> Iterator[None]:
    """Hold the lock file `path`; other processes (and threads) wait for it.

    The system lets go of the lock when its holder dies. TimeoutError after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    with path.open("a+b") as file:
        while not _try_lock(file.fileno()):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"another process holds {path} for more than {timeout:g} s")
            time.sleep(0.1)
        yield  # closing the file unlocks it


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def build_go_interop_node() -> Path:
    """Path of the Go node for the public experiments; as `build_go_peer`."""
    return build_go_peer(source=PEERS / "go_interop", name="gointerop")


def build_go_peer(
    *,
    source: Path = PEERS / "go",
    variant: Path | None = None,
    name: str = "gopeer",
    target_dir: Path | None = None,
) -> Path:
    """Path of the go-libp2p peer's binary, built if it is not there yet (blocks).

    `variant` is a folder whose files come on top of the sources and stand in for those of the same
    name: the same peer on other versions of its libraries.

    PeerUnavailable when Go is missing, older than the `go` line of go.mod asks for, or cannot
    build it (for example because the modules are neither cached nor to be downloaded).
    """
    folder = build_dir() if target_dir is None else target_dir
    suffix = ".exe" if sys.platform == "win32" else ""
    state = sources_hash(source, _GO_SOURCES, _GO_BUILD)
    if variant is not None:
        state = sources_hash(variant, _GO_SOURCES, [state])
    binary = folder / f"{name}-{state}{suffix}"
    if binary.is_file():
        return binary
    go = _find_go(source if variant is None else variant)
    with build_lock(folder / f"{binary.name}.lock"):
        if not binary.is_file():
            unfinished = binary.with_name(f"unfinished-{binary.name}")
            with _go_sources(source, variant) as sources:
                _run_go([go, *_GO_BUILD, "-o", str(unfinished), "."], sources)
            unfinished.replace(binary)
    return binary


def build_old_go_peer() -> Path:
    """As `build_go_peer`, on the versions of go-libp2p and its pubsub of early 2025."""
    try:
        return build_go_peer(variant=PEERS / "go_old")
    except PeerUnavailable as error:
        raise PeerUnavailable("go-old", error.reason) from None


@contextlib.contextmanager
def _go_sources(source: Path, variant: Path | None) -> Iterator[Path]:
    """A folder with everything to build from."""
    if variant is None:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="gopeer-") as temporary:
        for folder in (source, variant):
            for file in [file for pattern in _GO_SOURCES for file in folder.glob(pattern)]:
                shutil.copyfile(file, Path(temporary, file.name))
        yield Path(temporary)


def _find_go(source: Path) -> str:
    go = shutil.which("go")
    if go is None:
        raise PeerUnavailable("go", "there is no `go` on the PATH")
    wanted = re.search(r"^go (\S+)$", (source / "go.mod").read_text(), re.MULTILINE)
    if wanted is None:
        raise PeerUnavailable("go", "go.mod has no `go` line")
    found = _run_go([go, "version"], source)
    if go_version(found) < go_version(wanted[1]):
        raise PeerUnavailable("go", f"it needs Go {wanted[1]}, here is: {found.strip()}")
    return go


def go_version(text: str) -> tuple[int, int, int]:
    """The first version number in `text`: (1, 26, 6) of `go version go1.26.6 linux/amd64`."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    if match is None:
        raise PeerUnavailable("go", f"no version in {text.strip()!r}")
    return int(match[1]), int(match[2]), int(match[3] or 0)


def _run_go(command: Sequence[str], folder: Path) -> str:
    # GOTOOLCHAIN=local: never download another Go. GOWORK=off: no workspace of the user's.
    environment = os.environ | {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-mod=readonly",
        "GOWORK": "off",
    }
    return run_tool("go", command, folder, environment)


def run_tool(
    peer: str, command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> str:
    """Run a step of a peer's build in `folder`; what it printed. PeerUnavailable where it fails."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=BUILD_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PeerUnavailable(peer, f"no end after {BUILD_TIMEOUT:g} s: {command[1]}") from None
    except OSError as error:
        raise PeerUnavailable(peer, f"cannot run {command[0]}: {error}") from error
    if done.returncode:
        tail = done.stderr.decode(errors="replace").strip()[-_REASON_CHARACTERS:]
        raise PeerUnavailable(peer, f"`{Path(command[0]).stem} {command[1]}` failed: {tail}")
    return done.stdout.decode(errors="replace")
