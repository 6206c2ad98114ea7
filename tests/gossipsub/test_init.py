from __future__ import annotations

import re
import subprocess
import sys

import pytest

import gossipsub


def test_every_name_of_the_public_api_is_there():
    assert sorted(gossipsub.__all__) == dir(gossipsub)
    for name in gossipsub.__all__:
        value = getattr(gossipsub, name)
        if value.__module__.startswith("gossipsub."):  # not the names of function types
            assert value is getattr(sys.modules[value.__module__], name)


STANDARD = {
    "AsyncIterator",
    "Callable",
    "Iterable",
    "None",
    "PathLike",
    "Random",
    "Self",
    "Sequence",
}


def test_what_hosts_and_topics_take_and_give_has_a_public_name():
    members = {**vars(gossipsub.Topic), **vars(gossipsub.Host)}
    public = [each for name, each in members.items() if not name.startswith("_")]
    functions = [gossipsub.Host.__init__, *(each for each in public if callable(each))]
    hints = " ".join(hint for each in functions for hint in each.__annotations__.values())
    named = set(re.findall(r"[A-Z]\w+", hints))
    assert named - STANDARD - {"TraceTarget"} <= set(gossipsub.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError) as missing:
        gossipsub.Swarm  # noqa: B018
    assert str(missing.value) == "module 'gossipsub' has no attribute 'Swarm'"


SELDOM_NEEDED = {
    "argparse", "bz2", "cryptography.hazmat.primitives.serialization", "cryptography.x509", "email",
    "http", "importlib.metadata", "json", "lzma",
    "logging.config", "multiaddr", "netaddr", "pathlib", "platform", "shutil", "sqlite3",
    "tempfile", "trio", "unittest", "urllib.parse", "zipfile", "gossipsub.chorus",
    "gossipsub.measurements", "gossipsub.metrics", "gossipsub.recording",
    "gossipsub.router.snapshot", "gossipsub.snapshot",
    "gossipsub.testing", "gossipsub.tracing", "gossipsub.transport.mdns",
    "gossipsub.transport.peerstore_file",
}  # fmt: skip
"""Modules that a host gets along without; together they take 10 MB and 50 ms."""


def test_a_host_loads_nothing_that_is_seldom_needed():
    """As it is imported, and until it has peers and messages."""
    code = f"""
import asyncio, sys
from gossipsub import Host

async def main():
    async with Host() as alice, Host(bootstrap=alice.addresses) as bob:
        async with (await bob.join("news")).subscribe() as messages:
            topic = await alice.join("news")
            await topic.wait_for_peers(1, timeout=20)
            await topic.publish(b"hello")
            await anext(messages)

asyncio.run(main())
print(*sorted({SELDOM_NEEDED!r} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout == "\n"


def test_importing_the_package_or_the_router_loads_no_io():
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, gossipsub, gossipsub.router.router\n"
            "print(*sorted({'anyio', 'asyncio', 'cryptography', 'google.protobuf', 'multiaddr',"
            " 'socket', 'trio'} & set(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert loaded == "\n"
