"""Where a status server listens, and how it may be called."""

from __future__ import annotations

import pytest

from gossipsub.status.place import Place, is_own_name
from gossipsub.wire.errors import LocalProtocolError


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:80", "127.0.0.1", 80, True),
        ("127.9.9.9:0", "127.9.9.9", 0, True),
        ("[::1]:65535", "::1", 65535, True),
        ("localhost:8080", "localhost", 8080, True),
        ("0.0.0.0:8080", "0.0.0.0", 8080, False),
        ("[::]:1", "::", 1, False),
        ("example.org:1", "example.org", 1, False),
    ],
)
def test_a_place_is_read(text: str, host: str, port: int, is_loopback: bool) -> None:
    place = Place.parse(text)
    assert (place.host, place.port, place.is_loopback) == (host, port, is_loopback)
    assert str(place) == text


@pytest.mark.parametrize(
    "text",
    ["", "localhost", ":80", "::1:80", "[::1]", "a:b", "a:-1", "a:65536", "[a]:1", "a:٣", 80],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(LocalProtocolError, match="not HOST:PORT"):
        Place.parse(text)


@pytest.mark.parametrize(
    "header",
    [
        b"127.0.0.1",
        b"127.0.0.1:8080",
        b"10.1.2.3:1",
        b"[::1]",
        b"[::1]:80",
        b"localhost",
        b"LOCALHOST:9",
        b"node.example:80",
    ],
)
def test_addresses_and_allowed_names_are_its_own(header: bytes) -> None:
    assert is_own_name(header, frozenset({"node.example"}))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"attacker.example",
        b"attacker.example:80",
        b"localhost.attacker.example",
        b"127.0.0.1.attacker.example:80",
        b"127.0.0.1:x",
        b"127.0.0.1:80:80",
        b"[::1]x",
        b"[attacker.example]",
        b"[::1",
        b"\xff",
        b"other.node.example",
    ],
)
def test_a_strangers_name_is_not_its_own(header: bytes) -> None:
    assert not is_own_name(header, frozenset({"node.example"}))
