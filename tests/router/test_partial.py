"""Partial messages: who gets parts in place of messages, and the groups remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import (
    Effect,
    Lane,
    PartialGossip,
    PartialPeer,
    PartialReceived,
    SendRpc,
)
from gossipsub.router.extension.params import ExtensionParams, PartialMode
from gossipsub.router.params import LazyParams, MeshParams, RouterLimits, TopicParams
from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.rpc import (
    Control,
    Extensions,
    Graft,
    IHave,
    IWant,
    PartialMessagesExtension,
    Rpc,
    SubOpts,
)

if TYPE_CHECKING:
    from tests.router.conftest import Node

ON = ExtensionParams(partial_messages=True, partial_group_heartbeats=3)
ANNOUNCED = Control(extensions=Extensions(partial_messages=True))
SUPPORT, REQUEST = PartialMode.SUPPORT, PartialMode.REQUEST
REQUESTS, SUPPORTS, NEITHER = (True, True), (False, True), (False, False)
Make = Callable[..., "Node"]


def joined(make_node: Make, mode: PartialMode | None, **params: object) -> Node:
    node = make_node(extensions=ON, topics={"t": TopicParams(partial_messages=mode)}, **params)
    node.join("t")
    return node


def connect(
    node: Node,
    peer: bytes,
    flags: tuple[bool, bool] | None,
    *,
    announced: bool = True,
    protocol: str = "/meshsub/1.3.0",
) -> list[Effect]:
    """A peer that subscribes to "t" with these flags; None: that does not subscribe."""
    node.router.peer_connected(peer, protocol=protocol, outbound=False, ip=None, now=node.now)
    options = () if flags is None else (SubOpts("t", True, *flags),)
    control = ANNOUNCED if announced else None
    node.router.receive_rpc(peer, Rpc(options, control=control), now=node.now)
    return node.router.effects()


def connect_all_kinds(node: Node) -> None:
    for peer, flags in ((b"requests", REQUESTS), (b"supports", SUPPORTS), (b"neither", NEITHER)):
        connect(node, peer, flags)
    connect(node, b"not announced", REQUESTS, announced=False)
    connect(node, b"v1.2", REQUESTS, protocol="/meshsub/1.2.0")
    connect(node, b"floodsub", REQUESTS, protocol="/floodsub/1.0.0")


OTHERS = (b"neither", b"not announced", b"v1.2", b"floodsub")


def partial(
    group: bytes = b"group",
    message: bytes | None = None,
    metadata: bytes | None = b"m",
    topic: str = "t",
) -> PartialMessagesExtension:
    return PartialMessagesExtension(topic, group, message, metadata)


def receive(node: Node, peer: bytes, extension: PartialMessagesExtension) -> list[Effect]:
    node.router.receive_rpc(peer, Rpc(partial=extension), now=node.now)
    return node.router.effects()


def publish(node: Node, group: bytes = b"group", topic: str = "t") -> dict[bytes, bool]:
    peers = node.router.publish_partial(topic, group, now=node.now)
    return {target.peer: target.requests for target in peers}


def receivers(effects: Iterable[Effect]) -> set[bytes]:
    """Who is sent a full message."""
    return {e.peer for e in effects if isinstance(e, SendRpc) and e.rpc.publish}


def gossip_of(effects: Iterable[Effect]) -> list[PartialGossip]:
    return [effect for effect in effects if isinstance(effect, PartialGossip)]


# -- announcing


@pytest.mark.rule("PART-01")
@pytest.mark.parametrize(
    ("mode", "flags"), [(None, NEITHER), (SUPPORT, SUPPORTS), (REQUEST, REQUESTS)]
)
def test_hello_and_announcements_carry_the_flags(
    make_node: Make, mode: PartialMode | None, flags: tuple[bool, bool]
) -> None:
    node = make_node(extensions=ON, topics={"t": TopicParams(partial_messages=mode)})
    connect(node, b"w", None)
    option = SubOpts("t", True, *flags)
    assert node.join("t") == [SendRpc(b"w", Rpc((option,)), Lane.CONTROL)]
    node.router.peer_connected(
        b"x", protocol="/meshsub/1.3.0", outbound=False, ip=None, now=node.now
    )
    hello = Rpc((option,), control=ANNOUNCED)
    assert node.router.effects() == [SendRpc(b"x", hello, Lane.URGENT)]
    assert node.leave("t")[0] == SendRpc(b"w", Rpc((SubOpts("t", False),)), Lane.CONTROL)


@pytest.mark.rule("PART-01")
def test_an_announcement_that_was_dropped_comes_again_with_its_flags(make_node: Make) -> None:
    node = make_node(extensions=ON, topics={"t": TopicParams(partial_messages=REQUEST)})
    connect(node, b"w", None)
    (effect,) = node.join("t")
    assert isinstance(effect, SendRpc)
    node.router.rpc_dropped(b"w", effect.rpc, now=node.now)
    assert effect in node.wait(1.0)


@pytest.mark.rule("PART-01")
def test_another_mode_is_announced_at_once(make_node: Make) -> None:
    node = joined(make_node, None)
    connect(node, b"w", REQUESTS)
    for mode, flags in ((SUPPORT, SUPPORTS), (REQUEST, REQUESTS), (None, NEITHER)):
        params = TopicParams(partial_messages=mode)
        node.router.set_topic_params("t", params, now=node.now)
        rpc = Rpc((SubOpts("t", True, *flags),))
        assert node.router.effects() == [SendRpc(b"w", rpc, Lane.CONTROL)]
        node.router.set_topic_params("t", replace(params, max_data_bytes=9), now=node.now)
        assert node.router.effects() == []


@pytest.mark.rule("PART-01")
def test_a_peer_may_change_its_flags_and_withdraws_them_with_the_subscription(
    make_node: Make,
) -> None:
    node = joined(make_node, SUPPORT)
    connect(node, b"w", (True, False))  # requesting implies supporting
    assert publish(node) == {b"w": True}
    for flags, requests in ((NEITHER, False), (REQUESTS, True), (SUPPORTS, False)):
        node.router.receive_rpc(b"w", Rpc((SubOpts("t", True, *flags),)), now=node.now)
        assert publish(node) == {b"w": requests}
    node.router.receive_rpc(b"w", Rpc((SubOpts("t", True, True, True),)), now=node.now)
    node.receive(b"w", unsubscribe=["t"])
    node.router.receive_rpc(b"w", Rpc((SubOpts("t", False, True, True),)), now=node.now)
    assert not node.router.send_partial(b"w", "t", b"group", message=b"parts")
    node.receive(b"w", subscribe=["t"])
    assert publish(node) == {}


# -- full messages


@pytest.mark.rule("PART-02")
@pytest.mark.parametrize("mode", [SUPPORT, REQUEST, None])
@pytest.mark.parametrize("flood_publish", [True, False])
def test_full_messages_go_to_those_that_do_not_request_parts_or_cannot_get_them(
    make_node: Make, mode: PartialMode | None, flood_publish: bool
) -> None:
    node = joined(make_node, mode, flood_publish=flood_publish)
    connect_all_kinds(node)
    everybody = {b"requests", b"supports", *OTHERS}
    expected = everybody - {b"requests"} if mode else everybody
    assert receivers(node.publish(node.message(1, author=node.ME))) == expected
    connect(node, b"source", NEITHER)
    assert receivers(node.accept(b"source", node.message(2))) == expected


@pytest.mark.rule("PART-02")
def test_in_a_topic_that_is_not_joined_its_mode_counts_as_well(make_node: Make) -> None:
    for mode, expected in ((SUPPORT, {b"supports"}), (None, {b"requests", b"supports"})):
        own = TopicParams(partial_messages=mode)
        node = make_node(extensions=ON, flood_publish=False, topics={"t": own})
        connect(node, b"requests", REQUESTS)
        connect(node, b"supports", SUPPORTS)
        assert receivers(node.publish(node.message(author=node.ME))) == expected


@pytest.mark.rule("PART-02")
def test_who_requests_parts_may_still_ask_for_a_full_message(make_node: Make) -> None:
    node = joined(make_node, SUPPORT)
    connect(node, b"w", REQUESTS)
    connect(node, b"source", NEITHER)
    node.accept(b"source", node.message())
    answer = node.receive(b"w", iwant=[IWant([node.message_id()])])
    assert receivers(answer) == {b"w"}


# -- IHAVE and IDONTWANT


@pytest.mark.rule("PART-03")
def test_peers_that_request_parts_get_gossip_about_groups_in_place_of_ihave(
    make_node: Make,
) -> None:
    node = joined(make_node, SUPPORT, mesh=MeshParams(d=0, d_low=0, d_high=0, d_out=0))
    connect_all_kinds(node)
    node.publish(node.message(author=node.ME))
    assert publish(node) == {}
    effects = node.tick()
    assert gossip_of(effects) == [PartialGossip("t", b"group", (b"requests",))]
    ihave = IHave("t", (node.message_id(author=node.ME),))
    told = {b"supports", b"neither", b"not announced", b"v1.2"}
    assert node.controls(effects, "ihave") == {peer: [ihave] for peer in told}
    assert publish(node) == {b"requests": True}
    assert gossip_of(node.tick()) == []


@pytest.mark.rule("PART-03")
def test_groups_are_gossiped_about_where_no_message_is(make_node: Make) -> None:
    lazy = LazyParams(d_lazy=2, gossip_factor=0.0)
    no_mesh = MeshParams(d=0, d_low=0, d_high=0, d_out=0)
    node = joined(make_node, REQUEST, lazy=lazy, mesh=no_mesh)
    peers = node.peers(4)
    for peer in peers:
        connect(node, peer, REQUESTS)
    connect(node, b"neither", NEITHER)
    publish(node)
    told: list[bytes] = []
    for _ in range(20):
        publish(node)
        effects = node.tick()
        assert node.controls(effects, "ihave") == {}
        told += [peer for effect in gossip_of(effects) for peer in effect.peers]
        assert len(told) == len(set(told))
    assert set(told) == set(peers)


def test_those_that_come_into_the_mesh_later_are_told(make_node: Make) -> None:
    node = joined(make_node, REQUEST)
    assert publish(node) == {}
    connect(node, b"supports", SUPPORTS)
    connect(node, b"neither", NEITHER)
    assert node.router.mesh("t") == [b"supports", b"neither"]
    assert gossip_of(node.tick()) == [PartialGossip("t", b"group", (b"supports",))]


@pytest.mark.rule("PART-03")
@pytest.mark.parametrize(
    ("mode", "serving"), [(REQUEST, {b"requests", b"supports"}), (SUPPORT, set()), (None, set())]
)
def test_no_idontwant_goes_to_those_that_send_parts(
    make_node: Make, mode: PartialMode | None, serving: set[bytes]
) -> None:
    node = joined(make_node, mode, lazy=LazyParams(idontwant_threshold=1))
    connect_all_kinds(node)
    connect(node, b"source", NEITHER)
    told = node.controls(node.receive(b"source", publish=[node.message()]), "idontwant")
    everybody = {b"requests", b"supports", b"neither", b"not announced", b"v1.2"}
    assert set(told) == everybody - serving


# -- publishing parts


@pytest.mark.rule("PART-01")
@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (SUPPORT, {b"requests": True}),
        (REQUEST, {b"requests": True, b"supports": False}),
    ],
)
def test_parts_are_published_to_mesh_peers_that_exchange_them(
    make_node: Make, mode: PartialMode, expected: dict[bytes, bool]
) -> None:
    node = joined(make_node, mode)
    connect_all_kinds(node)
    assert publish(node) == expected
    assert node.router.publish_partial("t", b"group", now=node.now) == tuple(
        PartialPeer(peer, requests) for peer, requests in expected.items()
    )


def test_parts_go_only_to_those_that_request_them(make_node: Make) -> None:
    node = joined(make_node, REQUEST)
    connect_all_kinds(node)

    def send(peer: bytes, message: bytes | None, metadata: bytes | None) -> list[Effect]:
        is_sent = node.router.send_partial(peer, "t", b"group", message=message, metadata=metadata)
        effects = node.router.effects()
        assert is_sent is bool(effects)
        return effects

    both = Rpc(partial=partial(message=b"parts"))
    assert send(b"requests", b"parts", b"m") == [SendRpc(b"requests", both, Lane.OWN)]
    only = Rpc(partial=partial(message=b"parts", metadata=None))
    assert send(b"requests", b"parts", None) == [SendRpc(b"requests", only, Lane.OWN)]
    metadata = Rpc(partial=partial())
    assert send(b"supports", b"parts", b"m") == [SendRpc(b"supports", metadata, Lane.OWN)]
    assert send(b"neither", b"parts", b"m") == [SendRpc(b"neither", metadata, Lane.OWN)]
    assert send(b"supports", b"parts", None) == []
    assert send(b"requests", b"", b"") == []
    for peer in (b"not announced", b"v1.2", b"floodsub", b"unknown"):
        assert send(peer, b"parts", b"m") == []
    node.scores[b"requests"] = -1_000_000.0
    assert send(b"requests", b"parts", b"m") == []
    assert b"requests" not in publish(node)


def test_direct_peers_get_parts_whatever_their_score_and_hear_of_groups_later(
    make_node: Make,
) -> None:
    node = joined(make_node, SUPPORT)
    publish(node, b"early")
    node.router.add_direct_peer(b"direct", now=node.now)
    connect(node, b"direct", REQUESTS)
    node.scores[b"direct"] = -1_000_000.0
    assert node.router.mesh("t") == []
    assert gossip_of(node.tick()) == [PartialGossip("t", b"early", (b"direct",))]
    assert publish(node) == {b"direct": True}
    assert node.router.send_partial(b"direct", "t", b"group", metadata=b"m")
    assert receivers(node.publish(node.message(author=node.ME))) == set()


def test_a_peer_that_the_filter_forbids_takes_no_part(make_node: Make) -> None:
    node = joined(make_node, REQUEST, peer_filter=lambda peer, topic: peer != b"forbidden")
    connect(node, b"forbidden", REQUESTS)
    connect(node, b"w", REQUESTS)
    assert publish(node) == {b"w": True}
    assert not node.router.send_partial(b"forbidden", "t", b"group", metadata=b"m")
    assert receive(node, b"forbidden", partial()) == []


def test_fanout_peers_get_parts_and_may_answer(make_node: Make) -> None:
    own = TopicParams(partial_messages=SUPPORT)
    node = make_node(extensions=ON, topics={"t": own})
    connect_all_kinds(node)
    assert receive(node, b"requests", partial()) == []  # nothing is known of the group
    assert publish(node) == {b"requests": True}
    assert receive(node, b"requests", partial()) == [
        PartialReceived(b"requests", "t", b"group", None, b"m")
    ]


def test_who_publishes_by_fanout_is_answered_without_being_subscribed(make_node: Make) -> None:
    node = joined(make_node, REQUEST)
    connect(node, b"w", None)
    received = receive(node, b"w", partial(message=b"parts"))
    assert received == [PartialReceived(b"w", "t", b"group", b"parts", b"m")]
    assert publish(node) == {b"w": False}


@pytest.mark.parametrize(
    ("topic", "group", "reason"),
    [
        ("other", b"group", "partial messages are off in this topic: other"),
        ("t", b"", "a group id has 1 to 256 bytes: 0"),
        ("t", bytes(257), "a group id has 1 to 256 bytes: 257"),
    ],
)
def test_what_cannot_be_published_is_refused(
    make_node: Make, topic: str, group: bytes, reason: str
) -> None:
    node = joined(make_node, REQUEST)
    for act in (
        lambda: node.router.publish_partial(topic, group, now=node.now),
        lambda: node.router.send_partial(b"w", topic, group, metadata=b"m"),
    ):
        with pytest.raises(LocalProtocolError, match=f"^{reason}$"):
            act()
    assert node.router.snapshot().partial_groups == 0
    assert node.router.snapshot().fanout == {}


# -- receiving parts


@pytest.mark.parametrize(
    ("mode", "message", "metadata", "seen"),
    [
        (REQUEST, b"parts", b"m", (b"parts", b"m")),
        (REQUEST, b"parts", None, (b"parts", None)),
        (REQUEST, b"", b"m", (None, b"m")),
        (REQUEST, None, b"", None),
        (SUPPORT, b"parts", b"m", (None, b"m")),  # parts were not requested
        (SUPPORT, b"parts", None, None),
        (None, b"parts", b"m", None),
    ],
)
def test_what_was_asked_for_is_handed_on(
    make_node: Make,
    mode: PartialMode | None,
    message: bytes | None,
    metadata: bytes | None,
    seen: tuple[bytes | None, bytes | None] | None,
) -> None:
    node = joined(make_node, mode)
    connect(node, b"w", REQUESTS)
    expected = [] if seen is None else [PartialReceived(b"w", "t", b"group", *seen)]
    assert receive(node, b"w", partial(message=message, metadata=metadata)) == expected
    assert node.router.snapshot().partial_groups == len(expected)


@pytest.mark.parametrize(
    "extension",
    [
        partial(topic="other"),
        PartialMessagesExtension(None, b"group", None, b"m"),
        PartialMessagesExtension("t", None, None, b"m"),
        partial(group=b""),
        partial(group=bytes(257)),
        partial(metadata=bytes(65_537)),
        PartialMessagesExtension(),
    ],
)
def test_malformed_and_oversized_is_ignored(
    make_node: Make, extension: PartialMessagesExtension
) -> None:
    node = joined(make_node, REQUEST)
    connect(node, b"w", REQUESTS)
    assert receive(node, b"w", extension) == []
    assert node.router.snapshot().partial_groups == 0
    largest = partial(group=bytes(256), metadata=bytes(65_536))
    assert len(receive(node, b"w", largest)) == 1


def test_nothing_is_taken_from_peers_that_cannot_take_part(make_node: Make) -> None:
    node = joined(make_node, REQUEST)
    connect_all_kinds(node)
    for peer in (b"not announced", b"v1.2", b"floodsub"):
        assert receive(node, peer, partial()) == []
    node.scores[b"requests"] = -1_000_000.0
    assert receive(node, b"requests", partial()) == []  # graylisted


# -- bounds and time


def test_peers_begin_eight_groups_each_and_255_together(make_node: Make) -> None:
    node = joined(make_node, REQUEST)
    for peer in node.peers(40):
        connect(node, peer, REQUESTS)
    accepted = [
        sum(bool(receive(node, peer, partial(peer + bytes([n])))) for n in range(20))
        for peer in node.peers(40)
    ]
    assert accepted == [8] * 31 + [7] + [0] * 8
    assert node.router.snapshot().partial_groups == 255
    # A group that is known, or published here, is no new one.
    assert receive(node, b"w39", partial(b"w00\x00")) != []
    publish(node, b"own")
    assert receive(node, b"w39", partial(b"own")) != []


def test_a_group_that_is_published_here_does_not_count_for_the_peer(make_node: Make) -> None:
    limits = RouterLimits(max_partial_groups_per_peer=1)
    node = joined(make_node, REQUEST, limits=limits)
    connect(node, b"w", REQUESTS)
    assert receive(node, b"w", partial(b"1")) != []
    assert receive(node, b"w", partial(b"2")) == []
    assert publish(node, b"1") == {b"w": True}
    assert receive(node, b"w", partial(b"2")) != []
    node.router.send_partial(b"w", "t", b"2", metadata=b"m")
    node.router.effects()  # an answer alone changes nothing
    assert receive(node, b"w", partial(b"3")) == []


def test_coming_back_does_not_let_a_peer_begin_more_groups(make_node: Make) -> None:
    node = joined(make_node, REQUEST, limits=RouterLimits(max_partial_groups_per_peer=1))
    connect(node, b"w", REQUESTS)
    receive(node, b"w", partial(b"1"))
    node.router.peer_disconnected(b"w", now=node.now)
    connect(node, b"w", REQUESTS)
    assert receive(node, b"w", partial(b"2")) == []
    for _ in range(3):
        node.tick()
    assert receive(node, b"w", partial(b"2")) != []


def test_groups_are_forgotten_after_their_heartbeats(make_node: Make) -> None:
    node = joined(make_node, REQUEST)
    connect(node, b"w", REQUESTS)
    publish(node, b"own")
    receive(node, b"w", partial(b"theirs"))
    counts = []
    for _ in range(4):
        node.tick()
        counts.append(node.router.snapshot().partial_groups)
    assert counts == [2, 2, 0, 0]
    publish(node, b"own")
    for _ in range(6):
        node.tick()
        publish(node, b"own")
    assert node.router.snapshot().partial_groups == 1


def test_what_peers_spoke_of_is_not_gossiped_about(make_node: Make) -> None:
    node = joined(make_node, REQUEST, mesh=MeshParams(d=0, d_low=0, d_high=0, d_out=0))
    connect(node, b"w", REQUESTS)
    connect(node, b"x", REQUESTS)
    receive(node, b"w", partial())
    assert gossip_of(node.tick()) == []
    publish(node)
    assert gossip_of(node.tick()) == [PartialGossip("t", b"group", (b"x",))]


@pytest.mark.parametrize("how", ["disconnect", "inbound", "outbound", "unsubscribe"])
def test_a_peer_that_leaves_is_told_anew_when_it_is_back(make_node: Make, how: str) -> None:
    node = joined(make_node, REQUEST)
    connect(node, b"w", REQUESTS)
    assert publish(node) == {b"w": True}
    if how == "disconnect":
        node.router.peer_disconnected(b"w", now=node.now)
    elif how == "inbound":
        node.router.inbound_stream_closed(b"w", now=node.now)
    elif how == "outbound":
        node.router.outbound_stream_reopened(b"w", protocol="/meshsub/1.3.0", now=node.now)
    else:
        node.receive(b"w", unsubscribe=["t"])
    assert publish(node) == {}
    if how == "disconnect":
        connect(node, b"w", REQUESTS)
    else:
        rpc = Rpc((SubOpts("t", True, True, True),), control=ANNOUNCED)
        node.router.receive_rpc(b"w", rpc, now=node.now)
    node.receive(b"w", graft=[Graft("t")])
    assert gossip_of(node.tick()) == [PartialGossip("t", b"group", (b"w",))]


def test_leaving_a_topic_forgets_its_groups(make_node: Make) -> None:
    node = joined(make_node, REQUEST)
    connect(node, b"w", REQUESTS)
    publish(node)
    node.leave("t")
    assert node.router.snapshot().partial_groups == 0
    assert receive(node, b"w", partial()) == []


def test_partial_messages_leave_others_alone(make_node: Make) -> None:
    """Where no topic has them, the extension changes nothing but the announcement."""
    traffic = []
    for extensions in (ExtensionParams(), ON):
        node = make_node(extensions=extensions)
        node.join("t")
        connect_all_kinds(node)
        effects = node.accept(b"neither", node.message())
        for _ in range(5):
            effects += node.tick()
        traffic.append(effects)
    assert traffic[0] == traffic[1]
