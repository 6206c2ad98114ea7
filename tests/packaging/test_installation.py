"""Which copy of the package the tests run against, and what `import gossipsub` brings with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import gossipsub

PACKAGE = Path(gossipsub.__file__).parent


def test_each_module_was_loaded_once_and_from_one_place() -> None:
    """All other test files were imported by now, so this sees what they loaded."""
    rooms = ("wire", "crypto", "router", "conformance", "benchmarks")
    assert [name for name in sys.modules if name.split(".")[0] in rooms] == []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.split(".")[0] == "gossipsub" and file:
            assert PACKAGE in Path(file).parents, name


def test_the_package_is_the_installed_one_where_that_is_asked_for() -> None:
    """`make package-check` asks; otherwise it is the checkout."""
    installed = Path(sys.prefix) in PACKAGE.parents and PACKAGE.parent.name == "site-packages"
    assert installed == (os.environ.get("GOSSIPSUB_INSTALLED") == "1")


def modules_loaded_by(statement: str) -> set[str]:
    """Names of the modules that this statement adds to a bare interpreter."""
    code = f"import sys; before = set(sys.modules); {statement}; print(*set(sys.modules) - before)"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return set(ran.stdout.split())


def test_importing_the_package_loads_nothing_else() -> None:
    loaded = modules_loaded_by("import gossipsub")
    assert {name for name in loaded if name.startswith("gossipsub.")} == set()
    assert loaded & {"anyio", "asyncio", "cryptography", "google.protobuf", "multiaddr"} == set()


def test_importing_a_room_loads_only_that_package() -> None:
    for room in ("wire", "crypto", "router", "conformance", "benchmarks"):
        loaded = modules_loaded_by(f"import gossipsub.{room}")
        assert {name for name in loaded if name.startswith("gossipsub")} == {
            "gossipsub",
            f"gossipsub.{room}",
        }


def test_a_checkout_without_its_links_finds_the_rooms_beside_the_package(tmp_path: Path) -> None:
    """An unpacked sdist, or a file system without symbolic links."""
    for folder in ("gossipsub", "wire"):
        (tmp_path / folder).mkdir()
    shutil.copy(PACKAGE / "__init__.py", tmp_path / "gossipsub")
    shutil.copy(PACKAGE / "wire" / "__init__.py", tmp_path / "wire")
    code = "import gossipsub.wire; print(gossipsub.wire.__file__)"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (ran.stdout.strip(), ran.stderr) == (str(tmp_path / "wire" / "__init__.py"), "")
