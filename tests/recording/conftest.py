"""What the tests of recordings share: a scripted driver, and recordings of what it did."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gossipsub.recording.recorder import Recorder
from gossipsub.router.effects import Effect, Validate, Verdict
from gossipsub.router.params import GossipParams, MeshParams, TopicParams
from gossipsub.router.router import Router
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import Control, Graft, Message, Rpc, SubOpts

PEERS = [f"peer{number}".encode() for number in range(6)]


def scored() -> GossipParams:
    """Everything on, and three functions of the application."""
    return GossipParams(
        mesh=MeshParams(d=3, d_low=2, d_high=4, d_score=2, d_out=1),
        score=PeerScoreParams(
            topics={"t": TopicScoreParams(invalid_message_deliveries_weight=-1.0)},
            app_specific_score=app_score,
            app_specific_weight=1.0,
            behaviour_penalty_weight=-1.0,
        ),
        thresholds=PeerScoreThresholds(gossip=-1.0, publish=-2.0, graylist=-3.0),
        message_id=lambda message: (message.from_peer or b"") + (message.seqno or b""),
        topics={"u": TopicParams(message_id=nameless)},
        tracing=True,
    )


def app_score(peer: bytes) -> float:
    if peer == PEERS[0]:
        raise RuntimeError("no idea")
    return peer[-1] - 50.0 if peer != PEERS[1] else float("nan")


def nameless(message: Message) -> bytes:
    return b"id" if message.data else None  # type: ignore[return-value]


@pytest.fixture(name="drive")
def drive_fixture() -> Callable[..., None]:
    return drive


def drive(
    router: Router, script: list[Any], see: Callable[[list[Effect]], None] | None = None
) -> None:
    """Give a router its script; what `Validate` hands out waits for a verdict of the script."""
    now = 1.5
    open_tickets: list[int] = []
    for number in range(4):
        router.peer_connected(
            PEERS[number], protocol="/meshsub/1.2.0", outbound=True, ip="10.0.0.1", now=now
        )
    for name, *arguments in script:
        # Connected twice, or a message without an id: recorded like all else.
        with contextlib.suppress(LocalProtocolError):
            now = _step(router, name, arguments, open_tickets, now)
        effects = router.effects()
        if see is not None:
            see(effects)
        open_tickets += [effect.ticket for effect in effects if isinstance(effect, Validate)]


def _step(router: Router, name: str, arguments: list[Any], tickets: list[int], now: float) -> float:
    match name, arguments:
        case "connect", [peer, protocol]:
            router.peer_connected(peer, protocol=protocol, outbound=False, ip=None, now=now)
        case "disconnect", [peer]:
            router.peer_disconnected(peer, now=now)
        case "receive", [peer, rpc]:
            router.receive_rpc(peer, rpc, now=now)
        case "drop", [peer, rpc]:
            router.rpc_dropped(peer, rpc, now=now)
        case "subscribe", [topic]:
            router.subscribe(topic, now=now)
        case "unsubscribe", [topic]:
            router.unsubscribe(topic, now=now)
        case "publish", [message]:
            router.publish(message, now=now)
        case "wait", [seconds]:
            now += seconds
            router.handle_timer(now=now)
        case "params", [topic]:
            own = TopicParams(message_id=lambda message: b"own" + (message.seqno or b""))
            router.set_topic_params(topic, own, now=now)
            router.set_peer_addresses(PEERS[0], iter(["10.0.0.2", "10.0.0.3"]))
        case "verdict", [index, verdict] if index < len(tickets):
            router.validation_result(tickets.pop(index), verdict, now=now)
    router.score(PEERS[2])  # a query asks the application too, and is none of the recording's
    return now


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Path]:
    """Records a script; the file."""

    def write(
        script: list[Any],
        *,
        params: GossipParams | None = None,
        full: bool = False,
        name: str = "r.jsonl",
    ) -> Path:
        recorder = Recorder(tmp_path / name, full=full)
        router = recorder.router(
            params or scored(), me=b"me", rng=Random(7), now=1.0, direct_peers=iter([PEERS[4]])
        )
        drive(router, script)
        assert recorder.close(10.0)
        return tmp_path / name

    return write


@pytest.fixture
def script() -> list[Any]:
    """A little of everything."""
    good = Message("t", b"data", b"author", bytes(8), b"s")
    graft = Control(graft=(Graft("t"),))
    return [
        ("subscribe", "t"),
        ("subscribe", "u"),
        ("receive", PEERS[2], Rpc((SubOpts("t"),), control=graft)),
        ("receive", PEERS[3], Rpc((SubOpts("t"), SubOpts("u")), control=graft)),
        ("receive", PEERS[2], Rpc(publish=(good,))),
        ("receive", PEERS[3], Rpc(publish=(good,))),
        ("verdict", 0, Verdict.ACCEPT),
        ("connect", PEERS[0], "/meshsub/1.2.0"),
        ("publish", Message("t", b"mine", b"me", bytes(8), b"s")),
        ("publish", Message("u", None, b"me", bytes(8), b"s")),
        ("params", "u"),
        ("wait", 1.0),
        ("drop", PEERS[2], Rpc(control=graft)),
        ("unsubscribe", "t"),
        ("wait", 1.0),
    ]
