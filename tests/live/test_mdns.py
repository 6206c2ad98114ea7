"""mDNS with go: in a network of its own, which a child process makes and nobody else hears."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ALONE = ["unshare", "--user", "--map-root-user", "--net"]
PREPARE = """
ip link set lo up && ip link set lo multicast on && ip route add 224.0.0.0/4 dev lo && exec "$@"
"""
SCRIPT = Path(__file__).with_name("mdns_with_go.py")


def run_alone(*command: str, timeout: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ALONE, "sh", "-c", PREPARE, "sh", *command],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@pytest.fixture
def network_of_its_own() -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("no unshare or no ip on the PATH to make a network with")
    tried = run_alone("true", timeout=30)
    if tried.returncode:
        pytest.skip(f"a network of one's own is not allowed here: {tried.stderr.strip()[:200]}")


@pytest.mark.timeout(200)
@pytest.mark.usefixtures("go_peer_available", "network_of_its_own")
def test_hosts_and_go_peers_find_each_other_whoever_dials():
    done = run_alone(sys.executable, str(SCRIPT), timeout=180)
    assert (done.stdout, done.stderr[-3000:]) == ("python dialled\ngo dialled\n", "")
