"""`gossipsub pub`, with the rest of the network in the same process."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import anyio
import pytest

from gossipsub import Host, LocalProtocolError
from gossipsub.__main__ import main
from gossipsub.cli import message_input
from gossipsub.cli.message_input import InputTooLarge
from gossipsub.cli.pub import parse, publish

pytestmark = pytest.mark.anyio


def told_to(host: Host, *words: str) -> Namespace:
    return parse(["news", *words, "-b", host.addresses[0]])


async def test_a_message_reaches_who_is_there_and_is_reported(captured: Any) -> None:
    async with Host() as host, (await host.join("news")).subscribe() as messages:
        assert await publish(told_to(host, "-m", "hello"), captured.output) == 0
        with anyio.fail_after(10):
            message = await anext(messages)
    assert message.data == b"hello"
    assert captured.rest() == f"{message.message_id.hex()} 1\n".encode()


async def test_json_names_the_peers(captured: Any) -> None:
    async with Host() as host, (await host.join("news")).subscribe() as messages:
        assert await publish(told_to(host, "-m", "hello", "--json"), captured.output) == 0
        with anyio.fail_after(10):
            message = await anext(messages)
    assert json.loads(captured.rest()) == {
        "topic": "news",
        "message_id": message.message_id.hex(),
        "size_bytes": 5,
        "peers": [str(host.peer_id)],
        "dropped_by": [],
    }


async def test_each_line_is_a_message_and_quiet_is_quiet(
    captured: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lines").write_bytes(b"one\n\ntwo\xff")
    async with Host() as host, (await host.join("news")).subscribe() as messages:
        with (tmp_path / "lines").open("rb") as stdin:
            monkeypatch.setattr(message_input.sys, "stdin", stdin)
            assert await publish(told_to(host, "-l", "-q"), captured.output) == 0
        with anyio.fail_after(10):
            got = [(await anext(messages)).data for _ in range(3)]
    assert got == [b"one", b"", b"two\xff"]
    assert captured.rest() == b""


async def test_it_waits_for_as_many_peers_as_it_is_told(captured: Any) -> None:
    async with (
        Host() as one,
        Host() as two,
        (await one.join("news")).subscribe() as first,
        anyio.create_task_group() as tasks,
    ):
        statuses: list[int] = []

        async def pub() -> None:
            options = told_to(one, "-m", "x", "--wait-for", "2", "-b", two.addresses[0])
            statuses.append(await publish(options, captured.output))

        tasks.start_soon(pub)
        with anyio.move_on_after(0.3) as early:
            await anext(first)
        assert early.cancelled_caught
        async with (await two.join("news")).subscribe() as second:
            with anyio.fail_after(10):
                assert (await anext(second)).data == (await anext(first)).data == b"x"
    assert statuses == [0]


async def test_nobody_is_an_error_that_says_who_is_connected(captured: Any) -> None:
    async with Host() as host:
        with pytest.raises(
            TimeoutError, match=r"^0 of 1 peers in news after 0\.3 s; connected to [01] peers$"
        ):
            await publish(told_to(host, "-m", "x", "--timeout", "0.3"), captured.output)
    assert captured.rest() == b""


async def test_nobody_is_fine_where_that_is_said(captured: Any) -> None:
    async with Host() as host:
        options = told_to(host, "-m", "x", "--timeout", "0.2", "--allow-nobody")
        assert await publish(options, captured.output) == 0
    assert captured.rest().endswith(b" 0\n")


async def test_messages_that_reached_nobody_are_counted(
    captured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Host() as host:
        assert await publish(told_to(host, "-m", "x", "--wait-for", "0"), captured.output) == 1
    assert captured.rest().endswith(b" 0\n")
    assert capsys.readouterr().err == "gossipsub pub: 1 of 1 messages reached nobody\n"


async def test_what_is_too_large_is_an_error(captured: Any, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(bytes(101))
    async with Host() as host:
        everything = ("--wait-for", "0", "--param", "max_rpc_bytes=100")
        options = told_to(host, "-f", str(tmp_path / "data"), *everything)
        with pytest.raises(InputTooLarge):
            await publish(options, captured.output)
        with pytest.raises(LocalProtocolError):  # with its signature
            await publish(told_to(host, "-m", "x" * 100, *everything), captured.output)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "the following arguments are required: TOPIC"),
        (["t", "-m", "x", "-l"], "argument -l: not allowed with argument -m"),
        (["t", "--json", "-q"], "argument -q: not allowed with argument --json"),
        (["t", "--wait-for", "x"], "argument --wait-for: not a whole number: 'x'"),
        (["t", "--timeout", "0"], "argument --timeout: not a number of seconds above 0: '0'"),
    ],
)
def test_a_wrong_call_is_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["pub", *words])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["-f", "/nowhere"], "/nowhere: No such file or directory"),
        (["--key", "/nowhere/key"], "cannot write key file '/nowhere/key'"),
        (["--trace", "x.txt"], "a trace file ends in .json or .pb (or .gz): x.txt"),
        (["--listen", "/ip4/192.0.2.1/tcp/1"], "cannot listen on /ip4/192.0.2.1/tcp/1: "),
    ],
)
def test_what_goes_wrong_is_1_and_a_sentence(
    words: list[str], complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["pub", "t", "--wait-for", "0", *words]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    *_, last = [line for line in err.splitlines() if not line.startswith("LISTEN ")]
    assert last.startswith(f"gossipsub pub: {complaint}")
