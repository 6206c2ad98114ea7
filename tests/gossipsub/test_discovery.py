"""Peers found by topic, through an object of the application."""

from __future__ import annotations

import logging
import math
from collections import defaultdict

import anyio
import anyio.lowlevel
import pytest

from gossipsub import GossipParams, Host, HostConfig, MeshParams
from gossipsub.pubsub.discovery import MOST_FOUND
from gossipsub.testing.memory import MemoryNetwork

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

NEVER = HostConfig(discovery_interval=3600)
"""Looks only when a topic is joined, or somebody waits."""
ONE_IS_ENOUGH = GossipParams(mesh=MeshParams(d=1, d_low=1, d_high=2, d_score=1, d_out=0))


@pytest.fixture
def new_host():
    """Makes hosts that reach each other, each on a machine of its own."""
    network = MemoryNetwork()
    return lambda **options: Host(network=network.machine(), **options)


class Noticeboard:
    """What all hosts of a test can read."""

    def __init__(self, *, interval: float | None = None) -> None:
        self.addresses: dict[str, dict[str, None]] = defaultdict(dict)
        self.adverts: list[str] = []
        self.looks: list[str] = []
        self.interval = interval

    async def advertise(self, topic, addresses):
        self.adverts.append(topic)
        self.addresses[topic].update(dict.fromkeys(addresses))
        return self.interval

    async def find_peers(self, topic):
        self.looks.append(topic)
        return list(self.addresses[topic])


class Generating(Noticeboard):
    async def find_peers(self, topic):
        for address in list(self.addresses[topic]):
            await anyio.lowlevel.checkpoint()
            yield address


async def until(condition):
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.002)


@pytest.mark.rule("API-06")
@pytest.mark.parametrize("kind", [Noticeboard, Generating])
async def test_two_hosts_that_know_nobody_find_each_other_by_their_topic(new_host, kind):
    board = kind()
    async with new_host(discovery=board, config=NEVER) as one, new_host(discovery=board) as other:
        here, there = await one.join("news"), await other.join("news")
        async with here.subscribe() as messages:
            await until(lambda: board.addresses["news"])
            assert tuple(board.addresses["news"]) == one.addresses
            async with there.relay():
                await there.wait_for_peers(1, timeout=20)
                await there.publish(b"found")
                with anyio.fail_after(20):
                    assert (await anext(messages)).data == b"found"


@pytest.mark.rule("API-06")
async def test_publishing_looks_for_the_peers_it_waits_for_also_those_that_come_later(new_host):
    board = Noticeboard()
    async with (
        new_host(discovery=board, config=NEVER) as reader,
        new_host(discovery=board) as writer,
    ):
        topic, read = await writer.join("news"), await reader.join("news")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: topic.publish(b"at last", wait_for=1, timeout=20))
            await until(lambda: board.looks == ["news"])
            async with read.subscribe() as messages:
                with anyio.fail_after(20):
                    assert (await anext(messages)).data == b"at last"
        assert board.adverts == ["news"]  # the writer takes no part in the topic


@pytest.mark.rule("API-06")
async def test_topics_with_too_few_peers_are_looked_after_from_time_to_time(new_host):
    board = Noticeboard()
    config = HostConfig(discovery_interval=0.05)
    async with new_host(discovery=board, config=config, params=ONE_IS_ENOUGH) as host:
        await host.join("lonely")
        topic = await host.join("news")
        async with (
            topic.subscribe(),
            new_host(bootstrap=host.addresses) as friend,
            (await friend.join("news")).subscribe(),
        ):
            await until(lambda: topic.has_enough_peers())
            looks = board.looks.count("news")
            lonely = board.looks.count("lonely")
            await until(lambda: board.looks.count("lonely") >= lonely + 2)  # a second or two
            assert board.looks.count("news") == looks


@pytest.mark.rule("API-06")
async def test_a_topic_is_advertised_again_until_it_is_left(new_host):
    board = Noticeboard(interval=0.02)
    async with new_host(discovery=board, config=NEVER) as host:
        topic, other = await host.join("news"), await host.join("other")
        async with other.subscribe():
            async with topic.subscribe(), topic.subscribe(), topic.relay():
                await until(lambda: board.adverts.count("news") >= 3)
            adverts = board.adverts.count("news")
            others = board.adverts.count("other")
            await until(lambda: board.adverts.count("other") >= others + 5)
            assert board.adverts.count("news") == adverts


@pytest.mark.parametrize("interval", [None, 0, -1.0, math.nan, math.inf, "soon"])
async def test_an_interval_that_is_none_is_the_configs(new_host, interval):
    board = Noticeboard(interval=interval)
    config = HostConfig(advertise_interval=0.02)
    async with (
        new_host(discovery=board, config=config) as host,
        (await host.join("news")).subscribe(),
    ):
        await until(lambda: len(board.adverts) >= 3)


class Failing(Noticeboard):
    async def advertise(self, topic, addresses):
        await super().advertise(topic, addresses)
        raise RuntimeError("no board")

    def find_peers(self, topic):
        self.looks.append(topic)
        raise RuntimeError("no list")


async def test_what_the_application_raises_is_logged_and_tried_again(new_host, caplog):
    board = Failing()
    config = HostConfig(discovery_interval=0.05, advertise_interval=0.02)
    async with (
        new_host(discovery=board, config=config) as host,
        (await host.join("news")).subscribe(),
    ):
        await until(lambda: len(board.adverts) >= 2 and len(board.looks) >= 2)
    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert {each.getMessage() for each in errors} == {
        "advertising failed topic='news'",
        "looking for peers failed topic='news'",
    }
    assert {str(each.exc_info[1]) for each in errors if each.exc_info} == {"no board", "no list"}


class Hanging(Noticeboard):
    """Its calls do not return; how many were ended."""

    def __init__(self) -> None:
        super().__init__()
        self.ended: list[str] = []

    async def advertise(self, topic, addresses):
        try:
            await super().advertise(topic, addresses)
            await anyio.sleep_forever()
        finally:
            self.ended.append("advertise")

    async def find_peers(self, topic):
        try:
            self.looks.append(topic)
            await anyio.sleep_forever()
            yield ""
        finally:
            self.ended.append("find")


async def test_calls_that_take_too_long_are_ended_and_made_again(new_host):
    board = Hanging()
    config = HostConfig(discovery_timeout=0.05, discovery_interval=0.05, advertise_interval=0.02)
    async with (
        new_host(discovery=board, config=config) as host,
        (await host.join("news")).subscribe(),
    ):
        await until(lambda: len(board.adverts) >= 2 and len(board.looks) >= 2)


async def test_calls_under_way_end_with_the_host(new_host):
    board = Hanging()
    async with (
        new_host(discovery=board, config=NEVER) as host,
        (await host.join("news")).subscribe(),
    ):
        await until(lambda: board.adverts and board.looks)
        await host.join("another")
        assert board.ended == []
    assert sorted(board.ended) == ["advertise", "find"]


class Endless(Noticeboard):
    """More addresses than anybody wants, none of them a peer's."""

    def __init__(self) -> None:
        super().__init__()
        self.yielded = 0
        self.is_closed = False

    async def find_peers(self, topic):
        try:
            while True:
                self.yielded += 1
                yield ("/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/udp/1", "nonsense")[self.yielded % 3]
        finally:
            self.is_closed = True


async def test_so_many_addresses_are_taken_of_one_look_and_bad_ones_are_left(new_host, caplog):
    board = Endless()
    async with (
        new_host(discovery=board, config=NEVER) as host,
        (await host.join("news")).subscribe(),
    ):
        await until(lambda: board.is_closed)
        assert board.yielded == MOST_FOUND
        assert host.peers() == ()
    assert [each for each in caplog.records if each.levelno > logging.INFO] == []


async def test_a_host_that_finds_itself_does_not_mind(new_host, caplog):
    board = Noticeboard()
    async with new_host(discovery=board, config=NEVER) as host:
        topic = await host.join("news")
        async with topic.subscribe():
            await until(lambda: board.addresses["news"])
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: topic.wait_for_peers(1, timeout=60))
                await until(lambda: len(board.looks) >= 2)
                tasks.cancel_scope.cancel()
            assert host.peers() == ()
    assert [each for each in caplog.records if each.levelno > logging.INFO] == []
