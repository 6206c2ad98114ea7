"""Both libraries give the same verdicts, whatever they are asked."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import nacl.bindings
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from nacl.exceptions import BadSignatureError

from gossipsub.crypto import ed25519
from gossipsub.crypto.ed25519 import (
    LARGE_BYTES,
    SIGNATURE_LIBRARIES,
    Ed25519Verify,
    choose_verify,
    uses_pynacl,
    verify_with_cryptography,
)
from gossipsub.wire.errors import LocalProtocolError

KEY = Ed25519PrivateKey.from_private_bytes((1).to_bytes(32, "little"))
PUBLIC = KEY.public_key().public_bytes_raw()

ORDER = 2**252 + 27742317777372353535851937790883648493
IDENTITY = (1).to_bytes(32, "little")

SMALL_ORDER = [
    bytes.fromhex(point)
    for point in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
]
NOT_CANONICAL = [
    bytes.fromhex(point)
    for point in (
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    )
]
"""The points of order 1, 2 and 4 in spellings that a strict reader refuses."""


@pytest.fixture(scope="module")
def pynacl() -> Ed25519Verify:
    return choose_verify("pynacl")


@pytest.mark.parametrize("library", SIGNATURE_LIBRARIES)
@pytest.mark.parametrize("size", [0, 1, 1024, LARGE_BYTES - 1, LARGE_BYTES, 100_000])
def test_a_good_signature_is_good_and_any_changed_bit_spoils_it(library: str, size: int) -> None:
    verify = choose_verify(library)
    data = bytes(size)
    signature = KEY.sign(data)
    assert verify(PUBLIC, signature, data)
    for position in range(0, 512, 37):
        spoilt = bytearray(signature)
        spoilt[position // 8] ^= 1 << position % 8
        assert not verify(PUBLIC, bytes(spoilt), data)
    assert not verify(PUBLIC, signature, data + b"\0")
    assert not verify(KEY.sign(b"")[:32], signature, data)


def test_pynacl_is_asked_first_for_all_but_large_data(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        ed25519, "verify_with_cryptography", lambda *arguments: asked.append(arguments) or True
    )
    verify = choose_verify("pynacl")
    small, large = bytes(LARGE_BYTES - 1), bytes(LARGE_BYTES)
    assert verify(PUBLIC, KEY.sign(small), small)
    assert asked == []
    assert verify(PUBLIC, KEY.sign(large), large)
    assert asked == [(PUBLIC, KEY.sign(large), large)]


@pytest.mark.parametrize("point", SMALL_ORDER + NOT_CANONICAL)
def test_what_only_libsodium_refuses_is_good(pynacl: Ed25519Verify, point: bytes) -> None:
    """A signature of zero with the identity as nonce holds for points of small order, whenever
    their order divides the hash."""
    signature = IDENTITY + bytes(32)
    verdicts = set()
    for number in range(40):
        data = b"%d" % number
        expected = verify_with_cryptography(point, signature, data)
        verdicts.add(expected)
        assert pynacl(point, signature, data) is expected
        with pytest.raises(BadSignatureError):
            nacl.bindings.crypto_sign_open(signature + data, point)
    assert True in verdicts


@pytest.mark.parametrize("nonce", SMALL_ORDER + NOT_CANONICAL)
def test_nonces_of_small_order_get_one_verdict(pynacl: Ed25519Verify, nonce: bytes) -> None:
    """S = h·a makes the equation hold for a nonce of small order that is the identity."""
    secret = _scalar(KEY)
    verdicts = []
    for number in range(10):
        data = b"%d" % number
        hashed = int.from_bytes(hashlib.sha512(nonce + PUBLIC + data).digest(), "little")
        signature = nonce + (hashed * secret % ORDER).to_bytes(32, "little")
        expected = verify_with_cryptography(PUBLIC, signature, data)
        verdicts.append(expected)
        assert pynacl(PUBLIC, signature, data) is expected
    assert all(verdicts) is (nonce == IDENTITY)


def test_a_scalar_that_is_not_reduced_is_bad(pynacl: Ed25519Verify) -> None:
    signature = KEY.sign(b"data")
    nonce, scalar = signature[:32], int.from_bytes(signature[32:], "little")
    for multiple in range(1, 16):
        malleable = nonce + (scalar + multiple * ORDER).to_bytes(32, "little")
        assert not verify_with_cryptography(PUBLIC, malleable, b"data")
        assert not pynacl(PUBLIC, malleable, b"data")


@pytest.mark.parametrize("order", [2, 4, 8])
def test_keys_and_nonces_with_a_part_of_small_order_get_one_verdict(
    pynacl: Ed25519Verify, order: int
) -> None:
    """Where both sides are not multiplied by eight some of these are good and most are not."""
    torsion = {2: SMALL_ORDER[1], 4: SMALL_ORDER[2], 8: SMALL_ORDER[4]}[order]
    add = nacl.bindings.crypto_core_ed25519_add
    secret = _scalar(KEY)
    verdicts = []
    for number in range(24):
        base = nacl.bindings.crypto_scalarmult_ed25519_base_noclamp
        nonce_scalar = number + 12345
        nonce = base(nonce_scalar.to_bytes(32, "little"))
        key = PUBLIC
        if number % 3 != 0:
            nonce = add(nonce, torsion)
        if number % 3 != 1:
            key = add(key, torsion)
        data = b"%d" % number
        hashed = int.from_bytes(hashlib.sha512(nonce + key + data).digest(), "little")
        scalar = (nonce_scalar + hashed * secret) % ORDER
        signature = nonce + scalar.to_bytes(32, "little")
        expected = verify_with_cryptography(key, signature, data)
        verdicts.append(expected)
        assert pynacl(key, signature, data) is expected
    assert set(verdicts) == {True, False}


def test_bytes_moved_between_key_signature_and_data_are_bad(pynacl: Ed25519Verify) -> None:
    data = b"data"
    signature = KEY.sign(data)
    assert not pynacl(PUBLIC, signature[:-1], signature[-1:] + data)
    assert not pynacl(PUBLIC, signature + data[:1], data[1:])
    assert not pynacl(PUBLIC, b"", signature + data)
    assert not pynacl(PUBLIC + b"\0", signature, data)
    for size in range(32):
        assert not pynacl(PUBLIC[:size], signature, data)


@given(
    key=st.binary(min_size=31, max_size=33) | st.sampled_from([PUBLIC, *SMALL_ORDER]),
    signature=st.binary(min_size=63, max_size=65) | st.sampled_from([KEY.sign(b""), bytes(64)]),
    data=st.binary(max_size=80),
)
def test_both_libraries_agree_about_anything(key: bytes, signature: bytes, data: bytes) -> None:
    verdict = verify_with_cryptography(key, signature, data)
    assert choose_verify("pynacl")(key, signature, data) is verdict


def printed(code: str) -> list[str]:
    """By an interpreter of its own, in which no library is chosen yet."""
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return ran.stdout.splitlines()


TELL = """
from gossipsub.config import HostConfig
from gossipsub.crypto.ed25519 import choose_verify, uses_pynacl
from gossipsub.wire.errors import LocalProtocolError
HostConfig()
print(uses_pynacl(choose_verify("auto")))
try:
    HostConfig(signature_library="pynacl")
except LocalProtocolError as error:
    print(error)
"""


def test_a_library_that_accepts_more_than_others_is_not_used() -> None:
    """libsodium's later versions multiply both sides of the equation by eight."""
    accept = "import nacl.bindings; nacl.bindings.crypto_sign_open = lambda signed, key: signed"
    assert printed(accept + TELL) == [
        "False",
        "signature_library: this PyNaCl's libsodium accepts signatures that other peers refuse",
    ]


def test_without_pynacl_auto_is_cryptography_and_pynacl_says_what_to_install() -> None:
    assert printed("import sys; sys.modules['nacl'] = None" + TELL) == [
        "False",
        "signature_library: PyNaCl is missing: pip install gossipsub[fast]",
    ]


def test_auto_is_pynacl_where_that_is_installed() -> None:
    assert [uses_pynacl(choose_verify(library)) for library in SIGNATURE_LIBRARIES] == [
        True, False, True
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["openssl", "", "PyNaCl", None, 1])
def test_other_names_are_refused(name: object) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        choose_verify(name)  # type: ignore[arg-type]
    known = "auto, cryptography, pynacl"
    assert str(raised.value) == f"signature_library is one of {known}: {name!r}"


def _scalar(key: Ed25519PrivateKey) -> int:
    hashed = hashlib.sha512(key.private_bytes_raw()).digest()[:32]
    return int.from_bytes(hashed, "little") & (2**254 - 8) | 2**254
