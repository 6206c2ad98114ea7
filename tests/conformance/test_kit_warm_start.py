"""Nodes that are forks of one process: as nodes started anew, and none outlives its starter."""

from __future__ import annotations

import os
import signal

import anyio
import pytest

from gossipsub.conformance.driver import PeerFailed, start_peer
from gossipsub.conformance.kit.warm_start import WarmStart, WarmStartFailed

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
]


@pytest.fixture(scope="module")
def start():
    with WarmStart() as start:
        yield start


async def gone(pid: int) -> None:
    with anyio.fail_after(10):
        while True:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return
            await anyio.sleep(0.02)


async def test_a_fork_is_a_node_with_its_own_flags_and_ends_as_told(start):
    async with (
        start_peer("one", command=start.command(), seed=0) as one,
        start_peer("two", command=start.command(), seed=1, params={"D": 5}) as two,
    ):
        assert one.peer_id == "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
        assert (await one.command("connect", addr=two.addresses[0]))["peer"] == two.peer_id
        assert one.ready["pid"] != two.ready["pid"]
    assert (one.exit_status, one.killed) == (0, False)


async def test_random_keys_of_forks_differ(start):
    async with (
        start_peer("one", command=start.command()) as one,
        start_peer("two", command=start.command()) as two,
    ):
        assert one.peer_id != two.peer_id


async def test_a_wrong_flag_ends_with_its_status_and_reason(start):
    with pytest.raises(PeerFailed, match=r"exit status 2; .* argument --seed"):
        async with start_peer("one", command=start.command(), arguments=["--seed", "x"]):
            pytest.fail("the block ran")


async def test_a_fault_that_is_not_there_is_told(start):
    with pytest.raises(PeerFailed, match="there is no fault of_my_own"):
        async with start_peer("one", command=start.command("of_my_own")):
            pytest.fail("the block ran")


async def test_a_node_whose_client_is_killed_is_gone_and_others_go_on(start):
    async with (
        start_peer("one", command=start.command()) as one,
        start_peer("two", command=start.command()) as two,
    ):
        os.kill(one.ready["pid"], signal.SIGSTOP)  # so that it cannot end by itself
        one.send_signal(signal.SIGKILL)
        await gone(one.ready["pid"])
        await two.command("stats")


def test_a_process_that_does_not_come_up_in_time_is_ended_and_told():
    with (
        WarmStart(start_timeout=0.01) as start,
        pytest.raises(WarmStartFailed, match=r"was not ready within 0\.01 s"),
    ):
        start.command()


async def test_no_node_outlives_the_block():
    with WarmStart() as start:
        peer = start_peer("one", command=start.command())
        await peer.__aenter__()
        pid = peer.ready["pid"]
    await gone(pid)
    await peer.__aexit__(None, None, None)
