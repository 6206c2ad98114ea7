"""Where a status server listens, and by which names it may be called."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from gossipsub.wire.errors import LocalProtocolError


@dataclass(frozen=True, slots=True)
class Place:
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Place:
        """`127.0.0.1:8080`, `[::1]:8080`, `localhost:0`; port 0 is a free one.
        LocalProtocolError for anything else."""
        host, colon, port = text.rpartition(":") if isinstance(text, str) else ("", "", "")
        is_bracketed = host.startswith("[") and host.endswith("]")
        bare = host[1:-1] if is_bracketed else host
        is_number = port.isascii() and port.isdigit() and len(port) <= 5
        if (
            not colon
            or not bare
            or not is_number
            or int(port) > 65535
            or (":" in bare) != is_bracketed
        ):
            raise LocalProtocolError(f"not HOST:PORT: {text!r}")
        return cls(bare, int(port))

    @property
    def is_loopback(self) -> bool:
        address = _ip(self.host)
        return self.host == "localhost" if address is None else address.is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_own_name(host_header: bytes, allowed: frozenset[str]) -> bool:
    """Whether a browser that sends this Host header was led here by nobody else's name.

    A page on a name that its owner lets resolve to this machine (DNS rebinding) sends that name.
    It cannot do so with an address, nor with `localhost`.
    """
    try:
        name = host_header.decode("ascii").strip().lower()
    except UnicodeDecodeError:
        return False
    if name.startswith("["):
        bare, bracket, rest = name[1:].partition("]")
        if not bracket or (rest and not _is_port(rest)):
            return False
        return _ip(bare) is not None
    bare, colon, port = name.partition(":")
    if colon and not _is_port(colon + port):
        return False
    return bare == "localhost" or bare in allowed or _ip(bare) is not None


def _is_port(text: str) -> bool:
    return text[:1] == ":" and text[1:].isascii() and text[1:].isdigit()


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
