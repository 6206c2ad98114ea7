"""Figures of an overload run, from notes that are made up."""

from __future__ import annotations

from typing import Any

from gossipsub.benchmarks.overload_figures import Notes, Sent, figures

CALM = {"late_s": [0.001] * 3, "arrived": [], "waiting": 0, "peers": ["A", "B"]}


def reading(at: float, *, judged: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        **CALM,
        "at": at,
        "cpu_s": at / 2,
        "starved_s": at / 4,
        "rss_bytes": 50 << 20,
        "delivered": 0,
        "duplicates": 0,
        "rejections": {"invalid signature": judged},
        "rpc_dropped": 0,
        **changes,
    }


def notes(**changes: Any) -> Notes:
    """Ten seconds of flood from 100 on, in which all went well."""
    sent = [
        Sent(topic, author, number, 95.0 + number)
        for topic in ("flooded", "quiet")
        for author in ("A", "B")
        for number in range(24)
    ]
    made = Notes(
        flood_began=100.0,
        flood_ended=110.0,
        readings=[
            reading(at, judged=int(max(0, min(at, 110) - 100) * 1000)) for at in range(95, 121)
        ],
        pings=[(at, 0.002) for at in range(95, 120)],
        gossip=[at + 0.25 for at in range(95, 120)],
        sent=sent,
        flooders=[{"offered": 120_000, "sent": 10_000, "lost_connections": 1}],
        names={"A": "go", "B": "python"},
    )
    made.readings[-1]["arrived"] = [[s.topic, s.author, s.number, s.at + 0.05] for s in sent]
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def test_a_run_in_which_all_went_well_breaks_no_promise() -> None:
    told = figures(notes(relayed={"A": 48, "B": 48}))
    assert told["failures"] == []
    rates = (told["offered_per_s"], told["sent_per_s"], told["judged_per_s"])
    assert rates == (12_000, 1000, 1000)
    assert (told["normal_after_s"], told["memory_growth_bytes"]) == (0.0, 0)
    assert (told["target_cpu_share"], told["target_starved_share"]) == (0.55, 0.28)
    assert told["relayed_share"] == {"go": 1.0, "python": 1.0}
    assert told["honest_share"]["quiet"]["go"]["sent"] == 10
    assert told["honest_share"]["flooded"]["python"]["share"] == 1.0


def test_where_the_system_does_not_tell_whether_the_target_starved_neither_do_the_figures() -> None:
    run = notes()
    for each in run.readings:
        each["starved_s"] = None
    assert figures(run)["target_starved_share"] is None


def test_a_flood_that_is_no_flood_shows_nothing() -> None:
    weak = figures(notes(flooders=[{"offered": 99_000, "sent": 9000, "lost_connections": 0}]))
    assert weak["failures"] == ["the flood was too weak: less than 10 times what the target judged"]


def test_late_heartbeats_show_in_the_gossip() -> None:
    late = [at + 0.25 + (0.3 if at == 105 else 0.0) for at in range(95, 120)]
    told = figures(notes(gossip=late))
    assert round(told["heartbeat_late_s"]["max"], 3) == 0.3
    assert told["failures"] == ["heartbeat_late_s: more than 0.1 s"]


def test_a_heartbeat_left_out_counts_as_a_whole_interval() -> None:
    told = figures(notes(gossip=[at + 0.25 for at in range(95, 120) if at != 105]))
    assert told["heartbeat_late_s"]["max"] == 1.0


def test_late_timers_lost_pings_memory_and_lost_peers_break_promises() -> None:
    run = notes()
    run.readings[8] = reading(103.0, late_s=[0.5])
    run.readings[9] = reading(104.0, rss_bytes=200 << 20)
    run.readings[20] = reading(115.0, peers=["A"])
    run.pings[7] = (102.0, None)
    assert figures(run)["failures"] == [
        "timer_late_s: more than 0.1 s",
        "1 pings unanswered",
        "memory grew by more than 96 MiB",
        "python was disconnected",
    ]


def test_honest_messages_that_never_came_are_told_by_topic_and_peer() -> None:
    run = notes(relayed={"A": 24, "B": 48})
    run.readings[-1]["arrived"] = [
        arrived
        for arrived in run.readings[-1]["arrived"]
        if arrived[:2] != ["flooded", "A"] or arrived[2] % 2
    ]
    told = figures(run)
    assert told["honest_share"]["flooded"]["go"]["share"] == 0.5
    assert told["failures"] == [
        "go in flooded: 0.5 of its messages came",
        "go got 0.5 of what the other honest ones sent",
        "not normal 5.0 s after the flood",
    ]


def test_recovery_is_when_the_last_odd_thing_happened() -> None:
    run = notes()
    run.readings[17] = reading(112.0, waiting=200)
    run.pings[18] = (113.0, 0.4)
    assert figures(run)["normal_after_s"] == 3.0
    run.readings[-1]["late_s"] = [0.4]
    assert figures(run)["normal_after_s"] is None
