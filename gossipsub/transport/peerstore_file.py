"""A peerstore on disk, so that a host that starts again finds its network: one JSON document,
replaced as a whole."""

from __future__ import annotations

import json
import logging
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address
from gossipsub.transport.peerstore import (
    ADDRESSES_PER_SOURCE,
    AddressSource,
    KnownPeer,
    Peerstore,
)
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.host")

FORMAT = "gossipsub peerstore 1"
MAX_FILE_BYTES = 64 << 20
SAVE_INTERVAL = 60.0
"""Seconds between two writes; a host that ends without closing forgets what came since."""

_Entry = tuple[PeerId, KnownPeer]


class PeerstoreFile:
    """Reads a file once, and writes it from time to time and at the end. `clock` tells seconds
    since 1970."""

    def __init__(
        self, path: str | os.PathLike[str], store: Peerstore, *, clock: Callable[[], float]
    ) -> None:
        self._path = Path(path)
        self._store = store
        self._clock = clock
        self._saved = 0

    async def load(self) -> None:
        """Put the file's peers in the store; a file that does not exist has none.

        LocalProtocolError for a file that is no peerstore, which is left as it is; OSError where
        it cannot be read, or its folder does not exist.
        """
        for peer, known in await anyio.to_thread.run_sync(self._read):
            self._store.restore(peer, known, now=self._clock())
        self._saved = self._store.changes

    async def run(self) -> None:
        """Write what changed, from time to time. Runs until cancelled."""
        while True:
            await anyio.sleep(SAVE_INTERVAL)
            await self.save()

    async def save(self) -> None:
        """Write the store unless the file says the same; a failure is logged."""
        if self._saved == self._store.changes:
            return
        changes = self._store.changes
        entries = [(peer, known.copy()) for peer, known in self._store.items()]
        try:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._write, entries)
        except OSError as error:
            logger.warning("cannot write the peerstore path=%s error=%s", self._path, error)
        else:
            self._saved = changes

    # On threads: a thousand peers take a tenth of a second.

    def _read(self) -> list[_Entry]:
        try:
            with self._path.open("rb") as file:
                text = file.read(MAX_FILE_BYTES + 1)
        except FileNotFoundError:
            if not self._path.absolute().parent.is_dir():
                raise
            return []
        found = []
        for entry in _listed(self._path, text):
            try:
                found.append(_decode(entry))
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                # Of another version of this library, say.
                logger.warning("left out of %s: %.200r error=%r", self._path, entry, error)
        return found

    def _write(self, entries: list[_Entry]) -> None:
        folder = self._path.absolute().parent
        lines = ",\n".join(json.dumps(_encode(peer, known)) for peer, known in entries)
        text = f'{{"format": {json.dumps(FORMAT)}, "peers": [\n{lines}\n]}}\n'
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{self._path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _listed(path: Path, text: bytes) -> list[Any]:
    if len(text) > MAX_FILE_BYTES:
        raise LocalProtocolError(f"{path} is no peerstore: more than {MAX_FILE_BYTES} bytes")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LocalProtocolError(f"{path} is no peerstore: {error}") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise LocalProtocolError(f"{path} is no peerstore: it does not say {FORMAT!r}")
    peers = document.get("peers")
    if not isinstance(peers, list):
        raise LocalProtocolError(f"{path} is no peerstore: it lists no peers")
    return peers


def _decode(entry: Any) -> _Entry:
    peer, heard, seq = PeerId.parse(entry["peer"]), float(entry["heard"]), entry["seq"]
    if not math.isfinite(heard):
        raise ValueError(f"not a time: {heard}")
    known = KnownPeer(heard, None if seq is None else int(seq))
    for name, texts in entry["addresses"].items():
        addresses = [Address.parse(text).with_peer(peer) for text in texts[:ADDRESSES_PER_SOURCE]]
        known.addresses[AddressSource(name)] = dict.fromkeys(addresses)
    return peer, known


def _encode(peer: PeerId, known: KnownPeer) -> dict[str, object]:
    return {
        "peer": str(peer),
        "heard": known.heard,
        "seq": known.seq,
        "addresses": {
            str(source): [str(each.with_peer(None)) for each in addresses]
            for source, addresses in known.addresses.items()
        },
    }
