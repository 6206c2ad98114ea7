from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

import anyio
import pytest

from gossipsub.conformance.driver import (
    PeerError,
    PeerFailed,
    PeerProcess,
    PeerTimeout,
    peer_arguments,
    peer_command,
    start_peer,
)

pytestmark = pytest.mark.anyio

# A peer that speaks the protocol and nothing else. `hold` is answered only after the next command,
# `emit` prints the lines it is given, `die` ends it, `hang` lets it ignore everything from then on.
FAKE_PEER = r"""
import json, os, sys, time
def say(**event):
    print(json.dumps(event), flush=True)
say(event="ready", peer_id="me", addrs=["/ip4/127.0.0.1/tcp/1/p2p/me"], pid=os.getpid(),
    argv=sys.argv[1:])
held = None
for line in sys.stdin:
    c = json.loads(line)
    name = c["cmd"]
    if name == "credit":
        say(event="credited", received=c["received"])
        continue
    if name == "die":
        print("this is why", file=sys.stderr)
        sys.exit(3)
    if name == "hang":
        while True:
            time.sleep(60)
    if name == "hold":
        held = c["id"]
        continue
    for text in c.get("lines", []):
        print(text, flush=True)
    if name == "refuse":
        say(event="error", cmd=name, id=c["id"], error="no such topic")
    elif name != "exit":
        say(event="ok", cmd=name, id=c["id"], echo=c)
    if held is not None:
        say(event="ok", cmd="hold", id=held)
        held = None
    if name == "exit":
        break
"""
SILENT_PEER = "import time\nwhile True: time.sleep(60)"


def fake_peer(script: str = FAKE_PEER, **options: Any) -> PeerProcess:
    return start_peer("fake", command=[sys.executable, "-c", script], **options)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_flags_reach_the_peer_and_its_ready_event_the_driver() -> None:
    async with fake_peer(seed=7, params={"D": 4}, quiet=True, arguments=["--more"]) as peer:
        assert peer.ready["argv"] == ["--seed", "7", "--params", '{"D": 4}', "--quiet", "--more"]
        assert peer.peer_id == "me"
        assert peer.addresses == ["/ip4/127.0.0.1/tcp/1/p2p/me"]
        assert peer.exit_status is None
    assert (peer.exit_status, peer.killed) == (0, False)


async def test_answers_go_to_the_command_they_belong_to() -> None:
    answers: dict[str, dict[str, Any]] = {}

    async def ask(name: str) -> None:
        answers[name] = await peer.command(name)

    async with fake_peer() as peer, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, "hold")
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, "next")
    assert {name: answer["cmd"] for name, answer in answers.items()} == {
        "hold": "hold",
        "next": "next",
    }


async def test_an_error_is_raised_with_the_peers_words_and_the_peer_goes_on() -> None:
    async with fake_peer() as peer:
        with pytest.raises(PeerError) as caught:
            await peer.command("refuse")
        assert str(caught.value) == "refuse: no such topic"
        answer = await peer.publish("news", b"\x00\xff")
        assert answer["echo"] == {"cmd": "publish", "id": 2, "topic": "news", "data_b64": "AP8="}


async def test_events_wait_until_somebody_takes_them() -> None:
    lines = [
        '{"event":"message","topic":"a","data_b64":"AQ=="}',
        '{"event":"message","topic":"b","data_b64":"Ag=="}',
        '{"event":"peer_connected","peer":"x"}',
    ]
    async with fake_peer() as peer:
        await peer.command("emit", lines=lines)
        found = await peer.wait_event("message", where=lambda event: event["data"] == b"\x02")
        assert found["topic"] == "b"
        assert [event["topic"] for event in peer.messages()] == ["a"]
        assert peer.messages() == []
        assert peer.events("peer_connected") == [{"event": "peer_connected", "peer": "x"}]
        await peer.credit(17)
        assert (await peer.wait_event("credited"))["received"] == 17


async def test_a_question_is_asked_until_the_answer_fits() -> None:
    async with fake_peer() as peer:
        answer = await peer.wait_answer("count", lambda answer: answer["echo"]["id"] == 3)
        assert answer["echo"]["id"] == 3
        with pytest.raises(PeerTimeout, match="gave no such answer to count"):
            await peer.wait_answer("count", lambda _: False, timeout=0.1)


async def test_every_wait_ends_at_its_deadline() -> None:
    async with fake_peer(command_timeout=0.1) as peer:
        with pytest.raises(PeerTimeout) as caught:
            await peer.command("hold")
        assert str(caught.value) == "the fake peer did not answer hold within 0.1 s"
        with pytest.raises(PeerTimeout) as caught:
            await peer.wait_event("message", timeout=0.1)
        assert str(caught.value) == (
            "the fake peer sent no such message event within 0.1 s (0 thrown away unread)"
        )
        assert (await peer.command("next", timeout=5))["cmd"] == "next"


async def test_a_peer_that_hangs_is_killed_within_its_deadline() -> None:
    async with fake_peer(stop_timeout=0.3) as peer:
        pid = peer.ready["pid"]
        with pytest.raises(PeerTimeout):
            await peer.command("hang", timeout=0.1)
        left = anyio.current_time()
    assert anyio.current_time() - left < 2
    assert peer.killed
    assert not is_alive(pid)


async def gone(pid: int) -> None:
    with anyio.fail_after(10):
        while is_alive(pid):
            await anyio.sleep(0.02)


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="this system has no process groups")
@pytest.mark.parametrize("end", ["hang", "die"])
async def test_nothing_is_left_of_a_peer_behind_a_wrapper(end: str) -> None:
    """The wrapper stays until the peer ends, with another process that stays for itself."""
    script = 'sleep 300 & echo $! >&2; "$0" "$@"; exit $?'
    command = ["sh", "-c", script, sys.executable, "-c", FAKE_PEER]
    async with start_peer("wrapped", command=command, stop_timeout=0.3) as peer:
        pid = peer.ready["pid"]
        other = int(peer.stderr)
        with pytest.raises(PeerFailed):
            await peer.command(end, timeout=1)
        assert is_alive(other)
        left = anyio.current_time()
    assert anyio.current_time() - left < 5
    assert peer.killed is (end == "hang")
    await gone(pid)
    await gone(other)


async def test_a_signal_reaches_the_process_and_none_that_has_ended() -> None:
    async with fake_peer() as peer:
        peer.send_signal(signal.SIGSTOP)
        with pytest.raises(PeerTimeout):
            await peer.command("echo", timeout=0.2)
        peer.send_signal(signal.SIGCONT)
        await peer.command("echo")
        peer.send_signal(signal.SIGKILL)
        with pytest.raises(PeerFailed) as caught:
            await peer.wait_event("message")
        assert caught.value.exit_status == -signal.SIGKILL
        peer.send_signal(signal.SIGKILL)


async def test_a_peer_that_never_gets_ready_is_killed() -> None:
    with pytest.raises(PeerTimeout) as caught:
        async with fake_peer(SILENT_PEER, start_timeout=0.2, stop_timeout=0.2):
            pytest.fail("the block ran")
    assert "sent no such ready event within 0.2 s" in str(caught.value)


async def test_a_peer_that_dies_takes_its_last_words_and_its_status_along() -> None:
    async with fake_peer() as peer:
        with pytest.raises(PeerFailed) as caught:
            await peer.command("die")
        assert caught.value.exit_status == 3
        assert not isinstance(caught.value, PeerTimeout)
        assert str(caught.value) == (
            "the fake peer cannot do die: closed its standard output; exit status 3; "
            "standard error: this is why"
        )
        with pytest.raises(PeerFailed, match="is not running"):
            await peer.command("next")
        with pytest.raises(PeerFailed, match="sent no such message event"):
            await peer.wait_event("message")
    assert not peer.killed


async def test_a_peer_that_refuses_its_flags_tells_the_status() -> None:
    script = "import sys; print('unknown flag', file=sys.stderr); sys.exit(2)"
    with pytest.raises(PeerFailed) as caught:
        async with fake_peer(script):
            pytest.fail("the block ran")
    assert caught.value.exit_status == 2
    assert "unknown flag" in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[1]",
        "[" * 200_000,
        '{"event":"ready"}',
        '{"cmd":"ok"}',
        '{"event":"message"}',
        '{"event":"ok","id":[1]}',
    ],
)
async def test_a_peer_that_breaks_the_protocol_fails_every_wait(line: str) -> None:
    async with fake_peer() as peer:
        with pytest.raises(PeerFailed, match="broke the protocol"):
            await peer.command("emit", lines=[line])


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"peer_id": None}, "ready has no peer_id"),
        ({"addrs": "me"}, "ready has no addrs"),
        ({"addrs": [1]}, "addrs of ready are not all text"),
        ({"versions": "1.2"}, "versions of ready are no dict"),
        ({"unsupported_params": [{}]}, "unsupported_params of ready are not all text"),
    ],
)
async def test_a_ready_that_is_none_is_told_at_once(fields: dict[str, Any], why: str) -> None:
    ready = {"event": "ready", "peer_id": "me", "addrs": ["/ip4/127.0.0.1/tcp/1/p2p/me"]}
    script = f"import sys\nprint({json.dumps({**ready, **fields})!r}, flush=True)\nsys.stdin.read()"
    with pytest.raises(PeerFailed, match=why):
        async with fake_peer(script):
            pytest.fail("the block ran")


async def test_the_blocks_own_exception_comes_out_unwrapped() -> None:
    with pytest.raises(ZeroDivisionError):
        async with fake_peer():
            raise ZeroDivisionError
    with anyio.move_on_after(0.5) as scope:
        async with fake_peer() as peer:
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert peer.exit_status == 0


async def test_much_standard_error_is_read_and_only_its_end_is_kept() -> None:
    script = "import sys; sys.stderr.write('x' * 1_000_000 + 'end'); sys.stderr.flush()\n"
    async with fake_peer(script + FAKE_PEER) as peer:
        await peer.command("next")
    assert len(peer.stderr) <= 64 * 1024
    assert peer.stderr.endswith("end")


async def test_a_program_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(PeerFailed, match="cannot start the other peer"):
        async with start_peer("other", command=["/nonexistent/peer"]):
            pytest.fail("the block ran")


def test_unknown_targets_are_refused() -> None:
    with pytest.raises(ValueError, match="no peer is called 'perl'"):
        peer_command("perl")
    assert peer_command("python")[1:] == ["-m", "gossipsub", "peer"]


def test_what_is_not_given_is_left_to_the_peer() -> None:
    assert peer_arguments() == []
    assert peer_arguments(score={}, sign="none", protocol="floodsub", msgid="content") == [
        *("--protocol", "floodsub", "--score", "{}", "--msgid", "content", "--sign", "none")
    ]
