"""`gossipsub listen`, with the rest of the network in the same process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from gossipsub import Host
from gossipsub.__main__ import main
from gossipsub.cli.listen import listen, parse
from gossipsub.cli.top import fetch
from gossipsub.crypto.key_file import load

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def listening(captured: Any, *words: str) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen, parse(words), captured.output)
        yield
        tasks.cancel_scope.cancel()


async def test_the_first_lines_are_where_it_listens(captured: Any, tmp_path: Path) -> None:
    key = str(tmp_path / "node.key")
    two = ["--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip6/::1/tcp/0"]
    async with listening(captured, "--key", key, *two):
        lines = [await captured.line(), await captured.line()]
        me = load(key).peer_id()
        async with Host() as host:
            for line, start in zip(lines, ("/ip4/127.0.0.1", "/ip6/::1"), strict=True):
                word, address = line.split()
                assert word == "LISTEN"
                assert address.startswith(f"{start}/tcp/")
                assert await host.connect(address) == me


async def test_topics_are_relayed_and_all_is_traced(captured: Any, tmp_path: Path) -> None:
    trace = str(tmp_path / "trace.json")
    async with listening(captured, "--json", "--relay", "news", "--trace", trace):
        told = json.loads(await captured.line())
        async with Host(bootstrap=told["listen"]) as a, Host(bootstrap=told["listen"]) as b:
            here, there = await a.join("news"), await b.join("news")
            async with there.subscribe() as messages:
                await here.wait_for_peers(1, timeout=10)
                await there.wait_for_peers(1, timeout=10)
                await here.publish(b"passed on")
                with anyio.fail_after(10):
                    message = await anext(messages)
        assert (message.data, str(message.received_from)) == (b"passed on", told["peer_id"])
    assert '"type":9' in Path(trace).read_text()  # JOIN


async def test_it_serves_its_status_where_it_is_told_to(
    captured: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async with listening(captured, "--json", "--status", "127.0.0.1:0"):
        told = json.loads(await captured.line())
        word, url = capsys.readouterr().err.split()
        assert word == "STATUS"
        snapshot = await anyio.to_thread.run_sync(fetch, f"{url}snapshot.json", None)
        assert snapshot["peer_id"] == told["peer_id"]


def test_a_status_page_at_no_place_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["listen", "--status", "8080"])
    assert "argument --status: not HOST:PORT: '8080'" in capsys.readouterr().err


def test_without_h11_a_status_page_is_1(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gossipsub.cli.node_options.find_spec", lambda name: None)
    assert main(["listen", "--status", "127.0.0.1:0"]) == 1
    said = "gossipsub listen: --status needs h11: pip install gossipsub[status]\n"
    assert capfd.readouterr().err == said


def test_an_address_that_is_taken_is_1(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["listen", "--listen", "/ip4/192.0.2.1/tcp/1"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("gossipsub listen: cannot listen on /ip4/192.0.2.1/tcp/1: ")
    assert err.count("\n") == 1


async def test_direct_peers_announced_addresses_and_the_peerstore_are_the_hosts(
    captured: Any, tmp_path: Path
) -> None:
    announced, store = "/ip4/198.51.100.7/tcp/4001", tmp_path / "peers.json"
    async with Host() as direct:
        words = ["--direct", direct.addresses[0], "--announce", announced, "--json"]
        async with listening(captured, *words, "--peerstore", str(store)):
            await captured.line()
            with anyio.fail_after(10):
                while not direct.peers():
                    await anyio.sleep(0.01)
                (listener,) = direct.peers()
                while not direct.addresses_of(listener.peer):
                    await anyio.sleep(0.01)
            told = direct.addresses_of(listener.peer)
    assert told == (f"{announced}/p2p/{listener.peer}",)
    assert str(direct.peer_id) in store.read_text()


def test_a_direct_peer_is_told_by_its_id(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["listen", "--direct", "/ip4/127.0.0.1/tcp/4001"])
    said = "a direct peer's address ends in /p2p/PEER: /ip4/127.0.0.1/tcp/4001"
    assert said in capsys.readouterr().err
