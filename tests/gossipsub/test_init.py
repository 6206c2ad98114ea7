from __future__ import annotations

import subprocess
import sys

import pytest

import gossipsub


def test_every_name_of_the_public_api_is_there():
    assert sorted(gossipsub.__all__) == dir(gossipsub)
    for name in gossipsub.__all__:
        value = getattr(gossipsub, name)
        assert value is getattr(sys.modules[value.__module__], name)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError) as missing:
        gossipsub.Swarm  # noqa: B018
    assert str(missing.value) == "module 'gossipsub' has no attribute 'Swarm'"


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
