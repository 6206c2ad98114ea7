from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport import any_multiaddr
from gossipsub.transport.ip_multiaddr import read_bytes, read_text, to_bytes

PEER = PrivateKey.from_seed(bytes(31) + b"\x01").peer_id()
SHA2_PEER = PeerId.parse("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
USUAL = {
    "/ip4/127.0.0.1/tcp/4001": b"\x04\x7f\x00\x00\x01\x06\x0f\xa1",
    "/ip6/::1/tcp/0": b"\x29" + bytes(15) + b"\x01\x06\x00\x00",
    f"/ip4/1.2.3.4/tcp/65535/p2p/{PEER}": b"\x04\x01\x02\x03\x04\x06\xff\xff\xa5\x03\x26" + PEER,
    f"/ip6/1::2/tcp/9/p2p/{SHA2_PEER}": (
        b"\x29\x00\x01" + bytes(13) + b"\x02\x06\x00\x09\xa5\x03\x22" + SHA2_PEER
    ),
}
LEFT = [
    "/ip4/1.2.3.4/tcp/05",
    "/ip4/1.2.3.4/tcp/65536",
    "/ip4/1.2.3.4/tcp/٣",
    "/ip4/01.2.3.4/tcp/5",
    "/ip4/1.2.3/tcp/5",
    "/ip4/1.2.3.4/udp/5",
    "/ip4/1.2.3.4/tcp/5/ws",
    "/ip4/1.2.3.4/tcp/5/",
    "/ip4/::1/tcp/5",
    "/ip6/1.2.3.4/tcp/5",
    "/ip6/fe80::1%eth0/tcp/5",
    "/dns4/x.y/tcp/5",
    f"/ip4/1.2.3.4/tcp/5/p2p/{PEER.to_cid()}",
    f"/ip4/1.2.3.4/tcp/5/p2p/{PEER}x",
    f"x/ip4/1.2.3.4/tcp/5/p2p/{PEER}",
]


@pytest.mark.parametrize(("text", "encoded"), USUAL.items())
def test_the_usual_form_is_read_and_written(text: str, encoded: bytes) -> None:
    parts = read_text(text)
    assert parts is not None
    assert read_bytes(encoded) == parts
    assert to_bytes(*parts) == encoded == any_multiaddr.bytes_of(text)


@pytest.mark.parametrize("text", LEFT)
def test_what_is_written_otherwise_is_left_to_the_package(text: str) -> None:
    assert read_text(text) is None


@pytest.mark.parametrize(("text", "encoded"), USUAL.items())
def test_bytes_that_are_not_whole_are_left_to_the_package(text: str, encoded: bytes) -> None:
    without_peer = len(to_bytes(*(read_text(text) or ("", "", 0, None))[:3], None) or b"")
    cut = [encoded[:size] for size in range(len(encoded)) if size != without_peer]
    assert [read_bytes(each) for each in [*cut, encoded + b"\0"]] == [None] * (len(cut) + 1)


DAMAGED = {
    "another length": b"\xa5\x03\x25" + PEER,
    "another protocol": b"\xa5\x04\x26" + PEER,
    "no peer id": b"\xa5\x03\x02\x07\x00",
    "no length": b"\xa5\x03",
}


@pytest.mark.parametrize("end", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_peer_is_left_to_the_package(end: bytes) -> None:
    assert read_bytes(b"\x04\x01\x02\x03\x04\x06\xff\xff" + end) is None


def test_what_has_no_usual_form_is_not_written() -> None:
    assert to_bytes("dns4", "1.2.3.4", 5, None) is None
    assert to_bytes("ip4", "x.y", 5, None) is None
    assert to_bytes("ip4", "1.2.3.4", 65536, None) is None


@given(
    st.sampled_from(list(USUAL.values())),
    st.lists(st.tuples(st.integers(0, 60), st.binary(max_size=3)), max_size=2),
)
def test_bytes_read_are_those_the_package_takes_for_the_same(
    data: bytes, changes: list[tuple[int, bytes]]
) -> None:
    for position, piece in changes:
        data = data[:position] + piece + data[position + len(piece) :]
    parts = read_bytes(data)
    if parts is not None:
        assert read_text(any_multiaddr.text_of(data)) == parts
        assert to_bytes(*parts) == data


@given(
    st.one_of(st.ip_addresses().map(str), st.text("0123456789abcdefF:.", max_size=20)),
    st.one_of(st.integers(0, 70000).map(str), st.text("0123456789+_ ", max_size=6)),
    st.sampled_from(["", f"/p2p/{PEER}", f"/p2p/{SHA2_PEER}"]),
)
@example("::ffff:1.2.3.4", "1", "")
@example("0:0::0:1", "1", "")
def test_a_text_read_has_the_bytes_that_the_package_gives(host: str, port: str, peer: str) -> None:
    for protocol in ("ip4", "ip6"):
        text = f"/{protocol}/{host}/tcp/{port}{peer}"
        parts = read_text(text)
        if parts is not None:
            assert to_bytes(*parts) == any_multiaddr.bytes_of(text)
