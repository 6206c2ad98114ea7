"""Faults of keys and peer ids."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.crypto import keys
from gossipsub.crypto.keys import KeyType, PrivateKey, PublicKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address, AddressError
from gossipsub.wire.errors import RemoteProtocolError


@fault
def peer_ids_are_hashes() -> None:
    def of_key(encoded: bytes) -> PeerId:
        return PeerId(b"\x12\x20" + sha256(encoded).digest())

    replace(PeerId, "of_key", staticmethod(of_key))


def _refuse(type: KeyType) -> None:
    original = keys._load_public

    def _load_public(of_type: KeyType, data: bytes) -> Any:
        if of_type is type:
            raise RemoteProtocolError(f"keys of {type.name} are not known")
        return original(of_type, data)

    replace(keys, "_load_public", _load_public)


@fault
def secp256k1_identities_are_refused() -> None:
    _refuse(KeyType.SECP256K1)


@fault
def ecdsa_identities_are_refused() -> None:
    _refuse(KeyType.ECDSA)


@fault
def the_number_of_rsa_is_left_out() -> None:
    original = PublicKey.encode

    def encode(self: PublicKey) -> bytes:
        return original(self)[2:] if self.type is KeyType.RSA else original(self)

    replace(PublicKey, "encode", encode)


@fault
def peer_ids_in_cids_are_refused() -> None:
    original = Address.parse

    def parse(text: str) -> Address:
        if "/p2p/b" in text:
            raise AddressError("a peer id begins with 1 or Qm")
        return original(text)

    replace(Address, "parse", staticmethod(parse))


@fault
def node_keys_are_big_endian() -> None:
    def from_node_number(number: int) -> PrivateKey:
        return PrivateKey.from_seed(number.to_bytes(32, "big"))

    replace(PrivateKey, "from_node_number", staticmethod(from_node_number))
