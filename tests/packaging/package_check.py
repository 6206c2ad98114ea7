"""Holds the wheel and the sdist against what git holds, and runs the tests against the wheel.

`make package-check` runs this. It builds both archives into a temporary folder, compares their
files with the tracked ones, byte by byte, installs the wheel into a new environment, first with
the core requirements only, and runs tests there from an empty folder, so that nothing of the
checkout can stand in for something the wheel lacks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("wire", "crypto", "router", "conformance", "benchmarks")
"""Folders at the top that the wheel holds inside the package."""

METADATA = ("METADATA", "WHEEL", "RECORD", "entry_points.txt")
LICENSES = ("LICENSE-APACHE", "LICENSE-MIT")

AGAINST_THE_WHEEL = (
    "tests/cli",
    "tests/conformance",
    "tests/crypto",
    "tests/demo",
    "tests/packaging",
    "tests/recording",
    "tests/status",
    "tests/test_docs.py",
    "tests/testing",
    "tests/wire",
)
"""What reads files of the package, starts its commands, or loads it as a plugin. The rest is the
same code, file by file, that `make test` has tested."""

NOT_AGAINST_THE_WHEEL = (
    "tests/conformance/test_build_python.py",
    "tests/conformance/test_cases.py",
    "tests/conformance/test_every_peer.py",
    "tests/conformance/test_go_peer.py",
    "tests/conformance/test_ping_with_go.py",
    "tests/conformance/test_rust_peer.py",
    "tests/conformance/test_small_peer.py",
)
"""Of these, what meets live peers or builds them."""

IMPORT_ALL = """
import importlib, pathlib, sys
import gossipsub
root = pathlib.Path(gossipsub.__file__).parent
assert pathlib.Path(sys.prefix) in root.parents, root
for path in sorted(root.rglob("*.py")):
    parts = path.relative_to(root.parent).with_suffix("").parts
    if parts[-1] not in ("__main__", "pytest_plugin") and "peers" not in parts:
        importlib.import_module(".".join(parts).removesuffix(".__init__"))
"""
"""Run by the new environment's Python. The conformance peers are programs of other libraries; who
loads the plugin has pytest."""


def wheel_files(tracked: Mapping[str, bytes]) -> dict[str, bytes]:
    """What the wheel has to hold, apart from its metadata, given the tracked files."""
    files = {}
    for path, content in tracked.items():
        room = path.split("/", 1)[0]
        if room in ROOMS:
            files[f"gossipsub/{path}"] = content
        elif room == "gossipsub":
            files[path] = content
    return files


def differences(expected: Mapping[str, bytes], found: Mapping[str, bytes]) -> list[str]:
    """One line for each file that is missing, too much, or different."""
    lines = [f"missing: {path}" for path in sorted(expected.keys() - found.keys())]
    lines += [f"not tracked: {path}" for path in sorted(found.keys() - expected.keys())]
    common = sorted(expected.keys() & found.keys())
    lines += [f"other content: {path}" for path in common if expected[path] != found[path]]
    return lines


def tracked_files() -> dict[str, bytes]:
    """Every file git holds, as it is in the work tree; links left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    paths = [path for path in os.fsdecode(listed).split("\0") if path]
    return {path: (ROOT / path).read_bytes() for path in paths if not (ROOT / path).is_symlink()}


def run(command: Sequence[str | Path], *, cwd: Path, **environment: str) -> None:
    """Run to the end; what the caller's environment says about Python is not passed on."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    subprocess.run([str(part) for part in command], cwd=cwd, check=True, env=kept | environment)


def build(source: Path, target: str, folder: Path) -> Path:
    run([sys.executable, "-m", "hatchling", "build", "-t", target, "-d", folder], cwd=source)
    (archive,) = folder.iterdir()
    return archive


def read_wheel(wheel: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """The wheel's files and its metadata, the latter by their names inside `dist-info`."""
    files, metadata = {}, {}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            folder, _, rest = name.partition(".dist-info/")
            if rest and "/" not in folder:
                metadata[rest] = archive.read(name)
            else:
                files[name] = archive.read(name)
    return files, metadata


def check_archives(scratch: Path) -> Path:
    """Build and compare; returns the wheel. Exits with a list where something differs."""
    tracked = tracked_files()
    wheel = build(ROOT, "wheel", scratch / "wheel")
    files, metadata = read_wheel(wheel)
    problems = [f"wheel: {line}" for line in differences(wheel_files(tracked), files)]
    expected_metadata = {*METADATA, *(f"licenses/{name}" for name in LICENSES)}
    problems += [f"wheel metadata: {name}" for name in sorted(expected_metadata ^ metadata.keys())]

    with tarfile.open(build(ROOT, "sdist", scratch / "sdist")) as archive:
        archive.extractall(scratch / "unpacked", filter="data")
    (unpacked,) = (scratch / "unpacked").iterdir()
    in_sdist = {
        path.relative_to(unpacked).as_posix(): path.read_bytes()
        for path in unpacked.rglob("*")
        if path.is_file()
    }
    in_sdist.pop("PKG-INFO", None)
    problems += [f"sdist: {line}" for line in differences(tracked, in_sdist)]

    again, _ = read_wheel(build(unpacked, "wheel", scratch / "wheel-of-sdist"))
    problems += [f"wheel built from the sdist: {line}" for line in differences(files, again)]
    if problems:
        sys.exit("\n".join(["the archives do not hold what git holds:", *problems]))
    print(f"wheel: {len(files)} files, sdist: {len(in_sdist)} files, all as tracked", flush=True)
    return wheel


def make_environment(folder: Path) -> tuple[Path, list[str | Path]]:
    """A new environment: its Python, and the command that installs into it."""
    python = folder / "bin" / "python"
    if uv := shutil.which("uv"):
        run([uv, "venv", "--quiet", "--python", sys.executable, folder], cwd=ROOT)
        return python, [uv, "pip", "install", "--quiet", "--python", python]
    run([sys.executable, "-m", "venv", folder], cwd=ROOT)
    return python, [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]


def lock_without_hashes(lock: str) -> str:
    """The pins alone: as constraints they hold for a wheel that has no hash."""
    pins = (line.removesuffix("\\").rstrip() for line in lock.splitlines())
    return "".join(f"{pin}\n" for pin in pins if "==" in pin and not pin.startswith((" ", "#")))


def check_installed(wheel: Path, scratch: Path) -> None:
    """Install with the core alone and import everything; then run the tests."""
    empty = scratch / "empty"
    empty.mkdir()
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    constraints = scratch / "constraints.txt"
    constraints.write_text(lock_without_hashes(lock), encoding="utf-8")
    python, install = make_environment(scratch / "venv")

    run([*install, "-c", constraints, wheel], cwd=empty)
    run([python, "-c", IMPORT_ALL], cwd=empty)
    print("every module imports with the core requirements alone", flush=True)

    run([*install, "-c", constraints, f"{wheel}[dev,cli]"], cwd=empty)
    pytest: list[str | Path] = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    pytest += ["-n", "auto", "--dist", "worksteal", "--hypothesis-profile=ci"]
    pytest += ["-c", ROOT / "pyproject.toml", "--rootdir", ROOT]
    pytest += [f"--ignore={ROOT / path}" for path in NOT_AGAINST_THE_WHEEL]
    settings = {"PYTHONPYCACHEPREFIX": str(scratch / "pycache"), "GOSSIPSUB_INSTALLED": "1"}
    pytest += ["-k", "not trio"]  # which event loop it is makes no difference to the files
    run([*pytest, *(ROOT / path for path in AGAINST_THE_WHEEL)], cwd=empty, **settings)
    print("the tests of what reads the package pass against the installed wheel", flush=True)


def main() -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="gossipsub-package-") as folder:
        scratch = Path(folder).resolve()
        try:
            check_installed(check_archives(scratch), scratch)
        except subprocess.CalledProcessError as error:
            sys.exit(f"package check: exit status {error.returncode} of {error.cmd[:4]}")
    print(f"package check done in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
