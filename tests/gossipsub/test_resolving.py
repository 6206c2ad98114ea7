"""What a /dnsaddr stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.transport.address import Address
from gossipsub.transport.resolving import (
    MOST_LOOKUPS,
    MOST_RECORDS,
    MOST_RESOLVED,
    DnsResolver,
    resolve,
)

pytestmark = pytest.mark.anyio

ONE, OTHER = key_of_seed(1).peer_id(), key_of_seed(2).peer_id()


class Names:
    """A resolver that knows a few names."""

    def __init__(self, records: Mapping[str, Sequence[str]]) -> None:
        self.records = records
        self.asked: list[str] = []

    async def text_records(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        if name not in self.records:
            raise OSError(f"no TXT records of {name}")
        return self.records[name]


async def resolved(address: str, records: Mapping[str, Sequence[str]]) -> list[str]:
    return [str(each) for each in await resolve(Address.parse(address), Names(records))]


async def test_any_other_address_stands_for_itself():
    names = Names({})
    for text in ("/ip4/1.2.3.4/tcp/5", f"/dns4/x.y/tcp/5/p2p/{ONE}"):
        assert await resolve(Address.parse(text), names) == [Address.parse(text)]
    assert names.asked == []


async def test_the_addresses_of_tcp_in_a_names_records_are_found():
    records = {
        "_dnsaddr.x.y": [
            f"dnsaddr=/ip4/1.2.3.4/tcp/5/p2p/{ONE}",
            f"dnsaddr=/dns4/a.b/tcp/6/p2p/{OTHER}",
            f"dnsaddr=/ip4/1.2.3.4/tcp/5/p2p/{ONE}",
            f"dnsaddr=/ip4/1.2.3.4/udp/5/quic-v1/p2p/{ONE}",
            f"dnsaddr=/ip6zone/eth0/ip6/fe80::1/tcp/5/p2p/{ONE}",
            "dnsaddr=nonsense",
            "dnsaddr=",
            "v=spf1 -all",
            f"/ip4/9.9.9.9/tcp/5/p2p/{ONE}",
        ]
    }
    assert await resolved("/dnsaddr/x.y", records) == [
        f"/ip4/1.2.3.4/tcp/5/p2p/{ONE}",
        f"/dns4/a.b/tcp/6/p2p/{OTHER}",
    ]


async def test_what_follows_the_name_must_follow_the_addresses():
    records = {
        "_dnsaddr.x.y": [
            f"dnsaddr=/ip4/1.1.1.1/tcp/5/p2p/{ONE}",
            f"dnsaddr=/ip4/2.2.2.2/tcp/6/p2p/{ONE}",
            f"dnsaddr=/ip4/3.3.3.3/tcp/5/p2p/{OTHER}",
            "dnsaddr=/ip4/4.4.4.4/tcp/5",
            f"dnsaddr=/dnsaddr/other.y/p2p/{OTHER}",
        ]
    }
    assert await resolved(f"/dnsaddr/x.y/p2p/{ONE}", records) == [
        f"/ip4/1.1.1.1/tcp/5/p2p/{ONE}",
        f"/ip4/2.2.2.2/tcp/6/p2p/{ONE}",
    ]
    assert await resolved(f"/dnsaddr/x.y/tcp/5/p2p/{ONE}", records) == [
        f"/ip4/1.1.1.1/tcp/5/p2p/{ONE}"
    ]


async def test_a_name_may_lead_to_names():
    records = {
        "_dnsaddr.x.y": [f"dnsaddr=/dnsaddr/{name}.x.y" for name in ("a", "b", "gone")],
        "_dnsaddr.a.x.y": [f"dnsaddr=/ip4/1.1.1.1/tcp/1/p2p/{ONE}"],
        "_dnsaddr.b.x.y": [f"dnsaddr=/ip4/2.2.2.2/tcp/2/p2p/{OTHER}", "dnsaddr=/dnsaddr/x.y"],
    }
    assert await resolved("/dnsaddr/x.y", records) == [
        f"/ip4/1.1.1.1/tcp/1/p2p/{ONE}",
        f"/ip4/2.2.2.2/tcp/2/p2p/{OTHER}",
    ]


async def test_names_that_lead_to_each_other_or_to_ever_more_come_to_an_end():
    circle = Names({"_dnsaddr.x.y": ["dnsaddr=/dnsaddr/x.y"]})
    with pytest.raises(OSError, match=r"^no address of TCP is behind /dnsaddr/x\.y$"):
        await resolve(Address.parse("/dnsaddr/x.y"), circle)
    assert circle.asked == ["_dnsaddr.x.y"]

    chain = Names({f"_dnsaddr.n{n}.y": [f"dnsaddr=/dnsaddr/n{n + 1}.y"] for n in range(100)})
    with pytest.raises(OSError, match="no address"):
        await resolve(Address.parse("/dnsaddr/n0.y"), chain)
    assert chain.asked == [f"_dnsaddr.n{n}.y" for n in range(4)]

    wide = Names({"_dnsaddr.x.y": [f"dnsaddr=/dnsaddr/n{n}.y" for n in range(60)]})
    with pytest.raises(OSError, match="no TXT records of _dnsaddr"):
        await resolve(Address.parse("/dnsaddr/x.y"), wide)
    assert len(wide.asked) == MOST_LOOKUPS


async def test_of_many_addresses_the_first_are_taken():
    texts = [f"dnsaddr=/ip4/1.2.3.4/tcp/{port}" for port in range(1, 100)]
    found = await resolved("/dnsaddr/x.y", {"_dnsaddr.x.y": texts})
    assert found == [text.removeprefix("dnsaddr=") for text in texts[:MOST_RESOLVED]]
    chaff = ["dnsaddr=/unix/x"] * MOST_RECORDS
    with pytest.raises(OSError, match="no address"):
        await resolved("/dnsaddr/x.y", {"_dnsaddr.x.y": [*chaff, *texts]})


async def test_a_name_nobody_knows_is_said_so():
    with pytest.raises(OSError, match=r"^no TXT records of _dnsaddr\.x\.y$"):
        await resolved("/dnsaddr/x.y", {})


# Over the wire: a name server on loopback


@asynccontextmanager
async def name_server(records: Mapping[str, Sequence[str]]):
    """Answers TXT questions; gives its port. Texts are cut in two, as long ones must be."""

    async def answer(socket) -> None:
        async for data, sender in socket:
            query = dns.message.from_wire(data)
            response = dns.message.make_response(query)
            response.flags |= dns.flags.RA
            question = query.question[0]
            name = question.name.to_text(omit_final_dot=True)
            if name == "_dnsaddr.silent.y":
                continue
            if name in records:
                texts = [f'"{text[:9]}" "{text[9:]}"' for text in records[name]]
                response.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", *texts))
            else:
                response.set_rcode(dns.rcode.NXDOMAIN)
            await socket.sendto(response.to_wire(), *sender)

    async with (
        await anyio.create_udp_socket(local_host="127.0.0.1") as socket,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(answer, socket)
        yield socket.extra(anyio.abc.SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


async def test_names_are_looked_up_by_dns():
    text = f"dnsaddr=/ip4/1.2.3.4/tcp/5/p2p/{ONE}"
    async with name_server({"_dnsaddr.x.y": [text]}) as port:
        resolver = DnsResolver(["127.0.0.1"], port=port, timeout=10)
        assert await resolver.text_records("_dnsaddr.x.y") == [text]
        with pytest.raises(OSError, match=r"^no TXT records of _dnsaddr\.none\.y: .*not exist"):
            await resolver.text_records("_dnsaddr.none.y")
        with pytest.raises(OSError, match="no TXT records of"):
            await resolver.text_records(f"_dnsaddr.{'a' * 70}.y")
        quick = DnsResolver(["127.0.0.1"], port=port, timeout=0.2)
        with pytest.raises(OSError, match=r"^no TXT records of _dnsaddr\.silent\.y: "):
            await quick.text_records("_dnsaddr.silent.y")
