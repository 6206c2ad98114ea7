"""Multiaddrs of every kind, by the package `multiaddr`. Only this module imports it, and `Address`
imports this only where `ip_multiaddr.py` will not do: the package takes 3 MB.

Addresses from peers arrive as bytes. The package parses some damaged ones without complaint (a
4-byte address cut to one byte), so bytes count only if they survive a round trip through text
unchanged.
"""

from __future__ import annotations

from multiaddr import Multiaddr
from multiaddr.exceptions import Error as MultiaddrError

_PARSE_ERRORS = (MultiaddrError, ValueError, TypeError, LookupError, AttributeError)
"""What the package lets out for damaged input, found by fuzzing."""


def parts_of(text: str) -> list[tuple[str, str | None]]:
    """The names of its protocols, each with its value. ValueError when it is no multiaddr."""
    try:
        return [(protocol.name, value) for protocol, value in Multiaddr(text).items()]
    except _PARSE_ERRORS as error:
        raise ValueError(str(error)) from error


def text_of(data: bytes) -> str:
    """The text form of bytes. ValueError when they are no multiaddr, or a damaged one."""
    try:
        text = str(Multiaddr(data))
        canonical = Multiaddr(text).to_bytes()
    except _PARSE_ERRORS as error:
        raise ValueError(f"not a multiaddr: {data.hex()}") from error
    if canonical != data:
        raise ValueError(f"a damaged multiaddr: {data.hex()}")
    return text


def bytes_of(text: str) -> bytes:
    """The binary form of a text."""
    return bytes(Multiaddr(text).to_bytes())
