from __future__ import annotations

from dataclasses import replace

import pytest

from gossipsub.recording.digest import as_text, digest, in_full
from gossipsub.router.effects import (
    Connect,
    Deliver,
    Disconnect,
    Effect,
    Lane,
    SendRpc,
    TopicPeer,
    Trace,
    TraceKind,
    Unqueue,
    Validate,
)
from gossipsub.wire.rpc import Message, Rpc, SubOpts
from gossipsub.wire.rpc_codec import encode_rpc

MESSAGE = Message("t", b"data")
EFFECTS: list[Effect] = [
    SendRpc(b"p", Rpc((SubOpts("t"),)), Lane.CONTROL),
    Validate(1, b"p", MESSAGE, b"id"),
    Deliver(MESSAGE, b"id", None),
    Connect(b"p"),
    Disconnect(b"p", "reason"),
    TopicPeer("t", b"p", True),
    Trace(TraceKind.GRAFT, b"p", "t"),
    Trace(TraceKind.RECV_RPC, b"p", rpc=Rpc((SubOpts("t"),))),
    Unqueue(b"p", MESSAGE),
]
CHANGES: list[tuple[int, dict[str, object]]] = [
    (0, {"peer": b"q"}),
    (0, {"rpc": Rpc((SubOpts("u"),))}),
    (0, {"lane": Lane.URGENT}),
    (1, {"ticket": 2}),
    (1, {"message": Message("t", b"date")}),
    (1, {"message_id": b"ie"}),
    (2, {"received_from": b""}),
    (2, {"message": Message("t", b"date")}),
    (3, {"signed_peer_record": b""}),
    (4, {"reason": "other"}),
    (5, {"joined": False}),
    (6, {"kind": TraceKind.PRUNE}),
    (8, {"message": Message("t", b"date")}),
    (7, {"rpc": Rpc((SubOpts("u"),))}),
]


@pytest.mark.parametrize(("index", "change"), CHANGES)
def test_any_change_of_any_effect_changes_the_digest(index: int, change: dict[str, object]) -> None:
    changed = [*EFFECTS]
    changed[index] = replace(changed[index], **change)  # type: ignore[arg-type]
    assert digest(changed) != digest(EFFECTS)


def test_the_order_and_the_number_of_effects_count() -> None:
    digests = {digest(EFFECTS), digest(EFFECTS[::-1]), digest(EFFECTS[:-1]), digest([])}
    assert len(digests) == 4


def test_the_same_rpc_to_several_peers_counts_for_each() -> None:
    rpc = Rpc((SubOpts("t"),))
    shared: list[Effect] = [SendRpc(peer, rpc, Lane.OWN) for peer in (b"a", b"b")]
    copied: list[Effect] = [SendRpc(peer, replace(rpc), Lane.OWN) for peer in (b"a", b"b")]
    assert digest(shared) == digest(copied) != digest(shared[:1])


def test_the_digest_is_that_of_the_bytes_on_the_wire_and_stays_what_it_is() -> None:
    assert digest(EFFECTS) == "b0d6669d96bf20dbc4c1eae380102e05"


def test_effects_in_full_are_the_same_whether_or_not_they_were_sent() -> None:
    message = Message("t", b"data")
    effects: list[Effect] = [
        SendRpc(b"p", Rpc(publish=(message,)), Lane.OWN),
        Validate(1, b"p", Message("t", b"other"), b"id"),
        Unqueue(b"p", Message("t", b"third")),
    ]
    before = in_full(effects), digest(effects)
    encode_rpc(Rpc(publish=(message,)))
    assert (in_full(effects), digest(effects)) == before


def test_an_effect_in_full_is_one_line_of_json() -> None:
    (written,) = in_full([TopicPeer("t", b"p", True)])
    assert as_text(written) == '{"$":"TopicPeer","topic":"t","peer":{"$b":"cA=="},"joined":true}'
