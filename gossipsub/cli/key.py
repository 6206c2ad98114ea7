"""`gossipsub key`: identities in files."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from gossipsub.cli.exit_status import DONE
from gossipsub.cli.parsing import Parser
from gossipsub.cli.peer_identity import show
from gossipsub.cli.running import fail
from gossipsub.wire.errors import LocalProtocolError

KEY_TYPES = ("ed25519", "secp256k1", "ecdsa", "rsa")


def main(arguments: Sequence[str]) -> int:
    """0, or 1 for a file that is there already, cannot be written, or holds no key."""
    options = _parse(arguments)
    try:
        _act(options)
    except BrokenPipeError:
        raise
    except (LocalProtocolError, OSError) as error:
        return fail("key", error)
    return DONE


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("key", "Make and show key files, as Host(key=FILE) and --key take them.")
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=argparse.ArgumentParser
    )
    new = actions.add_parser("new", help="make one, which its owner alone can read")
    new.add_argument("file", metavar="FILE", help="must not exist")
    new.add_argument("--type", choices=KEY_TYPES, default="ed25519", help="(default: ed25519)")
    shown = actions.add_parser("show", help="the peer id and the type of one")
    shown.add_argument("file", metavar="FILE", help="libp2p's protobuf, or PEM")
    imported = actions.add_parser("import", help="make one of a key in PEM")
    imported.add_argument("pem", metavar="PEM", help="PKCS#8, not encrypted")
    imported.add_argument("file", metavar="FILE", help="must not exist")
    exported = actions.add_parser("export", help="write the secret key as PEM (PKCS#8)")
    exported.add_argument("file", metavar="FILE")
    exported.add_argument("pem", metavar="PEM", help="must not exist; - is standard output")
    for each in (new, shown, imported):
        each.add_argument("--json", action="store_true", help="one JSON object per line")
    return parser.parse_args(list(arguments))


def _act(options: argparse.Namespace) -> None:
    from gossipsub.crypto import key_file
    from gossipsub.crypto.keys import PrivateKey

    if options.action == "new":
        key = PrivateKey.generate(options.type)
        key_file.create(options.file, key)
    elif options.action == "import":
        key = key_file.load(options.pem)
        key_file.create(options.file, key)
    else:
        key = key_file.load(options.file)
    if options.action == "export" and options.pem == "-":
        sys.stdout.write(key.to_pem().decode())
    elif options.action == "export":
        _write_secret(options.pem, key.to_pem())
    else:
        show(key.peer_id(), key.public_key, as_json=options.json)


def _write_secret(path: str, data: bytes) -> None:
    """To a new file that its owner alone can read."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
