from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus.envelope import Envelope, EnvelopeLimits
from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError

Vectors = dict[str, list[dict[str, Any]]]

PEER = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
MOMENT = Timestamp("2025-01-02T03:04:05.123456789Z")


def of(data: Any, **fields: Any) -> Envelope:
    return replace(Envelope(MessageType.TASK_PROGRESS, PEER, MOMENT, data), **fields)


FULL = of(
    {"completion": 0.45},
    hop_count=3,
    from_role="Junior Developer",
    to_roles=("Senior Developer", "Architect"),
    required_expertise=("distributed_systems", "golang"),
    project_id="project-789",
    priority="high",
    thread_id="thread-abc",
)
WRITTEN = {
    f"type {kind}": Envelope(kind, PEER, MOMENT, {"index": index})
    for index, kind in enumerate(MessageType)
} | {
    "all zero": Envelope("", "", Timestamp("0001-01-01T00:00:00Z"), None),
    "nil data": of(None),
    "empty data": of({}),
    "every field": FULL,
    "empty lists": of({}, required_expertise=("",)),
    "escapes in every kind of field": Envelope(
        "a<b",
        "x&y",
        MOMENT,
        {"<&>": "\u2028"},
        from_role='R&D "lead"\n',
        to_roles=("<all>", "é"),
        thread_id="\u2029",
    ),
    "keys are sorted by bytes": of(
        {
            "b": 1, "a": 2, "B": 3, "": 4, "é": 5, "\uffff": 6, "😀": 7, "aa": 8, "_": 9,
            "a b": 10,
        }
    ),
    "nested": of(
        {
            "map": {"z": {"y": []}, "a": {}},
            "list": [1, "two", 3.5, True, False, None, [None], {"k": None}],
            "texts": ["deployment", "kubernetes"],
        }
    ),
    "integers": of(
        {
            "zero": 0, "negative": -1, "int64": 2**63 - 1, "least": -(2**63),
            "uint64": 2**64 - 1, "above_2_53": 2**53 + 1,
        }
    ),
    "floats": of(
        {
            "whole": 1.0, "half": 0.5, "small": 1e-6, "smaller": 1e-7, "big": 1e20,
            "bigger": 1e21, "minus_zero": -0.0, "digits": 1.2345678901234567e20,
        }
    ),
    "another zone": of({}, timestamp=Timestamp("2025-01-02T05:04:05.123456789+02:00")),
}  # fmt: skip


def refusal(data: bytes, **limits: int) -> tuple[RefusalReason, str]:
    with pytest.raises(MalformedEnvelope) as raised:
        Envelope.decode(data, EnvelopeLimits(**limits))
    return raised.value.reason, str(raised.value)


# Beside Go


def test_every_envelope_is_written_byte_for_byte_as_go_writes_it(go_vectors: Vectors) -> None:
    assert [case["name"] for case in go_vectors["envelopes"]] == list(WRITTEN)
    for case in go_vectors["envelopes"]:
        encoded = WRITTEN[case["name"]].encode()
        assert encoded.decode() == case["encoded"]
        assert Envelope.decode(encoded).encode() == encoded


DIFFERENT: dict[str, RefusalReason | str] = {
    "unknown fields": "Go drops them, we keep them",
    "a field with a ligature": "an unknown field as well",
    "a field of the same letters with accents": "an unknown field as well",
    "a repeated data": "Go merges the two, with us the last counts",
    "greatest integer of a float64": "an int stays one",
    "timestamp with escapes": "Go reads a timestamp before its escapes are taken away",
    "a field in another case": RefusalReason.AMBIGUOUS_FIELD,
    "a field with a long s": RefusalReason.AMBIGUOUS_FIELD,
    "no type": RefusalReason.MISSING_FIELD,
    "no data": RefusalReason.MISSING_FIELD,
    "nothing": RefusalReason.MISSING_FIELD,
    "null type": RefusalReason.WRONG_TYPE,
    "null in a list of texts": RefusalReason.WRONG_TYPE,
    "null": RefusalReason.NOT_AN_OBJECT,
    "hop count below 0": RefusalReason.NUMBER_OUT_OF_RANGE,
    "timestamp of the year 0": RefusalReason.BAD_TIMESTAMP,
    "timestamp with ten digits": RefusalReason.BAD_TIMESTAMP,
}
"""Where we do not read what Go reads: the reason of a refusal, or what differs."""


def test_what_go_reads_we_read_and_what_it_refuses_we_refuse(go_vectors: Vectors) -> None:
    names = {case["name"] for case in go_vectors["decodings"]}
    assert names > set(DIFFERENT)
    for case in go_vectors["decodings"]:
        data, difference = bytes.fromhex(case["input_hex"]), DIFFERENT.get(case["name"])
        if isinstance(difference, RefusalReason):
            assert case["valid"], case
            assert refusal(data)[0] is difference
        elif difference:
            assert Envelope.decode(data).encode().decode() != case.get("encoded"), case
        elif case["valid"]:
            assert Envelope.decode(data).encode().decode() == case["encoded"], case
        else:
            refusal(data)


@pytest.mark.timeout(300)
def test_the_vectors_are_what_go_writes_today(
    run_go: Callable[..., str], go_vectors: Vectors
) -> None:
    assert json.loads(run_go()) == go_vectors


def random_value(rng: random.Random, depth: int) -> object:
    kind = rng.randrange(8 if depth else 6)
    if kind == 0:
        return rng.choice([None, True, False, 0, -1, 2**53])
    if kind == 1:
        return rng.uniform(-1, 1) * 10.0 ** rng.randrange(-12, 26)
    if kind == 2:
        return rng.randrange(-(2**53), 2**53)
    if kind < 6:
        return random_text(rng)
    if kind == 6:
        return [random_value(rng, depth - 1) for _ in range(rng.randrange(4))]
    return {random_text(rng): random_value(rng, depth - 1) for _ in range(rng.randrange(4))}


def random_text(rng: random.Random) -> str:
    points = [rng.choice([0x7F, 0x80, 0x250, 0x2030, 0xD7FF, 0x10FFFF]) for _ in range(6)]
    text = "".join(chr(rng.randrange(point)) for point in points[: rng.randrange(7)])
    text = text.encode("utf-8", "ignore").decode()  # without lone surrogates
    return text + rng.choice(["", "", "<", "&", "\u2028", "\ufffd", "\ue000", "\U0001f600"])


@pytest.mark.timeout(300)
def test_go_reads_random_envelopes_of_ours_and_writes_the_same_bytes(
    run_go: Callable[..., str],
) -> None:
    rng = random.Random(1)
    encoded = [
        replace(
            FULL,
            type=rng.choice([*MessageType, random_text(rng)]),
            from_peer=random_text(rng),
            timestamp=Timestamp.from_unix_ns(rng.randrange(2**62) // 10 ** rng.randrange(10)),
            data={random_text(rng): random_value(rng, 3) for _ in range(rng.randrange(5))},
            hop_count=rng.randrange(17),
            from_role=random_text(rng),
            to_roles=tuple(random_text(rng) for _ in range(rng.randrange(3))),
            thread_id=random_text(rng),
        ).encode()
        for _ in range(2000)
    ]
    answers = run_go(
        "recode", stdin="".join(f"{base64.b64encode(data).decode()}\n" for data in encoded)
    ).split()
    assert [base64.b64decode(answer) for answer in answers] == encoded


# Alone


def test_unknown_fields_are_kept_and_written_after_the_known_ones() -> None:
    data = (
        b'{"zone":"eu","type":"task_claim","from":"f","timestamp":"2025-01-02T03:04:05.500Z",'
        b'"trace":{"b":1,"a":[]},"data":{},"thread_id":"t"}'
    )
    envelope = Envelope.decode(data)
    assert envelope == Envelope(
        MessageType.TASK_CLAIM,
        "f",
        Timestamp("2025-01-02T03:04:05.500Z"),
        {},
        thread_id="t",
        unknown_fields={"zone": "eu", "trace": {"b": 1, "a": []}},
    )
    assert envelope.encode() == (
        b'{"type":"task_claim","from":"f","timestamp":"2025-01-02T03:04:05.500Z","data":{},'
        b'"thread_id":"t","trace":{"a":[],"b":1},"zone":"eu"}'
    )


def test_an_unknown_type_stays_text() -> None:
    envelope = Envelope.decode(of({}, type="task_stolen").encode())
    assert type(envelope.type) is str
    assert envelope.type == "task_stolen"
    assert isinstance(Envelope.decode(of({}).encode()).type, MessageType)


HEAD = b'{"type":"t","from":"f","timestamp":"2025-01-02T03:04:05Z"'


@pytest.mark.parametrize(
    ("data", "limits", "reason", "message"),
    [
        (HEAD, {"max_bytes": 56}, RefusalReason.TOO_LARGE, "57 bytes, the limit is 56"),
        (b"[]", {}, RefusalReason.NOT_AN_OBJECT, "not a JSON object"),
        (b"{}", {}, RefusalReason.MISSING_FIELD, "no field type"),
        (HEAD + b"}", {}, RefusalReason.MISSING_FIELD, "no field data"),
        (
            HEAD + b',"data":[]}',
            {},
            RefusalReason.WRONG_TYPE,
            "data is an object, not of type list",
        ),
        (
            HEAD + b',"data":{},"to_roles":[1]}',
            {},
            RefusalReason.WRONG_TYPE,
            "to_roles is text, not of type int",
        ),
        (
            HEAD + b',"data":{},"hop_count":true}',
            {},
            RefusalReason.WRONG_TYPE,
            "hop_count is a whole number, not of type bool",
        ),
        (
            HEAD + b',"data":{},"hop_count":17}',
            {},
            RefusalReason.HOP_LIMIT,
            "hop_count is above 16",
        ),
        (
            HEAD + b',"data":{},"hop_count":1}',
            {"max_hop_count": 0},
            RefusalReason.HOP_LIMIT,
            "hop_count is above 0",
        ),
        (
            HEAD + b',"data":{},"hop_count":-1}',
            {},
            RefusalReason.NUMBER_OUT_OF_RANGE,
            "hop_count is below 0",
        ),
        (
            HEAD + b',"data":{"a":{}}}',
            {"max_depth": 2},
            RefusalReason.TOO_DEEP,
            "nested deeper than 2 levels",
        ),
        (
            HEAD + b',"data":{},"Thread_ID":""}',
            {},
            RefusalReason.AMBIGUOUS_FIELD,
            "a known field in another case: 'Thread_ID'",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, RefusalReason) else "",
)
def test_a_bad_envelope_is_refused_with_the_reason(
    data: bytes, limits: dict[str, int], reason: RefusalReason, message: str
) -> None:
    assert refusal(data, **limits) == (reason, message)


def test_a_malformed_envelope_kills_only_the_message() -> None:
    with pytest.raises(RemoteProtocolError) as raised:
        Envelope.decode(b"")
    assert raised.value.fatal_to == "message"


def test_what_is_exactly_at_the_limits_passes_both_ways() -> None:
    envelope = of({"a": [1]}, hop_count=2)
    size = len(envelope.encode())
    limits = EnvelopeLimits(max_bytes=size, max_depth=3, max_hop_count=2)
    assert Envelope.decode(envelope.encode(limits), limits) == envelope


@pytest.mark.parametrize(
    ("envelope", "limits", "message"),
    [
        (of({}), {"max_bytes": 140}, "the envelope takes 141 bytes, the limit is 140"),
        (of({"a": {}}), {"max_depth": 2}, "nested too deep, or within itself"),
        (
            of({}, unknown_fields={"a": {"b": {}}}),
            {"max_depth": 2},
            "nested too deep, or within itself",
        ),
        (
            of({}, hop_count=3),
            {"max_hop_count": 2},
            "hop_count is a whole number from 0 to 2",
        ),
        (of({}, hop_count=-1), {}, "hop_count is a whole number from 0 to 16"),
        (of({}, hop_count=True), {}, "hop_count is a whole number from 0 to 16"),
        (of({}, type=7), {}, "type is text, not of type int"),
        (of({}, from_peer=None), {}, "from is text, not of type NoneType"),
        (of({}, timestamp="now"), {}, "timestamp is a Timestamp, not of type str"),
        (of([]), {}, "data is a mapping, not of type list"),
        (of({}, priority=1), {}, "priority is text, not of type int"),
        (of({}, to_roles="all"), {}, "to_roles is a tuple of texts, not of type str"),
        (of({}, to_roles=(1,)), {}, "to_roles is text, not of type int"),
        (of({}, unknown_fields={"Type": 1}), {}, "not an unknown field: 'Type'"),
        (of({}, unknown_fields=["x"]), {}, "unknown_fields is a mapping, not of type list"),
        (of({}, unknown_fields={1: 1}), {}, "the keys of an object are text"),
        (of({"a": math.nan}), {}, "JSON has no form for nan"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_envelope_that_others_could_not_read_is_an_error_here(
    envelope: Envelope, limits: dict[str, int], message: str
) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        envelope.encode(EnvelopeLimits(**limits))
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_bytes": 0}, "max_bytes is at least 1: 0"),
        ({"max_depth": 1}, "max_depth is 2 to 256: 1"),
        ({"max_depth": 257}, "max_depth is 2 to 256: 257"),
        ({"max_hop_count": -1}, "max_hop_count is at least 0: -1"),
    ],
)
def test_limits_nothing_could_pass_are_errors(limits: dict[str, int], message: str) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        EnvelopeLimits(**limits)
    assert str(raised.value) == message


texts = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(-(2.0**52), 2.0**52)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
objects = st.dictionaries(texts, values, max_size=5)
envelopes = st.builds(
    Envelope,
    type=st.sampled_from(MessageType) | texts,
    from_peer=texts,
    timestamp=st.integers(-(10**18), 2 * 10**18).map(Timestamp.from_unix_ns),
    data=st.none() | objects,
    hop_count=st.integers(0, 16),
    from_role=texts,
    to_roles=st.lists(texts, max_size=3).map(tuple),
    required_expertise=st.lists(texts, max_size=3).map(tuple),
    project_id=texts,
    priority=texts,
    thread_id=texts,
    unknown_fields=st.dictionaries(texts.map(lambda name: f"x{name}"), values, max_size=2),
)


@given(envelopes)
def test_every_envelope_is_read_back(envelope: Envelope) -> None:
    encoded = envelope.encode()
    assert Envelope.decode(encoded) == envelope
    assert Envelope.decode(encoded).encode() == encoded


@given(st.binary() | envelopes.map(Envelope.encode), st.data())
def test_any_bytes_are_an_envelope_or_malformed(data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(0, 3))):
        at = draw.draw(st.integers(0, max(len(damaged) - 1, 0)))
        damaged[at : at + 1] = draw.draw(st.binary(max_size=2) | st.sampled_from([b"{", b'"']))
    try:
        envelope = Envelope.decode(bytes(damaged))
    except MalformedEnvelope:
        return
    assert Envelope.decode(envelope.encode()).encode() == envelope.encode()
