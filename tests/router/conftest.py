"""A router on a virtual clock, with short ways to say what arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

import pytest

from gossipsub.router.effects import Effect, Lane, SendRpc, Validate, Verdict
from gossipsub.router.params import GossipParams, LazyParams
from gossipsub.router.router import Router
from gossipsub.wire.rpc import Control, Graft, Message, Prune, Rpc, SubOpts

ME = b"me"
AUTHOR = b"author"


class ScoredRouter(Router):
    """A router whose scores the test may set."""

    scores: dict[bytes, float]

    def score(self, peer: bytes) -> float:
        return self.scores[peer] if peer in self.scores else super().score(peer)


class Node:
    """A driver without I/O: inputs return the effects they caused."""

    ME = ME
    AUTHOR = AUTHOR

    def __init__(self, *, seed: int = 1, **params: object) -> None:
        """IWANTs leave at once unless the test says otherwise: most tests are not about when."""
        params.setdefault("lazy", LazyParams(iwant_patience=0.0))
        self.now = 0.0
        self.scores: dict[bytes, float] = {}
        self.router = ScoredRouter(
            GossipParams(**params),
            me=ME,
            rng=Random(seed),
            now=self.now,  # type: ignore[arg-type]
        )
        self.router.scores = self.scores

    def connect(
        self,
        peers: Iterable[bytes],
        *,
        protocol: str = "/meshsub/1.2.0",
        outbound: bool = False,
        topics: Iterable[str] = ("t",),
        graft: Iterable[str] = (),
    ) -> list[Effect]:
        for peer in peers:
            self.router.peer_connected(
                peer, protocol=protocol, outbound=outbound, ip="10.0.0.1", now=self.now
            )
            subscriptions = tuple(SubOpts(topic) for topic in topics)
            control = Control(graft=tuple(Graft(topic) for topic in graft))
            self.router.receive_rpc(peer, Rpc(subscriptions, control=control), now=self.now)
        return self.router.effects()

    def join(self, *topics: str) -> list[Effect]:
        for topic in topics:
            self.router.subscribe(topic, now=self.now)
        return self.router.effects()

    def leave(self, *topics: str) -> list[Effect]:
        for topic in topics:
            self.router.unsubscribe(topic, now=self.now)
        return self.router.effects()

    def receive(
        self,
        peer: bytes,
        *,
        subscribe: Iterable[str] = (),
        unsubscribe: Iterable[str] = (),
        publish: Iterable[Message] = (),
        **control: object,
    ) -> list[Effect]:
        options = [SubOpts(t) for t in subscribe] + [SubOpts(t, False) for t in unsubscribe]
        rpc = Rpc(
            tuple(options),
            tuple(publish),
            Control(**control) if control else None,  # type: ignore[arg-type]
        )
        self.router.receive_rpc(peer, rpc, now=self.now)
        return self.router.effects()

    def verdict(self, validate: Effect, verdict: Verdict = Verdict.ACCEPT) -> list[Effect]:
        assert isinstance(validate, Validate)
        assert self.router.validation_result(validate.ticket, verdict, now=self.now)
        return self.router.effects()

    def accept(self, peer: bytes, message: Message) -> list[Effect]:
        """`message` comes from `peer` and proves good: what follows from the verdict."""
        (validate,) = self.receive(peer, publish=[message])
        return self.verdict(validate)

    def publish(self, message: Message) -> list[Effect]:
        self.router.publish(message, now=self.now)
        return self.router.effects()

    def wait(self, seconds: float) -> list[Effect]:
        """Time passes; timers are served when they are due."""
        end = self.now + seconds
        effects: list[Effect] = []
        while self.router.next_deadline() <= end:
            self.now = self.router.next_deadline()
            self.router.handle_timer(now=self.now)
            effects += self.router.effects()
        self.now = end
        return effects

    def tick(self) -> list[Effect]:
        """Exactly one heartbeat."""
        self.now = self.router.next_deadline()
        self.router.handle_timer(now=self.now)
        return self.router.effects()

    # Values to send and to expect

    @staticmethod
    def peers(count: int, prefix: str = "w") -> list[bytes]:
        return [f"{prefix}{number:02}".encode() for number in range(count)]

    @staticmethod
    def message(number: int = 1, *, topic: str = "t", author: bytes = AUTHOR) -> Message:
        return Message(
            topic,
            b"data",
            author,
            number.to_bytes(8, "big"),
            b"signature",
            encoding=b"message %d in %s by %s" % (number, topic.encode(), author),
        )

    @staticmethod
    def message_id(number: int = 1, *, author: bytes = AUTHOR) -> bytes:
        return author + number.to_bytes(8, "big")

    @staticmethod
    def sent(effects: Iterable[Effect]) -> dict[bytes, list[Rpc]]:
        """RPCs by peer."""
        by_peer: dict[bytes, list[Rpc]] = {}
        for effect in effects:
            if isinstance(effect, SendRpc):
                by_peer.setdefault(effect.peer, []).append(effect.rpc)
        return by_peer

    @staticmethod
    def controls(effects: Iterable[Effect], field: str) -> dict[bytes, list[object]]:
        """One field of the control messages sent, by peer; peers without it are left out."""
        found: dict[bytes, list[object]] = {}
        for peer, rpcs in Node.sent(effects).items():
            for rpc in rpcs:
                for entry in getattr(rpc.control or Control(), field):
                    found.setdefault(peer, []).append(entry)
        return found

    @staticmethod
    def graft(peer: bytes, *topics: str) -> SendRpc:
        rpc = Rpc(control=Control(graft=tuple(Graft(topic) for topic in topics)))
        return SendRpc(peer, rpc, Lane.CONTROL)

    @staticmethod
    def prune(peer: bytes, topic: str, backoff: int | None = 60) -> SendRpc:
        return SendRpc(peer, Rpc(control=Control(prune=(Prune(topic, (), backoff),))), Lane.CONTROL)


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.fixture
def make_node() -> Callable[..., Node]:
    return Node
