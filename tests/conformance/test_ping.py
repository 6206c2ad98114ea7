from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from gossipsub.conformance.ping import KEY, PingOptions, dial, listen
from gossipsub.conformance.redis_lists import RedisLists

pytestmark = pytest.mark.anyio

RedisServer = Callable[[], AbstractAsyncContextManager[int]]


def options(port: int, **changes: object) -> PingOptions:
    given: dict[str, object] = {
        "is_dialer": False,
        "redis_host": "127.0.0.1",
        "redis_port": port,
        "timeout": 30.0,
    }
    return PingOptions(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.rule("SIM-08")
@pytest.mark.parametrize("ip", ["0.0.0.0", "127.0.0.1"])
async def test_a_dialler_finds_the_listener_and_pings_it(
    ip: str, redis_server: RedisServer
) -> None:
    async with redis_server() as port, anyio.create_task_group() as tasks:
        tasks.start_soon(listen, options(port, ip=ip))
        times = await dial(options(port, is_dialer=True))
        tasks.cancel_scope.cancel()
    assert list(times) == ["handshakePlusOneRTTMillis", "pingRTTMilllis"]
    assert 0 < times["pingRTTMilllis"] < times["handshakePlusOneRTTMillis"]


@pytest.mark.parametrize(("ip", "told"), [("0.0.0.0", "127.9.9.9"), ("127.0.0.1", "127.0.0.1")])
async def test_who_listens_everywhere_tells_the_address_that_it_has_towards_redis(
    ip: str, told: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RedisLists, "own_address", "127.9.9.9")
    async with (
        redis_server() as port,
        RedisLists("127.0.0.1", port) as redis,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listen, options(port, ip=ip))
        address = await redis.pop(KEY, timeout=30)
        tasks.cancel_scope.cancel()
    assert address.startswith(f"/ip4/{told}/tcp/")
    assert "/p2p/12D3" in address


async def test_both_sides_end_after_their_time(redis_server: RedisServer) -> None:
    async with redis_server() as port:
        for run, is_dialer in ((dial, True), (listen, False)):
            with pytest.raises(TimeoutError):
                await run(options(port, is_dialer=is_dialer, timeout=0.3))


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"is_dialer": "true"}, {"is_dialer": True}),
        (
            {
                "is_dialer": "false",
                "transport": "tcp",
                "security": "noise",
                "muxer": "yamux",
                "ip": "::",
                "redis_addr": "[::1]:7000",
                "test_timeout_seconds": "5",
                "version": "mine",
            },
            {
                "is_dialer": False,
                "ip": "::",
                "redis_host": "::1",
                "redis_port": 7000,
                "timeout": 5.0,
            },
        ),
    ],
)
def test_the_environment_says_what_is_done(
    variables: dict[str, str], wanted: dict[str, object]
) -> None:
    assert PingOptions.of(variables) == PingOptions(**wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("variables", "error"),
    [
        ({}, "is_dialer must be true or false, not None"),
        ({"transport": "quic-v1"}, "transport must be tcp, not 'quic-v1'"),
        ({"muxer": "mplex"}, "muxer must be yamux, not 'mplex'"),
        ({"security": "tls"}, "security must be noise, not 'tls'"),
        ({"redis_addr": "redis"}, "redis_addr must be HOST:PORT, not 'redis'"),
        ({"redis_addr": "redis:70000"}, "redis_addr must be HOST:PORT, not 'redis:70000'"),
        ({"test_timeout_seconds": "0"}, "test_timeout_seconds must be positive: 0.0"),
        ({"test_timeout_seconds": "nan"}, "test_timeout_seconds must be positive: nan"),
        ({"ip": "here"}, "'here' does not appear to be an IPv4 or IPv6 address"),
    ],
)
def test_an_environment_that_cannot_be_is_refused(variables: dict[str, str], error: str) -> None:
    with pytest.raises(ValueError, match=re.escape(error)):
        PingOptions.of({"is_dialer": "true"} | variables if variables else {})


def run_ping(**variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gossipsub.conformance.ping"],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_exit_status_tells_a_wrong_environment_from_a_failure() -> None:
    wrong = run_ping(is_dialer="perhaps")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "ping: is_dialer must be true or false, not 'perhaps'\n"
    failed = run_ping(is_dialer="true", redis_addr="127.0.0.1:1", test_timeout_seconds="20")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("ping: no redis at 127.0.0.1:1: ")


async def test_the_dialler_prints_one_object_for_the_runner(redis_server: RedisServer) -> None:
    async with redis_server() as port, anyio.create_task_group() as tasks:
        tasks.start_soon(listen, options(port))
        where = {"is_dialer": "true", "redis_addr": f"127.0.0.1:{port}"}
        done = await anyio.to_thread.run_sync(lambda: run_ping(**where))
        tasks.cancel_scope.cancel()
    assert done.returncode == 0
    assert set(json.loads(done.stdout)) == {"handshakePlusOneRTTMillis", "pingRTTMilllis"}
