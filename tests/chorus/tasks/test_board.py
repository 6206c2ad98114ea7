from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.tasks.board import TaskBoard
from gossipsub.chorus.tasks.effects import Effect, Finished, Say, Start, Stop
from gossipsub.chorus.tasks.messages import (
    MESSAGE_TYPES,
    Allocated,
    Announced,
    Claimed,
    Completed,
    Progressed,
    Said,
    Status,
)
from gossipsub.chorus.tasks.task import Job, Task, TaskOutcome, TaskParams, TaskResult
from gossipsub.wire.errors import LocalProtocolError

PARAMS = TaskParams(
    lease=10.0, retry_interval=1.0, announce_interval=4.0, max_retry_interval=8.0, claim_spread=0.5
)
TASK = Task(task_id="t", input={"n": 1})
OPEN = Announced("t", "", (), {"n": 1}, 1, 0)


def a_board(me: str = "ada", **options: Any) -> TaskBoard:
    return TaskBoard(me, **{"params": PARAMS, **options})


def hear(board: TaskBoard, said: Said, sender: str, now: float, **options: Any) -> list[Effect]:
    board.hear(said.message_type, said.to_data(), sender, now=now, **options)
    return board.effects()


def steps(board: TaskBoard, until: float) -> Iterator[tuple[float, Effect]]:
    """What it does by itself, and when; it may be answered at once."""
    while (now := board.next_deadline()) <= until:
        board.handle_timer(now=now)
        for effect in board.effects():
            yield now, effect


def wait(board: TaskBoard, until: float) -> list[tuple[float, Effect]]:
    return list(steps(board, until))


def announced(board: TaskBoard) -> TaskBoard:
    board.announce(TASK, now=0.0)
    assert board.effects() == [Say(OPEN, durable=True)]
    return board


def allocated(board: TaskBoard, lease: float = 10.0) -> TaskBoard:
    assert hear(board, Claimed("t", "bob", "ada", 1), "bob", 1.0) == [
        Say(Allocated("t", "bob", 1, lease, 0), durable=True)
    ]
    return board


# The announcer


def test_an_announcement_is_repeated_ever_less_often_until_somebody_claims() -> None:
    board = announced(a_board(capacity=0))
    assert wait(board, 40.0) == [(4.0, Say(OPEN)), *[(12.0 + 8 * n, Say(OPEN)) for n in range(4)]]


def test_many_tasks_that_nobody_claims_are_announced_again_at_a_bounded_rate() -> None:
    board = a_board(capacity=0)
    for number in range(1000):
        board.announce(Task(task_id=str(number)), now=0.0)
    board.effects()
    repeats = wait(board, 104.0)
    assert 490 <= len(repeats) <= 510  # 5 a second, after the first four
    assert len({effect.message.task_id for _, effect in repeats if isinstance(effect, Say)}) > 480


def test_as_many_tasks_are_announced_again_as_are_taken() -> None:
    board = a_board(capacity=0)
    for number in range(1000):
        board.announce(Task(task_id=str(number)), now=0.0)
    wait(board, 9.0)
    for number in range(200):
        assert hear(board, Claimed(str(number), "bob", "ada", 1), "bob", 9.0 + number / 100)
        board.hear("task_progress", {"task_id": str(number)}, "bob", now=9.0 + number / 100)
    announcements = [
        effect
        for _, effect in wait(board, 11.0)
        if isinstance(effect, Say) and isinstance(effect.message, Announced)
    ]
    assert len(announcements) <= 20  # not more than a second's worth is made up for
    for number in range(200, 400):
        now = 11.0 + (number - 200) / 100
        announcements += [effect for _, effect in wait(board, now) if isinstance(effect, Say)]
        hear(board, Claimed(str(number), "bob", "ada", 1), "bob", now)
        board.hear("task_progress", {"task_id": str(number)}, "bob", now=now)
    assert 200 <= len(announcements) <= 230


def test_an_allocation_is_repeated_until_its_worker_is_heard_and_then_not() -> None:
    board = allocated(announced(a_board(capacity=0)))
    # Where the log is slow, the first may not be durable yet.
    repeated = Say(Allocated("t", "bob", 1, 10.0, 0), durable=True)
    assert wait(board, 5.0) == [(2.0, repeated), (4.0, repeated)]
    assert hear(board, Progressed("t", "ada", 1, Status.WORKING), "bob", 5.0) == []
    assert wait(board, 14.9) == []


def test_a_lease_that_lapses_opens_the_task_for_the_next_attempt() -> None:
    board = allocated(announced(a_board(capacity=0)))
    lapsed = wait(board, 11.0)[-1]
    assert lapsed == (11.0, Say(Announced("t", "", (), {"n": 1}, 2, 1)))
    # The one that was lost waits for others to claim first.
    assert hear(board, Claimed("t", "bob", "ada", 2), "bob", 12.0) == []
    allocation = Say(Allocated("t", "carol", 2, 10.0, 1), durable=True)
    assert hear(board, Claimed("t", "carol", "ada", 2), "carol", 12.5) == [allocation]
    # Its late result is answered, and ignored.
    late = hear(board, Progressed("t", "ada", 1, Status.DONE, 1.0, output=1), "bob", 13.0)
    assert late == [Say(Progressed("t", "ada", 1, Status.CLOSED, agent="bob"))]
    done = hear(board, Progressed("t", "ada", 2, Status.DONE, 1.0, output=2), "carol", 14.0)
    assert done == [Say(Completed("t", "success", "carol", 2, 2), durable=True)]


def test_a_worker_that_comes_back_before_anybody_else_claims_keeps_its_task() -> None:
    board = allocated(announced(a_board(capacity=0)))
    wait(board, 11.0)
    assert hear(board, Progressed("t", "ada", 1, Status.WORKING), "bob", 11.5) == []
    assert hear(board, Claimed("t", "carol", "ada", 2), "carol", 12.0) == []
    done = hear(board, Progressed("t", "ada", 1, Status.DONE, 1.0), "bob", 13.0)
    assert done == [Say(Completed("t", "success", "bob", 1), durable=True)]


def test_a_result_of_one_that_does_not_have_the_task_is_ignored() -> None:
    board = allocated(announced(a_board(capacity=0)))
    closed = hear(board, Progressed("t", "ada", 1, Status.DONE, 1.0), "mallory", 2.0)
    assert closed == [Say(Progressed("t", "ada", 1, Status.CLOSED, agent="mallory"))]
    assert hear(board, Progressed("t", "ada", 2, Status.DONE, 1.0), "bob", 2.0) == []
    assert hear(board, Progressed("t", "eve", 1, Status.DONE, 1.0), "bob", 2.0) == []
    assert board.unfinished() == 1


def test_whoever_asks_for_a_completed_task_is_told_but_not_flooded() -> None:
    board = allocated(announced(a_board(capacity=0)))
    done = Progressed("t", "ada", 1, Status.DONE, 1.0, output="x")
    assert hear(board, done, "bob", 2.0) == [
        Say(Completed("t", "success", "bob", 1, "x"), durable=True)
    ]
    answer = Say(Progressed("t", "ada", 1, Status.CLOSED, agent="bob"))
    assert [hear(board, done, "bob", now) for now in (3.0, 3.5, 4.0)] == [[answer], [], [answer]]
    assert hear(board, Claimed("t", "carol", "ada", 1), "carol", 6.0) == [
        Say(Progressed("t", "ada", 1, Status.CLOSED, agent="carol"))
    ]
    assert not board.announce(TASK, now=7.0)


def test_agents_without_a_board_can_take_part_with_the_documents_fields_alone() -> None:
    board = announced(a_board(capacity=0))
    board.hear("task_claim", {"task_id": "t", "agent_id": "someone else"}, "gopher", now=1.0)
    assert board.effects() == [Say(Allocated("t", "gopher", 1, 10.0, 0), durable=True)]
    board.hear("task_claim", {"task_id": "t"}, "second gopher", now=2.0)
    assert all(isinstance(effect, Say) and not effect.durable for effect in board.effects())
    board.hear("task_progress", {"task_id": "t", "progress": 0.5, "status": "x"}, "gopher", now=8.0)
    assert wait(board, 17.0) == []  # the lease was renewed
    result = {"task_id": "t", "result": "success", "output": "deployed"}
    board.hear("task_complete", result, "gopher", now=17.0)
    assert board.effects() == [
        Say(Completed("t", "success", "gopher", 1, "deployed"), durable=True)
    ]


def test_a_completion_of_another_announcers_task_of_the_same_id_is_no_report() -> None:
    board = allocated(announced(a_board(capacity=0)))
    theirs = Completed("t", "success", "carol", 1, output="of their own task")
    outcome = TaskOutcome("t", "bob", TaskResult.SUCCESS, "of their own task", "carol", 1)
    assert hear(board, theirs, "bob", 2.0) == [Finished(outcome)]
    assert board.unfinished() == 1


def test_a_withdrawal_of_another_announcers_task_of_the_same_id_is_no_report() -> None:
    board = allocated(announced(a_board(capacity=0)))
    told = hear(board, Completed("t", "withdrawn"), "bob", 2.0)
    assert told == [Finished(TaskOutcome("t", "bob", TaskResult.WITHDRAWN))]
    assert board.unfinished() == 1


def test_a_worker_that_reports_for_ever_loses_its_task_when_the_time_limit_is_over() -> None:
    params = TaskParams(lease=10.0, time_limit=100.0)
    board = allocated(announced(a_board(capacity=0, params=params)))
    said: list[tuple[float, Effect]] = []
    for now in range(2, 120, 4):
        said += wait(board, float(now))
        said += [
            (float(now), effect)
            for effect in hear(board, Progressed("t", "ada", 1, Status.WORKING), "bob", float(now))
        ]
    assert said[:2] == [
        (111.0, Say(Announced("t", "", (), {"n": 1}, 2, 1))),
        (114.0, Say(Progressed("t", "ada", 1, Status.CLOSED, agent="bob"))),
    ]


def test_one_that_claims_everything_and_is_not_heard_holds_up_a_few_tasks_only() -> None:
    board = a_board(capacity=0)
    for number in range(200):
        board.announce(Task(task_id=str(number)), now=0.0)
        board.hear("task_claim", {"task_id": str(number), "announcer": "ada"}, "mallory", now=0.0)
    given = [effect.message for effect in board.effects() if isinstance(effect, Say)]
    assert sum(isinstance(said, Allocated) for said in given) == 64
    # One that is heard gets more.
    board.hear("task_progress", {"task_id": "0", "status": "working"}, "mallory", now=1.0)
    assert len(hear(board, Claimed("199", "mallory", "ada", 1), "mallory", 1.0)) == 1
    assert hear(board, Claimed("198", "mallory", "ada", 1), "mallory", 1.0) == []
    assert len(hear(board, Claimed("198", "bob", "ada", 1), "bob", 1.0)) == 1


# The worker


def test_a_worker_claims_works_and_repeats_its_result_until_it_is_confirmed() -> None:
    board = a_board("bob")
    assert hear(board, OPEN, "ada", 0.0) == []
    ((when, claim),) = wait(board, 0.5)
    assert 0 <= when <= 0.5
    assert claim == Say(Claimed("t", "bob", "ada", 1))
    assert hear(board, Allocated("t", "bob", 1, 9.0, 0), "ada", 1.0) == [
        Start(Job(TASK, "ada", 1, 9.0))
    ]
    working = Say(Progressed("t", "ada", 1, Status.WORKING))
    assert wait(board, 6.0) == [(1.5, working), (4.5, working)]
    board.finish(("ada", "t"), 1, "out", now=6.0)
    done = Say(Progressed("t", "ada", 1, Status.DONE, 1.0, output="out"))
    assert board.effects() == [done]
    assert wait(board, 25.0) == [(when, done) for when in (7.0, 9.0, 13.0, 21.0)]
    completed = Completed("t", "success", "bob", 1, "out")
    outcome = TaskOutcome("t", "ada", TaskResult.SUCCESS, "out", "bob", 1)
    assert hear(board, completed, "ada", 26.0) == [Finished(outcome)]
    assert hear(board, completed, "ada", 27.0) == []
    assert (board.next_deadline(), board.busy) == (inf, 0)


def test_claims_are_repeated_and_given_up_until_the_task_is_announced_again() -> None:
    board = a_board("bob")
    hear(board, OPEN, "ada", 0.0)
    claims = wait(board, 100.0)
    assert [effect for _, effect in claims] == [Say(Claimed("t", "bob", "ada", 1))] * 3
    assert (board.busy, board.next_deadline()) == (0, inf)
    hear(board, OPEN, "ada", 100.0)
    assert len(wait(board, 101.0)) == 1


@pytest.mark.timeout(20)
@pytest.mark.parametrize("lease", [1e-300, 1e-9, 0.001])
def test_an_announcer_that_lends_for_no_time_does_not_make_a_worker_talk_without_end(
    lease: float,
) -> None:
    board = a_board("bob")
    hear(board, OPEN, "ada", 0.0)
    wait(board, 0.5)
    hear(board, Allocated("t", "bob", 1, lease, 0), "ada", 1.0)
    assert 5 <= len(wait(board, 2.0)) <= 10


def test_an_announcer_that_asks_again_and_again_gets_the_result_now_and_then() -> None:
    board = a_board("bob")
    hear(board, OPEN, "ada", 0.0)
    wait(board, 0.5)
    hear(board, Allocated("t", "bob", 1, 9.0, 0), "ada", 1.0)
    board.finish(("ada", "t"), 1, "x" * 100_000, now=1.0)
    board.effects()
    said: list[Effect] = []
    for number in range(100):
        now = 1.0 + number / 100
        said += hear(board, Allocated("t", "bob", 1, 9.0, 0), "ada", now)
        said += hear(board, Announced("t", "", (), None, 2 + number, 0), "ada", now)
    assert len(said) == 1


def test_a_long_reason_and_a_long_message_are_cut_so_that_they_can_be_said() -> None:
    board = a_board("bob")
    hear(board, OPEN, "ada", 0.0)
    wait(board, 0.5)
    hear(board, Allocated("t", "bob", 1, 9.0, 0), "ada", 1.0)
    board.report(("ada", "t"), 1, 0.5, "x" * 300_000, now=1.5)
    working = Progressed("t", "ada", 1, Status.WORKING, 0.5, "x" * 2000)
    assert board.effects() == [Say(working)]
    board.fail(("ada", "t"), 1, "y" * 300_000, now=2.0)
    assert board.effects() == [Say(Progressed("t", "ada", 1, Status.FAILED, error="y" * 2000))]


def test_one_that_claims_again_and_again_keeps_nobody_from_a_task() -> None:
    board = a_board("bob")
    hear(board, OPEN, "ada", 0.0)
    said: list[tuple[float, Effect]] = []
    for tenth in range(50):
        said += wait(board, tenth / 10)
        hear(board, Claimed("t", "mallory", "ada", 1), "mallory", tenth / 10)
    assert [effect for _, effect in said][:1] == [Say(Claimed("t", "bob", "ada", 1))]


def test_one_that_lets_its_lease_lapse_gets_no_second_try_where_another_wants_the_task() -> None:
    """Even if it claims first, so that the other waits."""
    ada, bob = announced(a_board(capacity=0)), a_board("bob")
    allocation: list[Effect] = []
    hear(bob, OPEN, "ada", 0.0)
    hear(ada, Claimed("t", "mallory", "ada", 1), "mallory", 0.0)
    hear(bob, Allocated("t", "mallory", 1, 10.0, 0), "ada", 0.0)
    ((when, opened),) = wait(ada, 10.0)[-1:]
    assert isinstance(opened, Say)
    hear(bob, opened.message, "ada", when)
    for tenth in range(100):
        now = when + tenth / 10
        claim = Claimed("t", "mallory", "ada", 2)
        hear(bob, claim, "mallory", now)
        allocation += hear(ada, claim, "mallory", now)
        for _, effect in wait(bob, now):
            assert isinstance(effect, Say)
            allocation += hear(ada, effect.message, "bob", now)
    assert allocation[:1] == [Say(Allocated("t", "bob", 2, 10.0, 1), durable=True)]


def test_an_announcer_that_died_does_not_keep_agents_from_the_tasks_of_others() -> None:
    board = a_board("bob")
    for number in range(50):
        hear(board, Announced(f"dead-{number}", "", (), None, 1, 0), "ghost", 0.0)
    wait(board, 10.0)
    done = 0
    for number in range(5):
        now = 10.0 + 10 * number
        hear(board, Announced(f"live-{number}", "", (), None, 1, 0), "ada", now)
        for when, effect in steps(board, now + 10):
            if isinstance(effect, Say) and effect.message == Claimed(
                f"live-{number}", "bob", "ada", 1
            ):
                assert when < now + 5
                done += 1
                hear(board, Completed(f"live-{number}", "success"), "ada", when)
    assert done == 5


def test_announcers_that_answer_nobody_take_turns_with_the_others() -> None:
    board = a_board("bob", params=TaskParams(claim_spread=0.0))
    for name in ("mallory", "ada"):
        for number in range(20):
            hear(board, Announced(f"t{number}", "", (), None, 1, 0), name, 0.0)
    names: list[str] = []
    for when, effect in steps(board, 120.0):
        if isinstance(effect, Say) and isinstance(effect.message, Claimed):
            names.append(effect.message.announcer)
            if names[-1] == "ada":
                hear(board, Completed(effect.message.task_id, "success"), "ada", when)
    assert names[:24] == ["mallory"] * 3 + ["ada"] * 20 + ["mallory"]


def test_a_task_that_is_claimed_does_not_make_room_for_others() -> None:
    board = a_board("bob", params=TaskParams(max_offers=10, claim_spread=0.0))
    hear(board, OPEN, "ada", 0.0)
    assert wait(board, 0.0) == [(0.0, Say(Claimed("t", "bob", "ada", 1)))]
    for number in range(100):
        hear(board, Announced(f"t{number}", "", (), None, 1, 0), "ada", 0.1)
    started = hear(board, Allocated("t", "bob", 1, 9.0, 0), "ada", 0.2)
    assert started == [Start(Job(TASK, "ada", 1, 9.0))]


def test_what_is_on_offer_is_bounded_in_bytes_as_well() -> None:
    board = a_board("bob", capacity=1, params=TaskParams(claim_spread=0.0))
    board.hear("task_announcement", OPEN.to_data(), "ada", now=0.0, size_bytes=200)
    for number in range(1000):
        large = Announced(f"t{number}", "", (), "x", 1, 0).to_data()
        board.hear("task_announcement", large, "mallory", now=0.0, size_bytes=256 << 10)
    claimed: list[str] = []
    for now, effect in steps(board, 1000.0):
        assert isinstance(effect, Say)
        claimed.append(effect.message.task_id)
        closed = Progressed(claimed[-1], "", 1, Status.CLOSED, agent="bob")
        for announcer in ("ada", "mallory"):
            hear(board, closed, announcer, now)
    assert claimed == ["t", *[f"t{number}" for number in range(937, 1000)]]


def test_agents_draw_different_tasks_to_claim_first() -> None:
    firsts = Counter()
    for number in range(20):
        board = a_board(f"agent-{number}")
        for task in range(20):
            hear(board, Announced(f"t{task}", "", (), None, 1, 0), "ada", 0.0)
        (_, claim), *_ = wait(board, 0.5)
        assert isinstance(claim, Say)
        firsts[claim.message.task_id] += 1
    assert len(firsts) > 8
    assert max(firsts.values()) <= 5


def test_a_claim_of_another_is_waited_for() -> None:
    board = a_board("bob")
    hear(board, OPEN, "ada", 0.0)
    hear(board, Claimed("t", "carol", "ada", 1), "carol", 0.0)
    assert wait(board, 1.9) == []
    hear(board, Allocated("t", "carol", 1, 9.0, 0), "ada", 2.0)
    assert wait(board, 100.0) == []


def test_no_more_is_claimed_than_there_is_room_for() -> None:
    board = a_board("bob", capacity=2)
    for number in range(5):
        hear(board, Announced(f"t{number}", "", (), None, 1, 0), "ada", 0.0)
    claims = wait(board, 0.9)
    assert len({effect.message.task_id for _, effect in claims if isinstance(effect, Say)}) == 2
    assert board.busy == 2


def test_work_that_was_given_to_another_is_stopped() -> None:
    board = a_board("bob")
    hear(board, OPEN, "ada", 0.0)
    wait(board, 0.5)
    hear(board, Allocated("t", "bob", 1, 9.0, 0), "ada", 1.0)
    # Said by one that is not the task's announcer: another task.
    assert hear(board, Allocated("t", "carol", 2, 9.0, 0), "mallory", 2.0) == []
    assert hear(board, Completed("t", "success"), "mallory", 2.0)[1:] == []
    assert hear(board, Progressed("t", "ada", 1, Status.CLOSED, agent="carol"), "ada", 2.0) == []
    assert hear(board, Allocated("t", "carol", 2, 9.0, 0), "ada", 2.0) == [Stop(("ada", "t"), 1)]
    board.finish(("ada", "t"), 1, "late", now=3.0)
    assert (board.effects(), board.busy) == ([], 0)


def test_an_allocation_that_was_not_claimed_in_this_life_is_declined() -> None:
    board = a_board("bob")
    assert hear(board, Allocated("t", "bob", 3, 9.0, 0), "ada", 0.0) == [
        Say(Progressed("t", "ada", 3, Status.DECLINED))
    ]


def test_old_messages_from_a_log_make_nobody_claim_what_is_completed() -> None:
    board = a_board("bob")
    hear(board, OPEN, "ada", 0.0, is_caught_up=True)
    assert wait(board, 1.9) == []  # longer than a live one would wait
    assert hear(board, Allocated("t", "bob", 1, 9.0, 0), "ada", 1.0, is_caught_up=True) == []
    told = hear(board, Completed("t", "failed", error="x"), "ada", 1.9, is_caught_up=True)
    assert told == [Finished(TaskOutcome("t", "ada", TaskResult.FAILED, error="x"))]
    assert wait(board, 100.0) == []


def test_one_announcer_cannot_drive_out_the_tasks_of_others() -> None:
    board = a_board("bob", capacity=1, params=TaskParams(max_offers=10, claim_spread=0.5))
    hear(board, OPEN, "ada", 0.0)
    for number in range(100):
        hear(board, Announced(f"spam{number}", "", (), None, 1, 0), "mallory", 0.0)
    claimed: set[str] = set()
    for now, effect in wait(board, 100.0):
        if isinstance(effect, Say) and isinstance(effect.message, Claimed):
            claimed.add(effect.message.announcer)
            closed = Progressed(effect.message.task_id, "", 1, Status.CLOSED, agent="bob")
            hear(board, closed, effect.message.announcer, now)
    assert claimed == {"ada", "mallory"}


# What cannot be published


def test_a_repetition_that_cannot_be_published_forgets_no_task() -> None:
    board = announced(a_board(capacity=0))
    assert board.unpublishable(Say(OPEN), "the redactor failed", now=1.0)
    assert board.unfinished() == 1
    assert board.unpublishable(Say(OPEN, durable=True), "too large", now=1.0)
    assert board.unfinished() == 0


def test_a_completion_that_cannot_be_published_is_one_without_output_or_none() -> None:
    board = allocated(announced(a_board(capacity=0)))
    done = Progressed("t", "ada", 1, Status.DONE, 1.0, output="x")
    (completion,) = hear(board, done, "bob", 2.0)
    assert isinstance(completion, Say)
    assert board.unpublishable(completion, "too large", now=2.0)
    bare = Say(Completed("t", "failed", "bob", 1, error="too large"), durable=True, is_bare=True)
    assert board.effects() == [bare]
    assert not board.unpublishable(bare, "the redactor failed", now=2.0)


def test_a_workers_reason_that_cannot_be_published_does_not_end_the_announcer() -> None:
    board = allocated(announced(a_board(capacity=0, params=TaskParams(max_failures=1))), 15.0)
    failed = Progressed("t", "ada", 1, Status.FAILED, error="poison")
    (completion,) = hear(board, failed, "bob", 2.0)
    assert isinstance(completion, Say)
    assert board.unpublishable(completion, "the redactor failed", now=2.0)
    bare = Completed("t", "failed", "bob", 1, error="the redactor failed")
    assert board.effects() == [Say(bare, durable=True, is_bare=True)]


# Whatever is said

values = (
    st.sampled_from([None, True, "t", "ada", 1, 2, "done", "failed", "closed", [], ["x"], [1], {}])
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
)
NAMES = (
    "task_id", "announcer", "agent_id", "attempt", "failures", "lease_seconds", "progress",
    "status", "message", "output", "error", "result", "capabilities", "description", "input",
)  # fmt: skip


@given(
    messages=st.lists(
        st.tuples(
            st.sampled_from([*sorted(MESSAGE_TYPES), MessageType.META_DISCUSSION, "unknown"]),
            st.none() | st.dictionaries(st.sampled_from(NAMES), values, max_size=8),
            st.sampled_from(["ada", "bob", "mallory"]),
        ),
        max_size=8,
    )
)
def test_nothing_that_is_said_makes_a_board_raise(messages: list[tuple[str, Any, str]]) -> None:
    board = announced(a_board())
    for now, (kind, data, sender) in enumerate(messages):
        board.hear(kind, data, sender, now=float(now))
        board.handle_timer(now=float(now))
        board.effects()
    assert board.busy <= 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Task(task_id=""),
        lambda: Task(task_id="x" * 257),
        lambda: Task(task_id="not utf-8: \udcff"),
        lambda: Task(task_id="t", capabilities=("\u0130" * 256,)),  # longer in lower case
        lambda: TaskParams(lease=0.4),
        lambda: Task(task_id="t", description=1),
        lambda: Task(task_id="t", capabilities=("",)),
        lambda: Task(task_id="t", capabilities="python"),
        lambda: TaskParams(lease=0),
        lambda: TaskParams(max_failures=0),
        lambda: TaskParams(claim_spread=-1),
        lambda: TaskParams(max_retry_interval=1),
        lambda: TaskBoard("ada", capacity=-1),
        lambda: TaskBoard("ada", capacity=True),
    ],
)
def test_what_cannot_be_is_an_error_at_once(make: Any) -> None:
    with pytest.raises(LocalProtocolError):
        make()


def test_more_tasks_than_may_be_under_way_are_an_error() -> None:
    board = a_board(params=TaskParams(max_tasks=2))
    for number in range(2):
        board.announce(Task(task_id=str(number)), now=0.0)
    with pytest.raises(LocalProtocolError, match="2 tasks are under way already"):
        board.announce(Task(task_id="2"), now=0.0)
