"""Carrying RPCs from node to node: queues, delays and losses of the links."""

from __future__ import annotations

from functools import partial
from heapq import heappush
from random import Random

from gossipsub.router.effects import SendRpc, Unqueue
from gossipsub.testing.agenda import Agenda
from gossipsub.testing.links import Link, Pipe, SendQueue
from gossipsub.testing.nodes import Node
from gossipsub.testing.observer import Observer
from gossipsub.testing.traffic import TrafficCounter
from gossipsub.wire.rpc import Rpc


class Transport:
    """Sends through pipes, and counts. Arrivals are entered in the agenda."""

    def __init__(self, agenda: Agenda, *, rng: Random, observer: Observer | None) -> None:
        self.traffic = TrafficCounter()
        self._agenda = agenda
        self._random = rng.random
        self._observer = observer

    def new_pipe(self, sender: Node, receiver: Node, link: Link) -> Pipe:
        pipe = Pipe(
            sender=sender,
            receiver=receiver,
            sender_id=sender.id,
            link=link,
            delay_ticks=link.latency * self._agenda.ticks_per_second,
            jitter_ticks=link.jitter * self._agenda.ticks_per_second,
            is_instant=not link.loss and link.bandwidth is None,
        )
        if link.bandwidth is not None:
            pipe.queue = SendQueue(max_rpcs=link.queue_rpcs, max_bytes=link.queue_bytes)
        return pipe

    def change_link(self, one: Node, other: Node, link: Link) -> None:
        """As `Network.change_link`."""
        old = one.links.get(other)
        if old is None:
            raise ValueError(f"{one!r} is not connected to {other!r}")
        if old.bandwidth is not None or link.bandwidth is not None:
            raise ValueError("a link with a bandwidth cannot change")
        one.links[other] = other.links[one] = link
        for node, peer in ((one, other), (other, one)):
            pipe = node.pipes.get(peer.id)
            if pipe is not None:
                new = self.new_pipe(node, peer, link)
                pipe.link, pipe.is_instant = link, new.is_instant
                pipe.delay_ticks, pipe.jitter_ticks = new.delay_ticks, new.jitter_ticks

    def send(self, node: Node, effect: SendRpc) -> None:
        """Send what a router wants sent; nothing where the connection is gone meanwhile."""
        pipe = node.pipes.get(effect.peer)
        if pipe is None:
            return
        rpc = effect.rpc
        if node.outgoing is not None:
            changed = node.outgoing(effect)
            if changed is None:
                return
            rpc = changed
        if self._observer is not None:
            self._observer.sent(self._agenda.now, node, pipe.receiver, rpc)
        if pipe.is_instant:
            traffic = self.traffic
            if rpc is traffic.last:  # as in `count`, without a call per RPC
                traffic.repeats += 1
            else:
                traffic.count(rpc)
            self._depart(pipe, rpc)
        else:
            self._queue(pipe, rpc, effect)

    def unqueue(self, node: Node, effect: Unqueue) -> None:
        """Take a message back that a peer refused, if it still waits in the queue of a link with
        bandwidth. It stays counted as sent, like those a full queue gives up."""
        pipe = node.pipes.get(effect.peer)
        if pipe is not None and pipe.queue is not None:
            pipe.queue.remove(effect.message)

    def _queue(self, pipe: Pipe, rpc: Rpc, effect: SendRpc) -> None:
        """Through a link with loss or bandwidth."""
        link, queue = pipe.link, pipe.queue
        if link.loss and self._random() < link.loss:
            self._drop(pipe, rpc)
            return
        size = self.traffic.count(rpc)
        if queue is None:
            self._depart(pipe, rpc)
            return
        for dropped in queue.push(rpc, size, effect.lane):
            self._drop(pipe, dropped)
        if not queue.is_sending:
            queue.free_at = max(queue.free_at, self._agenda.now)
            self._send_next(pipe, queue)

    def _send_next(self, pipe: Pipe, queue: SendQueue) -> None:
        """Start sending the next RPC in the queue; it departs when its last byte has left."""
        item = queue.pop()
        queue.is_sending = item is not None
        if item is not None and pipe.link.bandwidth is not None:
            rpc, size = item
            queue.free_at += size / pipe.link.bandwidth
            done = partial(self._sent, pipe, queue, rpc)
            self._agenda.call(self._agenda.nearest(queue.free_at), done)

    def _sent(self, pipe: Pipe, queue: SendQueue, rpc: Rpc) -> None:
        if pipe.is_open:
            self._depart(pipe, rpc)
            self._send_next(pipe, queue)

    def _depart(self, pipe: Pipe, rpc: Rpc) -> None:
        agenda = self._agenda
        delay = pipe.delay_ticks
        if pipe.jitter_ticks:
            delay += pipe.jitter_ticks * (2.0 * self._random() - 1.0)
        tick = agenda.tick + int(delay + 0.5)
        if tick < pipe.last_arrival:  # behind the RPC ahead of it: a stream is ordered
            tick = pipe.last_arrival
        pipe.last_arrival = tick
        bucket = agenda.buckets.get(tick)  # as Agenda.call does, without a call per RPC
        if bucket is None:
            agenda.buckets[tick] = [(pipe, rpc)]
            heappush(agenda.ticks, tick)
        else:
            bucket.append((pipe, rpc))

    def _drop(self, pipe: Pipe, rpc: Rpc) -> None:
        """Tell the sender's router; what that causes is performed with what it does now."""
        self.traffic.dropped += 1
        now = self._agenda.now
        if self._observer is not None:
            self._observer.dropped(now, pipe.sender, pipe.receiver, rpc)
        pipe.sender.router.rpc_dropped(pipe.receiver.id, rpc, now=now)
