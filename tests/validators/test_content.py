from __future__ import annotations

import json

import pytest
from google.protobuf.message import DecodeError
from google.protobuf.struct_pb2 import Struct

from gossipsub import PeerId, ReceivedMessage, Verdict
from gossipsub.validators import MaxSize, Schema

NEIGHBOUR = PeerId(b"neighbour")


def holding(data):
    return ReceivedMessage("news", data, None, NEIGHBOUR, b"id", None)


def test_data_may_have_the_largest_size_and_no_byte_more():
    assert MaxSize(3)(holding(b"abc")) is Verdict.ACCEPT
    assert MaxSize(3)(holding(b"abcd")) is Verdict.REJECT
    assert MaxSize(3, otherwise=Verdict.IGNORE)(holding(b"abcd")) is Verdict.IGNORE


@pytest.mark.parametrize(
    ("data", "verdict"),
    [
        (b'{"a": 1}', Verdict.ACCEPT),
        (b"null", Verdict.ACCEPT),
        (b"{", Verdict.REJECT),
        (b"", Verdict.REJECT),
        (b'"\xff"', Verdict.REJECT),
    ],
)
def test_json_is_what_the_decoder_takes(data, verdict):
    assert Schema(json.loads)(holding(data)) is verdict


def test_data_nested_too_deeply_for_this_node_is_nobodys_fault():
    assert Schema(json.loads)(holding(b"[" * 200_000)) is Verdict.IGNORE


@pytest.mark.parametrize("malformed", [DecodeError, (ValueError, DecodeError)])
def test_a_decoder_with_errors_of_its_own_names_them(malformed):
    validator = Schema(Struct.FromString, malformed=malformed, otherwise=Verdict.IGNORE)
    struct = Struct()
    struct["a"] = 1
    assert validator(holding(struct.SerializeToString())) is Verdict.ACCEPT
    assert validator(holding(b"\xff")) is Verdict.IGNORE


def test_a_bug_of_the_decoder_is_not_held_against_the_message():
    with pytest.raises(DecodeError):
        Schema(Struct.FromString)(holding(b"\xff"))
