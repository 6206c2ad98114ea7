"""Who a host is: what may be given for its key."""

from __future__ import annotations

import os

from gossipsub.crypto import key_file
from gossipsub.crypto.keys import PrivateKey
from gossipsub.wire.errors import LocalProtocolError


def identity_of(key: object) -> PrivateKey:
    """The key itself, that of the file at a path, made if there is none, or a new one.

    LocalProtocolError for anything else, and for a file that holds no key.
    """
    if key is None:
        return PrivateKey.generate()
    if isinstance(key, PrivateKey):
        return key
    if not isinstance(key, (str, os.PathLike)):
        raise LocalProtocolError(f"key is a PrivateKey or a path: {type(key).__name__}")
    return key_file.load_or_create(key)
