"""A stream on which the target waits for credit: its pubsub stream, with messages in its way."""

from __future__ import annotations

from contextlib import suppress

import anyio

from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_gossip import signed
from gossipsub.conformance.scripted_peer import Frame, ScriptedPeer
from gossipsub.conformance.scripted_stream import ScriptedStream
from gossipsub.conformance.scripted_wire import WireTimeout
from gossipsub.wire.rpc import Control, Graft, Rpc, SubOpts
from gossipsub.wire.yamux_frame import INITIAL_WINDOW_BYTES, RST, WINDOW_UPDATE

MESSAGES, MESSAGE_BYTES = 8, 50_000
"""More than a window, each below what rust takes by default."""
SLACK_BYTES = 1024
"""What a target may leave of a window."""
SETTLING_SECONDS = 0.3
"""After so long without another byte it has left the rest."""
TRIES = 30


async def receiver(trial: Trial, node: Node) -> tuple[ScriptedPeer, ScriptedPeer]:
    """W, in the target's mesh of its topic, and another whose messages reach W."""
    w, author = await trial.peer(node), await trial.peer(node)
    joining = [SubOpts(node.topic)]
    await author.send_rpc(Rpc(subscriptions=joining))
    await w.send_rpc(Rpc(subscriptions=joining, control=Control(graft=[Graft(node.topic)])))
    for number in range(TRIES):
        await author.send_rpc(Rpc(publish=[signed(author, node.topic, number + 1)]))
        with suppress(WireTimeout):
            await w.receive_rpc_with(lambda rpc: rpc.publish, timeout=node.heartbeat)
            return w, author
    trial.check(False, "a message forwarded to a peer that grafted", "none")
    return w, author


async def send_messages(author: ScriptedPeer, topic: str) -> None:
    """More than a window of them."""
    for number in range(MESSAGES):
        message = signed(author, topic, 1000 + number, bytes(MESSAGE_BYTES))
        await author.send_rpc(Rpc(publish=[message]), timeout=10)


def credit_left(w: ScriptedPeer, stream: ScriptedStream) -> int:
    """What the target may still send; below 0 it has sent too much."""
    granted = sum(
        frame.length
        for frame in w.journal.sent("yamux")
        if isinstance(frame, Frame)
        and (frame.kind, frame.stream_id) == (WINDOW_UPDATE, stream.stream_id)
        and not frame.flags & RST
    )
    return INITIAL_WINDOW_BYTES + granted - stream.received_bytes


async def block_stream(trial: Trial, node: Node) -> tuple[ScriptedPeer, ScriptedStream]:
    """W, and the pubsub stream of the target on which more waits than it has credit for."""
    w, author = await receiver(trial, node)
    stream = w.pubsub_in[-1]
    w.returns_credit = False
    with trial.expecting("messages forwarded until the window of 256 KiB is used up"):
        await send_messages(author, node.topic)
        await w.until(lambda: credit_left(w, stream) <= SLACK_BYTES, "use of the window", 15)
        before = 0
        while credit_left(w, stream) > 0 and before != stream.received_bytes:
            before = stream.received_bytes
            await anyio.sleep(SETTLING_SECONDS)
    return w, stream
