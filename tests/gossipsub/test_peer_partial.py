"""Groups of parts between test peers: ours, and ours with go's."""

from __future__ import annotations

import base64
from contextlib import AsyncExitStack

import pytest

from gossipsub.conformance.driver import PeerError, start_peer
from gossipsub.peer.options import OptionError, parse_options
from gossipsub.peer.part_groups import made_part

pytestmark = pytest.mark.anyio

FAST = {"heartbeatMs": 200, "heartbeatInitialDelayMs": 10}
GROUP = bytes(7) + b"\x07"
GROUP_TEXT = base64.b64encode(GROUP).decode()
REQUEST = ("--partial", "request", "--test-extension")
PATIENCE = 30.0


@pytest.fixture
def anyio_backend() -> str:
    """The driver's; the peers are processes of their own."""
    return "asyncio"


@pytest.fixture(autouse=True)
def go_where_wanted(request: pytest.FixtureRequest) -> None:
    call = getattr(request.node, "callspec", None)
    if call is not None and "go" in call.params.get("targets", ()):
        request.getfixturevalue("go_peer_available")


def test_parts_count_up_from_the_group_through_all_of_them():
    parts = b"".join(made_part(GROUP, index) for index in range(8))
    words = [int.from_bytes(parts[start : start + 8]) for start in range(0, 8192, 8)]
    assert words == list(range(7, 7 + 1024))
    assert made_part(b"\xff" * 8, 0)[:16] == b"\xff" * 8 + bytes(8)


@pytest.mark.timeout(900)  # the first test may have to build the go peer
@pytest.mark.rule("PART-04")
@pytest.mark.parametrize(
    "targets", [("python", "python", "python"), ("python", "go", "python"), ("go", "python", "go")]
)
async def test_a_chain_of_peers_completes_a_group(targets):
    async with AsyncExitStack() as stack:
        peers = [
            await stack.enter_async_context(start_peer(target, params=FAST, arguments=REQUEST))
            for target in targets
        ]
        for peer in peers:
            await peer.command("subscribe", topic="t")
        await peers[0].command("connect", addr=peers[1].addresses[0])
        await peers[1].command("connect", addr=peers[2].addresses[0])
        for number, peer in enumerate(peers):
            bitmap = (0b01001001 << number) & 0xFF
            await peer.command("partial_add", topic="t", group_b64=GROUP_TEXT, parts=bitmap)
        for peer in peers:
            event = await peer.wait_event("partial_complete", timeout=PATIENCE)
            assert (event["topic"], event["group_b64"]) == ("t", GROUP_TEXT)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("targets", [("python",), ("go",)])
async def test_what_cannot_be_added_is_refused(targets):
    async with start_peer(targets[0], arguments=REQUEST) as peer, start_peer(targets[0]) as off:
        for fields, reason in (
            ({"group_b64": "AAA=", "parts": 1}, "group_b64"),
            ({"group_b64": GROUP_TEXT, "parts": 256}, "parts"),
        ):
            with pytest.raises(PeerError, match=reason):
                await peer.command("partial_add", topic="t", **fields)
        with pytest.raises(PeerError, match="partial messages are off"):
            await off.command("partial_add", topic="t", group_b64=GROUP_TEXT, parts=1)


@pytest.mark.parametrize("flags", [["--partial", "support"], ["--test-extension"]])
def test_floodsub_has_no_extensions(flags):
    reason = "^--partial and --test-extension need --protocol gossipsub$"
    with pytest.raises(OptionError, match=reason):
        parse_options(["--protocol", "floodsub", *flags])
