"""How long peers that failed are left alone."""

from __future__ import annotations

import random

from gossipsub.transport.dial_backoff import MOST_PEERS, DialBackoff


def backoff() -> DialBackoff:
    return DialBackoff(delay=5.0, limit=40.0, rng=random.Random(1))


def pause(made: DialBackoff, peer: bytes, *, after: float) -> float:
    """Tenths of seconds after which the peer may be dialled again."""
    tenths = next(n for n in range(10_000) if made.allows(peer, now=after + n / 10))
    return tenths / 10


def test_each_failure_doubles_the_pause_up_to_a_limit_and_no_two_are_quite_the_same():
    made = backoff()
    assert made.allows(b"a", now=0.0)
    pauses = []
    for number in range(6):
        now = 1000.0 * number
        made.failed(b"a", now=now)
        pauses.append(pause(made, b"a", after=now))
    for measured, exact in zip(pauses, (5, 10, 20, 40, 40, 40), strict=True):
        assert 0.8 * exact <= measured <= 1.2 * exact + 0.1
    assert len(set(pauses)) == len(pauses)
    assert made.allows(b"b", now=0.0)


def test_what_is_forgotten_begins_anew():
    made = backoff()
    for _ in range(4):
        made.failed(b"a", now=0.0)
    made.forget(b"a")
    made.forget(b"a")
    assert made.allows(b"a", now=0.0)
    made.failed(b"a", now=0.0)
    assert pause(made, b"a", after=0.0) <= 6.1


def test_the_table_is_bounded_and_the_longest_quiet_leaves_it():
    made = backoff()
    peers = [b"%d" % number for number in range(MOST_PEERS + 1)]
    for peer in peers[:-1]:
        made.failed(peer, now=0.0)
    made.failed(peers[0], now=0.0)
    made.failed(peers[-1], now=0.0)
    allowed = [peer for peer in peers if made.allows(peer, now=0.0)]
    assert allowed == [peers[1]]
