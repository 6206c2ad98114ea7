"""Counting: numbers are exact, sizes close to what the codec makes of it."""

from __future__ import annotations

import pytest

from gossipsub.testing.traffic import Traffic, TrafficCounter, message_bytes
from gossipsub.wire.rpc import (
    Control,
    Extensions,
    Graft,
    IDontWant,
    IHave,
    IWant,
    Message,
    PartialMessagesExtension,
    PeerInfo,
    Prune,
    Rpc,
    SubOpts,
)
from gossipsub.wire.rpc_codec import encode_rpc

IDS = tuple(bytes([number]) * 46 for number in range(20))
MESSAGE = Message("topic", bytes(1000), bytes(38), bytes(8), bytes(64))


@pytest.mark.parametrize(
    ("rpc", "kind", "count", "ids"),
    [
        (Rpc(publish=(MESSAGE, MESSAGE)), "message", 2, 0),
        (Rpc(subscriptions=(SubOpts("topic"), SubOpts("other", False))), "subscription", 2, 0),
        (Rpc(control=Control(ihave=(IHave("t", IDS), IHave("u", IDS[:5])))), "ihave", 2, 25),
        (Rpc(control=Control(iwant=(IWant(IDS),))), "iwant", 1, 20),
        (Rpc(control=Control(idontwant=(IDontWant(IDS[:1]),))), "idontwant", 1, 1),
        (Rpc(control=Control(graft=(Graft("topic"), Graft("other")))), "graft", 2, 0),
        (Rpc(control=Control(prune=(Prune("topic", backoff=60),))), "prune", 1, 0),
        (
            Rpc(control=Control(prune=(Prune("topic", (PeerInfo(bytes(38), bytes(200)),), 60),))),
            "prune",
            1,
            0,
        ),
        (Rpc(control=Control(extensions=Extensions(partial_messages=True))), "extension", 1, 0),
        (
            Rpc(partial=PartialMessagesExtension("topic", bytes(8), bytes(500), bytes(4))),
            "extension",
            1,
            0,
        ),
    ],
)
def test_each_kind_is_counted_with_about_its_size(
    rpc: Rpc, kind: str, count: int, ids: int
) -> None:
    counter = TrafficCounter()
    size = counter.count(rpc)
    counted = {name: traffic for name, traffic in counter.by_kind().items() if traffic.count}
    assert counted == {kind: Traffic(count, ids, size)}
    assert abs(size - len(encode_rpc(rpc))) <= 4 + 0.1 * size


def test_an_rpc_for_many_peers_counts_as_often_as_it_is_sent() -> None:
    counter = TrafficCounter()
    small = Message("t", bytes(10))
    shared, other = Rpc(publish=(MESSAGE,)), Rpc(publish=(small, small))
    for rpc in (shared, shared, shared, other, shared):
        counter.count(rpc)
    assert counter.rpcs == 5
    expected = Traffic(6, 0, 4 * message_bytes(MESSAGE) + 2 * message_bytes(small))
    assert counter.by_kind()["message"] == expected
    assert counter.by_kind()["message"] == expected  # reading changes nothing


def test_parts_of_one_rpc_are_counted_apart() -> None:
    counter = TrafficCounter()
    control = Control(graft=(Graft("topic"),), ihave=(IHave("topic", IDS),))
    counter.count(Rpc((SubOpts("topic"),), (MESSAGE,), control))
    counts = {kind: traffic.count for kind, traffic in counter.by_kind().items() if traffic.count}
    assert counts == {"message": 1, "subscription": 1, "ihave": 1, "graft": 1}
