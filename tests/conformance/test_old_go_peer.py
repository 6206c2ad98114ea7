"""The peer written in Go on the libraries of early 2025: the same program, so the same protocol."""

from __future__ import annotations

import pytest

from gossipsub.conformance.driver import PeerError, PeerFailed, start_peer
from gossipsub.conformance.exchange import connect, exchange, in_mesh, start_peers

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("old_go_peer_available", "go_peer_available"),
]

FAST = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10}


async def test_it_says_which_versions_it_is_made_of() -> None:
    async with start_peer("go-old", seed=0, params={"idontwantThreshold": 1, "metrics": 1}) as peer:
        assert peer.peer_id == "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
        assert peer.ready["impl"] == "go-libp2p-pubsub"
        assert peer.ready["versions"]["go-libp2p"] == "v0.39.1"
        assert peer.ready["versions"]["go-libp2p-pubsub"] == "v0.12.0"
        assert peer.ready["unsupported_params"] == ["metrics"]


@pytest.mark.parametrize("other", ["go-old", "go", "python"])
async def test_it_exchanges_messages_in_the_newest_version_that_both_know(other: str) -> None:
    async with start_peers("go-old", other, topic="t", params=FAST) as (a, b):
        await connect(a, b, topic="t")
        await in_mesh(a, b, topic="t")
        for peer in (a, b):
            assert (await peer.command("peers"))["peers"][0]["protocol"] == "/meshsub/1.2.0"
        await exchange([a, b], [a, b], topic="t", count=50, size=64, window=16)


@pytest.mark.parametrize("flag", [["--partial", "request"], ["--test-extension"]])
async def test_extensions_are_refused(flag: list[str]) -> None:
    with pytest.raises(PeerFailed, match="neither partial messages nor the test") as caught:
        async with start_peer("go-old", arguments=flag):
            pytest.fail("the block ran")
    assert caught.value.exit_status == 2
    async with start_peer("go-old") as peer:
        with pytest.raises(PeerError, match="neither partial messages nor the test extension"):
            await peer.command("partial_add", topic="t", group_b64="AAAAAAAAAAA=", parts=1)
