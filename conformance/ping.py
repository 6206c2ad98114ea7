"""`python -m gossipsub.conformance.ping`: a node of libp2p's transport-interop.

Environment variables say which side it is. The listener tells its address by redis and stays; the
dialler takes the address, connects, pings once, and prints both times as one JSON object on
standard output. Everything else goes to standard error. The exit status is 0 for a dialler that
pinged, 1 where something failed or took too long, 2 for variables that cannot be.
"""

from __future__ import annotations

import ipaddress
import json
import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

import anyio

from gossipsub import Host
from gossipsub.conformance.redis_lists import RedisFailed, RedisLists
from gossipsub.wire.errors import GossipSubError

KEY = "listenerAddr"
SPOKEN = {"transport": "tcp", "security": "noise", "muxer": "yamux"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PingOptions:
    """What the environment says. ValueError for what cannot be."""

    is_dialer: bool
    ip: str = "0.0.0.0"
    """Where the listener listens."""
    redis_host: str = "redis"
    redis_port: int = 6379
    timeout: float = 180.0
    """Seconds until the whole has failed."""

    @classmethod
    def of(cls, variables: Mapping[str, str]) -> PingOptions:
        """Read `transport`, `muxer`, `security`, `is_dialer`, `ip`, `redis_addr` and
        `test_timeout_seconds`."""
        for name, ours in SPOKEN.items():
            if variables.get(name, ours) != ours:
                raise ValueError(f"{name} must be {ours}, not {variables[name]!r}")
        is_dialer = variables.get("is_dialer")
        if is_dialer not in ("true", "false"):
            raise ValueError(f"is_dialer must be true or false, not {is_dialer!r}")
        host, _, port = variables.get("redis_addr", "redis:6379").rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"redis_addr must be HOST:PORT, not {variables['redis_addr']!r}")
        timeout = float(variables.get("test_timeout_seconds", "180"))
        if not (0 < timeout < math.inf):
            raise ValueError(f"test_timeout_seconds must be positive: {timeout}")
        return cls(
            is_dialer=is_dialer == "true",
            ip=str(ipaddress.ip_address(variables.get("ip", "0.0.0.0"))),
            redis_host=host.strip("[]"),
            redis_port=int(port),
            timeout=timeout,
        )


def main() -> int:
    """Listen or dial, as the environment says; the exit status."""
    try:
        options = PingOptions.of(os.environ)
    except ValueError as error:
        return _fail(error, 2)
    try:
        anyio.run(_run, options)
    except (GossipSubError, OSError) as error:
        return _fail(error, 1)
    except KeyboardInterrupt:
        return 130
    return 0


def _fail(error: Exception, status: int) -> int:
    print(f"ping: {error or type(error).__name__}", file=sys.stderr)
    return status


async def _run(options: PingOptions) -> None:
    if not options.is_dialer:
        await listen(options)
    else:
        print(json.dumps(await dial(options)), flush=True)


async def listen(options: PingOptions) -> None:
    """Tell where we are and stay, until cancelled. TimeoutError when the time is over."""
    ip = ipaddress.ip_address(options.ip)
    with anyio.fail_after(options.timeout):
        async with Host(listen=f"/ip{ip.version}/{ip}/tcp/0") as host:
            async with RedisLists(options.redis_host, options.redis_port) as redis:
                address = host.addresses[0]
                if ip.is_unspecified:  # a host gives its loopback address for it
                    family, _, rest = address.removeprefix("/").split("/", 2)
                    address = f"/{family}/{_own_address(redis.own_address, ip.version)}/{rest}"
                await redis.push(KEY, address)
            print(f"ping: listening on {address}", file=sys.stderr, flush=True)
            await anyio.sleep_forever()


def _own_address(found: str, version: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    own = ipaddress.ip_address(found)
    if own.version != version:
        raise RedisFailed(f"redis is reached from {own}, which is no IPv{version} address")
    return own


async def dial(options: PingOptions) -> dict[str, float]:
    """Connect to the listener and ping it once; the times in milliseconds, by the names that the
    runner looks for. TimeoutError when the time is over."""
    with anyio.fail_after(options.timeout):
        async with Host(listen=[]) as host:
            async with RedisLists(options.redis_host, options.redis_port) as redis:
                address = await redis.pop(KEY, timeout=options.timeout)
            started = time.perf_counter()
            peer = await host.connect(address)
            round_trip = await host.ping(peer, timeout=options.timeout)
            whole = time.perf_counter() - started
    # The three l's are the runner's.
    return {"handshakePlusOneRTTMillis": whole * 1000, "pingRTTMilllis": round_trip * 1000}


if __name__ == "__main__":
    sys.exit(main())
