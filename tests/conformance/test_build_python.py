from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gossipsub.conformance.build import PeerUnavailable
from gossipsub.conformance.build_python import build_py_libp2p_peer, environment_dir


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Requirements that lie in a folder, where pip finds them without a network."""
    folder, wheels = tmp_path / "source", tmp_path / "wheels"
    for each in (folder, wheels):
        each.mkdir()
    lines = [requirement(wheels, name) for name in ("another", "setuptools", "wanted")]
    (folder / "requirements.txt").write_text("# made\n" + "".join(lines))
    (folder / "__main__.py").write_text("import wanted, another; print('runs')\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return folder


def requirement(folder: Path, name: str) -> str:
    """Its line in the requirements; the wheel lies in the folder then."""
    info = f"{name}-1.0.dist-info"
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", tag)
        archive.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    other = "0" * 64
    return f"{name}==1.0 \\\n    --hash=sha256:{other} \\\n    --hash=sha256:{digest}\n"


def test_an_environment_is_made_once_and_runs_the_peer(source: Path, tmp_path: Path) -> None:
    command = build_py_libp2p_peer(source=source, target_dir=tmp_path)
    told = subprocess.run(command, capture_output=True, check=True, text=True, timeout=60)
    assert told.stdout == "runs\n"
    python = Path(command[0])
    made = python.lstat().st_mtime_ns
    assert build_py_libp2p_peer(source=source, target_dir=tmp_path) == command
    assert python.lstat().st_mtime_ns == made
    (source / "requirements.txt").write_text("")
    assert environment_dir(source=source, target_dir=tmp_path) not in python.parents


def test_what_an_interrupted_build_left_is_made_anew(source: Path, tmp_path: Path) -> None:
    left = environment_dir(source=source, target_dir=tmp_path)
    left.mkdir()
    (left / "pyvenv.cfg").write_text("half of it")
    command = build_py_libp2p_peer(source=source, target_dir=tmp_path)
    subprocess.run(command, check=True, timeout=60, capture_output=True)


def test_a_package_of_another_hash_is_refused(source: Path, tmp_path: Path) -> None:
    lines = (source / "requirements.txt").read_text().splitlines(keepends=True)
    (source / "requirements.txt").write_text("".join(lines[:-1]).rstrip(" \\\n") + "\n")
    for _ in range(2):  # and nothing half done is taken for a whole environment the next time
        with pytest.raises(PeerUnavailable, match="DO NOT MATCH THE HASHES"):
            build_py_libp2p_peer(source=source, target_dir=tmp_path)


def test_nothing_of_the_callers_own_packages_gets_in(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "sitecustomize.py").write_text("raise SystemExit('loaded')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(mine), *sys.path]))
    build_py_libp2p_peer(source=source, target_dir=tmp_path)
