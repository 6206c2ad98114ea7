"""Bases of multibase. Vectors: multiformats/multibase, tests/*.csv."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.crypto.multibase import (
    decode_base58,
    decode_multibase,
    encode_base32,
    encode_base58,
)
from gossipsub.wire.errors import LocalProtocolError

YES_MANI = [
    "001111001011001010111001100100000011011010110000101101110011010010010000000100001",
    "7362625631006654133464440102",
    "9573277761329450583662625",
    "f796573206d616e692021",
    "F796573206D616E692021",
    "bpfsxgidnmfxgsibb",
    "BPFSXGIDNMFXGSIBB",
    "vf5in683dc5n6i811",
    "VF5IN683DC5N6I811",
    "cpfsxgidnmfxgsibb",
    "CPFSXGIDNMFXGSIBB",
    "tf5in683dc5n6i811",
    "TF5IN683DC5N6I811",
    "hxf1zgedpcfzg1ebb",
    "k2lcpzo5yikidynfl",
    "K2LCPZO5YIKIDYNFL",
    "Z7Pznk19XTTzBtx",
    "z7paNL19xttacUY",
    "meWVzIG1hbmkgIQ",
    "MeWVzIG1hbmkgIQ==",
    "ueWVzIG1hbmkgIQ",
    "UeWVzIG1hbmkgIQ==",
]

TWO_ZEROS_YES_MANI = [
    "0000000000000000001111001011001010111001100100000011011010110000101101110011010010010000000100001",
    "700000171312714403326055632220041",
    "900573277761329450583662625",
    "f0000796573206d616e692021",
    "baaahszltebwwc3tjeaqq",
    "v0007ipbj41mm2rj940gg",
    "caaahszltebwwc3tjeaqq====",
    "T0007IPBJ41MM2RJ940GG====",
    "hyyy813murbssn5ujryoo",
    "k002lcpzo5yikidynfl",
    "Z117Pznk19XTTzBtx",
    "z117paNL19xttacUY",
    "mAAB5ZXMgbWFuaSAh",
    "MAAB5ZXMgbWFuaSAh",
    "uAAB5ZXMgbWFuaSAh",
    "UAAB5ZXMgbWFuaSAh",
]

MIXED_CASE = [
    "f68656c6c6f20776F726C64",
    "F68656c6c6f20776F726C64",
    "bnbswy3dpeB3W64TMMQ",
    "Bnbswy3dpeB3W64TMMQ",
    "vd1imor3f41RMUSJCCG",
    "Vd1imor3f41RMUSJCCG",
    "cnbswy3dpeB3W64TMMQ======",
    "Cnbswy3dpeB3W64TMMQ======",
    "td1imor3f41RMUSJCCG======",
    "Td1imor3f41RMUSJCCG======",
    "kfUvrsIvVnfRbjWaJo",
    "KfUVrSIVVnFRbJWAJo",
]


@pytest.mark.parametrize("text", YES_MANI)
def test_every_base_is_read_by_its_prefix(text: str) -> None:
    assert decode_multibase(text) == b"yes mani !"


@pytest.mark.parametrize("text", TWO_ZEROS_YES_MANI)
def test_leading_zero_bytes_are_kept(text: str) -> None:
    assert decode_multibase(text) == b"\0\0yes mani !"


@pytest.mark.parametrize("text", MIXED_CASE)
def test_bases_without_case_are_read_in_any_case(text: str) -> None:
    assert decode_multibase(text) == b"hello world"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unknown multibase prefix ''"),
        ("pro-babab", "unknown multibase prefix 'p'"),
        ("z0", "'0' does not belong to this base"),
        ("z7paN L", "' ' does not belong to this base"),
        ("bpfsxgidnmfxgsib1", "'1' does not belong to this base"),
        ("bab", "multibase text does not end on a byte"),
        ("bpfsxgidnmfxgsibba", "multibase text does not end on a byte"),
        ("f7", "multibase text does not end on a byte"),
        ("MeWVzIG1hbmkgIQ", "multibase text is not padded as its base demands"),
        ("MeWVzIG1hbmkgIQ======", "multibase text is not padded as its base demands"),
        ("meWVzIG1hbmkgIQ==", "'=' does not belong to this base"),
    ],
)
def test_a_text_that_no_encoder_writes_is_refused(text: str, message: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        decode_multibase(text)
    assert str(caught.value) == message


@given(st.binary(max_size=64))
def test_base58_and_base32_give_back_what_went_in(data: bytes) -> None:
    assert decode_base58(encode_base58(data)) == data
    assert decode_multibase("z" + encode_base58(data)) == data
    assert decode_multibase("b" + encode_base32(data)) == data


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_with_our_error(text: str) -> None:
    try:
        decode_multibase(text)
    except LocalProtocolError:
        return
