"""What the tests of CHORUS share: the vectors Go wrote, and the Go program that wrote them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import gossipsub.conformance
from gossipsub.chorus import ChorusPubSub
from gossipsub.chorus.topics import CONTEXT_TOPIC, COORDINATION_TOPIC, HMMM_TOPIC
from gossipsub.testing.mesh import Mesh

FOLDER = Path(gossipsub.conformance.__file__).resolve().parent / "vectors" / "chorus_envelope"
OLDEST_GO = (1, 22)


@pytest.fixture(scope="session")
def go_vectors() -> dict[str, list[dict[str, Any]]]:
    vectors: dict[str, list[dict[str, Any]]] = json.loads(
        (FOLDER / "vectors.json").read_text(encoding="utf-8")
    )
    return vectors


@pytest.fixture(scope="session")
def run_go() -> Callable[..., str]:
    """Runs the program with arguments and standard input; skipped where there is no Go for it."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    environment = os.environ | {
        "GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOEXPERIMENT": "",
    }  # fmt: skip

    def run(*command: str, stdin: str = "") -> str:
        ran = subprocess.run(
            [go, *command], cwd=FOLDER, env=environment, input=stdin, text=True,
            encoding="utf-8", capture_output=True, check=False, timeout=280,
        )  # fmt: skip
        if ran.returncode:
            pytest.fail(f"go {' '.join(command)}: {ran.stderr[-2000:]}")
        return ran.stdout

    found = re.search(r"go(\d+)\.(\d+)", run("version"))
    if found is None or (int(found[1]), int(found[2])) < OLDEST_GO:
        reason = "the program needs Go 1.22 or newer"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return lambda *arguments, stdin="": run("run", "-buildvcs=false", ".", *arguments, stdin=stdin)


@pytest.fixture
def fleet(
    gossipsub_mesh: Callable[..., Awaitable[Mesh]],
) -> Callable[..., AbstractAsyncContextManager[tuple[Mesh, list[ChorusPubSub]]]]:
    """`async with fleet(3) as (mesh, agents):` agents who hear each other in the static topics."""

    @asynccontextmanager
    async def open_fleet(
        count: int, **options: Any
    ) -> AsyncIterator[tuple[Mesh, list[ChorusPubSub]]]:
        mesh = await gossipsub_mesh(count)
        async with AsyncExitStack() as stack:
            agents = [
                await stack.enter_async_context(ChorusPubSub(host, **options)) for host in mesh
            ]
            for topic in (COORDINATION_TOPIC, HMMM_TOPIC, CONTEXT_TOPIC):
                await mesh.wait_until_grafted(topic)
            yield mesh, agents

    return open_fleet
