"""Makes the environment of the py-libp2p peer, once for each state of its requirements.

It is a virtual environment of the Python that runs us, filled with pip. A C compiler and the
headers of GMP are needed for one of the requirements that come as source.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from gossipsub.conformance.build import (
    BUILD_TIMEOUT,
    PEERS,
    PeerUnavailable,
    build_dir,
    build_lock,
    sources_hash,
)

SOURCE = PEERS / "py_libp2p"

_PIP = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--require-hashes")
_BUILDS_THE_REST = "setuptools=="
_REASON_CHARACTERS = 2000


def environment_dir(*, source: Path = SOURCE, target_dir: Path | None = None) -> Path:
    """Where the environment is, or would be."""
    interpreter = (sys.implementation.cache_tag or "", sys.platform, sys.base_prefix)
    name = sources_hash(source, ["requirements.txt"], [*_PIP, *interpreter])
    return (build_dir() if target_dir is None else target_dir) / f"py-libp2p-{name}"


def has_py_libp2p_peer() -> bool:
    """Whether the environment is there already."""
    return (environment_dir() / "complete").is_file()


def build_py_libp2p_peer(*, source: Path = SOURCE, target_dir: Path | None = None) -> list[str]:
    """The command that runs the peer; its environment is made if it is not there yet (blocks).

    PeerUnavailable where pip cannot install the requirements (for example because they are neither
    cached nor to be downloaded, or there is no C compiler).
    """
    folder = environment_dir(source=source, target_dir=target_dir)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / "complete").is_file():
        with build_lock(folder.with_name(f"{folder.name}.lock")):
            if not (folder / "complete").is_file():
                _make(folder, python, source / "requirements.txt")
    return [str(python), str(source / "__main__.py")]


def _make(folder: Path, python: Path, requirements: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted build left
    _run([sys.executable, "-m", "venv", str(folder)])
    # Some requirements come as source only. setuptools of our own choice builds them, so that
    # nothing is fetched whose hash is not known here.
    first = folder / "first.txt"
    first.write_text(_entry(requirements.read_text(), _BUILDS_THE_REST))
    _run([str(python), *_PIP, "-r", str(first)])
    _run([str(python), *_PIP, "--no-build-isolation", "-r", str(requirements)])
    (folder / "complete").touch()


def _entry(requirements: str, start: str) -> str:
    """One requirement with its hashes, which follow on lines that are continued."""
    at = requirements.index(f"\n{start}") + 1
    lines = requirements[at:].splitlines(keepends=True)
    end = next(number for number, line in enumerate(lines) if not line.rstrip().endswith("\\"))
    return "".join(lines[: end + 1])


def _run(command: Sequence[str]) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=BUILD_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        reason = f"no end after {BUILD_TIMEOUT:g} s: {' '.join(command[1:4])}"
        raise PeerUnavailable("py-libp2p", reason) from None
    except OSError as error:
        raise PeerUnavailable("py-libp2p", f"cannot run {command[0]}: {error}") from error
    if done.returncode:
        tail = (done.stderr or done.stdout).decode(errors="replace").strip()
        reason = f"`{' '.join(command[1:3])}` failed: {tail[-_REASON_CHARACTERS:]}"
        raise PeerUnavailable("py-libp2p", reason)
