from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus.errors import MalformedEnvelope, RefusalReason
from gossipsub.chorus.timestamp import Timestamp
from gossipsub.wire.errors import LocalProtocolError

Vectors = dict[str, list[dict[str, Any]]]

FIRST_NS = -62135596800 * 10**9
LAST_NS = 253402300800 * 10**9 - 1


def test_points_in_time_are_written_as_go_writes_them(go_vectors: Vectors) -> None:
    for case in go_vectors["times"]:
        unix_ns, offset = int(case["unix_ns"]), case["offset_seconds"]
        assert Timestamp(case["text"]).unix_ns == unix_ns, case
        if not offset:
            assert Timestamp.from_unix_ns(unix_ns).text == case["text"]
        if unix_ns % 1000 == 0:
            at = datetime(1, 1, 1) + timedelta(
                microseconds=(unix_ns - FIRST_NS) // 1000, seconds=offset
            )
            aware = at.replace(tzinfo=timezone(timedelta(seconds=offset)))
            assert Timestamp.from_datetime(aware).text == case["text"]


STRICTER = {
    "2025-01-02T03:04:05+24:00",
    "2025-01-02T03:04:05+02:60",
    "2025-01-02T3:04:05Z",
    "2025-01-02T03:04:05,5Z",
}
"""What Go reads though RFC 3339 does not allow it."""


def test_texts_are_read_as_go_reads_them_unless_rfc_3339_forbids_it(go_vectors: Vectors) -> None:
    assert {case["text"] for case in go_vectors["time_texts"] if case["valid"]} > STRICTER
    for case in go_vectors["time_texts"]:
        if case["valid"] and case["text"] not in STRICTER:
            timestamp = Timestamp(case["text"])
            assert timestamp.text == str(timestamp) == case["text"]
            assert timestamp.unix_ns == int(case["unix_ns"]), case
        else:
            with pytest.raises(MalformedEnvelope) as raised:
                Timestamp(case["text"])
            assert raised.value.reason is RefusalReason.BAD_TIMESTAMP
            assert str(raised.value) == f"not an RFC 3339 timestamp: {case['text']!r}"


@pytest.mark.parametrize("text", ["2025-01-02T03:04:05.1234567891Z", "0000-01-02T03:04:05Z"])
def test_more_than_nanoseconds_and_the_year_0_are_refused_though_go_takes_them(text: str) -> None:
    with pytest.raises(MalformedEnvelope, match=r"^not an RFC 3339 timestamp: "):
        Timestamp(text)


def test_the_same_moment_in_another_text_is_another_timestamp() -> None:
    short, long = Timestamp("2025-01-02T03:04:05Z"), Timestamp("2025-01-02T03:04:05.000Z")
    assert short != long
    assert short.unix_ns == long.unix_ns


def test_a_datetime_is_given_in_the_offset_of_the_text() -> None:
    zone = timezone(timedelta(hours=-9, minutes=-30))
    assert Timestamp("2025-01-02T03:04:05.123456789-09:30").to_datetime() == datetime(
        2025, 1, 2, 3, 4, 5, 123456, tzinfo=zone
    )


def test_seconds_in_an_offset_turn_the_time_into_utc() -> None:
    zone = timezone(timedelta(minutes=53, seconds=28))
    moment = datetime(1900, 1, 1, 12, 0, 0, 5, tzinfo=zone)
    assert Timestamp.from_datetime(moment).text == "1900-01-01T11:06:32.000005Z"


def test_a_time_without_offset_and_one_beyond_the_years_are_errors() -> None:
    with pytest.raises(LocalProtocolError, match=r"^a time needs an offset from UTC: 2025-01-02T"):
        Timestamp.from_datetime(datetime(2025, 1, 2))
    for unix_ns in (FIRST_NS - 1, LAST_NS + 1, 10**40):
        with pytest.raises(LocalProtocolError, match=r"^not in the years 1 to 9999: "):
            Timestamp.from_unix_ns(unix_ns)


@given(st.integers(FIRST_NS, LAST_NS))
def test_every_nanosecond_survives(unix_ns: int) -> None:
    timestamp = Timestamp.from_unix_ns(unix_ns)
    assert timestamp.unix_ns == unix_ns
    assert Timestamp(timestamp.text) == timestamp


@given(
    st.datetimes(
        min_value=datetime(2, 1, 1),
        timezones=st.integers(-1439, 1439).map(lambda m: timezone(timedelta(minutes=m))),
    )
)
def test_every_datetime_survives(moment: datetime) -> None:
    timestamp = Timestamp.from_datetime(moment)
    assert timestamp.to_datetime() == moment
    assert timestamp.to_datetime().utcoffset() == moment.utcoffset()
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    assert timestamp.unix_ns == since // timedelta(microseconds=1) * 1000


@given(st.text())
def test_any_text_is_a_timestamp_or_malformed(text: str) -> None:
    try:
        timestamp = Timestamp(text)
    except MalformedEnvelope:
        return
    assert timestamp.text == text
