"""`gossipsub id`: the forms of a peer id, of a key file, a peer id or a multiaddr."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gossipsub.cli.exit_status import DONE
from gossipsub.cli.parsing import Parser
from gossipsub.cli.running import fail
from gossipsub.wire.errors import GossipSubError, LocalProtocolError

if TYPE_CHECKING:
    from gossipsub.crypto.keys import PublicKey
    from gossipsub.crypto.peer_id import PeerId


def main(arguments: Sequence[str]) -> int:
    """0, or 1 where one of them is nothing that has a peer id."""
    parser = Parser("id", "Show peer ids in both text forms, and the types of their keys.")
    parser.add_argument(
        "identities",
        nargs="+",
        metavar="KEYFILE|PEERID|MULTIADDR",
        help="a file of that name counts first; of a multiaddr, the last /p2p/ in it",
    )
    parser.add_json()
    options = parser.parse_args(list(arguments))
    try:
        found = [_find(text) for text in options.identities]
    except GossipSubError as error:
        return fail("id", error)
    for peer, key in found:
        show(peer, key, as_json=options.json)
    return DONE


def show(peer: PeerId, key: PublicKey | None, *, as_json: bool) -> None:
    """Print what is known of a peer; None for its key where the id is only a hash of it."""
    if as_json:
        told = {
            "peer_id": str(peer),
            "cid": peer.to_cid(),
            "key_type": None if key is None else key.type.name.lower(),
            "public_key": None if key is None else b64encode(key.encode()).decode(),
        }
        print(json.dumps(told))
        return
    print(f"peer id   {peer}")
    print(f"CIDv1     {peer.to_cid()}")
    print(
        f"key type  {'unknown: the id is a hash of it' if key is None else key.type.name.lower()}"
    )


def _find(text: str) -> tuple[PeerId, PublicKey | None]:
    from gossipsub.crypto import key_file
    from gossipsub.crypto.keys import PublicKey
    from gossipsub.crypto.peer_id import PeerId

    if os.path.lexists(text):
        public_key = key_file.load(text).public_key
        return public_key.peer_id(), public_key
    if text.startswith("/"):
        parts = text.split("/")
        named = [i for i, part in enumerate(parts[:-1]) if part in ("p2p", "ipfs")]
        if not named:
            raise LocalProtocolError(f"no such file, and no multiaddr with /p2p/PEER: {text}")
        peer = PeerId.parse(parts[named[-1] + 1])
    else:
        try:
            peer = PeerId.parse(text)
        except LocalProtocolError as error:
            raise LocalProtocolError(f"no such file, and {error}") from error
    return peer, PublicKey.from_peer_id(peer)
