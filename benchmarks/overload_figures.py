"""What an overload run came to: everything that was noted, cut into before, during and after.

Times are monotonic seconds, which all processes of one machine share.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from gossipsub.benchmarks.measurement import percentiles
from gossipsub.benchmarks.overload_process import TOPICS

HEARTBEAT = 1.0
"""Seconds between heartbeats of the target."""
SLOW_TIMER = 0.1
SLOW_PING = 0.25
SLOW_MESSAGE = 1.0
WAITING = 32
"""From here on it is not normal: seconds, and messages that wait for validation."""
FULL_SHARE = 0.95
MEMORY_BYTES = 96 << 20
"""Most that a target may grow: the tables and queues that a flood fills have bounds, but what is
accepted is remembered."""
RECOVERY_SECONDS = 5.0
VERIFIED_SHARE = 10.0


@dataclass(frozen=True, slots=True)
class Sent:
    """An honest message."""

    topic: str
    author: str
    number: int
    at: float


@dataclass(slots=True)
class Notes:
    """All that was seen in one run."""

    flood_began: float = math.inf
    flood_ended: float = math.inf
    readings: list[dict[str, Any]] = field(default_factory=list)
    """What the target told, in order."""
    pings: list[tuple[float, float | None]] = field(default_factory=list)
    """When, and the round trip; None where no answer came."""
    gossip: list[float] = field(default_factory=list)
    """When an IHAVE came to a subscriber outside the mesh: one at each heartbeat."""
    sent: list[Sent] = field(default_factory=list)
    flooders: list[dict[str, Any]] = field(default_factory=list)
    """What each flooder counted."""
    relayed: dict[str, int] = field(default_factory=dict)
    """By honest peer, how many messages it got; empty where the flood's were among them."""
    names: dict[str, str] = field(default_factory=dict)
    """What kind of peer an honest one is."""


def figures(notes: Notes) -> dict[str, Any]:
    """The run in numbers; `failures` says which promises they break."""
    during = [r for r in notes.readings if notes.flood_began <= r["at"] <= notes.flood_ended + 0.25]
    before = [r for r in notes.readings if r["at"] < notes.flood_began]
    after = [r for r in notes.readings if r["at"] > notes.flood_ended + 0.25]
    seconds = notes.flood_ended - notes.flood_began
    judged = _judged(during[-1]) - _judged(before[-1])
    offered = sum(each["offered"] for each in notes.flooders)
    report: dict[str, Any] = {
        "offered_per_s": round(offered / seconds),
        "sent_per_s": round(sum(each["sent"] for each in notes.flooders) / seconds),
        "judged_per_s": round(judged / seconds),
        "target_cpu_share": round((during[-1]["cpu_s"] - before[-1]["cpu_s"]) / seconds, 2),
        "target_starved_share": _starved_share(before[-1], during[-1], seconds),
        "flood_connections_lost": sum(each["lost_connections"] for each in notes.flooders),
        "timer_late_before_s": percentiles([late for r in before for late in r["late_s"]]),
        "timer_late_s": percentiles([late for r in during for late in r["late_s"]]),
        "heartbeat_late_s": _heartbeat_lateness(notes),
        "ping_before_s": _ping_times(notes, 0, notes.flood_began),
        "ping_s": _ping_times(notes, notes.flood_began, notes.flood_ended),
        "pings_unanswered": sum(trip is None for _, trip in notes.pings),
        "honest_before": _shares(notes, 0, notes.flood_began),
        "honest_share": _shares(notes, notes.flood_began, notes.flood_ended),
        "relayed_share": _relayed(notes),
        "memory_before_bytes": before[-1]["rss_bytes"],
        "memory_growth_bytes": max(r["rss_bytes"] for r in during + after)
        - before[-1]["rss_bytes"],
        "most_waiting": max(r["waiting"] for r in during),
        "rejections": _since(before[-1]["rejections"], notes.readings[-1]["rejections"]),
        "normal_after_s": _recovery(notes, after),
        "honest_disconnected": sorted(
            {notes.names[peer] for peer in notes.names for r in after if peer not in r["peers"]}
        ),
    }
    report["failures"] = failures(report)
    return report


def failures(report: dict[str, Any]) -> list[str]:
    """Which promises the figures break."""
    found: list[str] = []
    if report["offered_per_s"] < VERIFIED_SHARE * report["judged_per_s"]:
        found.append("the flood was too weak: less than 10 times what the target judged")
    for name in ("timer_late_s", "heartbeat_late_s"):
        if report[name] is None or report[name]["max"] > SLOW_TIMER:
            found.append(f"{name}: more than {SLOW_TIMER} s")
    if report["pings_unanswered"]:
        found.append(f"{report['pings_unanswered']} pings unanswered")
    for topic, shares in report["honest_share"].items():
        for name, told in shares.items():
            if told["share"] < FULL_SHARE:
                found.append(f"{name} in {topic}: {told['share']} of its messages came")
    for name, share in report["relayed_share"].items():
        if share < FULL_SHARE:
            found.append(f"{name} got {share} of what the other honest ones sent")
    if report["memory_growth_bytes"] > MEMORY_BYTES:
        found.append(f"memory grew by more than {MEMORY_BYTES >> 20} MiB")
    if report["normal_after_s"] is None or report["normal_after_s"] > RECOVERY_SECONDS:
        found.append(f"not normal {RECOVERY_SECONDS} s after the flood")
    found += [f"{name} was disconnected" for name in report["honest_disconnected"]]
    return found


def _judged(reading: dict[str, Any]) -> int:
    """Messages whose signature was looked at, or that were dropped for want of room."""
    rejected: int = reading["rejections"].get("invalid signature", 0)
    rejected += reading["rejections"].get("validation failed", 0)
    return rejected + int(reading["delivered"])


def _starved_share(first: dict[str, Any], last: dict[str, Any], seconds: float) -> float | None:
    """Of the time of the flood, how much the target's event loop waited for a processor: what
    others on the machine took is no fault of the target."""
    start, end = first["starved_s"], last["starved_s"]
    if start is None or end is None:
        return None
    return round(float(end - start) / seconds, 2)


def _since(then: dict[str, int], now: dict[str, int]) -> dict[str, int]:
    return dict(Counter(now) - Counter(then))


def _heartbeat_lateness(notes: Notes) -> dict[str, float] | None:
    """From outside: gossip comes at heartbeats, which are due at fixed times; when, is known from
    the quiet before the flood. What came later than a whole interval counts as that."""
    phases = [at % HEARTBEAT for at in notes.gossip if at < notes.flood_began]
    if not phases:
        return None
    turn = phases[0] - HEARTBEAT / 2  # so that none of them is near the wrap
    phase = min((each - turn) % HEARTBEAT for each in phases) + turn
    during = [at for at in notes.gossip if notes.flood_began <= at <= notes.flood_ended]
    late = [(at - phase) % HEARTBEAT for at in during]
    late = [each - HEARTBEAT if each > 0.95 * HEARTBEAT else each for each in late]
    late += [HEARTBEAT for one, next_one in pairwise(during) if next_one - one > 1.95 * HEARTBEAT]
    return percentiles([max(each, 0.0) for each in late])


def _ping_times(notes: Notes, start: float, end: float) -> dict[str, float] | None:
    return percentiles([trip for at, trip in notes.pings if start <= at < end and trip is not None])


def _shares(notes: Notes, start: float, end: float) -> dict[str, dict[str, dict[str, Any]]]:
    """By topic and honest peer: how many messages it sent then, what share of them reached the
    target, and how late."""
    came = _arrivals(notes)
    shares: dict[str, dict[str, dict[str, Any]]] = {}
    for topic in TOPICS:
        for author, name in notes.names.items():
            sent = [
                each
                for each in notes.sent
                if (each.topic, each.author) == (topic, author) and start <= each.at < end
            ]
            delays = [came[each] - each.at for each in sent if each in came]
            shares.setdefault(topic, {})[name] = {
                "sent": len(sent),
                "share": round(len(delays) / len(sent), 3) if sent else 0.0,
                "delay_s": percentiles(delays),
            }
    return shares


def _relayed(notes: Notes) -> dict[str, float]:
    """What share of each other's messages the honest peers got, through the target."""
    shares: dict[str, float] = {}
    for peer, received in notes.relayed.items():
        due = sum(each.author != peer for each in notes.sent)
        shares[notes.names[peer]] = round(received / due, 3) if due else 1.0
    return shares


def _arrivals(notes: Notes) -> dict[Sent, float]:
    """When honest messages reached the target."""
    came = {
        (topic, author, number): at
        for reading in notes.readings
        for topic, author, number, at in reading["arrived"]
    }
    keys = {sent: (sent.topic, sent.author, sent.number) for sent in notes.sent}
    return {sent: came[key] for sent, key in keys.items() if key in came}


def _recovery(notes: Notes, after: list[dict[str, Any]]) -> float | None:
    """Seconds from the end of the flood until nothing was out of the ordinary any more; None where
    something still was at the end."""
    if not after:
        return None
    end, last = notes.flood_ended, notes.readings[-1]["at"]
    came = _arrivals(notes)
    odd = [r["at"] for r in after if r["waiting"] >= WAITING]
    odd += [r["at"] for r in after if max(r["late_s"], default=0.0) > SLOW_TIMER]
    odd += [at for at, trip in notes.pings if at > end and (trip is None or trip > SLOW_PING)]
    for sent in notes.sent:
        if end < sent.at < last - SLOW_MESSAGE - HEARTBEAT:
            delay = came.get(sent, math.inf) - sent.at
            if delay > SLOW_MESSAGE:
                odd.append(sent.at)
    latest = max(odd, default=end)
    return None if latest > last - HEARTBEAT else round(latest - end, 2)
