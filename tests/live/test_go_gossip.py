"""Messages that come by gossip alone: through a link that is in no mesh, in RPCs of bounded size.
Held to the go peer as well."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest

from gossipsub.conformance.driver import PeerError, PeerProcess
from gossipsub.conformance.exchange import connect, in_mesh, start_peers
from gossipsub.conformance.scripted_gossip import join_outside, received, stranger
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Control, IWant, Rpc
from gossipsub.wire.rpc_codec import encode_rpc

pytestmark = pytest.mark.anyio

BUILD_TIMEOUT = 900
"""The first test that needs the Go peer may have to build it."""
FAST = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10, "floodPublish": False}
NEVER_MS = 3_600_000


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The driver's; the nodes are processes of their own."""
    return "asyncio"


@pytest.fixture(autouse=True)
def go_where_wanted(request: pytest.FixtureRequest) -> None:
    if "go" in request.node.callspec.params["targets"]:
        request.getfixturevalue("go_peer_available")


def among(*combinations: tuple[str, ...]) -> pytest.MarkDecorator:
    marks = [pytest.mark.timeout(BUILD_TIMEOUT)]
    return pytest.mark.parametrize(
        "targets",
        [
            pytest.param(each, id="-".join(each), marks=marks if "go" in each else [])
            for each in combinations
        ],
    )


async def mesh_of(peer: PeerProcess) -> list[str]:
    return list((await peer.command("mesh", topic="t"))["peers"])


async def shun(*pair: PeerProcess) -> None:
    """Too bad for each other's mesh, and good enough for gossip."""
    for peer, other in (pair, pair[::-1]):
        await peer.command("app_score", peer=other.peer_id, score=-1)


@among(("python",) * 4, ("python", "python", "go", "go"), ("go", "python", "go", "python"))
@pytest.mark.rule("GOS-13", "THR-03")
async def test_a_link_that_is_in_no_mesh_joins_two_meshes(targets: Sequence[str]) -> None:
    """a and b have a mesh, c and d have one, and b and c have only gossip between them."""
    async with start_peers(*targets, topic="t", params=FAST, score={}) as (a, b, c, d):
        await shun(b, c)
        for one, other in ((a, b), (c, d), (b, c)):
            await connect(one, other, topic="t")
        await in_mesh(a, b, topic="t")
        await in_mesh(c, d, topic="t")
        for author, others in ((a, (b, c, d)), (d, (c, b, a))):
            data = b"from " + author.peer_id.encode()
            await author.publish("t", data)
            before = author
            for peer in others:  # a is delivered to b, b to c, and c to d
                event = await peer.wait_event("message", where=lambda got: got["data"] == data)  # noqa: B023
                assert (event["from"], event["received_from"]) == (author.peer_id, before.peer_id)
                before = peer
        assert [await mesh_of(b), await mesh_of(c)] == [[a.peer_id], [d.peer_id]]


async def ask(w: ScriptedPeer, *data: bytes) -> None:
    """IWANT for messages of these contents."""
    wanted = [sha256(each).digest() for each in data]
    await w.send_rpc(Rpc(control=Control(iwant=[IWant(wanted)])))


def answers(w: ScriptedPeer) -> list[Rpc]:
    return [rpc for rpc in received(w) if rpc.publish]


def contents(rpcs: Sequence[Rpc]) -> list[Any]:
    return [message.data for rpc in rpcs for message in rpc.publish]


LIMIT = 2000
SILENT = {"heartbeatMs": NEVER_MS, "heartbeatInitialDelayMs": NEVER_MS, "floodPublish": False}


@among(("python",), ("go",))
@pytest.mark.rule("GOS-09", "GOS-15")
async def test_no_answer_to_iwant_exceeds_the_largest_rpc(targets: Sequence[str]) -> None:
    params = SILENT | {"maxMessageSize": LIMIT}
    first, second, third = (bytes([number]) * 1100 for number in range(3))
    too_large = bytes(2500)
    async with (
        start_peers(*targets, topic="t", params=params, msgid="content") as (peer,),
        stranger(peer, scored=False) as w,
    ):
        await join_outside(w, peer, "t")
        for data in (first, second, third):
            await peer.publish("t", data)
        if peer.name == "python":  # it has nothing that large: go keeps it, and leaves it out
            with pytest.raises(PeerError, match=r"takes \d+ bytes on the wire, the limit is 2000"):
                await peer.publish("t", too_large)
        else:
            await peer.publish("t", too_large)
        await ask(w, first, second)
        await w.until(lambda: len(contents(answers(w))) == 2, "messages", 10)
        await ask(w, too_large, third)
        await w.until(lambda: len(contents(answers(w))) > 2, "messages", 10)
        await ask(w, first)  # to see that nothing came between
        await w.until(lambda: len(contents(answers(w))) > 3, "messages", 10)
        assert [len(rpc.publish) for rpc in answers(w)] == [1, 1, 1, 1]
        assert sorted(contents(answers(w))[:2]) == [first, second]
        assert contents(answers(w))[2:] == [third, first]
        assert max(len(encode_rpc(rpc)) for rpc in answers(w)) <= LIMIT
