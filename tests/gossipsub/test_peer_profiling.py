"""Where a process's CPU goes: the division is a sample, so shares are held to wide bounds."""

from __future__ import annotations

import gc
import hashlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from gossipsub.conformance.driver import start_peer
from gossipsub.peer.profiling import Profile, layer_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs timers of Linux")

BLOCK = bytes(1 << 20)


@pytest.fixture
def profile() -> Iterator[Profile]:
    before = signal.getsignal(signal.SIGPROF)
    profile = Profile()
    yield profile
    profile.close()
    signal.signal(signal.SIGPROF, before)


def function_of(module: str, code: str) -> Callable[[float], None]:
    """One that computes for so many seconds of its thread's CPU, and seems to be in a module."""
    namespace = {"__name__": module, "BLOCK": BLOCK, "sha256": hashlib.sha256, "time": time}
    lines = [
        "def work(seconds):",
        "    end = time.thread_time() + seconds",
        "    while time.thread_time() < end:",
        f"        {code}",
    ]
    exec("\n".join(lines), namespace)
    return namespace["work"]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("gossipsub.wire.yamux_frame:parse", "yamux"),
        ("gossipsub.wire.rpc_codec:decode_rpc", "codec"),
        ("gossipsub.wire.framing:FrameReader.next_frame", "codec"),
        ("gossipsub.crypto.noise_core:CipherState.encrypt", "noise"),
        ("gossipsub.crypto.message_signing:sign_message", "signatures"),
        ("gossipsub.router.messages:Messages.receive", "router"),
        ("gossipsub.pubsub.validation.pipeline:ValidationPipeline._work", "validation"),
        ("gossipsub.pubsub.driver:PubSub.flush", "pubsub"),
        ("anyio._backends._asyncio:SocketStream.send", "socket"),
        ("anyio._backends._asyncio:CancelScope.__enter__", "event_loop"),
        ("asyncio.selector_events:_SelectorSocketTransport.write", "socket"),
        ("asyncio.events:Handle._run", "event_loop"),
        ("google.protobuf.message:Message.CopyFrom", None),
    ],
)
def test_a_function_belongs_to_the_layer_of_the_longest_beginning(
    name: str, layer: str | None
) -> None:
    assert layer_of(name) == layer


def test_time_is_divided_as_it_was_used(profile: Profile) -> None:
    in_yamux = function_of("gossipsub.wire.yamux", "sum(range(100))")
    in_router = function_of("gossipsub.router.router", "sum(range(100))")
    for _ in range(10):
        in_yamux(0.09)
        in_router(0.03)
    layers = profile.take()["layers"]
    both = layers["yamux"] + layers["router"]
    assert both == pytest.approx(1.2, rel=0.2)
    assert 0.5 < layers["yamux"] / both < 0.95


def test_work_in_c_belongs_to_its_caller(profile: Profile) -> None:
    function_of("gossipsub.crypto.noise", "sha256(BLOCK)")(0.5)
    taken = profile.take()
    assert taken["layers"]["noise"] > 0.8 * taken["cpu_s"]


def test_what_threads_use_is_signatures_and_not_what_the_main_thread_waits_in(
    profile: Profile,
) -> None:
    work = function_of("somewhere.else", "sha256(BLOCK)")
    thread = threading.Thread(target=work, args=(0.5,))
    thread.start()
    thread.join()
    layers = profile.take()["layers"]
    assert layers["signatures"] > 0.4
    assert sum(layers.values()) - layers["signatures"] < 0.1


def test_waiting_is_no_work(profile: Profile) -> None:
    time.sleep(0.3)
    assert profile.take()["cpu_s"] < 0.1


def test_collecting_garbage_is_a_layer_of_its_own(profile: Profile) -> None:
    kept: list[object] = [[] for _ in range(300_000)]
    profile.take()
    for _ in range(10):
        gc.collect()
    assert kept
    taken = profile.take()  # signals that came while it was collected are handled in it
    assert taken["layers"]["garbage"] > 0.8 * taken["cpu_s"] > 0.01


def test_layers_sum_up_to_the_cpu_time_and_each_call_begins_anew(profile: Profile) -> None:
    function_of("gossipsub.router.router", "sum(range(100))")(0.3)
    for least in (0.3, 0.0):
        taken = profile.take()
        assert least <= taken["cpu_s"] < least + 0.2
        assert sum(taken["layers"].values()) == pytest.approx(taken["cpu_s"], rel=0.05, abs=0.001)


def test_after_closing_nothing_is_sampled(profile: Profile) -> None:
    profile.close()
    profile.close()
    profile.take()
    function_of("gossipsub.router.router", "sum(range(100))")(0.1)
    assert profile.take()["samples"] == 0


@pytest.mark.anyio
async def test_a_peer_tells_where_its_cpu_went(anyio_backend: str) -> None:
    async with start_peer("python", seed=1) as peer:
        begun = await peer.command("profile")
        assert begun["samples"] == 0
        for number in range(20):
            await peer.publish("t", bytes([number]))
        told = await peer.command("profile")
        assert told["cpu_s"] > 0
        assert sum(told["layers"].values()) == pytest.approx(told["cpu_s"], rel=0.05, abs=0.001)
    assert peer.exit_status == 0
