"""`gossipsub id`."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest

from gossipsub.__main__ import main
from gossipsub.crypto.key_file import save
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.peer_id import PeerId

KEY = PrivateKey.from_node_number(7)
ME = KEY.peer_id()
HASHED = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"


@pytest.mark.parametrize(
    "given",
    [
        str(ME),
        ME.to_cid(),
        f"/ip4/192.0.2.1/tcp/4001/p2p/{ME}",
        f"/dns4/example.org/udp/4001/quic-v1/p2p/{ME.to_cid()}",
        f"/ip4/192.0.2.1/tcp/4001/ipfs/{ME}",
        f"/ip4/192.0.2.1/tcp/4001/p2p/{HASHED}/p2p-circuit/p2p/{ME}",
        "KEYFILE",
    ],
)
def test_whatever_names_a_peer_is_shown_in_all_forms(
    given: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "node.key", KEY)
    assert main(["id", given.replace("KEYFILE", str(tmp_path / "node.key")), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "peer_id": str(ME),
        "cid": ME.to_cid(),
        "key_type": "ed25519",
        "public_key": b64encode(KEY.public_key.encode()).decode(),
    }


def test_an_id_that_is_a_hash_has_an_unknown_key(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["id", HASHED]) == 0
    assert capsys.readouterr().out == (
        f"peer id   {HASHED}\n"
        f"CIDv1     {PeerId.parse(HASHED).to_cid()}\n"
        "key type  unknown: the id is a hash of it\n"
    )


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("nix", "no such file, and not a peer id: 'nix': unknown multibase prefix 'n'"),
        ("/ip4/1.2.3.4/tcp/1", "no such file, and no multiaddr with /p2p/PEER: /ip4/1.2.3.4/tcp/1"),
        ("/ip4/1.2.3.4/tcp/1/p2p/", "not a peer id: '': empty"),
    ],
)
def test_what_names_no_peer_is_1_and_nothing_is_shown(
    given: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["id", str(ME), given]) == 1
    assert capsys.readouterr() == ("", f"gossipsub id: {complaint}\n")
