"""A peerstore on disk."""

from __future__ import annotations

import json
import logging
import stat
import sys

import pytest

from gossipsub.conformance.scripted_wire import key_of_seed
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.transport.address import Address
from gossipsub.transport.peerstore import Peerstore
from gossipsub.transport.peerstore_file import FORMAT, PeerstoreFile
from gossipsub.wire.errors import LocalProtocolError

pytestmark = pytest.mark.anyio

ONE, TWO = key_of_seed(1).peer_id(), key_of_seed(2).peer_id()


def store() -> Peerstore:
    return Peerstore(max_peers=100, lifetime=1000.0)


def filled() -> Peerstore:
    made = store()
    made.tell(Address.parse(f"/dns4/x.y/tcp/1/p2p/{ONE}"), now=1.0)
    made.certify(PeerRecord(ONE, 2**63, []), [Address.parse("/ip4/1.2.3.4/tcp/2")], now=1.0)
    made.reached(Address.parse(f"/ip6zone/eth0/ip6/fe80::1/tcp/3/p2p/{TWO}"), now=2.5)
    return made


def file(path, made: Peerstore) -> PeerstoreFile:
    return PeerstoreFile(path, made, clock=lambda: 3.0)


async def loaded(path) -> Peerstore:
    made = store()
    await file(path, made).load()
    return made


async def test_what_is_written_is_read_again_and_nothing_else_lies_there(tmp_path):
    path = tmp_path / "peers.json"
    await file(path, filled()).save()
    assert list((await loaded(path)).items()) == list(filled().items())
    assert [each.name for each in tmp_path.iterdir()] == ["peers.json"]
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_file_that_does_not_exist_has_no_peers_and_is_made(tmp_path):
    made = store()
    writing = file(tmp_path / "peers.json", made)
    await writing.load()
    await writing.save()
    assert list(tmp_path.iterdir()) == []  # there is nothing to say
    made.tell(Address.parse(f"/dns4/x.y/tcp/1/p2p/{ONE}"), now=1.0)
    await writing.save()
    assert len(await loaded(tmp_path / "peers.json")) == 1


async def test_a_folder_that_does_not_exist_is_told_before_it_is_too_late(tmp_path):
    with pytest.raises(FileNotFoundError):
        await loaded(tmp_path / "nowhere" / "peers.json")
    with pytest.raises(IsADirectoryError):
        await loaded(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "Expecting value"),
        (b"\x08\x01\x12\x40\xff", "codec can't decode"),
        (b"[" * 100_000, ""),
        (b"{}", f"it does not say {FORMAT!r}"),
        (b'{"format": "gossipsub peerstore 9", "peers": []}', "it does not say"),
        (json.dumps({"format": FORMAT, "peers": {}}).encode(), "it lists no peers"),
    ],
)
async def test_a_file_of_another_kind_is_refused_and_left_as_it_is(tmp_path, text, reason):
    path = tmp_path / "node.key"
    path.write_bytes(text)
    with pytest.raises(LocalProtocolError, match=r"node\.key is no peerstore: .*" + reason):
        await loaded(path)
    assert path.read_bytes() == text


ENTRIES = {
    "not an object": 5,
    "no peer": {"heard": 1, "seq": None, "addresses": {}},
    "a bad peer": {"peer": "x", "heard": 1, "seq": None, "addresses": {}},
    "no time": {"peer": str(ONE), "heard": float("nan"), "seq": None, "addresses": {}},
    "a bad address": {
        "peer": str(ONE), "heard": 1, "seq": None, "addresses": {"told": ["/udp"]},
    },
    "addresses in no list": {"peer": str(ONE), "heard": 1, "seq": None, "addresses": []},
    "an unknown source": {
        "peer": str(ONE), "heard": 1, "seq": None, "addresses": {"heaven": []},
    },
}  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
async def test_an_entry_that_cannot_be_read_is_left_out_with_a_warning(tmp_path, entry, caplog):
    good = {"peer": str(TWO), "heard": 1, "seq": 5, "addresses": {"told": ["/ip4/1.2.3.4/tcp/5"]}}
    path = tmp_path / "peers.json"
    path.write_text(json.dumps({"format": FORMAT, "peers": [entry, good]}))
    caplog.set_level(logging.WARNING)
    made = await loaded(path)
    assert [peer for peer, _ in made.items()] == [TWO]
    (record,) = caplog.records
    assert "left out of" in record.getMessage()


async def test_a_write_that_fails_is_logged_and_harms_nothing(tmp_path, caplog):
    folder = tmp_path / "gone"
    folder.mkdir()
    writing = file(folder / "peers.json", made := filled())
    folder.rmdir()
    await writing.save()
    (record,) = caplog.records
    assert "cannot write the peerstore" in record.getMessage()
    folder.mkdir()
    await writing.save()
    assert len(await loaded(folder / "peers.json")) == len(made)
