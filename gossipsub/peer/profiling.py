"""Where a peer's CPU time goes, by layer, found by sampling; what the command `profile` answers.

A timer on the CPU clock of the main thread interrupts it while it computes, never while it waits.
What the thread used since the last interruption is put down to the innermost frame that belongs to
a layer: work in C, a system call too, counts for whoever called it. All that other threads used is
the layer `signatures`, since threads do nothing else in a peer. So the layers sum up to the CPU
time of the process, and only its division is a sample: with N of them a share s is uncertain by
sqrt(s * (1 - s) / N). The system looks at CPU timers at its ticks, of which there are 100 to 1,000
a second, however short the interval asked for.

Linux only: elsewhere no timer runs on one thread's clock, and one on that of the whole process
would mostly see the main thread wait for the others.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

from gossipsub.wire.errors import GossipSubError

INTERVAL = 0.001
"""Seconds of CPU time between samples, where the system's ticks allow it."""

LAYERS: Mapping[str, str | None] = {
    "anyio": "event_loop",
    "anyio._backends._asyncio:SocketStream": "socket",
    "anyio._backends._asyncio:StreamProtocol": "socket",
    "anyio._backends._trio:SocketStream": "socket",
    "asyncio": "event_loop",
    "asyncio.selector_events": "socket",
    "concurrent.futures": "event_loop",
    "selectors": "event_loop",
    "trio": "event_loop",
    "trio._highlevel_socket": "socket",
    "trio._socket": "socket",
    "gossipsub.timers": "event_loop",
    "gossipsub.wake": "event_loop",
    "gossipsub.transport": "connection",
    "gossipsub.transport.network": "socket",
    "gossipsub.transport.socket": "socket",
    "gossipsub.crypto": "signatures",
    "gossipsub.crypto.noise": "noise",
    "gossipsub.wire": "codec",
    "gossipsub.wire.multistream": "connection",
    "gossipsub.wire.yamux": "yamux",
    "gossipsub.router": "router",
    "gossipsub.pubsub": "pubsub",
    "gossipsub.pubsub.validation": "validation",
    "gossipsub.pubsub.publisher": "sending",
    "gossipsub.pubsub.sender": "sending",
    "gossipsub.pubsub.outbound_queue": "sending",
    "gossipsub.pubsub.topic": "sending",
    "gossipsub.pubsub.inbox": "delivery",
    "gossipsub.pubsub.message": "delivery",
    "gossipsub.pubsub.subscription": "delivery",
    "gossipsub.peer": "test_peer",
    "gossipsub.peer.profiling": None,
}
"""The layer of everything whose `module:qualified.name` begins so; the longest beginning counts.
What is not here (protobuf, cryptography, dataclasses) belongs to whoever called it."""

GARBAGE = "garbage"
"""Collecting it, whoever's allocation began that."""
OTHER = "other"


class ProfilingUnavailable(GossipSubError):
    """The system has no timer on the CPU clock of a thread."""


class Profile:
    """Samples the thread that makes it, which must be the main one, until `close`."""

    def __init__(self) -> None:
        """ProfilingUnavailable where this system cannot do it."""
        self._layers: dict[str, str | None] = {}
        self._seconds: dict[str, float] = {}
        self._samples = 0
        self._process_began = 0.0
        self._garbage = 0.0
        self._garbage_began: float | None = None
        self._thread = threading.get_ident()
        self._sampled_at = time.thread_time()
        signal.signal(signal.SIGPROF, self._sample)
        self._timer = _CpuTimer()
        # An interpreter that ends takes its handlers away first: the signal would end it badly.
        atexit.register(self.close)
        gc.callbacks.append(self._note_garbage)
        self.take()

    def close(self) -> None:
        """Sample no more; harmless when done before."""
        if self._note_garbage in gc.callbacks:
            gc.callbacks.remove(self._note_garbage)
            self._timer.delete()
            atexit.unregister(self.close)

    def take(self) -> dict[str, Any]:
        """What was used since the last call or the beginning: `layers` in seconds, `cpu_s` of the
        whole process, and the number of `samples`."""
        self._note(sys._getframe())
        now = time.process_time()
        used, layers = now - self._process_began, self._seconds
        in_threads = used - sum(layers.values())
        layers["signatures"] = layers.get("signatures", 0.0) + max(in_threads, 0.0)
        samples, self._samples = self._samples, 0
        self._seconds, self._process_began = {}, now
        return {"layers": dict(sorted(layers.items())), "cpu_s": used, "samples": samples}

    def _sample(self, number: int, frame: FrameType | None) -> None:
        self._samples += 1
        self._note(frame)

    def _note(self, frame: FrameType | None) -> None:
        now = time.thread_time()
        if (
            self._garbage_began is not None
        ):  # a signal that came meanwhile is handled before its end
            self._garbage += now - self._garbage_began
            self._garbage_began = now
        garbage, self._garbage = self._garbage, 0.0
        layer = self._layer(frame)
        self._seconds[layer] = self._seconds.get(layer, 0.0) + now - self._sampled_at - garbage
        if garbage:
            self._seconds[GARBAGE] = self._seconds.get(GARBAGE, 0.0) + garbage
        self._sampled_at = now

    def _layer(self, frame: FrameType | None) -> str:
        layers = self._layers
        while frame is not None:
            # Not by the code: equal code of two modules is one key.
            name = f"{frame.f_globals.get('__name__')}:{frame.f_code.co_qualname}"
            if name not in layers:
                layers[name] = layer_of(name)
            layer = layers[name]
            if layer is not None:
                return layer
            frame = frame.f_back
        return OTHER

    def _note_garbage(self, phase: str, info: object) -> None:
        if threading.get_ident() != self._thread:
            return
        if phase == "start":
            self._garbage_began = time.thread_time()
        elif self._garbage_began is not None:
            self._garbage += time.thread_time() - self._garbage_began
            self._garbage_began = None


def layer_of(name: str) -> str | None:
    """Of `module:qualified.name`; None where that of its caller counts."""
    beginnings = [beginning for beginning in LAYERS if name.startswith(beginning)]
    return LAYERS[max(beginnings, key=len)] if beginnings else None


# -- the timer: timer_create(2), which the standard library does not have ----------------------

_CLOCK_THREAD_CPUTIME_ID = 3
_SIGEV_THREAD_ID = 4


class _SignalEvent(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("number", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("thread_id", ctypes.c_int),
        ("padding", ctypes.c_int * 11),
    )


class _TimerTimes(ctypes.Structure):
    _fields_ = (
        ("interval_seconds", ctypes.c_long),
        ("interval_nanoseconds", ctypes.c_long),
        ("first_seconds", ctypes.c_long),
        ("first_nanoseconds", ctypes.c_long),
    )


class _CpuTimer:
    """Sends this thread SIGPROF whenever it has used so much CPU time."""

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise ProfilingUnavailable("unsupported: a profile needs Linux")
        self._library = ctypes.CDLL(None, use_errno=True)
        self._timer = ctypes.c_void_p()
        event = _SignalEvent(
            number=signal.SIGPROF, notify=_SIGEV_THREAD_ID, thread_id=threading.get_native_id()
        )
        nanoseconds = int(INTERVAL * 1e9)
        times = _TimerTimes(0, nanoseconds, 0, nanoseconds)
        timer = ctypes.byref(self._timer)
        try:
            self._check(
                self._library.timer_create(_CLOCK_THREAD_CPUTIME_ID, ctypes.byref(event), timer)
            )
            self._check(self._library.timer_settime(self._timer, 0, ctypes.byref(times), None))
        except AttributeError as error:  # older C libraries have them in a library of their own
            raise ProfilingUnavailable(f"unsupported: {error}") from error

    def delete(self) -> None:
        self._library.timer_delete(self._timer)

    def _check(self, status: int) -> None:
        if status:
            reason = os.strerror(ctypes.get_errno())
            raise ProfilingUnavailable(f"unsupported: no timer of CPU time: {reason}")
