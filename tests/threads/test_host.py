"""A host in a program of plain threads."""

from __future__ import annotations

import inspect
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import FunctionType

import pytest
from prometheus_client import CollectorRegistry, generate_latest

import gossipsub
from gossipsub import (
    AddressError,
    DialError,
    HostConfig,
    LocalProtocolError,
    PeerEventKind,
    SubscriptionOverflow,
    Verdict,
    threads,
)
from gossipsub.metrics import HostCollector
from gossipsub.threads import Host

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])
OF_THE_NODE = {"deliver", "end", "has_ended", "peers_changed", "push", "share", "take"}
"""What the node calls, not the application."""


def public(kind: type) -> dict[str, object]:
    return {
        name: member
        for each in reversed(kind.__mro__[:-1])
        for name, member in vars(each).items()
        if not name.startswith("_")
    }


# -- the same names


@pytest.mark.parametrize(
    "name", ["Host", "Topic", "Subscription", "PeerEvents", "OverloadEvents", "PeerStream"]
)
def test_there_is_everything_that_the_asynchronous_class_has(name):
    here, there = public(getattr(threads, name)), public(getattr(gossipsub, name))
    assert set(there) - OF_THE_NODE <= set(here)
    attributes = {"delivered", "dropped", "name", "fanout_only"}
    assert set(here) - set(there) - attributes <= {"receive"}


@pytest.mark.parametrize("name", ["Host", "Topic"])
def test_every_function_takes_what_the_asynchronous_one_takes(name):
    here, there = getattr(threads, name), getattr(gossipsub, name)
    functions = [n for n, each in public(there).items() if isinstance(each, FunctionType)]
    for function in [*functions, "__init__"] if name == "Host" else functions:
        if function in OF_THE_NODE:
            continue
        mine, theirs = (
            {key: (each.kind, each.default) for key, each in signature.parameters.items()}
            for signature in (
                inspect.signature(getattr(here, function)),
                inspect.signature(getattr(there, function)),
            )
        )
        mine.pop("backend", None)
        assert mine == theirs, function


# -- the way of a message


@BACKENDS
def test_threads_publish_and_receive(backend):
    with Host(backend=backend) as a, Host(bootstrap=a.addresses, backend=backend) as b:
        here, there = a.join("news"), b.join("news")
        with here.subscribe() as own, there.subscribe() as theirs:
            here.wait_for_peers(1, timeout=20, grafted=True)
            assert (here.peers(), here.mesh()) == ((b.peer_id,), (b.peer_id,))
            result = here.publish(b"hello")
            assert (result.queued_to, result.reason) == ((b.peer_id,), None)
            assert theirs.receive(timeout=10).data == next(own).data == b"hello"
            results = there.publish_batch([b"%d" % number for number in range(50)])
            assert len(results) == 50
            heard = []
            for message in own:
                heard.append(message.data)
                if len(heard) == 50:
                    break
            assert heard == [b"%d" % number for number in range(50)]
            assert theirs.statistics().delivered == 51
        assert a.statistics().published == 1


def test_reading_ends_when_the_subscription_or_the_host_is_closed():
    with Host() as host:
        topic = host.join("news")
        with topic.subscribe() as first:
            topic.publish(b"1")
        assert [message.data for message in first] == [b"1"]
        with pytest.raises(EOFError):
            first.receive()
        second = topic.subscribe().__enter__()
        with ThreadPoolExecutor() as pool:
            reading = pool.submit(list, second)
            topic.publish(b"2")
            host.__exit__(None, None, None)
            assert [message.data for message in reading.result(timeout=10)] == [b"2"]
    second.close()


def test_a_wait_for_a_message_has_an_end():
    with Host() as host, host.join("news").subscribe() as messages:
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"^nothing came within 0.05 s$"):
            messages.receive(timeout=0.05)
        assert time.monotonic() - began >= 0.05


def test_what_is_lost_is_told_as_the_subscriber_wishes():
    with Host() as host:
        topic = host.join("news")
        with (
            topic.subscribe(buffer=2, overflow="error") as strict,
            topic.subscribe(buffer=2, overflow="drop_oldest") as latest,
        ):
            topic.publish_batch([b"1", b"2", b"3"])
            assert [strict.receive().data for _ in range(2)] == [b"1", b"2"]
            with pytest.raises(SubscriptionOverflow):
                strict.receive()
            assert [latest.receive().data for _ in range(2)] == [b"2", b"3"]
            assert (strict.dropped, latest.dropped, latest.delivered, len(latest)) == (1, 1, 2, 0)


def test_many_threads_share_a_host_and_a_subscription():
    with Host() as host:
        topic = host.join("news")
        with topic.subscribe(buffer=1000) as messages, ThreadPoolExecutor(8) as pool:

            def take():
                return [messages.receive(20).data for _ in range(50)]

            def publish(number):
                for n in range(50):
                    topic.publish(b"%d-%d" % (number, n))

            taken = [pool.submit(take) for _ in range(4)]
            for number in range(4):
                pool.submit(publish, number)
            heard = [data for each in taken for data in each.result(timeout=30)]
        assert sorted(heard) == sorted(b"%d-%d" % (t, n) for t in range(4) for n in range(50))


# -- validators


@BACKENDS
def test_a_validator_that_blocks_holds_up_nothing_but_its_topic(backend):
    release, seen = threading.Event(), []

    def patient(message):
        seen.append((message.data, threading.current_thread()))
        release.wait(20)
        return message.data != b"bad"

    with Host(backend=backend) as a, Host(bootstrap=a.addresses, backend=backend) as b:
        a.set_validator("slow", patient)
        slow, quick = a.join("slow"), a.join("quick")
        with slow.subscribe() as messages, quick.subscribe() as others:
            there = b.join("slow")
            there.wait_for_peers(1, timeout=20)
            there.publish_batch([b"bad", b"1", b"2"])
            b.join("quick").publish(b"x", wait_for=1, timeout=20)
            assert others.receive(20).data == b"x"
            assert len(messages) == 0
            release.set()
            assert {messages.receive(20).data for _ in range(2)} == {b"1", b"2"}
    assert {data for data, _ in seen} == {b"bad", b"1", b"2"}
    assert threading.current_thread() not in [thread for _, thread in seen]


def test_validators_of_every_kind_are_heard():
    async def asynchronous(message):
        return Verdict.ACCEPT if message.data == b"good" else Verdict.REJECT

    with Host() as host:
        topic = host.join("news")
        for validator in (
            asynchronous,
            lambda message: message.data == b"good",
            lambda message: asynchronous(message),
        ):
            host.set_validator("news", validator)
            topic.publish(b"good")
            with pytest.raises(LocalProtocolError, match="says REJECT"):
                topic.publish(b"bad")
            host.set_validator("news", None)
        with pytest.raises(LocalProtocolError, match=r"^a validator is a function: 5$"):
            host.set_validator("news", 5)
        host.add_default_validator(lambda message: False, own=False)
        host.set_validator("news", lambda message: False, own=False)
        topic.publish(b"bad")


def test_a_default_validator_is_known_by_the_function_it_was_given_as():
    class Rules:
        def short(self, message):
            seen.append(threading.current_thread().name)
            return len(message.data) < 3

    seen, rules = [], Rules()
    with Host() as host:
        topic = host.join("news")
        host.add_default_validator(rules.short, timeout=20)
        with pytest.raises(LocalProtocolError, match="it is a default validator already"):
            host.add_default_validator(rules.short)
        with pytest.raises(LocalProtocolError, match=r"Rules\.short says REJECT"):
            topic.publish(b"long")
        host.remove_default_validator(rules.short)
        topic.publish(b"long")
        with pytest.raises(LocalProtocolError, match="it is no default validator"):
            host.remove_default_validator(rules.short)
        host.add_default_validator(rules.short, inline=True)
        topic.publish(b"x")
        host.remove_default_validator(rules.short)
    assert (seen[0] == "gossipsub", seen[1:]) == (False, ["gossipsub"])


def test_a_host_is_measured_and_shown():
    with Host() as host, host.overload_events(buffer=3) as events:
        topic = host.join("news")
        with topic.relay(), topic.subscribe():
            host.protect(Host().peer_id)
            assert topic.relays == len(topic.subscription_statistics()) == 1
            assert host.snapshot().to_json()
            assert host.measurements()
            assert (host.validation_statistics(), len(events)) == ({}, 0)


def test_a_host_has_metrics_in_every_thread_until_it_is_closed():
    registry = CollectorRegistry()
    with Host() as host, ThreadPoolExecutor(1) as pool:
        registry.register(HostCollector(host))
        host.join("news").publish(b"x")
        published = 'gossipsub_message_published_total{topic="news"} 1.0'
        assert published in generate_latest(registry).decode()
        assert published in pool.submit(generate_latest, registry).result(timeout=20).decode()
    assert generate_latest(registry) == b""


def test_closing_waits_for_no_validator():
    release = threading.Event()
    reached = threading.Event()

    def never(message):
        reached.set()
        release.wait(60)
        return True

    try:
        with Host() as a, Host(bootstrap=a.addresses) as b:
            a.set_validator("news", never)
            with a.join("news").subscribe():
                b.join("news").publish(b"x", wait_for=1, timeout=20)
                assert reached.wait(20)
                began = time.monotonic()
                a.__exit__(None, None, None)
                assert time.monotonic() - began < 10
    finally:
        release.set()


# -- what else there is


def test_peers_are_known_watched_pinged_blocked_and_let_go():
    with Host() as a, Host() as b, a.peer_events() as events:
        assert a.connect(b.addresses[0]) == b.peer_id
        event = events.receive(10)
        assert (event.kind, event.peer) == (PeerEventKind.PEER_CONNECTED, b.peer_id)
        assert [info.peer for info in a.peers()] == [b.peer_id]
        a.add_addresses(b.addresses[0])
        assert a.addresses_of(b.peer_id) == b.addresses
        assert 0 < a.ping(b.peer_id) < 10
        a.disconnect(b.peer_id)
        assert events.receive(10).kind is PeerEventKind.PEER_DISCONNECTED
        a.block(b.peer_id, seconds=60)
        assert a.blocked() == (b.peer_id,)
        with pytest.raises(DialError, match="the peer is blocked"):
            a.connect(b.addresses[0])
        assert (a.unblock(b.peer_id), a.unblock(b.peer_id)) == (True, False)
        assert a.add_direct_peer(b.addresses[0]) == b.peer_id
        assert events.receive(10).kind is PeerEventKind.PEER_CONNECTED
        a.remove_direct_peer(b.peer_id)
        assert (a.scores(), a.explain_score(b.peer_id)) == ({}, None)


def test_a_relay_lasts_as_long_as_its_block():
    with Host() as a, Host(bootstrap=a.addresses) as b:
        here, there = a.join("news"), b.join("news")
        with there.relay():
            here.wait_for_peers(1, timeout=20)
            with pytest.raises(LocalProtocolError, match="close the relays of news first"):
                there.close()
        there.close()
        with pytest.raises(LocalProtocolError, match="the topic was closed: news"):
            there.publish(b"x")


# -- opening and closing


def test_a_host_is_used_while_it_is_open_and_opened_once():
    host = Host()
    with pytest.raises(LocalProtocolError, match=r"^open the host first: with Host\(…\) as host$"):
        host.peers()
    with host:
        topic = host.join("news")
        reader = topic.subscribe()
        with pytest.raises(LocalProtocolError, match=r"^open it first: with …$"):
            reader.receive()
        with pytest.raises(LocalProtocolError, match=r"^a host is opened once; make another$"):
            host.__enter__()
    for act in (host.peers, topic.peers, lambda: topic.publish(b"x"), reader.__enter__):
        with pytest.raises(LocalProtocolError, match=r"^the host is closed$"):
            act()
    topic.close()
    reader.close()
    host.__exit__(None, None, None)
    with pytest.raises(LocalProtocolError, match=r"^a host is opened once; make another$"):
        host.__enter__()


def test_a_host_that_cannot_be_opened_says_why_and_leaves_no_thread():
    before = threading.active_count()
    with Host() as host:
        taken = host.addresses[0].split("/p2p/")[0]
        with pytest.raises(AddressError, match=r"^cannot listen on "), Host(listen=taken):
            pass
    assert wait_until(lambda: threading.active_count() <= before)


def test_a_wrong_backend_is_refused():
    with pytest.raises(LocalProtocolError, match=r"^the backend is 'asyncio' or 'trio': 'curio'$"):
        Host(backend="curio")


def test_calls_under_way_end_with_the_host():
    with Host() as host, ThreadPoolExecutor() as pool:
        topic = host.join("news")
        waiting = pool.submit(topic.wait_for_peers, 1, timeout=60)
        assert wait_until(lambda: waiting.running())
        host.__exit__(None, None, None)
        with pytest.raises(LocalProtocolError, match=r"^the (host is|topic was) closed"):
            waiting.result(timeout=10)


def test_a_call_from_the_hosts_own_thread_is_refused_instead_of_waiting_for_ever():
    refused = []

    def ask(message):
        try:
            host.peers()
        except LocalProtocolError as error:
            refused.append(str(error))
        return True

    with Host(config=HostConfig(close_timeout=1)) as host:
        topic = host.join("news")
        with topic.subscribe(message_filter=ask) as messages:
            topic.publish(b"x")
            messages.receive(10)
    assert refused == ["this thread is the host's own and must not wait for it"]


def wait_until(condition, timeout=10.0):
    end = time.monotonic() + timeout
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


# -- the end of the program


INTERRUPTED = """
    from gossipsub.threads import Host

    try:
        with Host() as host, host.join("news").subscribe() as messages:
            print("up", flush=True)
            {wait}
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
WAITS = {
    "message": "for message in messages: pass",
    "peers": "host.join('other').wait_for_peers(1, timeout=60)",
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("wait", list(WAITS))
def test_control_c_ends_a_wait(wait):
    code = textwrap.dedent(INTERRUPTED).format(wait=WAITS[wait])
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (out, err, process.returncode) == ("interrupted\n", "", 0)


@pytest.mark.parametrize("ending", ["", "raise SystemExit(0)", "del host, topic"])
def test_a_program_that_forgets_to_close_its_host_ends_all_the_same(ending):
    code = f"""
from gossipsub.threads import Host
with Host() as friend:
    host = Host(bootstrap=friend.addresses).__enter__()
    topic = host.join("news")
    reader = topic.subscribe().__enter__()
    friend.join("news").publish(b"x", wait_for=1, timeout=20)
    print(reader.receive(20).data)
{ending}
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("b'x'\n", "", 0)
