from __future__ import annotations

from importlib.metadata import version
from types import SimpleNamespace

from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.transport.address import Address
from gossipsub.transport.introduction import AGENT_VERSION, Introduction

KEY = key_of_seed(1)
LISTENING = [Address.parse(f"/ip4/{host}/tcp/7") for host in ("0.0.0.0", "10.0.0.1")]


def introduced(local: str, introduction: Introduction | None = None):
    """What is said on a connection that ends at `local`, and the addresses in the record."""
    end = Address.parse(local)
    connection = SimpleNamespace(
        local_address=end, remote_address=Address.parse("/ip4/127.0.0.9/tcp/9")
    )
    said = (introduction or Introduction(KEY, "tester/1", ["/meshsub/1.1.0"])).describe(
        connection, listening=LISTENING, protocols=["/a", "/b"]
    )
    return said, PeerRecord.open(said.signed_peer_record, peer=KEY.peer_id())


def test_a_peer_is_told_who_where_and_what():
    said, record = introduced("/ip4/127.0.0.1/tcp/9")
    addresses = ["/ip4/127.0.0.1/tcp/7", "/ip4/10.0.0.1/tcp/7"]
    assert [str(Address.decode(each)) for each in said.listen_addresses] == addresses
    assert record.addresses == said.listen_addresses
    assert (said.public_key, said.agent_version) == (KEY.public_key.encode(), "tester/1")
    assert said.protocols == ("/a", "/b")
    assert str(Address.decode(said.observed_address)) == "/ip4/127.0.0.9/tcp/9"


def test_a_wildcard_is_left_out_where_its_family_is_not_spoken():
    said, _ = introduced("/ip6/::1/tcp/9")
    assert [str(Address.decode(each)) for each in said.listen_addresses] == ["/ip4/10.0.0.1/tcp/7"]


def test_a_record_is_sealed_anew_and_supersedes_only_when_its_addresses_change():
    introduction = Introduction(KEY, "tester/1", ["/meshsub/1.1.0"])
    first, record = introduced("/ip4/127.0.0.1/tcp/9", introduction)
    again, _ = introduced("/ip4/127.0.0.1/tcp/10", introduction)
    assert again.signed_peer_record is first.signed_peer_record
    _, moved = introduced("/ip4/127.0.0.2/tcp/9", introduction)
    assert moved.supersedes(record)


def test_the_agent_version_is_that_of_the_package():
    assert AGENT_VERSION.split("/") == ["gossipsub-python", version("gossipsub")]
