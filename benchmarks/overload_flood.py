"""Flooders: scripted peers in a process of their own that send messages as fast as they are let.

`python -m gossipsub.benchmarks.overload_flood`, started by `overload.py`. Each connection is a peer
that takes part in the flooded topic as others do, grafts, and reads what it is sent. On `flood` it
makes messages at its rate, until `calm`. What the target gives no credit for waits, a second's
worth at most; beyond that messages are thrown away unsent, as any node with a bounded queue does.

`forged` messages have a signature that was made for another one, so that it takes a whole
verification to find out. `repeated` are some good ones, again and again. `signed` ones are good, of
many authors, and mostly made beforehand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import chain, count, cycle, islice
from typing import Any

import anyio

from gossipsub import PrivateKey
from gossipsub.benchmarks.overload_process import FLOODED, STDOUT, obey, say_ready
from gossipsub.benchmarks.silence import Silence
from gossipsub.conformance.scripted_peer import PUBSUB, ScriptedPeer, dial
from gossipsub.conformance.scripted_stream import ScriptedStream
from gossipsub.conformance.scripted_wire import WireError, key_of_seed
from gossipsub.crypto.message_signing import sign_message
from gossipsub.peer.json_lines import LineWriter
from gossipsub.wire.errors import RemoteProtocolError
from gossipsub.wire.framing import encode_frame
from gossipsub.wire.message_codec import encode_message
from gossipsub.wire.rpc import Control, Graft, Message, Rpc, SubOpts
from gossipsub.wire.varint import encode_uvarint

AUTHORS = 64
REPEATED = 1000
PUBLISH_TAG = b"\x12"
REDIAL_SECONDS = 0.5
MEETING_SECONDS = 2.0
PAUSE_SECONDS = 0.002
WRITE_SECONDS = 3600.0
READ_BYTES = 4096


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gossipsub.benchmarks.overload_flood")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", required=True, help="multiaddr")
    parser.add_argument("--kind", choices=["forged", "repeated", "signed"], default="forged")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--rate", type=float, default=30_000.0, help="messages a second in all")
    parser.add_argument("--per-rpc", type=int, default=64)
    parser.add_argument("--size", type=int, default=64, help="bytes of data")
    parser.add_argument("--prepared", type=int, default=0, help="messages signed beforehand")
    parser.add_argument("--at-once", action="store_true", help="end RPCs together")
    parser.add_argument("--local-host")
    anyio.run(_Flood(parser.parse_args(arguments)).run)
    return 0


class _Flood:
    def __init__(self, flags: argparse.Namespace) -> None:
        self._flags = flags
        messages = MAKERS[flags.kind](flags.seed, flags.size)
        self._messages = chain(list(islice(messages, flags.prepared)), messages)
        self._started = anyio.Event()
        self._is_on = False
        self._gate = anyio.Event()
        self._waiting = 0
        self._began = 0.0
        self._sent = self._lost_connections = self._connected = 0

    async def run(self) -> None:
        writer = LineWriter(STDOUT)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.run)
            for number in range(self._flags.connections):
                tasks.start_soon(self._keep_flooding, self._flags.seed + number)
            say_ready(writer, str(key_of_seed(self._flags.seed).peer_id()), [])
            await obey(writer, {"flood": self._begin, "calm": self._end, "stats": self._counts})
            tasks.cancel_scope.cancel()
        await writer.say_goodbye()

    def _begin(self) -> dict[str, Any]:
        self._is_on = True
        self._began = anyio.current_time()
        self._started.set()
        return {}

    def _end(self) -> dict[str, Any]:
        """What was offered is what they had to send, whether or not credit let it through."""
        self._is_on = False
        self._started = anyio.Event()
        offered = int((anyio.current_time() - self._began) * self._flags.rate)
        return {**self._counts(), "offered": offered}

    def _counts(self) -> dict[str, Any]:
        return {
            "sent": self._sent,
            "connected": self._connected,
            "lost_connections": self._lost_connections,
        }

    async def _keep_flooding(self, seed: int) -> None:
        while True:
            try:
                async with dial(
                    self._flags.target, seed=seed, local_host=self._flags.local_host
                ) as w:
                    w.wire.journal = Silence()
                    await self._take_part(w)
                    self._connected += 1
                    try:
                        await self._pour(w)
                    finally:
                        self._connected -= 1
            except (WireError, RemoteProtocolError, OSError):
                self._lost_connections += 1
            await anyio.sleep(REDIAL_SECONDS)

    async def _take_part(self, w: ScriptedPeer) -> None:
        w.serve(*PUBSUB, handler=_drain)
        await w.serve_identify()
        await w.open_pubsub()
        graft = Control(graft=[Graft(FLOODED)])
        await w.send_rpc(Rpc(subscriptions=[SubOpts(FLOODED)], control=graft))

    async def _pour(self, w: ScriptedPeer) -> None:
        rate = self._flags.rate / self._flags.connections
        while True:
            await self._started.wait()
            began, made = anyio.current_time(), 0
            while self._is_on:
                due = int((anyio.current_time() - began) * rate) - made
                if due < self._flags.per_rpc:
                    await anyio.sleep(PAUSE_SECONDS)
                    continue
                made += max(due - int(rate), 0) + self._flags.per_rpc
                await self._send(w)

    async def _send(self, w: ScriptedPeer) -> None:
        if w.pubsub_out is None:
            raise WireError("no pubsub stream")
        body = b"".join(islice(self._messages, self._flags.per_rpc))
        frame = encode_frame(body)
        if self._flags.at_once:
            await w.pubsub_out.write(frame[:-1], timeout=WRITE_SECONDS)
            await self._meet()
            frame = frame[-1:]
        await w.pubsub_out.write(frame, timeout=WRITE_SECONDS)
        self._sent += self._flags.per_rpc

    async def _meet(self) -> None:
        """Until every connection has come here, or most have for a while."""
        self._waiting += 1
        gate = self._gate
        if self._waiting < self._connected:
            with anyio.move_on_after(MEETING_SECONDS):
                await gate.wait()
        if gate is self._gate:
            self._gate, self._waiting = anyio.Event(), 0
            gate.set()


async def _drain(stream: ScriptedStream) -> None:
    while True:
        await stream.read_exactly(READ_BYTES, timeout=WRITE_SECONDS)


def forged_messages(seed: int, size: int) -> Iterator[bytes]:
    """Endless, each as a field of an RPC; one author, and every sequence number once."""
    seqno = b"seqno..."
    message = _signed(key_of_seed(seed), size, seqno)
    front, back = message.split(seqno)
    for number in count():
        yield front + number.to_bytes(len(seqno), "big") + back


def signed_messages(seed: int, size: int) -> Iterator[bytes]:
    """The same, well signed, by many authors in turn."""
    authors = [PrivateKey.from_node_number((seed << 32) + number) for number in range(AUTHORS)]
    for number in count():
        yield _signed(authors[number % AUTHORS], size, number.to_bytes(8, "big"))


def repeated_messages(seed: int, size: int) -> Iterator[bytes]:
    """The same ones for ever."""
    return cycle(islice(signed_messages(seed, size), REPEATED))


def _signed(key: PrivateKey, size: int, seqno: bytes) -> bytes:
    message = encode_message(sign_message(Message(FLOODED, bytes(size), seqno=seqno), key))
    return PUBLISH_TAG + encode_uvarint(len(message)) + message


MAKERS = {
    "forged": forged_messages,
    "repeated": repeated_messages,
    "signed": signed_messages,
}


if __name__ == "__main__":
    sys.exit(main())
