"""The peer of the page for other implementers, and what the kit says of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from gossipsub.conformance.build import PEERS
from gossipsub.conformance.kit.case import choose_cases
from gossipsub.conformance.kit.runner import run_cases
from gossipsub.conformance.kit.target import Target
from gossipsub.conformance.kit.verdict import Verdict

DOCS = Path(__file__).resolve().parents[2] / "docs"

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("go_peer_available")]


@pytest.fixture(scope="module", params=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def small_peer(tmp_path_factory: pytest.TempPathFactory, go_peer_available: Path) -> Path:
    """Built beside the go peer's go.mod, which pins the versions."""
    folder = tmp_path_factory.mktemp("small_peer")
    for name in ("go.mod", "go.sum"):
        shutil.copy(PEERS / "go" / name, folder)
    shutil.copy(DOCS / "examples" / "small_peer.go", folder / "main.go")
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    command = ["go", "build", "-o", "small-peer", "."]
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=600)
    return folder / "small-peer"


async def test_a_small_peer_passes_what_it_can_and_is_told_what_it_lacks(small_peer: Path) -> None:
    target = Target(name="small", command=(str(small_peer),))
    run = await run_cases(target, choose_cases(["PNG", "BACK"]))
    verdicts = {result.id: result.verdict for result in run.results}
    reasons = {result.id: result.reason for result in run.results}
    assert verdicts["PNG-05"] is Verdict.PASSED
    assert (verdicts["BACK-04"], reasons["BACK-04"]) == (
        Verdict.SKIPPED,
        "mesh: unsupported: mesh",
    )
    failed = {id for id, verdict in verdicts.items() if verdict is Verdict.FAILED}
    assert failed == {"BACK-14"}  # as go itself
    assert set(verdicts.values()) == {Verdict.PASSED, Verdict.SKIPPED, Verdict.FAILED}


def test_the_page_shows_a_report_of_this_peer() -> None:
    page = (DOCS / "conformance-kit.md").read_text(encoding="utf-8")
    assert re.search(r"^small \(small 1\)$", page, re.MULTILINE)
    assert re.search(r"^  \d+ passed, 5 failed, \d+ skipped in \d+\.\d s$", page, re.MULTILINE)
