from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from gossipsub.wire.rpc_codec import RpcLimits, decode_rpc, encode_rpc
from gossipsub.wire.rpc_split import split_rpc

MIB = 1024 * 1024


def elements(rpcs: Iterable[Rpc]) -> list[tuple[Any, ...]]:
    """All that some RPCs hold, one by one: ids with the topic of their entry."""
    found: list[tuple[Any, ...]] = []
    for rpc in rpcs:
        control = rpc.control or Control()
        found += [("message", m.topic, m.data, m.seqno) for m in rpc.publish]
        found += [("subscription", subscription) for subscription in rpc.subscriptions]
        found += [("graft", graft) for graft in control.graft]
        found += [("prune", prune) for prune in control.prune]
        found += [("iwant", each) for entry in control.iwant for each in entry.message_ids]
        found += [("idontwant", each) for entry in control.idontwant for each in entry.message_ids]
        found += [("ihave", i.topic, each) for i in control.ihave for each in i.message_ids]
        found += [("ihave", i.topic) for i in control.ihave if not i.message_ids]
        found += [("extensions", control.extensions)] if control.extensions else []
        found += [("partial", rpc.partial)] if rpc.partial else []
        found += [("test_extension",)] if rpc.test_extension else []
    return found


def size(rpc: Rpc) -> int:
    return len(encode_rpc(rpc))


@pytest.mark.rule("SPL-01")
def test_an_rpc_within_the_limit_is_not_split() -> None:
    rpc = Rpc(publish=(Message("t", bytes(1017)),))
    assert size(rpc) == 1026
    parts, dropped = split_rpc(rpc, 1026)
    assert (len(parts), parts[0] is rpc, dropped) == (1, True, [])


@pytest.mark.rule("SPL-02")
def test_messages_are_shared_out_in_their_order() -> None:
    messages = tuple(Message("t", bytes([n]) * 300) for n in range(4))
    assert split_rpc(Rpc(publish=messages), 1024) == (
        [Rpc(publish=messages[:3]), Rpc(publish=messages[3:])],
        [],
    )


@pytest.mark.rule("SPL-02")
def test_messages_come_first_then_subscriptions_then_control() -> None:
    rpc = Rpc(
        subscriptions=(SubOpts("s" * 50),),
        publish=(Message("m" * 50), Message("n" * 50)),
        control=Control(graft=(Graft("g" * 50),)),
    )
    assert split_rpc(rpc, 60) == (
        [
            Rpc(publish=rpc.publish[:1]),
            Rpc(publish=rpc.publish[1:]),
            Rpc(subscriptions=rpc.subscriptions),
            Rpc(control=rpc.control),
        ],
        [],
    )


@pytest.mark.rule("SPL-03")
def test_an_element_too_large_alone_is_handed_back_and_the_rest_sent() -> None:
    small, large = Message("t", b"small"), Message("t", bytes(2000))
    rpc = Rpc(
        publish=(small, large, small),
        control=Control(
            ihave=(IHave("t", (b"1", bytes(1024), b"2")),), graft=(Graft("g" * 2000), Graft("g"))
        ),
    )
    assert split_rpc(rpc, 1024) == (
        [
            Rpc(
                publish=(small, small),
                control=Control(
                    ihave=(IHave("t", (b"1",)), IHave("t", (b"2",))), graft=(Graft("g"),)
                ),
            ),
        ],
        [
            Rpc(publish=(large,)),
            Rpc(control=Control(graft=(Graft("g" * 2000),))),
            Rpc(control=Control(ihave=(IHave("t", (bytes(1024),)),))),
        ],
    )


@pytest.mark.rule("SPL-04")
@pytest.mark.parametrize("limit", [1024, 100, 64 * 1024])
def test_long_lists_of_ids_are_cut_and_keep_their_topic(limit: int) -> None:
    ids = [b"%05d-of-twenty-bytes" % n for n in range(5000)]
    rpc = Rpc(control=Control(ihave=(IHave("a", ids[:3000]), IHave("b", ids[2500:]))))
    parts, dropped = split_rpc(rpc, limit)
    assert dropped == []
    assert elements(parts) == elements([rpc])
    assert all(size(part) <= limit for part in parts)
    # And no part is left half empty: one more id would not have fitted.
    assert all(size(part) + 22 + 6 > limit for part in parts[:-1])


@pytest.mark.rule("SPL-04")
def test_several_iwants_become_one_per_part() -> None:
    ids = [b"%04d" % n * 5 for n in range(1000)]
    iwants = tuple(IWant(ids[n : n + 10]) for n in range(0, 1000, 10))
    parts, dropped = split_rpc(Rpc(control=Control(iwant=iwants)), 4096)
    assert dropped == []
    assert [len(part.control.iwant) for part in parts if part.control] == [1] * len(parts)
    assert elements(parts) == [("iwant", each) for each in ids]
    assert all(4096 - 22 - 6 < size(part) <= 4096 for part in parts[:-1])


EVERYTHING = Rpc(
    subscriptions=tuple(SubOpts(f"topic-{n}", n % 2 == 0, n > 3, n > 4) for n in range(6)),
    publish=tuple(Message("t", b"data", b"me", bytes([n])) for n in range(5)),
    control=Control(
        ihave=(IHave("x", (b"1", b"2", b"3")), IHave("empty"), IHave("y", (b"4",))),
        iwant=(IWant((b"5", b"6")), IWant((b"7",))),
        graft=(Graft("g1"), Graft("g2")),
        prune=(Prune("p1", (PeerInfo(b"peer", b"record"), PeerInfo(b"2")), 60), Prune("p2")),
        idontwant=(IDontWant((b"8", b"9")), IDontWant((b"10",))),
        extensions=Extensions(True, True),
    ),
    partial=PartialMessagesExtension("t", b"group", b"part", b"meta"),
    test_extension=True,
)


@pytest.mark.rule("SPL-05")
@pytest.mark.parametrize("limit", [35, 40, 50, 100, 200])
def test_nothing_is_lost_whatever_the_field(limit: int) -> None:
    parts, dropped = split_rpc(EVERYTHING, limit)
    assert dropped == []
    assert len(parts) > 1
    assert all(size(part) <= limit for part in parts)
    assert sorted(elements(parts), key=repr) == sorted(elements([EVERYTHING]), key=repr)


@pytest.mark.rule("T20")
def test_a_hello_with_thousands_of_topics_is_split_and_opens_with_the_extensions() -> None:
    # 16 KiB beside messages is what rust accepts by default.
    subscriptions = tuple(SubOpts(f"/a/topic/of/thousands/{n}") for n in range(6000))
    extensions = Control(extensions=Extensions(partial_messages=True))
    rpc = Rpc(subscriptions=subscriptions, control=extensions)
    parts, dropped = split_rpc(rpc, 64 * 1024, RpcLimits(control_bytes=16 * 1024))
    assert dropped == []
    assert [part.control for part in parts] == [extensions] + [None] * (len(parts) - 1)
    assert tuple(s for part in parts for s in part.subscriptions) == subscriptions
    assert all(16 * 1024 - 64 < size(part) <= 16 * 1024 for part in parts[:-1])


@pytest.mark.rule("WIRE-22")
def test_a_heartbeat_of_gossip_is_split_below_the_control_limit_of_go() -> None:
    ids = tuple(b"%060d" % n for n in range(5000))
    rpc = Rpc(control=Control(ihave=tuple(IHave(topic, ids) for topic in "abc")))
    assert 512 * 1024 < size(rpc) < MIB
    parts, dropped = split_rpc(rpc, MIB)
    assert dropped == []
    assert elements(parts) == elements([rpc])
    assert [size(part) <= 512 * 1024 for part in parts] == [True, True]


@pytest.mark.rule("WIRE-22")
def test_the_data_of_messages_and_the_partial_message_may_exceed_the_control_limit() -> None:
    rpc = Rpc(
        publish=(Message("t", bytes(400 * 1024)), Message("t", bytes(400 * 1024))),
        partial=PartialMessagesExtension("t", parts_metadata=bytes(200 * 1024)),
    )
    assert split_rpc(rpc, MIB) == ([rpc], [])


@pytest.mark.rule("WIRE-22")
def test_beside_the_data_of_messages_a_part_still_has_room_for_control() -> None:
    first, second, third = (Message("t", bytes([n]) * 3000) for n in range(3))
    rpc = Rpc(
        subscriptions=(SubOpts("s"),),
        publish=(first, second, third),
        control=Control(graft=(Graft("g"),)),
    )
    assert split_rpc(rpc, 6100, RpcLimits(control_bytes=100)) == (
        [
            Rpc(publish=(first, second)),
            Rpc(subscriptions=rpc.subscriptions, publish=(third,), control=rpc.control),
        ],
        [],
    )


@pytest.mark.parametrize(
    ("rpc", "counts"),
    [
        (Rpc(subscriptions=(SubOpts("t"),) * 5001), [5000, 1]),
        (Rpc(publish=(Message("t"),) * 5001), [5000, 1]),
        (Rpc(control=Control(graft=(Graft("t"),) * 5001)), [5000, 1]),
        (Rpc(control=Control(ihave=(IHave("t", (b"i",) * 5001),))), [5001]),
        (Rpc(control=Control(iwant=(IWant((b"i",) * 5001),))), [5001]),
        (Rpc(control=Control(idontwant=(IDontWant((b"i",) * 513),))), [513]),
        (Rpc(control=Control(ihave=(IHave("t", (b"i",) * 4000),) * 8)), [29_992, 2008]),
        (Rpc(control=Control(prune=(Prune("t", (PeerInfo(),) * 16, 1),) * 2000)), [1666, 334]),
    ],
)
def test_no_part_holds_more_than_the_receiver_accepts(rpc: Rpc, counts: list[int]) -> None:
    parts, dropped = split_rpc(rpc, MIB)
    assert dropped == []
    assert [len(elements([part])) for part in parts] == counts
    assert elements(decode_rpc(encode_rpc(part), RpcLimits()) for part in parts) == elements([rpc])


# ---- any RPC, any limit

topics = st.text(max_size=12)
maybe_bytes = st.none() | st.binary(max_size=60)
ids = st.lists(st.binary(max_size=60) | st.integers(100, 300).map(bytes), max_size=12).map(tuple)


def several(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(strategy, max_size=5).map(tuple)


prunes = st.builds(
    Prune,
    topics,
    several(st.builds(PeerInfo, maybe_bytes, maybe_bytes)),
    st.none() | st.integers(0, 2**64 - 1),
)
controls = st.builds(
    Control,
    ihave=several(st.builds(IHave, topics, ids)),
    iwant=several(st.builds(IWant, ids)),
    graft=several(st.builds(Graft, topics)),
    prune=several(prunes),
    idontwant=several(st.builds(IDontWant, ids)),
    extensions=st.none() | st.builds(Extensions, st.booleans(), st.booleans()),
)
rpcs = st.builds(
    Rpc,
    subscriptions=several(st.builds(SubOpts, topics, st.booleans(), st.booleans(), st.booleans())),
    publish=several(st.builds(Message, topics, maybe_bytes, seqno=maybe_bytes)),
    control=st.none() | controls,
    partial=st.none() | st.builds(PartialMessagesExtension, st.none() | topics, maybe_bytes),
    test_extension=st.booleans(),
)
limits = st.builds(
    RpcLimits,
    subscriptions=st.integers(1, 10),
    messages=st.integers(1, 10),
    control_entries=st.integers(3, 10),
    message_ids=st.integers(1, 10),
    idontwant_ids=st.integers(1, 10),
    control_items=st.integers(10, 20),
    control_bytes=st.integers(1, 1000),
)


@pytest.mark.rule("SPL-02", "SPL-03", "SPL-04", "SPL-05")
@given(rpcs, st.integers(1, 1000), st.just(RpcLimits()) | limits)
def test_the_parts_together_are_the_whole_and_each_is_acceptable(
    rpc: Rpc, max_bytes: int, limits: RpcLimits
) -> None:
    parts, dropped = split_rpc(rpc, max_bytes, limits)
    union = elements([*parts, *dropped])
    assert sorted(union, key=repr) == sorted(elements([rpc]), key=repr)
    assert [m for m in elements(parts) if m[0] == "message"] == [
        m for m in elements([rpc]) if m[0] == "message" and m in elements(parts)
    ]
    for part in parts:
        assert size(part) <= max_bytes
        decoded = decode_rpc(encode_rpc(part), limits)
        assert elements([decoded]) == elements([part])
    for single in dropped:
        assert len(elements([single])) <= 1
        alone = dataclasses.replace(single)
        assert split_rpc(single, max_bytes, limits) == ([], [alone])
    for part in parts[1:]:
        assert part.control is None or part.control.extensions is None
        assert not part.test_extension or min(max_bytes, limits.control_bytes) < 20


@given(rpcs)
def test_whatever_fits_exactly_is_not_dropped(rpc: Rpc) -> None:
    _, all_elements = split_rpc(rpc, 1)
    for single in all_elements:
        limit = size(single)
        many = Rpc(
            subscriptions=(*single.subscriptions,) * 3,
            publish=(*single.publish,) * 3,
            control=single.control,
            partial=single.partial,
            test_extension=single.test_extension,
        )
        parts, dropped = split_rpc(many, limit)
        assert dropped == []
        assert elements(parts) == elements([many])
