import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gossipsub.crypto.key_file import create, load, load_or_create, save
from gossipsub.crypto.keys import KeyType, PrivateKey
from gossipsub.wire.errors import LocalProtocolError

KEY = PrivateKey.from_node_number(7)
OTHER = PrivateKey.from_node_number(8)


def test_a_saved_key_is_loaded_again(tmp_path: Path) -> None:
    save(tmp_path / "node.key", KEY)
    assert (tmp_path / "node.key").read_bytes() == KEY.encode()
    assert load(str(tmp_path / "node.key")).encode() == KEY.encode()


def test_a_key_file_is_for_its_owner_only_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        save(tmp_path / "saved", KEY)
        load_or_create(tmp_path / "created")
    finally:
        os.umask(previous)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"saved": 0o600, "created": 0o600}


def test_saving_replaces_a_key(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    save(path, KEY)
    path.chmod(0o644)
    save(path, OTHER)
    assert load(path).encode() == OTHER.encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_the_old_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "node.key"
    save(path, KEY)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LocalProtocolError) as caught:
        save(path, OTHER)
    assert str(caught.value) == f"cannot write key file '{path}': No space left on device"
    assert load(path).encode() == KEY.encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_is_created_once(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    created = load_or_create(path)
    assert created.public_key.type is KeyType.ED25519
    assert load_or_create(path).encode() == created.encode()
    assert load_or_create(tmp_path / "k1", "secp256k1").public_key.type is KeyType.SECP256K1


def test_a_file_that_exists_is_not_written_by_create(tmp_path: Path) -> None:
    path = tmp_path / "node.key"
    create(path, KEY)
    assert load(path).encode() == KEY.encode()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for taken in (path, tmp_path / "dangling"):
        with pytest.raises(LocalProtocolError) as caught:
            create(taken, OTHER)
        assert str(caught.value) == f"cannot write key file '{taken}': it exists"
    assert load(path).encode() == KEY.encode()
    assert sorted(tmp_path.iterdir()) == [tmp_path / "dangling", path]


def test_whoever_creates_the_file_first_decides_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "node.key"
    generate = PrivateKey.generate

    def outrun(type: KeyType | str) -> PrivateKey:
        save(path, KEY)
        return generate(type)

    monkeypatch.setattr(PrivateKey, "generate", outrun)
    assert load_or_create(path).encode() == KEY.encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_links_gets_its_key_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: str, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    created = load_or_create(tmp_path / "node.key")
    assert load(tmp_path / "node.key").encode() == created.encode()
    assert list(tmp_path.iterdir()) == [tmp_path / "node.key"]
    with pytest.raises(LocalProtocolError):
        create(tmp_path / "node.key", OTHER)
    assert load(tmp_path / "node.key").encode() == created.encode()


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        (b"", "bad private key: key without a type or without data"),
        (KEY.encode()[:-1], "bad private key: protobuf field is longer than its message"),
        (b"my precious notes", "bad private key: "),
        (b"-----BEGIN NOTHING-----\n", "bad private key: "),
        (bytes(16385), "above 16384 bytes"),
    ],
)
def test_a_file_without_a_key_is_an_error_and_stays_as_it_is(
    contents: bytes, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "node.key"
    path.write_bytes(contents)
    for read in (load, load_or_create):
        with pytest.raises(LocalProtocolError) as caught:
            read(path)
        assert str(caught.value).startswith(f"no key in '{path}': {reason}")
    assert path.read_bytes() == contents
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_that_exists_but_cannot_be_read_gets_no_new_key(tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    with pytest.raises(LocalProtocolError) as caught:
        load_or_create(directory)
    assert str(caught.value) == f"cannot read key file '{directory}': Is a directory"

    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "unmounted" / "node.key")
    with pytest.raises(LocalProtocolError) as caught:
        load_or_create(dangling)
    assert str(caught.value) == f"cannot read key file '{dangling}': No such file or directory"
    assert dangling.is_symlink()


def test_errors_name_the_path(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "node.key"
    with pytest.raises(LocalProtocolError) as caught:
        load(path)
    assert str(caught.value) == f"cannot read key file '{path}': No such file or directory"
    for write in (load_or_create, lambda path: save(path, KEY)):
        with pytest.raises(LocalProtocolError) as caught:
            write(path)
        assert str(caught.value) == f"cannot write key file '{path}': No such file or directory"


def test_a_pem_file_is_read(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes((7,)) + bytes(31))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "node.pem").write_bytes(b"\n" + pem)
    assert load(tmp_path / "node.pem").encode() == KEY.encode()
