"""What validators are built of is refused at once, in words that tell what is wrong."""

from __future__ import annotations

import math

import pytest

from gossipsub import LocalProtocolError, PrivateKey, Verdict
from gossipsub.validators import (
    AuthorAllowList,
    Lifetime,
    MaxSize,
    RatePerAuthor,
    RatePerPeer,
    Schema,
    SequenceNumberFile,
    SequenceNumberTable,
    all_of,
)

AUTHOR = PrivateKey.from_seed(bytes(32)).peer_id()
REFUSALS = "must be one of Verdict.REJECT, Verdict.IGNORE, Verdict.THROTTLED"


def never(message):
    return None


REFUSED = [
    (
        lambda: AuthorAllowList([], otherwise=Verdict.ACCEPT),
        f"otherwise {REFUSALS}: {Verdict.ACCEPT!r}",
    ),
    (lambda: AuthorAllowList([], otherwise=False), f"otherwise {REFUSALS}: False"),
    (lambda: AuthorAllowList("12D3"), "authors is a list of peers, not one of them: '12D3'"),
    (lambda: AuthorAllowList(AUTHOR), f"authors is a list of peers, not one of them: {AUTHOR!r}"),
    (lambda: MaxSize(0), "max_data_bytes must be a whole number above 0: 0"),
    (lambda: MaxSize(True), "max_data_bytes must be a whole number above 0: True"),
    (lambda: MaxSize(1.5), "max_data_bytes must be a whole number above 0: 1.5"),
    (lambda: MaxSize(1, otherwise=None), f"otherwise {REFUSALS}: None"),
    (lambda: Schema({}), "decode must be a function: {}"),
    (lambda: Schema(len, malformed="x"), "malformed is one or more classes of errors: 'x'"),
    (
        lambda: Schema(len, malformed=(ValueError, BaseException)),
        f"malformed is one or more classes of errors: {(ValueError, BaseException)!r}",
    ),
    (lambda: Schema(len, otherwise=True), f"otherwise {REFUSALS}: True"),
    (lambda: Lifetime(0, never), "seconds must be a finite number above 0: 0"),
    (lambda: Lifetime(math.nan, never), "seconds must be a finite number above 0: nan"),
    (lambda: Lifetime("1", never), "seconds must be a finite number above 0: '1'"),
    (lambda: Lifetime(1, 5), "published_at must be a function: 5"),
    (lambda: Lifetime(1, never, ahead=-1), "ahead must be a finite number, 0 or above: -1"),
    (lambda: Lifetime(1, never, ahead=math.inf), "ahead must be a finite number, 0 or above: inf"),
    (
        lambda: Lifetime(1, never, otherwise=Verdict.ACCEPT),
        f"otherwise {REFUSALS}: {Verdict.ACCEPT!r}",
    ),
    (lambda: Lifetime(1, never, undated=True), f"undated {REFUSALS}: True"),
    (lambda: Lifetime(1, never, clock=0.0), "clock must be a function: 0.0"),
    (lambda: RatePerPeer(0, 1), "messages_per_second must be a finite number above 0: 0"),
    (lambda: RatePerPeer(math.inf, 1), "messages_per_second must be a finite number above 0: inf"),
    (lambda: RatePerPeer(1, 0), "burst must be a whole number above 0: 0"),
    (lambda: RatePerPeer(1, 1.5), "burst must be a whole number above 0: 1.5"),
    (
        lambda: RatePerPeer(1, 1, bytes_per_second=5.0),
        "bytes_per_second and burst_bytes go together",
    ),
    (lambda: RatePerAuthor(1, 1, burst_bytes=5), "bytes_per_second and burst_bytes go together"),
    (
        lambda: RatePerAuthor(1, 1, bytes_per_second=-1, burst_bytes=5),
        "bytes_per_second must be a finite number above 0: -1",
    ),
    (
        lambda: RatePerAuthor(1, 1, bytes_per_second=1, burst_bytes=0),
        "burst_bytes must be a whole number above 0: 0",
    ),
    (lambda: RatePerPeer(1, 1, capacity=0), "capacity must be a whole number above 0: 0"),
    (lambda: RatePerPeer(1, 1, clock=None), "clock must be a function: None"),
    (
        lambda: RatePerPeer(1, 1, otherwise=Verdict.ACCEPT),
        f"otherwise {REFUSALS}: {Verdict.ACCEPT!r}",
    ),
    (lambda: SequenceNumberTable(capacity=0), "capacity must be a whole number above 0: 0"),
    (
        lambda: SequenceNumberFile("x", save_interval=0),
        "save_interval must be a finite number above 0: 0",
    ),
    (lambda: SequenceNumberFile("x", capacity=-1), "capacity must be a whole number above 0: -1"),
    (lambda: all_of(), "all_of needs at least one validator"),
    (lambda: all_of(never, None), "a validator must be a function: None"),
]


@pytest.mark.parametrize(("build", "complaint"), REFUSED)
def test_a_validator_that_cannot_work_is_not_built(build, complaint):
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        build()
    assert str(refused.value) == complaint


@pytest.mark.parametrize("author", ["nobody", b"nobody", 5])
def test_an_author_is_a_peer_id(author):
    allowed = AuthorAllowList([AUTHOR])
    for call in (lambda: AuthorAllowList([author]), lambda: allowed.add(author)):
        with pytest.raises(LocalProtocolError):
            call()
    assert allowed.authors == {AUTHOR}
