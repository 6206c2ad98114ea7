"""The programs of docs/quick-start.md, as they stand there, against a go peer."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from gossipsub.conformance.driver import start_peer

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("go_peer_available")]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "quick-start.md"
README = PAGE.parents[1] / "README.md"
PROGRAMS = re.findall(
    r"^With (\w+ ?\w*):\n\n```python[^\n]*\n(.*?)^```$",
    PAGE.read_text(encoding="utf-8"),
    re.MULTILINE | re.DOTALL,
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The driver's; each program has its own."""
    return "asyncio"


def test_there_is_one_for_each_kind_of_program_and_none_is_long():
    assert [name for name, _ in PROGRAMS] == ["asyncio", "trio", "plain threads"]
    for _, code in PROGRAMS:
        assert len([line for line in code.splitlines() if line.strip()]) <= 15


def test_the_first_program_in_the_readme_is_one_of_them():
    first = re.search(r"^```python[^\n]*\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)
    assert first is not None
    assert first[1] in dict(PROGRAMS).values()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(("name", "code"), PROGRAMS, ids=[name for name, _ in PROGRAMS])
async def test_a_program_publishes_to_a_go_peer_and_hears_it(name, code):
    async with start_peer("go", seed=1, params={"heartbeatMs": 100}) as go:
        await go.command("subscribe", topic="news")
        program = await anyio.open_process(
            [sys.executable, "-W", "error", "-c", code, go.addresses[0]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            heard = await go.wait_event("message", timeout=30)
            assert (heard["topic"], heard["data"]) == ("news", b"hello")
            await go.command("publish", topic="news", data_b64="aGVsbG8gZnJvbSBnbw==")
            told = b""
            with anyio.fail_after(30):
                while told.count(b"\n") < 2:
                    told += await program.stdout.receive()
                program.send_signal(signal.SIGINT)
                complaint = b"".join([piece async for piece in program.stderr])
                await program.wait()
        finally:
            if program.returncode is None:
                program.kill()
            with anyio.CancelScope(shield=True):
                await program.aclose()
        assert told.decode().splitlines() == [
            f"{heard['from']} b'hello'",
            f"{go.peer_id} b'hello from go'",
        ]
        assert complaint.decode().strip().endswith("KeyboardInterrupt")
        assert "ExceptionGroup" not in complaint.decode()
        await go.wait_event("peer_disconnected", timeout=10)
