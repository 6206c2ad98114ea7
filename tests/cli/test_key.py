"""`gossipsub key`."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from gossipsub.__main__ import main
from gossipsub.crypto.key_file import load, save
from gossipsub.crypto.keys import PrivateKey

KEY = PrivateKey.from_node_number(7)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("kind", ["ed25519", "secp256k1", "ecdsa", "rsa"])
def test_a_new_key_is_for_its_owner_only_and_shown(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["key", "new", "node.key", "--type", kind, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["peer_id"], told["key_type"]) == (str(load("node.key").peer_id()), kind)
    assert stat.S_IMODE(Path("node.key").stat().st_mode) == 0o600
    assert main(["key", "show", "node.key", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == told


@pytest.mark.parametrize("words", [["new", "node.key"], ["import", "key.pem", "node.key"]])
def test_a_key_is_never_overwritten(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    save("node.key", KEY)
    Path("key.pem").write_bytes(PrivateKey.generate().to_pem())
    assert main(["key", *words]) == 1
    assert capsys.readouterr() == (
        "",
        "gossipsub key: cannot write key file 'node.key': it exists\n",
    )
    assert load("node.key").peer_id() == KEY.peer_id()


def test_a_key_goes_to_pem_and_back(capsys: pytest.CaptureFixture[str]) -> None:
    save("node.key", KEY)
    previous = os.umask(0)
    try:
        assert main(["key", "export", "node.key", "key.pem"]) == 0
    finally:
        os.umask(previous)
    assert capsys.readouterr() == ("", "")
    assert Path("key.pem").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert stat.S_IMODE(Path("key.pem").stat().st_mode) == 0o600
    assert main(["key", "import", "key.pem", "again.key"]) == 0
    assert Path("again.key").read_bytes() == KEY.encode()
    capsys.readouterr()
    assert main(["key", "export", "key.pem", "-"]) == 0
    assert capsys.readouterr().out == Path("key.pem").read_text()
    assert main(["key", "export", "node.key", "key.pem"]) == 1
    assert capsys.readouterr() == ("", "gossipsub key: key.pem: File exists\n")


def test_people_read_lines(capsys: pytest.CaptureFixture[str]) -> None:
    save("node.key", KEY)
    assert main(["key", "show", "node.key"]) == 0
    assert capsys.readouterr().out == (
        f"peer id   {KEY.peer_id()}\nCIDv1     {KEY.peer_id().to_cid()}\nkey type  ed25519\n"
    )


def test_a_file_without_a_key_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "show", "nowhere"]) == 1
    assert capsys.readouterr() == (
        "",
        "gossipsub key: cannot read key file 'nowhere': No such file or directory\n",
    )


@pytest.mark.parametrize("words", [[], ["burn"], ["new"], ["new", "k", "--type", "dsa"]])
def test_a_wrong_call_is_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["key", *words])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: gossipsub key")
