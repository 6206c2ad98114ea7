"""The demo's account: what was said must be heard by everyone else, once."""

from __future__ import annotations

from gossipsub.demo.ledger import Account, Ledger


def ledger_of(*names: str) -> Ledger:
    ledger = Ledger()
    for name in names:
        ledger.accounts[name] = Account(name, "python")
    return ledger


def test_a_message_nobody_heard_is_missing_at_every_other_agent() -> None:
    ledger = ledger_of("a", "b", "c")
    ledger.note_said("a", "task_claim", {"serial": 7, "task_id": "t"})
    assert ledger.missing() == [("b", "a", 7), ("c", "a", 7)]


def test_a_message_everyone_heard_is_not_missing() -> None:
    ledger = ledger_of("a", "b")
    ledger.note_said("a", "task_claim", {"serial": 7, "task_id": "t"})
    ledger.note_heard("b", "task_claim", "a", 7, 1000.0)
    assert ledger.missing() == []


def test_introductions_are_not_counted() -> None:
    ledger = ledger_of("a", "b")
    ledger.note_said("a", "capability_broadcast", {"serial": 1})
    ledger.note_heard("b", "capability_broadcast", "a", 1, 10.0)
    assert (ledger.said, ledger.accounts["b"].heard) == ({}, {})


def test_a_row_tells_what_was_said_heard_lost_and_repeated() -> None:
    ledger = ledger_of("a", "b")
    ledger.note_said("a", "task_claim", {"serial": 1, "task_id": "t"})
    ledger.note_said("a", "task_complete", {"serial": 2, "task_id": "t", "result": "success"})
    ledger.note_heard("b", "task_claim", "a", 1, 3000.0)
    ledger.note_heard("b", "task_claim", "a", 1, 5000.0)
    assert ledger.row("b") == {
        "agent": "b",
        "implementation": "python",
        "peer": "b",
        "completed": 0,
        "said": 0,
        "heard": 1,
        "expected": 2,
        "lost": 1,
        "repeated": 1,
        "latency_ms": {"median": 5.0, "p99": 5.0},
    }
    assert ledger.row("a")["completed"] == 1


def test_a_task_that_failed_is_not_completed() -> None:
    ledger = ledger_of("a")
    ledger.note_said("a", "task_complete", {"serial": 1, "task_id": "t", "result": "failed"})
    assert ledger.completed == {}
