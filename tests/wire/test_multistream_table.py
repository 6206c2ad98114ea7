"""The protocol table: which handler serves which protocol."""

from __future__ import annotations

import pytest

from gossipsub.wire.errors import LocalProtocolError
from gossipsub.wire.multistream import MultistreamListener, Negotiated, ProtocolTable

HEADER = b"\x13/multistream/1.0.0\n"
NA = b"\x03na\n"
NOISE = b"\x07/noise\n"


@pytest.mark.rule("MSS-10")
def test_the_first_matching_entry_serves_a_protocol() -> None:
    table: ProtocolTable[str] = ProtocolTable()
    table.add("/meshsub/1.1.0", "exact")
    table.add("/meshsub", "any version", matches=lambda name: name.startswith("/meshsub/"))
    table.add("/meshsub/1.2.0", "shadowed")
    found = [table.find(f"/meshsub/1.{minor}.0") for minor in range(3)]
    assert found == ["any version", "exact", "any version"]
    assert table.find("/meshsub") is None  # a match function replaces the comparison of names
    assert table.protocols() == ["/meshsub/1.1.0", "/meshsub", "/meshsub/1.2.0"]


@pytest.mark.rule("MSS-10")
def test_an_entry_can_be_replaced_in_its_place_and_removed() -> None:
    table: ProtocolTable[str] = ProtocolTable()
    table.add("/a", "old")
    table.add("/b", "everything", matches=lambda _: True)
    table.add("/a", "new")
    assert (table.find("/a"), table.protocols()) == ("new", ["/a", "/b"])
    table.remove("/a")
    assert (table.find("/a"), table.protocols()) == ("everything", ["/b"])
    table.remove("/b")
    table.remove("/b")
    assert (table.find("/a"), table.speaks("/a"), table.protocols()) == (None, False, [])


@pytest.mark.rule("MSS-10")
def test_a_listener_follows_the_table_it_was_given() -> None:
    table: ProtocolTable[int] = ProtocolTable()
    listener = MultistreamListener(table.speaks)
    listener.receive_data(HEADER + NOISE)
    table.add("/noise", 0)  # a handler may be anything, also a false value
    listener.receive_data(NOISE)
    assert listener.data_to_send() == HEADER + NA + NOISE
    assert listener.next_event() == Negotiated("/noise")


def test_the_table_refuses_a_name_that_cannot_be_negotiated() -> None:
    table: ProtocolTable[int] = ProtocolTable()
    with pytest.raises(LocalProtocolError, match=r"^multistream: '' cannot name a protocol$"):
        table.add("", 1)
    assert table.protocols() == []
