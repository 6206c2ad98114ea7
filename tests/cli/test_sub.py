"""`gossipsub sub`, with the rest of the network in the same process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from gossipsub import Host, Topic
from gossipsub.__main__ import main
from gossipsub.cli.sub import parse, subscribe

pytestmark = pytest.mark.anyio


class Running:
    """A `sub` that runs, and topics of a host that it knows."""

    def __init__(self, host: Host, topics: list[Topic]) -> None:
        self.host = host
        self.topics = topics
        self.status: int | None = None
        self.ended = anyio.Event()

    async def wait(self) -> int | None:
        with anyio.fail_after(10):
            await self.ended.wait()
        return self.status


@asynccontextmanager
async def running(
    captured: Any, *words: str, topics: tuple[str, ...] = ("news",)
) -> AsyncIterator[Running]:
    async with Host() as host, anyio.create_task_group() as tasks:
        options = parse([*topics, *words, "-b", host.addresses[0]])
        run = Running(host, [await host.join(name) for name in dict.fromkeys(topics)])

        async def sub() -> None:
            run.status = await subscribe(options, captured.output)
            run.ended.set()

        tasks.start_soon(sub)
        for topic in run.topics:
            await topic.wait_for_peers(1, timeout=10)
        yield run
        tasks.cancel_scope.cancel()


async def test_each_message_is_a_line_and_enough_of_them_end_it(captured: Any) -> None:
    async with running(captured, "-C", "2") as sub:
        for data in (b"one", b"two\n\x1b[2J", b"never"):
            await sub.topics[0].publish(data)
        assert await sub.wait() == 0
    assert captured.rest() == b"one\ntwo\\n\\x1b[2J\n"


async def test_several_topics_are_told_apart(captured: Any) -> None:
    async with running(captured, "-v", topics=("a", "b", "a")) as sub:
        for topic in sub.topics:
            await topic.publish(b"x")
            assert await captured.line() == f"{topic.name} x"


async def test_raw_data_without_newlines_is_what_was_published(captured: Any) -> None:
    data = bytes(range(256)) * 1000
    async with running(captured, "--raw", "-N", "-C", "1") as sub:
        await sub.topics[0].publish(data)
        assert await captured.read(len(data)) == data
        assert await sub.wait() == 0
    assert captured.rest() == b""


async def test_json_names_sender_and_neighbour(captured: Any) -> None:
    async with running(captured, "--json") as sub:
        result = await sub.topics[0].publish(b"\xff")
        told = json.loads(await captured.line())
        me = str(sub.host.peer_id)
        assert (told["topic"], told["sender"], told["received_from"]) == ("news", me, me)
        assert (told["message_id"], told["data_base64"]) == (result.message_id.hex(), "/w==")


async def test_a_format_decides_what_stands_in_a_line(captured: Any) -> None:
    async with running(captured, "-F", "%t|%l|%d") as sub:
        await sub.topics[0].publish(b"hello")
        assert await captured.line() == "news|5|hello"


async def test_messages_are_left_out_by_text_and_by_sender(captured: Any) -> None:
    async with Host() as other:
        words = ("-T", "noise", "-T", "ü", "--from", str(other.peer_id))
        async with running(captured, *words) as sub:
            await other.connect(sub.host.addresses[0])
            topic = await other.join("news")
            async with sub.topics[0].relay():
                await topic.wait_for_peers(1, timeout=10)
                await sub.topics[0].publish(b"somebody else")
                for data in (b"some noise here", "für".encode(), b"signal"):
                    await topic.publish(data)
                assert await captured.line() == "signal"


async def test_time_that_is_up_is_27(captured: Any) -> None:
    with anyio.fail_after(20):
        assert await subscribe(parse(["news", "-W", "0.2"]), captured.output) == 27
    assert captured.rest() == b""


async def test_enough_messages_in_time_are_0(captured: Any) -> None:
    async with running(captured, "-W", "60", "-C", "1") as sub:
        await sub.topics[0].publish(b"early")
        assert await sub.wait() == 0


async def test_a_reader_that_goes_ends_it_without_another_message(captured: Any) -> None:
    async with running(captured) as sub:
        await sub.topics[0].publish(b"enough")
        assert await captured.line() == "enough"
        captured.stop_reading()
        assert await sub.wait() == 0


async def test_a_message_that_nobody_reads_ends_it(captured: Any) -> None:
    async with running(captured) as sub:
        captured.stop_reading()
        await sub.topics[0].publish(b"unread")
        assert await sub.wait() == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the following arguments are required: TOPIC"),
        (["t", "-C", "0"], "argument -C: must be 1 or more"),
        (["t", "-W", "0"], "argument -W: not a number of seconds above 0: '0'"),
        (["t", "-F", "%q"], "argument -F: no such thing in a format: %q"),
        (["t", "--raw", "--json"], "argument --json: not allowed with argument --raw"),
        (
            ["t", "-v", "--json"],
            "-v goes with plain and --raw output",
        ),
        (["t", "--from", "x"], "argument --from: not a peer id: 'x': unknown multibase prefix 'x'"),
        (["t", "--listen", "here"], "argument --listen: an address is a text that begins with '/'"),
        (["t", "-b", "/ip4/127.0.0.1/tcp/1"], "a bootstrap address ends in /p2p/PEER"),
        (["t", "--param", "mesh.d=x"], "--param: mesh.d: a whole number, not 'x'"),
    ],
)
def test_a_wrong_call_is_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["sub", *words])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
