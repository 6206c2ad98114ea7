"""Which addresses count as the same place."""

from __future__ import annotations

import pytest

from gossipsub.router.score.addresses import AddressTable


@pytest.mark.rule("SCORE-24")
@pytest.mark.parametrize(
    ("ip", "keys"),
    [
        ("1.2.3.4", ("1.2.3.4",)),
        ("2001:db8:0:1::5", ("2001:db8:0:1::5", "2001:db8:0:1::/64")),
        ("::ffff:1.2.3.4", ("1.2.3.4",)),
        ("127.0.0.1", ()),
        ("::1", ()),
        ("::ffff:127.0.0.1", ()),
        ("example.org", ()),
        ("", ()),
        ("10.1.2.3", ()),
        ("fd00::7", ()),
    ],
)
def test_an_address_counts_by_itself_and_by_its_network(ip: str, keys: tuple[str, ...]) -> None:
    table = AddressTable(whitelist=["10.0.0.0/8", "fd00::/8"])
    assert table.add(b"a", [ip]) == keys
    assert [list(table.peers_at(key)) for key in keys] == [[b"a"]] * len(keys)


def test_removed_peers_leave_nothing() -> None:
    table = AddressTable()
    first = table.add(b"a", ["1.2.3.4", "1.2.3.4", "2001:db8::1"])
    second = table.add(b"b", ["1.2.3.4"])
    assert table.surplus(first, 1) == 1.0
    table.remove(b"b", second)
    assert table.surplus(first, 1) == 0.0
    table.remove(b"a", first)
    assert len(table) == 0
    assert list(table.peers_at("1.2.3.4")) == []
