"""What the runner makes of cases, good and bad, on targets good and bad."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace

import anyio
import pytest

from gossipsub.conformance.driver import PeerFailed, start_peer
from gossipsub.conformance.kit.case import Case, case, choose_cases
from gossipsub.conformance.kit.node import Node
from gossipsub.conformance.kit.results import Result
from gossipsub.conformance.kit.runner import MOST_TRIED_AGAIN, probe, run_case, run_cases
from gossipsub.conformance.kit.session import Session
from gossipsub.conformance.kit.target import Target
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.kit.verdict import CannotTry, Verdict
from gossipsub.conformance.scripted_wire import WireTimeout

pytestmark = pytest.mark.anyio

PEER = """
import json, os, signal, sys, time
if "--score" in sys.argv:
    print("no such flag", file=sys.stderr)
    sys.exit(2)
if "--panic" in sys.argv:
    print("panic: nil map\\n\\ngoroutine 1 [running]:", file=sys.stderr)
    sys.exit(2)
if "--deaf" in sys.argv:
    ready = {"event": "ready", "peer_id": "12D3KooW", "addrs": []}
    print(json.dumps(ready), flush=True)
    sys.stdin.read()
if "--cannot" in sys.argv:
    print("Dout contradicts D", file=sys.stderr)
    sys.exit(2)
if "--fails" in sys.argv:
    sys.exit(1)
if "--raises" in sys.argv:
    sys.excepthook = lambda *error: (sys.__excepthook__(*error), sys.stderr.flush(), os._exit(2))
    raise KeyError("D")
ready = {"event": "ready", "peer_id": "12D3KooW", "addrs": ["/ip4/127.0.0.1/tcp/9/p2p/12D3KooW"],
         "impl": "fake", "versions": {"fake": "9"}, "pid": 1, "unsupported_params": ["Dout"]}
print(json.dumps(ready), flush=True)
for line in sys.stdin:
    command = json.loads(line)
    answer = {"event": "ok", "cmd": command["cmd"], "id": command.get("id"), "peers": []}
    if command["cmd"] == "scores":
        answer |= {"event": "error", "error": "unsupported: scores"}
    if command["cmd"] == "connect":
        lacks = "--undirected" in sys.argv
        answer |= {"event": "error", "error": "unsupported: connect" if lacks else "refused"}
    if command["cmd"] == "peers":
        answer |= {"event": "error", "error": "unsupported protocol: noise"}
    if command["cmd"] == "topic_peers":
        answer["peers"] = None
    if command["cmd"] == "disconnect":
        sys.exit(7)
    if command["cmd"] == "exit" and "--stays" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
    if command["cmd"] == "exit" and "--falls" in sys.argv:
        os.kill(os.getpid(), 11)
    if command["cmd"] == "exit" and "--throws" in sys.argv:
        raise KeyError("too late")
    print(json.dumps(answer), flush=True)
    if command["cmd"] == "app_score":
        sys.exit(0)
    if command["cmd"] == "exit":
        break
"""
FAKE = Target(name="fake", command=(sys.executable, "-I", "-c", PEER))

Script = Callable[[Trial], Awaitable[None]]


def made_up(script: Script, **fields: object) -> Case:
    values: dict[str, object] = {"id": "PNG-05", "fault": "", "also": (), "address": False}
    values |= {"script": script, "time_limit": 20.0}
    return Case(**{**values, **fields})  # type: ignore[arg-type]


def outcome(result: Result) -> tuple[Verdict, str, str, str]:
    return result.verdict, result.expected, result.came, result.reason


async def passes(trial: Trial) -> None:
    node = await trial.start(subscribed=True)
    trial.equal("peers", (await node.command("mesh", topic="t"))["peers"], [])
    trial.observe("goes left")


async def test_a_case_passes_and_says_which_way_the_target_went():
    result = await run_case(FAKE, made_up(passes))
    assert outcome(result) == (Verdict.PASSED, "", "", "")
    assert result.observed == ("goes left",)
    assert result.transcript == ()
    assert (result.title, result.rule, result.area, result.level) == (
        "passes",
        "PNG-05",
        "PNG",
        "MUST",
    )


async def check_fails(trial: Trial) -> None:
    trial.equal("backoff", 10, 60)


async def wait_fails(trial: Trial) -> None:
    with trial.expecting("a PRUNE"):
        raise WireTimeout("no RPC within 5 s")


async def refused(trial: Trial) -> None:
    node = await trial.start()
    with trial.expecting("a connection"):
        await node.command("connect", addr="x")


async def dies(trial: Trial) -> None:
    node = await trial.start()
    await node.command("disconnect", peer="x")


async def cannot_be_reached(trial: Trial) -> None:
    await trial.start(arguments=["--deaf"])


async def answers_nonsense(trial: Trial) -> None:
    node = await trial.start()
    await node.command("topic_peers", topic="t")


async def crashes_at_its_start(trial: Trial) -> None:
    await trial.start(arguments=["--panic"])


async def ends_at_its_start_given_parameters(trial: Trial) -> None:
    await trial.start(params={"D": 3}, arguments=["--fails"])


async def raises_at_its_start_given_parameters(trial: Trial) -> None:
    await trial.start(params={"D": 3}, arguments=["--raises"])


async def finds_something_unsupported(trial: Trial) -> None:
    node = await trial.start()
    with trial.expecting("peers"):
        await node.command("peers")


async def never_ends(trial: Trial) -> None:
    await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("script", "expected", "came"),
    [
        (check_fails, "backoff: 60", "backoff: 10"),
        (wait_fails, "a PRUNE", "no RPC within 5 s"),
        (refused, "a connection", "connect: refused"),
        (
            dies,
            "the target: dies",
            "the fake peer cannot do disconnect: closed its standard output",
        ),
        (cannot_be_reached, "the target: cannot be reached", "the target tells no address"),
        (
            answers_nonsense,
            "the target: answers nonsense",
            "the fake peer broke the protocol: its answer to topic_peers has no peers",
        ),
        (
            crashes_at_its_start,
            "the target: crashes at its start",
            "the fake peer sent no such ready event: closed its standard output; exit status 2",
        ),
        (
            ends_at_its_start_given_parameters,
            "the target: ends at its start given parameters",
            "the fake peer sent no such ready event: closed its standard output; exit status 1",
        ),
        (
            raises_at_its_start_given_parameters,
            "the target: raises at its start given parameters",
            "the fake peer sent no such ready event: closed its standard output; exit status 2",
        ),
        (finds_something_unsupported, "peers", "peers: unsupported protocol: noise"),
        (never_ends, "an end within 0.2 s", "none"),
    ],
)
async def test_what_the_target_does_not_do_is_a_failure(script, expected, came):
    limit = 0.2 if script is never_ends else 20.0
    result = await run_case(FAKE, made_up(script, time_limit=limit))
    assert result.verdict is Verdict.FAILED
    assert result.expected == expected
    assert result.came.startswith(came)


async def ended(node: Node) -> None:
    with anyio.fail_after(15):
        while node.process.exit_status is None:
            await anyio.sleep(0.02)


async def leaves(trial: Trial) -> None:
    node = await trial.start()
    await node.command("app_score")
    await ended(node)


async def falls(trial: Trial) -> None:
    await trial.start(arguments=["--falls"])


async def throws(trial: Trial) -> None:
    await trial.start(arguments=["--throws"])


@pytest.mark.parametrize(
    ("script", "came"),
    [
        (leaves, "the fake peer was not to end yet: .*exit status 0"),
        (falls, "the fake peer crashed when it was told to end; exit status -11"),
        (throws, "the fake peer crashed when it was told to end; exit status 1; .*KeyError"),
    ],
)
async def test_a_target_that_crashes_when_the_script_is_through_is_a_failure(script, came):
    result = await run_case(FAKE, made_up(script))
    assert (result.verdict, result.expected) == (Verdict.FAILED, f"the target: {script.__name__}")
    assert re.match(came, result.came, re.DOTALL)


async def told_to_end(trial: Trial) -> None:
    node = await trial.start()
    await node.command("exit")
    await ended(node)


async def does_not_end(trial: Trial) -> None:
    await trial.start(arguments=["--stays"])


@pytest.mark.parametrize("script", [told_to_end, does_not_end])
async def test_a_target_that_ends_as_the_script_says_or_must_be_killed_did_not_crash(script):
    assert (await run_case(FAKE, made_up(script))).verdict is Verdict.PASSED


async def has_a_companion_that_does_not_start(trial: Trial) -> None:
    await trial.companion(params={"D": "six"})


async def has_a_companion_that_fails(trial: Trial) -> None:
    other = await trial.companion()
    with trial.expecting("what the target is to do"):
        await other.command("fly")


async def has_a_companion_that_dies(trial: Trial) -> None:
    node, other = await trial.start(), await trial.companion()
    os.kill(other.process.ready["pid"], signal.SIGKILL)
    await ended(other)
    await node.command("disconnect", peer="x")


async def has_a_companion_that_refuses_a_question(trial: Trial) -> None:
    other = await trial.companion()
    with trial.expecting("what the target is to do"):
        await other.wait_answer("scores", lambda got: True)


async def has_a_companion_that_refuses_to_publish(trial: Trial) -> None:
    other = await trial.companion()
    with trial.expecting("what the target is to do"):
        await other.publish(bytes(1 << 22))


async def stopped(other: Node, wait: Awaitable[object]) -> None:
    """Wait for what it cannot say, since it stands still."""
    pid = other.process.ready["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        await wait
    finally:
        os.kill(pid, signal.SIGCONT)


async def has_a_companion_that_answers_nothing(trial: Trial) -> None:
    other = await trial.companion()
    with trial.expecting("what the target is to do"):
        await stopped(other, other.wait_answer("mesh", lambda got: True, topic="t", timeout=0.2))


async def has_a_companion_that_says_nothing(trial: Trial) -> None:
    other = await trial.companion()
    with trial.expecting("what the target is to do"):
        await stopped(other, other.delivered(b"data", timeout=0.2))


@pytest.mark.parametrize(
    ("script", "what"),
    [
        (has_a_companion_that_does_not_start, "refused to start so: the companion peer"),
        (has_a_companion_that_fails, "fly: unknown command"),
        (has_a_companion_that_refuses_a_question, "scores: peer scoring is off"),
        (has_a_companion_that_refuses_to_publish, "publish: "),
        (has_a_companion_that_answers_nothing, "the companion peer did not answer mesh"),
        (has_a_companion_that_says_nothing, "the companion peer did not answer peers"),
        (has_a_companion_that_dies, "the companion peer was not to end yet: "),
    ],
)
async def test_what_goes_wrong_at_a_node_beside_the_target_says_nothing_of_the_target(script, what):
    known = Target(name="fake", command=FAKE.command, known={"PNG-05": "they do not care"})
    result = await run_case(known, made_up(script))
    assert (result.verdict, result.expected, result.came) == (Verdict.BROKEN, "", "")
    assert result.reason.startswith(f"a node beside the target failed: {what}")


async def has_a_companion_that_sees_nobody(trial: Trial) -> None:
    other = await trial.companion()
    with trial.expecting("a peer of the target's doing"):
        await other.wait_answer("mesh", lambda got: bool(got["peers"]), topic="t", timeout=0.2)


async def has_a_companion_that_hears_nothing(trial: Trial) -> None:
    other = await trial.companion()
    with trial.expecting("a message of the target's doing"):
        await other.delivered(b"data", timeout=0.2)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (has_a_companion_that_sees_nobody, "a peer of the target's doing"),
        (has_a_companion_that_hears_nothing, "a message of the target's doing"),
    ],
)
async def test_what_a_node_beside_the_target_does_not_see_of_it_is_the_targets_failure(
    script, expected
):
    result = await run_case(FAKE, made_up(script))
    assert (result.verdict, result.expected) == (Verdict.FAILED, expected)


OLD_PEER = """
import json, sys
from gossipsub.__main__ import main
at = sys.argv.index("--params") + 1
protocols = ["/meshsub/1.1.0", "/meshsub/1.0.0"]
params = json.dumps(json.loads(sys.argv[at]) | {"protocols": protocols})
sys.exit(main(["peer", *sys.argv[1:at], params, *sys.argv[at + 1:]]))
"""


async def test_of_a_target_that_speaks_v1_1_no_idontwant_is_asked():
    old = Target(name="old", command=(sys.executable, "-c", OLD_PEER))
    run = await run_cases(old, choose_cases(["IDW-01", "IDW-03", "IDW-05", "IDW-07"]))
    assert {(result.verdict, result.reason) for result in run.results} == {
        (Verdict.SKIPPED, "the target does not speak v1.2")
    }


async def asks_for_scores(trial: Trial) -> None:
    node = await trial.start()
    with trial.expecting("scores"):
        await node.command("scores")


async def has_it_dial(trial: Trial) -> None:
    node = await trial.start(arguments=["--undirected"])
    await trial.dialled_peer(node)


async def has_it_do_something_meanwhile(trial: Trial) -> None:
    node = await trial.start(arguments=["--undirected"])
    async with node.meanwhile("connect", addr="x"):
        with trial.expecting("a connection"):
            await anyio.sleep(5)
            raise WireTimeout("no connection")


async def wants_a_parameter(trial: Trial) -> None:
    await trial.start(params={"Dout": 1, "D": 3})


async def wants_what_it_cannot_work_with(trial: Trial) -> None:
    await trial.start(params={"Dout": 3}, arguments=["--cannot"])


async def wants_a_flag(trial: Trial) -> None:
    await trial.start(score={})


async def gives_up(trial: Trial) -> None:
    raise CannotTry("only on Sundays")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (asks_for_scores, "scores: unsupported: scores"),
        (has_it_dial, "connect: unsupported: connect"),
        (has_it_do_something_meanwhile, "connect: unsupported: connect"),
        (wants_a_parameter, "the target has no parameter Dout"),
        (wants_what_it_cannot_work_with, "refused to start so: "),
        (wants_a_flag, "refused to start so: "),
        (gives_up, "only on Sundays"),
    ],
)
async def test_what_the_target_does_not_have_is_skipped_with_the_reason(script, reason):
    result = await run_case(FAKE, made_up(script))
    assert (result.verdict, result.transcript) == (Verdict.SKIPPED, ())
    assert result.reason.startswith(reason)


async def test_what_fails_beside_others_is_tried_again_alone_and_tells_of_both():
    at_once: list[int] = []
    under_way = 0

    async def needs_quiet(trial: Trial) -> None:
        nonlocal under_way
        under_way += 1
        at_once.append(under_way)
        await anyio.sleep(0.05)
        try:
            trial.equal("cases under way", under_way, 1)
        finally:
            under_way -= 1

    ids = ("PNG-01", "PNG-04", "PNG-05")
    cases = [made_up(needs_quiet, id=id) for id in ids]
    told: list[Result] = []
    run = await run_cases(FAKE, cases, jobs=3, progress=told.append)
    assert [result.verdict for result in run.results] == [Verdict.PASSED] * 3
    assert sorted(result.id for result in told) == list(ids)
    loud = [result for result in run.results if result.observed]
    assert at_once == [1, 2, 3] + [1] * len(loud)
    assert (
        loud[0]
        .observed[0]
        .startswith("at first, beside other cases, failed: expected cases under way: 1; came")
    )
    alone = await run_cases(FAKE, cases, jobs=1)
    assert [result.observed for result in alone.results] == [(), (), ()]


async def test_a_target_that_fails_everything_is_not_tried_again():
    tried = []

    async def fails(trial: Trial) -> None:
        tried.append(1)
        trial.equal("a", 1, 2)

    cases = choose_cases([])[: MOST_TRIED_AGAIN + 1]
    run = await run_cases(FAKE, [made_up(fails, id=case.id) for case in cases], jobs=8)
    assert run.count() == {Verdict.FAILED: len(cases)}
    assert len(tried) == len(cases)


async def wrong(trial: Trial) -> None:
    raise ZeroDivisionError("mine")


async def test_a_mistake_in_a_case_is_broken_and_stops_no_other(monkeypatch):
    broken, good = made_up(wrong), made_up(passes, fault="other")
    result = await run_case(FAKE, broken)
    assert result.verdict is Verdict.BROKEN
    assert result.reason.endswith("ZeroDivisionError: mine\n")
    assert (await run_case(FAKE, good)).verdict is Verdict.PASSED


async def test_a_known_deviation_is_told_as_such_and_when_it_is_gone():
    known = Target(name="fake", command=FAKE.command, known={"PNG-05": "they do not care"})
    result = await run_case(known, made_up(check_fails))
    assert outcome(result) == (
        Verdict.KNOWN,
        "backoff: 60",
        "backoff: 10",
        "they do not care",
    )
    result = await run_case(known, made_up(passes))
    assert outcome(result) == (Verdict.PASSED, "", "", "no longer deviates: they do not care")


async def test_of_a_running_node_only_cases_for_it_are_tried():
    running = Target(name="theirs", address="/ip4/127.0.0.1/tcp/9/p2p/12D3KooW")
    result = await run_case(running, made_up(passes))
    assert outcome(result) == (Verdict.SKIPPED, "", "", "needs control of the target")

    async def only_looks(trial: Trial) -> None:
        trial.equal("address", (await trial.start()).address, running.address)

    assert (await run_case(running, made_up(only_looks, address=True))).verdict is Verdict.PASSED
    result = await run_case(running, made_up(wants_a_parameter, address=True))
    assert result.reason == "needs parameters of its own, and the target runs already"


async def test_to_a_running_node_scripted_peers_are_strangers_in_every_case():
    async def address_of(target: Target) -> str:
        async with Trial(target, seed=1, case_id="PNG-05") as trial:
            return (await trial.listener(seed=7)).address.rpartition("/")[2]

    running = Target(name="theirs", address="/ip4/127.0.0.1/tcp/9/p2p/12D3KooW")
    assert await address_of(FAKE) == await address_of(FAKE)
    assert await address_of(running) != await address_of(running)


async def test_of_a_running_node_its_topic_is_asked_and_cases_go_one_after_the_other():
    under_way = 0

    async def has_it_for_itself(trial: Trial) -> None:
        nonlocal under_way
        under_way += 1
        await trial.peer(await trial.start())
        trial.equal("cases under way", under_way, 1)
        under_way -= 1

    cases = [made_up(has_it_for_itself, id=id, address=True) for id in ("PNG-01", "PNG-05")]
    async with start_peer("python") as peer:
        await peer.command("subscribe", topic="news")
        running = Target(name="theirs", address=peer.addresses[0])
        with pytest.raises(PeerFailed, match=r"is subscribed to 'news'; --topic is 't'$"):
            await probe(running)
        session = Session([replace(running, topic="news")], cases, jobs=2)
        await session.run()
    (run,) = session.report().runs
    assert [(result.verdict, result.observed) for result in run.results] == [
        (Verdict.PASSED, ())
    ] * 2


async def test_a_target_that_cannot_be_had_is_told_before_any_case():
    with pytest.raises(PeerFailed, match=r"^cannot start the none peer"):
        await probe(Target(name="none", command=("/no/such/file",)))
    with pytest.raises(PeerFailed, match=r"^no connection to /ip4/127\.0\.0\.1/tcp/1/p2p/x"):
        await probe(Target(name="none", address="/ip4/127.0.0.1/tcp/1/p2p/x"))
    assert await probe(FAKE) == {"fake": "9"}


async def test_a_run_has_each_result_in_the_order_of_the_cases_and_tells_each_once():
    cases = [made_up(passes, id="PNG-04"), made_up(check_fails), made_up(gives_up, id="PNG-01")]
    told: list[Result] = []
    run = await run_cases(FAKE, cases, versions={"fake": "9"}, progress=told.append)
    assert [result.id for result in run.results] == ["PNG-04", "PNG-05", "PNG-01"]
    assert {result.id: result for result in told} == {result.id: result for result in run.results}
    assert (run.target, run.versions, run.failed) == ("fake", {"fake": "9"}, True)
    assert run.count() == {Verdict.PASSED: 1, Verdict.FAILED: 1, Verdict.SKIPPED: 1}


def test_a_case_of_no_rule_and_one_given_twice_are_refused():
    with pytest.raises(ValueError, match=r"^case PNG-77: there is no rule PNG-77$"):
        case("PNG-77", fault="x")(passes)
    with pytest.raises(ValueError, match=r"^a case is named after its rule, not 'ping'$"):
        case("ping", fault="x")(passes)
    choose_cases([])
    with pytest.raises(ValueError, match=r"^there are two cases PNG-05$"):
        case("PNG-05", fault="x")(passes)


def test_cases_are_chosen_by_area_rule_and_id():
    assert {case.rule.area for case in choose_cases(["PNG"])} == {"PNG"}
    assert [case.id for case in choose_cases(["PNG-05"])] == ["PNG-05"]
    with pytest.raises(ValueError, match=r"^there is no case PONG$"):
        choose_cases(["PNG", "PONG"])
