"""libp2p's transport-interop between our ping node and go's, as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from gossipsub.conformance.build import build_go_interop_node

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(900),  # the Go node may have to be built first
    pytest.mark.usefixtures("go_peer_available"),
]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.rule("SIM-08")
@pytest.mark.parametrize("we_dial", [True, False], ids=["we-dial", "go-dials"])
async def test_our_ping_node_and_go_s_find_each_other_by_redis_and_ping(
    we_dial: bool, redis_server: Callable[[], AbstractAsyncContextManager[int]]
) -> None:
    ours = [sys.executable, "-m", "gossipsub.conformance.ping"]
    go = [str(await anyio.to_thread.run_sync(build_go_interop_node)), "-ping"]
    dialler, listener = (ours, go) if we_dial else (go, ours)
    async with redis_server() as port:
        environment = os.environ | {
            "transport": "tcp",
            "security": "noise",
            "muxer": "yamux",
            "ip": "0.0.0.0",
            "redis_addr": f"127.0.0.1:{port}",
            "test_timeout_seconds": "100",
        }
        process = subprocess.Popen(
            listener, env=environment | {"is_dialer": "false"}, stderr=subprocess.DEVNULL
        )
        try:
            done = await anyio.run_process(
                dialler, env=environment | {"is_dialer": "true"}, check=False
            )
        finally:
            process.kill()
            process.wait()
    assert done.returncode == 0, done.stderr.decode()
    times = json.loads(done.stdout)
    assert set(times) == {"handshakePlusOneRTTMillis", "pingRTTMilllis"}
    assert 0 < times["pingRTTMilllis"] < times["handshakePlusOneRTTMillis"]
