"""The Prometheus collector: the draft's names, from any thread."""

from __future__ import annotations

import sys
import threading
from contextlib import asynccontextmanager
from dataclasses import fields, replace

import anyio
import anyio.to_thread
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from gossipsub import GossipParams, Host, HostStatistics, LocalProtocolError, PeerScoreParams
from gossipsub.metrics import HostCollector
from gossipsub.router.counts import MAX_TOPICS

pytestmark = pytest.mark.anyio

DRAFT = {
    "gossipsub_peers_total": "gauge",
    "gossipsub_mesh_peers_total": "gauge",
    "gossipsub_peer_graft": "counter",
    "gossipsub_peer_prune": "counter",
    "gossipsub_peer_score": "histogram",
    "gossipsub_message_received": "counter",
    "gossipsub_message_delivered": "counter",
    "gossipsub_message_rejected": "counter",
    "gossipsub_message_duplicate": "counter",
    "gossipsub_message_published": "counter",
    "gossipsub_message_latency_seconds": "histogram",
    "gossipsub_rpc_received": "counter",
    "gossipsub_rpc_sent": "counter",
    "gossipsub_ihave_sent": "counter",
    "gossipsub_iwant_sent": "counter",
    "gossipsub_idontwant_sent": "counter",
    "gossipsub_heartbeat_duration_seconds": "histogram",
    "gossipsub_peer_throttled": "counter",
    "gossipsub_backoff_violations": "counter",
    "gossipsub_score_penalty": "counter",
}
"""As the parser names them: without the `_total` of counters."""


async def until(condition):
    with anyio.fail_after(20):
        while not condition():
            await anyio.sleep(0.002)


@asynccontextmanager
async def pair(**options):
    """A host that got two good messages and a bad one in "news" from another."""
    async with Host(**options) as host, Host() as other:
        here, there = await host.join("news"), await other.join("news")
        host.set_validator("news", lambda message: b"bad" not in message.data)
        async with here.subscribe(), there.subscribe():
            await other.connect(host.addresses[0])
            await there.wait_for_peers(1, timeout=20)
            for data in (b"1", b"2", b"bad"):
                await there.publish(data)
            await here.publish(b"own")
            await until(lambda: host.statistics().delivered == 3)
            await until(lambda: host.statistics().rejections == {"validation failed": 1})
            await until(lambda: here.mesh())
            yield host


def collected(collector):
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry).decode()


def values(text):
    """Each sample by its name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_metrics_bear_the_names_of_the_draft():
    async with pair(params=GossipParams(score=PeerScoreParams())) as host:
        text = collected(HostCollector(host))
    kinds = {family.name: family.type for family in text_string_to_metric_families(text)}
    assert DRAFT.items() <= kinds.items()
    assert all(name.startswith("gossipsub_") for name in kinds)
    assert all(family.documentation for family in text_string_to_metric_families(text))


async def test_the_metrics_say_what_happened():
    async with pair() as host:
        found = values(collected(HostCollector(host)))
    news = ("topic", "news")
    expected = {
        ("gossipsub_peers_total", ("protocol", "/meshsub/1.3.0")): 1,
        ("gossipsub_topic_peers", news): 1,
        ("gossipsub_mesh_peers_total", news): 1,
        ("gossipsub_message_received_total", news, ("validation_result", "accept")): 2,
        ("gossipsub_message_received_total", news, ("validation_result", "reject")): 1,
        ("gossipsub_message_received_total", news, ("validation_result", "ignore")): 0,
        ("gossipsub_message_delivered_total", news): 3,
        ("gossipsub_message_rejected_total", ("reason", "validation failed"), news): 1,
        ("gossipsub_message_duplicate_total", news): 0,
        ("gossipsub_message_published_total", news): 1,
        ("gossipsub_rpc_received_total", ("message_type", "publish")): 3,
        ("gossipsub_rpc_sent_total", ("message_type", "publish")): 1,
        ("gossipsub_connections",): 1,
        ("gossipsub_dials_dropped_total",): 0,
        ("gossipsub_validation_queue",): 0,
        ("gossipsub_table_size", ("table", "pending")): 0,
        ("gossipsub_table_limit", ("table", "pending")): 2048,
        ("gossipsub_peer_throttled_total", ("reason", "gater")): 0,
    }
    assert {key: found[key] for key in expected} == expected
    assert found["gossipsub_bytes_in_total",] > 0
    assert not any(name.startswith("gossipsub_peer_score") for name, *_ in found)


async def test_every_number_of_the_statistics_has_a_metric():
    async with pair() as host:
        measured = host.measurements()
        numbers = {field.name: 1000 + n for n, field in enumerate(fields(HostStatistics))}
        numbers["rejections"] = {}
        measured = replace(measured, statistics=HostStatistics(**numbers), bytes_in=0, bytes_out=0)
        host.measurements = lambda: measured
        found = set(values(collected(HostCollector(host))).values())
    # What is told by topic comes from the router's counts.
    by_topic = {"rejections", "delivered", "duplicates", "published"}
    missing = [name for name in numbers if name not in by_topic and numbers[name] not in found]
    assert missing == []


async def test_buckets_add_up():
    async with pair(params=GossipParams(score=PeerScoreParams())) as host:
        found = values(collected(HostCollector(host)))
    assert found["gossipsub_peer_score_bucket", ("le", "-1.0")] == 0
    assert found["gossipsub_peer_score_bucket", ("le", "0.0")] == 1
    assert found["gossipsub_peer_score_bucket", ("le", "+Inf")] == 1


async def test_metrics_are_collected_from_another_thread_while_the_host_works():
    async with pair() as host:
        collector = HostCollector(host)
        asked = threading.get_ident()
        read = host.measurements
        readers = []

        def spied():
            readers.append(threading.get_ident())
            return read()

        host.measurements = spied
        for _ in range(20):
            text = await anyio.to_thread.run_sync(collected, collector)
        assert values(text)["gossipsub_connections",] == 1
        assert set(readers) == {asked}


async def test_a_closed_host_has_no_metrics():
    async with Host() as host:
        collector = HostCollector(host)
    assert collected(collector) == ""
    assert await anyio.to_thread.run_sync(collected, collector) == ""


def test_an_ended_event_loop_has_no_metrics(anyio_backend):
    async def make():
        async with Host() as host:
            return HostCollector(host)

    collector = anyio.run(make, backend=anyio_backend)
    ended = []
    thread = threading.Thread(target=lambda: ended.append(collected(collector)), daemon=True)
    thread.start()
    thread.join(20)
    assert ended == [""]


async def test_topics_above_a_number_are_summed_up():
    async with Host() as host:
        for number in range(5):
            await (await host.join(f"t{number}")).publish(b"x")
        found = values(collected(HostCollector(host, max_topics=2)))
        published = {
            dict(labels)["topic"]: value
            for (name, *labels), value in found.items()
            if name == "gossipsub_message_published_total"
        }
        assert published == {"t0": 1, "t1": 1, "other": 3}


async def test_topics_the_router_counts_together_are_others_too():
    async with Host() as host:
        for number in range(MAX_TOPICS + 2):
            await (await host.join(f"t{number}")).publish(b"x", local_only=True)
        found = values(collected(HostCollector(host, max_topics=10 * MAX_TOPICS)))
        assert found["gossipsub_message_published_total", ("topic", "other")] == 2


async def test_several_hosts_are_told_apart_by_labels():
    registry = CollectorRegistry()
    async with Host() as one, Host() as two:
        for name, host in (("one", one), ("two", two)):
            registry.register(HostCollector(host, labels={"node": name}))
        found = values(generate_latest(registry).decode())
        assert found["gossipsub_connections", ("node", "one")] == 0
        assert found["gossipsub_connections", ("node", "two")] == 0


async def test_topic_names_are_escaped():
    name = 'a"b\\c\nd'
    async with Host() as host:
        await (await host.join(name)).publish(b"x")
        found = values(collected(HostCollector(host)))
        assert found["gossipsub_message_published_total", ("topic", name)] == 1


async def test_wrong_values_are_refused(monkeypatch):
    with pytest.raises(LocalProtocolError, match="open the host first"):
        HostCollector(Host())
    async with Host() as host:
        with pytest.raises(LocalProtocolError, match="max_topics must not be negative: -1"):
            HostCollector(host, max_topics=-1)
        with pytest.raises(LocalProtocolError, match="these labels already: topic"):
            HostCollector(host, labels={"topic": "x"})
        monkeypatch.setitem(sys.modules, "prometheus_client", None)
        with pytest.raises(ImportError, match=r"pip install gossipsub\[metrics\]"):
            HostCollector(host)
