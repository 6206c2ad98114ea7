"""Identity keys. Vectors: libp2p/specs peer-ids.md; node keys: libp2p test-plans."""

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import example, given
from hypothesis import strategies as st

from gossipsub.conformance.vectors import read_vectors
from gossipsub.crypto.fields import bytes_field, varint_field
from gossipsub.crypto.keys import KeyType, PrivateKey, PublicKey
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

SEED = "7e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d"
PUBLIC = "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
OTHER = "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27f"
ED25519_PRIVATE = "08011240" + SEED + PUBLIC

VECTORS = read_vectors("peer_ids_and_keys", kind="key")
BY_TYPE = {vector["type"].upper(): vector for vector in VECTORS[:4]}
ALL_TYPES = pytest.mark.parametrize("key_type", list(KeyType))


@pytest.fixture(scope="module")
def keys() -> dict[KeyType, PrivateKey]:
    """One generated key of each type, shared: RSA takes its time."""
    return {key_type: PrivateKey.generate(key_type) for key_type in KeyType}


@pytest.mark.rule("KEY-01", "KEY-02", "KEY-03", "KEY-04", "KEY-05", "T18")
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: str(vector["name"]))
def test_the_vectors_of_the_specification(vector: dict[str, str]) -> None:
    private, public = bytes.fromhex(vector["private_key"]), bytes.fromhex(vector["public_key"])
    key = PrivateKey.decode(private)
    assert key.encode() == private
    assert key.public_key.type is KeyType[vector["type"].upper()]
    assert key.public_key.encode() == public
    assert PublicKey.decode(public) == key.public_key
    assert str(key.peer_id()) == vector["base58"]
    assert key.public_key.verify(b"data", key.sign(b"data"))


@pytest.mark.rule("KEY-06")
@ALL_TYPES
def test_every_type_signs_and_verifies(key_type: KeyType, keys: dict[KeyType, PrivateKey]) -> None:
    key = keys[key_type]
    signature = key.sign(b"data")
    public = PublicKey.decode(key.public_key.encode())
    assert public.verify(b"data", signature)
    assert not public.verify(b"datA", signature)
    assert not public.verify(b"data", bytes((signature[0], signature[1] ^ 1)) + signature[2:])
    assert not PrivateKey.generate(key_type).public_key.verify(b"data", signature)
    assert PrivateKey.decode(key.encode()).public_key == key.public_key
    assert hash(public) == hash(key.public_key)


@ALL_TYPES
def test_a_garbage_signature_is_false_and_not_an_exception(
    key_type: KeyType, keys: dict[KeyType, PrivateKey]
) -> None:
    public = keys[key_type].public_key
    signature = keys[key_type].sign(b"data")
    garbage = [b"", b"\0", bytes(64), bytes(256), signature[:-1], signature + b"\0", b"\xff" * 72]
    assert [public.verify(b"data", each) for each in garbage] == [False] * len(garbage)


@given(st.binary(max_size=80))
@example(encode_dss_signature(0, 0))
@example(encode_dss_signature(2**300, 2**300))
def test_no_signature_makes_verification_raise(signature: bytes) -> None:
    for name in ("ED25519", "SECP256K1", "ECDSA"):
        public = PublicKey.decode(bytes.fromhex(BY_TYPE[name]["public_key"]))
        assert not public.verify(b"data", signature)


def test_secp256k1_signatures_have_the_low_s() -> None:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    key = PrivateKey.generate("secp256k1")
    for number in range(20):
        data = bytes((number,))
        signature = key.sign(data)
        r, s = decode_dss_signature(signature)
        assert s <= order // 2
        assert key.public_key.verify(data, signature)
        assert not key.public_key.verify(data, encode_dss_signature(r, order - s))


@pytest.mark.rule("KEY-07")
def test_ed25519_private_keys_of_64_and_of_96_bytes_are_read() -> None:
    encodings = ["08011240" + SEED + PUBLIC, "08011260" + SEED + PUBLIC + PUBLIC]
    decoded = [PrivateKey.decode(bytes.fromhex(encoding)) for encoding in encodings]
    assert [key.encode().hex() for key in decoded] == [ED25519_PRIVATE, ED25519_PRIVATE]


@pytest.mark.rule("KEY-07")
@pytest.mark.parametrize(
    ("encoding", "reason"),
    [
        ("08011240" + SEED + OTHER, "the public key inside does not belong to the seed"),
        ("08011260" + SEED + PUBLIC + OTHER, "the public key inside does not belong to the seed"),
        ("08011260" + SEED + OTHER + OTHER, "the public key inside does not belong to the seed"),
        ("08011241" + SEED + PUBLIC + "00", "65 bytes, an Ed25519 key has 64 or 96"),
        ("08011220" + SEED, "32 bytes, an Ed25519 key has 64 or 96"),
        ("08021202ffff", "2 bytes, a secp256k1 scalar has 32"),
        ("08041200", "unknown key type 4"),
        ("0801", "key without a type or without data"),
        ("1240" + SEED + PUBLIC, "key without a type or without data"),
        ("0801ff", "protobuf message ends inside a varint"),
        ("", "key without a type or without data"),
    ],
)
def test_a_damaged_private_key_is_refused(encoding: str, reason: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        PrivateKey.decode(bytes.fromhex(encoding))
    assert str(caught.value) == f"bad private key: {reason}"


def test_a_private_key_of_another_kind_than_it_says_is_refused() -> None:
    private = bytes.fromhex(BY_TYPE["ECDSA"]["private_key"])
    for type_byte in (b"\x00", b"\x01", b"\x02"):
        with pytest.raises(LocalProtocolError, match=r"^bad private key: "):
            PrivateKey.decode(b"\x08" + type_byte + private[2:])
    for curve in (ec.SECP384R1(), ec.SECP256K1()):
        other = ec.generate_private_key(curve).private_bytes(
            Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        )
        with pytest.raises(LocalProtocolError) as caught:
            PrivateKey.decode(with_type(3, other))
        assert str(caught.value) == "bad private key: another kind of key inside, not ECDSA"
    for scalar in (bytes(32), b"\xff" * 32):
        with pytest.raises(LocalProtocolError, match=r"^bad private key: "):
            PrivateKey.decode(b"\x08\x02\x12\x20" + scalar)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_private_key_or_refused_with_our_error(encoded: bytes) -> None:
    try:
        PrivateKey.decode(encoded)
    except LocalProtocolError:
        return


def with_type(key_type: int, data: bytes) -> bytes:
    return varint_field(1, key_type) + bytes_field(2, data)


def der(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.rule("KEY-06")
@pytest.mark.parametrize(
    ("key_type", "data"),
    [
        (1, b""),
        (1, bytes(31)),
        (1, bytes(33)),
        (2, b"\x02" + b"\xff" * 32),
        (2, b"\x05" + bytes(32)),
        (2, b"\x04" + bytes(64)),
        (2, bytes(32)),
        (2, b"\0"),
        (3, bytes(91)),
        (3, b""),
        (0, b""),
        (0, bytes(300)),
    ],
)
def test_data_that_is_no_public_key_is_refused(key_type: int, data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=f"^bad {KeyType(key_type).name} public key: "):
        PublicKey.decode(with_type(key_type, data))


@pytest.mark.parametrize(
    ("key_type", "length", "reason"),
    [
        (2, 65, "65 bytes, not a compressed point"),
        (3, 90, "90 bytes, not P-256 in PKIX form"),
        (3, 10**6, "1000000 bytes, not P-256 in PKIX form"),
        (0, 1101, "1101 bytes, more than 8192 bits take"),
        (0, 10**6, "1000000 bytes, more than 8192 bits take"),
    ],
)
def test_the_length_of_a_key_is_checked_before_it_is_parsed(
    key_type: int, length: int, reason: str
) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        PublicKey.decode(with_type(key_type, bytes(length)))
    assert str(caught.value) == f"bad {KeyType(key_type).name} public key: {reason}"


def test_other_curves_and_other_spellings_are_refused() -> None:
    p384 = der(ec.generate_private_key(ec.SECP384R1()).public_key())
    k1 = der(ec.generate_private_key(ec.SECP256K1()).public_key())
    private = rsa.generate_private_key(65537, 2048)
    pkcs1 = private.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    uncompressed = k1[-65:]
    off_curve = bytearray(bytes.fromhex(BY_TYPE["ECDSA"]["public_key"])[4:])
    off_curve[-1] ^= 1
    for key_type, data in [
        (3, p384),
        (3, k1),
        (0, k1),
        (0, pkcs1),
        (2, uncompressed),
        (3, bytes(off_curve)),
    ]:
        with pytest.raises(RemoteProtocolError, match=r"^bad [A-Z0-9]+ public key: "):
            PublicKey.decode(with_type(key_type, data))


@pytest.mark.rule("KEY-06")
def test_rsa_keys_outside_2048_to_8192_bits_are_refused() -> None:
    modulus = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
    cases = {
        1024: (modulus >> 1024 | 1, 65537),
        2047: (modulus >> 1 | 1, 65537),
        8193: (modulus << 6145 | 1, 65537),
    }
    for bits, (n, e) in cases.items():
        data = der(rsa.RSAPublicNumbers(e, n).public_key())
        with pytest.raises(RemoteProtocolError) as caught:
            PublicKey.decode(with_type(0, data))
        assert str(caught.value) == f"bad RSA public key: {bits} bits, not 2048 to 8192"
    largest = rsa.RSAPublicNumbers(2**31 - 1, modulus << 6144 | 1).public_key()
    assert PublicKey.decode(with_type(0, der(largest))).type is KeyType.RSA


def test_an_rsa_exponent_that_costs_us_time_is_refused() -> None:
    modulus = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
    data = der(rsa.RSAPublicNumbers(2**31 + 1, modulus).public_key())
    with pytest.raises(RemoteProtocolError) as caught:
        PublicKey.decode(with_type(0, data))
    assert str(caught.value) == "bad RSA public key: exponent above 2^31-1"


@pytest.mark.rule("KEY-01", "T18")
def test_a_key_needs_both_fields_even_where_the_type_is_zero() -> None:
    public = bytes.fromhex(BY_TYPE["RSA"]["public_key"])
    assert public[:2] == b"\x08\x00"
    for encoded in (public[2:], public[:2], b""):
        with pytest.raises(RemoteProtocolError) as caught:
            PublicKey.decode(encoded)
        assert str(caught.value) == "key without a type or without data"


@pytest.mark.rule("KEY-01")
def test_a_key_is_written_canonically_however_it_was_read() -> None:
    data = bytes.fromhex("1220" + PUBLIC)
    canonical = bytes.fromhex("08011220" + PUBLIC)
    spellings = (data + b"\x08\x01", b"\x08\x01" + data + b"\x1a\x00", b"\x18\x05\x08\x01" + data)
    for encoded in spellings:
        assert PublicKey.decode(encoded).encode() == canonical
    with pytest.raises(RemoteProtocolError, match="not minimally encoded"):
        PublicKey.decode(b"\x08\x81\x00" + data)
    with pytest.raises(RemoteProtocolError, match="unknown key type 4"):
        PublicKey.decode(b"\x08\x04" + data)


@given(st.binary(max_size=120))
def test_any_bytes_are_a_public_key_or_refused_with_our_error(encoded: bytes) -> None:
    for candidate in (encoded, b"\x08\x00" + encoded, b"\x08\x03\x12\x5b" + encoded):
        try:
            key = PublicKey.decode(candidate)
        except RemoteProtocolError:
            continue
        assert PublicKey.decode(key.encode()) == key


@pytest.mark.rule("KEY-08")
@ALL_TYPES
def test_short_keys_are_taken_out_of_the_peer_id(
    key_type: KeyType, keys: dict[KeyType, PrivateKey]
) -> None:
    public = keys[key_type].public_key
    inlined = key_type in (KeyType.ED25519, KeyType.SECP256K1)
    assert public.is_inlined_in_peer_id() is inlined
    assert PublicKey.from_peer_id(public.peer_id()) == (public if inlined else None)


def test_a_peer_id_whose_inside_is_not_the_canonical_key_is_refused() -> None:
    encoded = bytes.fromhex("08011220" + PUBLIC)
    for inside in (encoded + b"\x1a\x00", encoded[2:] + encoded[:2], encoded[:-1], b"\0", b"key"):
        with pytest.raises(RemoteProtocolError):
            PublicKey.from_peer_id(bytes((0, len(inside))) + inside)
    with pytest.raises(RemoteProtocolError, match="not a peer id"):
        PublicKey.from_peer_id(b"\0\x24" + encoded + b"\0")


@pytest.mark.rule("KEY-12")
def test_node_keys_are_those_of_the_interop_plans() -> None:
    digest = sha256()
    first = []
    for number in range(10000):
        peer = PrivateKey.from_node_number(number).peer_id()
        digest.update(f">{number}:{peer}\n".encode())
        if number < 3:
            first.append(str(peer))
    assert first == [
        "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
        "12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X",
        "12D3KooWH3uVF6wv47WnArKHk5p6cvgCJEb74UTmxztmQDc298L3",
    ]
    assert digest.hexdigest() == "11395ea896d00ca25f7f648ebb336488ee092096a5498d90d76b92eaec27867a"


def test_what_cannot_be_a_key_of_ours_is_refused() -> None:
    calls = {
        "an Ed25519 seed has 32 bytes, not 31": lambda: PrivateKey.from_seed(bytes(31)),
        "node numbers are 0 to 2^64-1, not -1": lambda: PrivateKey.from_node_number(-1),
        "RSA keys have 2048 to 8192 bits, not 1024": lambda: PrivateKey.generate(
            "rsa", rsa_bits=1024
        ),
        "unknown key type 'dsa', known are rsa, ed25519, secp256k1, ecdsa": (
            lambda: PrivateKey.generate("dsa")
        ),
        "not a key of libp2p: str": lambda: PrivateKey("secret"),
        "not a key of libp2p: curve secp384r1 is not used by libp2p": (
            lambda: PrivateKey(ec.generate_private_key(ec.SECP384R1()))
        ),
        "not a key of libp2p: bad RSA public key: 1024 bits, not 2048 to 8192": (
            lambda: PrivateKey(rsa.generate_private_key(65537, 1024))
        ),
    }
    for message, call in calls.items():
        with pytest.raises(LocalProtocolError) as caught:
            call()
        assert str(caught.value) == message


@ALL_TYPES
def test_a_pem_is_read(key_type: KeyType, keys: dict[KeyType, PrivateKey]) -> None:
    private = {
        KeyType.RSA: lambda: rsa.generate_private_key(65537, 2048),
        KeyType.ECDSA: lambda: ec.generate_private_key(ec.SECP256R1()),
        KeyType.SECP256K1: lambda: ec.generate_private_key(ec.SECP256K1()),
    }.get(key_type)
    if private is None:
        pem = (
            b"-----BEGIN PRIVATE KEY-----\n"
            b"MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
            b"-----END PRIVATE KEY-----\n"
        )  # RFC 8410, section 10.3
        expected = PrivateKey.from_seed(
            bytes.fromhex("d4ee72dbf913584ad5b6d8f1f769f8ad3afe7c28cbf1d4fbe097a88f44755842")
        ).encode()
    else:
        key = private()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        expected = PrivateKey(key).encode()
    assert PrivateKey.from_pem(pem).encode() == expected


@ALL_TYPES
def test_a_key_goes_to_pem_and_back(key_type: KeyType, keys: dict[KeyType, PrivateKey]) -> None:
    pem = keys[key_type].to_pem()
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert PrivateKey.from_pem(pem).encode() == keys[key_type].encode()


def test_an_unusable_pem_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    with pytest.raises(LocalProtocolError) as caught:
        PrivateKey.from_pem(locked)
    assert str(caught.value) == "bad private key: PEM is encrypted"
    for pem in (b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(LocalProtocolError, match=r"^bad private key: "):
            PrivateKey.from_pem(pem)


def test_no_representation_shows_a_secret() -> None:
    key = PrivateKey.decode(bytes.fromhex(ED25519_PRIVATE))
    shown = "<PrivateKey ED25519 of 12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq>"
    assert repr(key) == str(key) == f"{key}" == shown
    assert repr(key.public_key) == shown.replace("Private", "Public")


def test_keys_are_equal_by_type_and_data() -> None:
    key = PublicKey(KeyType.ED25519, bytes.fromhex(PUBLIC))
    assert key == PublicKey.decode(bytes.fromhex("08011220" + PUBLIC))
    assert key != PublicKey(KeyType.ED25519, bytes.fromhex(OTHER))
    assert key != bytes.fromhex(PUBLIC)
    assert isinstance(key.peer_id(), PeerId)
