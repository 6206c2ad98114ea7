"""The commands as a shell runs them: pipes, signals, exit statuses."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

GOSSIPSUB = f"{shlex.quote(sys.executable)} -m gossipsub"
PIPE = subprocess.PIPE


@contextmanager
def started(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gossipsub", *words]
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, stdin=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def address_of(stream: object) -> str:
    """Of the LISTEN line that comes first."""
    word, address = stream.readline().decode().split()  # type: ignore[attr-defined]
    assert word == "LISTEN"
    return str(address)


def shell(script: str) -> subprocess.CompletedProcess[bytes]:
    script = f'set -o pipefail; gossipsub() {{ {GOSSIPSUB} "$@"; }}; {script}'
    return subprocess.run(["bash", "-c", script], capture_output=True, timeout=60, check=False)


def test_lines_go_from_pub_to_sub_through_pipes_and_the_node_ends_at_sigterm() -> None:
    with started("sub", "news", "-v") as sub:
        address = address_of(sub.stderr)
        ran = shell(f"printf 'one\\ntwo\\xff\\n' | gossipsub pub news -l -b {address} | wc -l")
        assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, b"2", b"")
        assert sub.stdout is not None
        assert [sub.stdout.readline() for _ in range(2)] == [b"news one\n", b"news two\\xff\n"]
        sub.send_signal(signal.SIGTERM)
        assert sub.wait(20) == 0


def test_head_that_has_enough_ends_sub(tmp_path: Path) -> None:
    """`sub` writes to `head`, which goes after a line; nothing is published any more."""
    err = tmp_path / "err"
    script = f"gossipsub sub news 2>{shlex.quote(str(err))} | head -n 1; echo $?"
    command = ["bash", "-c", f'set -o pipefail; gossipsub() {{ {GOSSIPSUB} "$@"; }}; {script}']
    with subprocess.Popen(command, stdout=PIPE) as pipeline:
        deadline = time.monotonic() + 30
        while not (
            found := re.search(rb"LISTEN (\S+)\n", err.read_bytes() if err.exists() else b"")
        ):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        ran = shell(f"gossipsub pub news -q -m hello -b {found[1].decode()}")
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, b"", b"")
        out, _ = pipeline.communicate(timeout=30)
    assert out == b"hello\n0\n"
    assert err.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_node_ends_with_a_goodbye(number: signal.Signals, status: int) -> None:
    with started("listen", "--relay", "news") as listen:
        address = address_of(listen.stdout)
        assert address.startswith("/ip4/127.0.0.1/tcp/")
        listen.send_signal(number)
        out, err = listen.communicate(timeout=20)
        assert (listen.returncode, out, err) == (status, b"", b"")
