"""What the tests of tracing share: the traces Go wrote, and one event of each kind."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

import gossipsub.conformance
from gossipsub.conformance.build import PeerUnavailable, build_go_peer
from gossipsub.router.effects import TraceKind
from gossipsub.tracing.event import MessageMeta, RpcMeta, TraceEvent
from gossipsub.wire.rpc import Control, Graft, IDontWant, IHave, IWant, PeerInfo, Prune, SubOpts

FOLDER = Path(gossipsub.conformance.__file__).resolve().parent / "vectors" / "trace_format"

NODE, PEER, ID = b"\0\x24\x08\x01\xff\xfe", b"\x12\x20\x80\0", b"\0id\xff"
TOPIC = 'quote " backslash \\ tab \t nul \0 del \x7f'


@pytest.fixture(scope="session")
def go_traces() -> dict[str, bytes]:
    """Both files of go's tracers, by format."""
    vectors = json.loads((FOLDER / "vectors.json").read_text(encoding="utf-8"))
    return {name: base64.b64decode(text) for name, text in vectors.items()}


@pytest.fixture(scope="session")
def go_program() -> Path:
    """Reads and writes traces with go-libp2p-pubsub's own code; skipped where there is no Go."""
    try:
        return build_go_peer(source=FOLDER)
    except PeerUnavailable as unavailable:
        pytest.skip(unavailable.reason)


@pytest.fixture
def go_events() -> list[TraceEvent]:
    """What stands in these files: one event of each kind."""
    meta = RpcMeta(
        (MessageMeta(ID, "t"), MessageMeta(b"", "")),
        (SubOpts("t"), SubOpts("a<b>&\u2028ü", False)),
        Control(
            ihave=(IHave("t", (ID, PEER)),),
            iwant=(IWant((ID,)),),
            graft=(Graft("t"),),
            prune=(Prune("t", (PeerInfo(PEER),)), Prune("t")),
            idontwant=(IDontWant((ID,)),),
        ),
    )
    empty = RpcMeta(control=Control())
    bodies: dict[TraceKind, dict[str, object]] = {
        TraceKind.PUBLISH_MESSAGE: {"message_id": ID, "topic": TOPIC},
        TraceKind.REJECT_MESSAGE: {
            "message_id": ID, "peer": PEER, "topic": TOPIC, "reason": "validation failed",
        },
        TraceKind.DUPLICATE_MESSAGE: {"message_id": ID, "peer": PEER, "topic": TOPIC},
        TraceKind.DELIVER_MESSAGE: {"message_id": ID, "peer": PEER, "topic": TOPIC},
        TraceKind.ADD_PEER: {"peer": PEER, "protocol": "/meshsub/1.2.0"},
        TraceKind.REMOVE_PEER: {"peer": PEER},
        TraceKind.RECV_RPC: {"peer": PEER, "meta": meta},
        TraceKind.SEND_RPC: {"peer": PEER, "meta": RpcMeta()},
        TraceKind.DROP_RPC: {"peer": PEER, "meta": empty},
        TraceKind.JOIN: {"topic": TOPIC},
        TraceKind.LEAVE: {"topic": ""},
        TraceKind.GRAFT: {"peer": PEER, "topic": TOPIC},
        TraceKind.PRUNE: {"peer": PEER, "topic": TOPIC},
    }  # fmt: skip
    time = 1_700_000_000_123_456_789
    return [
        TraceEvent(kind=kind, node=NODE, timestamp=time + number, **body)  # type: ignore[arg-type]
        for number, (kind, body) in enumerate(bodies.items())
    ]
