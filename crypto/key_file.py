"""Key files: an identity that survives restarts.

Written as libp2p's PrivateKey protobuf (as go and the others store it), with mode 0600, and
whole or not at all. PEM files are read too. A file that is there but cannot be used is an error
and never replaced by a new key: the node would silently become somebody else.
"""

from __future__ import annotations

import os
from contextlib import suppress

from gossipsub.crypto.keys import KeyType, PrivateKey
from gossipsub.wire.errors import LocalProtocolError

MAX_KEY_FILE_BYTES = 16384
"""An RSA key of 8192 bits takes 4.7 KB, as PEM 6.4 KB."""


def load(path: str | os.PathLike[str]) -> PrivateKey:
    """Read a key file, protobuf or unencrypted PEM.

    Raises LocalProtocolError that names the path when it cannot be read or holds no key.
    """
    try:
        with open(path, "rb") as file:
            contents = file.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as error:
        raise LocalProtocolError(f"cannot read key file {_name(path)}: {error.strerror}") from error
    if len(contents) > MAX_KEY_FILE_BYTES:
        raise LocalProtocolError(f"no key in {_name(path)}: above {MAX_KEY_FILE_BYTES} bytes")
    try:
        if contents.lstrip().startswith(b"-----BEGIN"):
            return PrivateKey.from_pem(contents)
        return PrivateKey.decode(contents)
    except LocalProtocolError as error:
        raise LocalProtocolError(f"no key in {_name(path)}: {error}") from error


def save(path: str | os.PathLike[str], key: PrivateKey) -> None:
    """Write a key file, replacing one that is there.

    A reader, or a crash at any moment, finds the old contents or the new. Raises
    LocalProtocolError that names the path when it cannot be written.
    """
    _write(path, key, replace=True)


def create(path: str | os.PathLike[str], key: PrivateKey) -> None:
    """Write a key file where nothing of that name exists.

    Raises LocalProtocolError that names the path when something does, or it cannot be written.
    """
    # Asked first as well: where there are no links, a file would be replaced.
    if os.path.lexists(path) or not _write(path, key, replace=False):
        raise LocalProtocolError(f"cannot write key file {_name(path)}: it exists")


def load_or_create(
    path: str | os.PathLike[str], type: KeyType | str = KeyType.ED25519
) -> PrivateKey:
    """The key in `path`; a new one, saved there, only if nothing of that name exists.

    Of several processes that start at once all get the same key. Errors as of `load` and `save`.
    """
    if os.path.lexists(path):
        return load(path)
    key = PrivateKey.generate(type)
    return key if _write(path, key, replace=False) else load(path)


def _write(path: str | os.PathLike[str], key: PrivateKey, *, replace: bool) -> bool:
    """Whether it was written; False only without `replace`, if another was there first."""
    import tempfile  # seldom needed, and brings three compressors along

    target = os.fspath(path)
    folder, name = os.path.split(target)
    try:
        # mkstemp opens with O_EXCL and mode 0600: the secret is never readable to others, not
        # even between creation and rename.
        descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=folder or ".")
        try:
            with open(descriptor, "wb") as file:
                file.write(key.encode())
                file.flush()
                os.fsync(file.fileno())
            if not replace:
                return _link(temporary, target)
            os.replace(temporary, target)
            return True
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
    except OSError as error:
        raise LocalProtocolError(
            f"cannot write key file {_name(path)}: {error.strerror}"
        ) from error


def _link(temporary: str, target: str) -> bool:
    """Give the file its name unless that exists already, which a rename cannot promise."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return False
    except OSError:
        # exFAT and some network file systems have no links; there two first starts at the same
        # moment could end with two keys.
        os.replace(temporary, target)
    return True


def _name(path: str | os.PathLike[str]) -> str:
    return repr(os.fspath(path))
