"""What several rooms' tests share: the async backends, and the peer written in Go."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from gossipsub.conformance.build import PeerUnavailable, build_go_peer

pytest_plugins = ["gossipsub.testing.pytest_plugin"]

# A deadline for each example fails on a busy machine, whatever the code does.
settings.register_profile(
    "without deadlines", settings.get_profile(settings.get_current_profile_name()), deadline=None
)
settings.load_profile("without deadlines")

# The first test that needs the Go peer may have to build it, which can take minutes.
BUILD_TIMEOUT = 900


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def go_peer_available() -> Path:
    """The Go peer's binary. Without one the test is skipped; in CI, where Go is there, it fails."""
    try:
        return build_go_peer()
    except PeerUnavailable as error:
        if os.environ.get("CI") == "true" and shutil.which("go"):
            pytest.fail(f"CI has Go, but {error}")
        pytest.skip(str(error))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        needs_build = "go_peer_available" in getattr(item, "fixturenames", ())
        if needs_build and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(BUILD_TIMEOUT))
