from __future__ import annotations

from typing import Annotated

import pytest

from gossipsub.chorus.payloads.kinds import BadPayload, Count, Share, Time, kind_of


def test_an_annotation_says_the_kind_with_none_beside_it_or_not() -> None:
    assert kind_of(str).words == "text"
    assert kind_of(bool | None).words == "true or false"
    assert kind_of(tuple[str, ...]).words == "list of texts"
    assert kind_of(Share) is kind_of(Share | None)
    assert kind_of(Count | None).words == "whole number, at least 0"


@pytest.mark.parametrize("annotation", [float, int, list[str], Annotated[str, "mine"], None])
def test_a_type_that_says_too_little_is_no_kind(annotation: object) -> None:
    with pytest.raises(LookupError, match=r"^no kind of field: "):
        kind_of(annotation)


@pytest.mark.parametrize(
    "moment",
    ["", "2026-11-23T12:00:00Z", "2026-11-23T12:00:00.123456789+05:30", 1795435200, 0, 1.5, -1],
)
def test_a_time_is_rfc_3339_or_seconds_since_1970(moment: object) -> None:
    kind_of(Time).judge("deadline", moment)


def test_a_bad_payload_tells_place_and_reason() -> None:
    error = BadPayload("capabilities[2]", "is a number, not text")
    assert str(error) == "capabilities[2] is a number, not text"
    assert (error.path, error.reason) == ("capabilities[2]", "is a number, not text")
