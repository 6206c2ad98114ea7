"""What several rooms' tests share: the async backends, and the peer written in Go."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from gossipsub.conformance.build import PeerUnavailable, build_go_peer, build_old_go_peer
from gossipsub.conformance.build_js import build_js_peer, has_js_peer
from gossipsub.conformance.build_python import build_py_libp2p_peer, has_py_libp2p_peer
from gossipsub.conformance.build_rust import build_rust_peer, has_rust_peer

pytest_plugins = ["gossipsub.testing.pytest_plugin"]

# A deadline for each example fails on a busy machine, whatever the code does.
settings.register_profile(
    "without deadlines", settings.get_profile(settings.get_current_profile_name()), deadline=None
)
settings.load_profile("without deadlines")

# The first test that needs one of these peers may have to build it, which can take minutes.
BUILD_TIMEOUT = 900
PEER_FIXTURES = {
    "go_peer_available",
    "old_go_peer_available",
    "py_libp2p_peer_available",
    "js_peer_available",
    "rust_peer_available",
}


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def go_peer_available() -> Path:
    """The Go peer's binary. Without one the test is skipped; in CI, where Go is there, it fails."""
    return built_or_skipped(build_go_peer)


@pytest.fixture(scope="session")
def old_go_peer_available() -> Path:
    """As `go_peer_available`."""
    return built_or_skipped(build_old_go_peer)


@pytest.fixture(scope="session")
def py_libp2p_peer_available() -> None:
    """Skipped unless it is there already, or GOSSIPSUB_PEERS=all asks for it to be built."""
    built_if_asked_for("py-libp2p", has_py_libp2p_peer(), build_py_libp2p_peer)


@pytest.fixture(scope="session")
def rust_peer_available() -> None:
    """As `py_libp2p_peer_available`; skipped without Rust as well."""
    if not has_rust_peer() and shutil.which("cargo") is None:
        pytest.skip("the rust peer is not built, and there is no cargo")
    built_if_asked_for("rust", has_rust_peer(), build_rust_peer)


@pytest.fixture(scope="session")
def js_peer_available() -> None:
    """Skipped unless it is there already, or GOSSIPSUB_PEERS=all asks for it to be built."""
    built_if_asked_for("js", has_js_peer(), build_js_peer)


def built_or_skipped(build: Callable[[], Path]) -> Path:
    try:
        return build()
    except PeerUnavailable as error:
        if os.environ.get("CI") == "true" and shutil.which("go"):
            pytest.fail(f"CI has Go, but {error}")
        pytest.skip(str(error))


def built_if_asked_for(peer: str, is_there: bool, build: Callable[[], object]) -> None:
    """Skipped for a peer that takes minutes to be built, unless it is there or they are wanted."""
    if not is_there and os.environ.get("GOSSIPSUB_PEERS") != "all":
        reason = "`make conformance-all` builds it, and so does GOSSIPSUB_PEERS=all with tests"
        pytest.skip(f"the {peer} peer is not built; {reason}")
    try:
        build()
    except PeerUnavailable as error:
        pytest.fail(str(error))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        needs_build = not PEER_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        if needs_build and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(BUILD_TIMEOUT))
