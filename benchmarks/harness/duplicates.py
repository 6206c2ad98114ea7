"""What a receiver pays for each copy of a message beside the first.

Scripted peers bring it, each on a connection of its own: real nodes would spare it most copies, by
IDONTWANT from 1 KiB on, and would be sent messages in turn, being in its mesh. These are in no
topic, so that nothing is sent to them, and all of them bring the very same signed messages, some
together in one write, as a relay does under load. They are in this process; the receiver has one
of its own, whose CPU time alone counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from statistics import linear_regression

import anyio.to_thread

from gossipsub.benchmarks.harness.network import PARAMS
from gossipsub.benchmarks.harness.readings import START_SECONDS, Readings, Starter
from gossipsub.benchmarks.silence import Silence
from gossipsub.conformance.driver import PeerProcess
from gossipsub.conformance.scripted_peer import ScriptedPeer, dial
from gossipsub.conformance.scripted_wire import WireError, key_of_seed
from gossipsub.crypto.message_signing import sign_message
from gossipsub.wire.framing import encode_frame
from gossipsub.wire.rpc import Message, Rpc
from gossipsub.wire.rpc_codec import encode_rpc

COPIES = (1, 2, 4)
COUNT = 2048
"""Messages of a run: some tenths of a second's worth."""
ROUNDS = 3
"""In each everybody has a turn; the least disturbed run counts."""
WARM_UP = 1024
SIZE = 1024
WINDOW = 64
TOGETHER = 16
"""Messages in one write."""
ARRIVAL_SECONDS = 30.0
_TOPIC = "benchmark"
_AUTHOR_SEED, _FIRST_SEED = 90, 100


async def measure_duplicates(
    start: Starter, *, copies: Sequence[int] = COPIES, count: int = COUNT
) -> Readings:
    """CPU of the receiver for each message, by how many bring it, and for each copy beside the
    first: the slope of a line. PeerTimeout where messages are lost."""
    runs: dict[int, list[float]] = {each: [] for each in copies}
    async with (
        start(seed=1, start_timeout=START_SECONDS, params=PARAMS) as receiver,
        AsyncExitStack() as stack,
    ):
        await receiver.command("subscribe", topic=_TOPIC)
        await receiver.command("progress", every=TOGETHER)
        peers = [
            await stack.enter_async_context(dial(receiver.addresses[0], seed=_FIRST_SEED + number))
            for number in range(max(copies))
        ]
        for peer in peers:
            await _introduce(peer)
        numbers = itertools.count()
        await _bring(receiver, peers[:1], await _prepare(numbers, WARM_UP))
        for each in [*copies] * ROUNDS:
            frames = await _prepare(numbers, count)
            runs[each].append(await _bring(receiver, peers[:each], frames))
    costs = {each: min(taken) for each, taken in runs.items()}
    slope = linear_regression(list(costs), list(costs.values())).slope
    return {
        "cpu.duplicate": (slope, "us"),
        **{f"cpu.copies.{each}": (cost, "us") for each, cost in costs.items()},
    }


async def _introduce(peer: ScriptedPeer) -> None:
    peer.wire.journal = Silence()
    await peer.serve_identify()
    await peer.open_pubsub()
    await peer.wait_pubsub(timeout=START_SECONDS)


async def _prepare(numbers: Iterator[int], count: int) -> list[bytes]:
    """Frames that go out together, of so many further messages."""
    return await anyio.to_thread.run_sync(_make_frames, [next(numbers) for _ in range(count)])


def _make_frames(numbers: Sequence[int]) -> list[bytes]:
    key, noise = key_of_seed(_AUTHOR_SEED), bytes(SIZE)
    messages = (
        sign_message(Message(_TOPIC, noise, seqno=number.to_bytes(8, "big")), key)
        for number in numbers
    )
    frames = [encode_frame(encode_rpc(Rpc(publish=(message,)))) for message in messages]
    return [b"".join(frames[at : at + TOGETHER]) for at in range(0, len(frames), TOGETHER)]


async def _bring(
    receiver: PeerProcess, peers: Sequence[ScriptedPeer], frames: Sequence[bytes]
) -> float:
    """Microseconds of CPU that the receiver takes for each message."""
    count = len(frames) * TOGETHER
    await receiver.command("reset_stats")
    receiver.events("progress")
    arrived = 0
    for number, frame in enumerate(frames):
        while number * TOGETHER - arrived >= WINDOW:
            event = await receiver.wait_event("progress", timeout=ARRIVAL_SECONDS)
            arrived = event["received"]
        for peer in peers:
            if peer.pubsub_out is None:
                raise WireError("no pubsub stream")
            await peer.pubsub_out.write(frame, timeout=ARRIVAL_SECONDS)
    stats = await receiver.wait_answer(
        "stats",
        lambda answer: (
            (answer["received"], answer["duplicates"]) == (count, count * (len(peers) - 1))
        ),
        timeout=ARRIVAL_SECONDS,
    )
    return float(stats["cpu_since_reset_s"]) / count * 1e6
