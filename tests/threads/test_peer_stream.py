"""Streams in a program of plain threads."""

from __future__ import annotations

import threading
import time

import pytest

from gossipsub import LocalProtocolError, ProtocolNotSupported, StreamReset
from gossipsub.threads import Host, PeerStream

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def echo(stream: PeerStream) -> None:
    while data := stream.receive(timeout=20):
        stream.send(data, timeout=20)


@BACKENDS
def test_threads_talk_over_streams(backend):
    with Host(backend=backend) as a, Host(backend=backend, bootstrap=a.addresses) as b:
        a.set_stream_handler("/echo", echo)
        with pytest.raises(LocalProtocolError, match="not of type int"):
            b.set_stream_handler("/x", 3)
        b.connect(a.addresses[0])
        with (
            b.open_stream(a.peer_id, ["/none", "/echo"]) as one,
            b.open_stream(a.peer_id, "/echo") as other,
        ):
            assert (one.peer, one.protocol, one.opened_by_us) == (a.peer_id, "/echo", True)
            for stream, said in ((one, b"hello"), (other, b"there")):
                stream.send(said)
                assert stream.receive(timeout=20) == said
            with pytest.raises(TimeoutError):
                one.receive(timeout=0.01)
            one.send_eof()
            assert one.receive(timeout=20) == b""
            other.reset()
            with pytest.raises(StreamReset):
                other.receive()
        a.set_stream_handler("/echo", None)
        with pytest.raises(ProtocolNotSupported):
            b.open_stream(a.peer_id, "/echo")


def test_a_host_that_closes_does_not_wait_for_a_handlers_thread():
    left = threading.Event()

    def stay(stream: PeerStream) -> None:
        left.wait(60)

    with Host() as a, Host(bootstrap=a.addresses) as b:
        a.set_stream_handler("/x", stay)
        b.connect(a.addresses[0])
        stream = b.open_stream(a.peer_id, "/x")
        started = time.monotonic()
    assert time.monotonic() - started < 20
    stream.close()
    left.set()
