"""Scoring in `gossipsub peer`: `--score`, `scores`, `app_score`; held to the Go peer's ways."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gossipsub import PeerScoreThresholds, TopicScoreParams
from gossipsub.__main__ import main
from gossipsub.conformance.driver import PeerFailed, PeerProcess, start_peer
from gossipsub.conformance.exchange import connect, exchange, in_mesh, start_peers
from gossipsub.peer.score import read_scoring

pytestmark = pytest.mark.anyio

FAST = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10}
SOMEBODY = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
BUILD_TIMEOUT = 900
"""The first test that needs the Go peer may have to build it."""

STILL = {"decayIntervalMs": 3_600_000}
"""Nothing decays and no time in mesh is taken while a test runs."""

EVERY_TOPIC_KEY = {
    **{"topicWeight": 1, "timeInMeshWeight": 0.1, "timeInMeshQuantumMs": 100, "timeInMeshCap": 9},
    **{"firstMessageDeliveriesWeight": 2, "firstMessageDeliveriesDecay": 0.4},
    **{"firstMessageDeliveriesCap": 8, "meshMessageDeliveriesWeight": -1},
    **{"meshMessageDeliveriesDecay": 0.6, "meshMessageDeliveriesCap": 7},
    **{"meshMessageDeliveriesThreshold": 3, "meshMessageDeliveriesWindowMs": 20},
    **{"meshMessageDeliveriesActivationMs": 300, "meshFailurePenaltyWeight": -2},
    **{"meshFailurePenaltyDecay": 0.7, "invalidMessageDeliveriesWeight": -3},
    **{"invalidMessageDeliveriesDecay": 0.8},
}
EVERY_KEY = {
    "topics": {"t": EVERY_TOPIC_KEY, "*": {}},
    **{"topicScoreCap": 50, "appSpecificWeight": 2, "appScores": {SOMEBODY: -1.5}},
    **{"ipColocationFactorWeight": -1, "ipColocationFactorThreshold": 4},
    **{"behaviourPenaltyWeight": -2, "behaviourPenaltyThreshold": 3, "behaviourPenaltyDecay": 0.5},
    **{"decayIntervalMs": 200, "decayToZero": 0.02, "retainScoreMs": 5000},
    "thresholds": {
        **{"gossip": -1, "publish": -2, "graylist": -3, "acceptPX": 4, "opportunisticGraft": 5}
    },
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that ask for a `target` show what both peers promise alike."""
    if "target" in metafunc.fixturenames:
        targets = [
            pytest.param("python", "asyncio"),
            pytest.param("python", "trio"),
            pytest.param("go", "asyncio", marks=pytest.mark.timeout(BUILD_TIMEOUT)),
        ]
        metafunc.parametrize(("target", "anyio_backend"), targets)


@pytest.fixture(autouse=True)
def go_where_wanted(request: pytest.FixtureRequest) -> None:
    call = getattr(request.node, "callspec", None)
    if call is not None and call.params.get("target") == "go":
        request.getfixturevalue("go_peer_available")


async def reject(peer: PeerProcess, prefix: bytes) -> None:
    encoded = base64.b64encode(prefix).decode()
    await peer.command("validator", topic="t", verdict="reject", prefix_b64=encoded)


async def wait_score(peer: PeerProcess, other: PeerProcess, score: float) -> dict[str, Any]:
    """What `peer` tells of `other` once its score is this."""
    answer = await peer.wait_answer(
        "scores",
        lambda got: got["scores"].get(other.peer_id, {}).get("score") == pytest.approx(score),
    )
    found: dict[str, Any] = answer["scores"][other.peer_id]
    return found


# The flag


@pytest.mark.parametrize(
    ("score", "complaint"),
    [
        ("[]", "argument --score: not a JSON object"),
        ("{", "argument --score: not JSON: "),
        ('{"weight": 1}', "--score: unknown parameter 'weight'"),
        ('{"topics": {"t": {"weight": 1}}}', "--score: topics: 't': unknown parameter 'weight'"),
        ('{"thresholds": {"px": 1}}', "--score: thresholds: unknown parameter 'px'"),
        ('{"topics": []}', "--score: topics: must be an object"),
        ('{"topics": {"t": 1}}', "--score: topics: 't': must be an object"),
        ('{"topics": {"*": {"topicWeight": "1"}}}', "topics: '*': topicWeight: must be a number"),
        ('{"topics": {"t": {"topicWeight": -1}}}', "topics: 't': topic_weight must be 0 or more"),
        ('{"thresholds": {"gossip": 1}}', "--score: thresholds: need graylist <= publish"),
        ('{"appScores": {"nobody": 1}}', "--score: appScores: not a peer id: 'nobody'"),
        ('{"decayIntervalMs": 0}', "--score: decayIntervalMs: must be above 0"),
        ('{"retainScoreMs": -1}', "--score: retainScoreMs: must not be negative"),
        ('{"ipColocationFactorThreshold": 1.5}', "must be a whole number, not 1.5"),
        ('{"behaviourPenaltyWeight": 1}', "--score: behaviour_penalty_weight must be 0 or less"),
    ],
)
def test_a_wrong_score_flag_is_refused_with_one_line_and_status_2(
    score: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["peer", "--score", score]) == 2
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert (printed.out, printed.err.count("\n"), printed.err[-1]) == ("", 1, "\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--score", '{"weight": 1}'],
        ["--score", '{"topics": {"t": {"weight": 1}}}'],
        ["--score", '{"thresholds": {"px": 1}}'],
        ["--score", '{"appScores": {"nobody": 1}}'],
        ["--score", '{"decayIntervalMs": 0}'],
        ["--score", "{}", "--protocol", "floodsub"],
    ],
)
async def test_a_score_flag_one_peer_refuses_the_other_refuses(
    target: str, arguments: list[str]
) -> None:
    peer = start_peer(target, arguments=arguments)
    with pytest.raises(PeerFailed) as caught:
        async with peer:
            pytest.fail("the block ran")
    assert caught.value.exit_status == 2
    assert peer.stderr.count("\n") == 1


def test_an_empty_object_means_the_defaults_of_the_protocol() -> None:
    scoring = read_scoring({})
    params = scoring.params
    assert (dict(params.topics), scoring.app_scores) == ({}, {})
    assert params.other_topics == TopicScoreParams(
        topic_weight=1,
        time_in_mesh_weight=0.01,
        time_in_mesh_quantum=1,
        time_in_mesh_cap=100,
        first_message_deliveries_weight=1,
        first_message_deliveries_decay=0.5,
        first_message_deliveries_cap=100,
        mesh_message_deliveries_decay=0,
        mesh_message_deliveries_cap=0,
        mesh_message_deliveries_threshold=0,
        mesh_message_deliveries_window=0,
        mesh_message_deliveries_activation=0,
        mesh_failure_penalty_decay=0,
        invalid_message_deliveries_weight=-10,
        invalid_message_deliveries_decay=0.9,
    )
    assert (params.topic_score_cap, params.app_specific_weight) == (0, 1)
    assert (params.ip_colocation_factor_weight, params.ip_colocation_factor_threshold) == (0, 1)
    assert params.behaviour_penalty_weight == -1
    assert (params.behaviour_penalty_threshold, params.behaviour_penalty_decay) == (6, 0.9)
    assert (params.decay_interval, params.decay_to_zero, params.retain_score) == (1, 0.01, 10)
    assert scoring.thresholds == PeerScoreThresholds(
        gossip=-10, publish=-50, graylist=-80, accept_px=10, opportunistic_graft=1
    )


def test_every_key_has_its_place_and_times_below_the_checked_ones_stand() -> None:
    scoring = read_scoring(json.loads(json.dumps(EVERY_KEY)))
    params, topic = scoring.params, scoring.params.topics["t"]
    assert params.other_topics == read_scoring({}).params.other_topics
    assert (topic.topic_weight, topic.time_in_mesh_weight) == (1, 0.1)
    assert (topic.time_in_mesh_quantum, topic.time_in_mesh_cap) == (0.1, 9)
    assert topic.first_message_deliveries_weight == 2
    assert (topic.first_message_deliveries_decay, topic.first_message_deliveries_cap) == (0.4, 8)
    assert (topic.mesh_message_deliveries_weight, topic.mesh_message_deliveries_decay) == (-1, 0.6)
    assert topic.mesh_message_deliveries_cap == 7
    assert topic.mesh_message_deliveries_threshold == 3
    assert topic.mesh_message_deliveries_window == 0.02
    assert topic.mesh_message_deliveries_activation == 0.3
    assert (topic.mesh_failure_penalty_weight, topic.mesh_failure_penalty_decay) == (-2, 0.7)
    assert topic.invalid_message_deliveries_weight == -3
    assert topic.invalid_message_deliveries_decay == 0.8
    assert (params.topic_score_cap, params.app_specific_weight) == (50, 2)
    assert list(scoring.app_scores.values()) == [-1.5]
    assert (params.ip_colocation_factor_weight, params.ip_colocation_factor_threshold) == (-1, 4)
    assert params.behaviour_penalty_weight == -2
    assert (params.behaviour_penalty_threshold, params.behaviour_penalty_decay) == (3, 0.5)
    assert (params.decay_interval, params.decay_to_zero, params.retain_score) == (0.2, 0.02, 5)
    assert scoring.thresholds == PeerScoreThresholds(
        gossip=-1, publish=-2, graylist=-3, accept_px=4, opportunistic_graft=5
    )


def test_topics_without_a_star_leave_other_topics_unscored() -> None:
    assert read_scoring({"topics": {"t": {}}}).params.other_topics is None
    assert read_scoring({"topics": {}}).params.other_topics is None


async def test_every_score_key_of_the_protocol_is_known(target: str) -> None:
    async with start_peer(target, score=EVERY_KEY) as peer:
        assert (await peer.command("scores"))["scores"] == {}


# Scores


@pytest.mark.timeout(BUILD_TIMEOUT)
async def test_invalid_messages_cost_at_a_python_node_what_they_cost_at_a_go_node(
    go_peer_available: object,
) -> None:
    async with (
        start_peer("python", seed=1, params=FAST) as sender,
        start_peers("python", "go", topic="t", first_seed=2, params=FAST, score=STILL) as judges,
    ):
        await sender.command("subscribe", topic="t")
        for judge in judges:
            await reject(judge, b"bad")
            await connect(sender, judge, topic="t")
        for number in range(2):
            await sender.publish("t", b"good %d" % number)
        for judge in judges:
            await judge.wait_answer("stats", lambda got: got["received"] == 2)
            await wait_score(judge, sender, 2)
        for number in range(3):
            await sender.publish("t", b"bad %d" % number)
        for judge in judges:
            assert await wait_score(judge, sender, 2 - 10 * 3**2) == {
                "score": pytest.approx(-88),
                "app_specific_score": 0,
                "ip_colocation_factor": 0,
                "behaviour_penalty": 0,
                "topics": {
                    "t": {
                        "time_in_mesh_ms": 0,
                        "first_message_deliveries": 2,
                        "mesh_message_deliveries": 0,
                        "invalid_message_deliveries": 3,
                    }
                },
            }


async def test_a_debt_outlasts_the_connection(target: str) -> None:
    async with start_peers(target, target, topic="t", params=FAST, score=STILL) as (a, b):
        await reject(b, b"bad")
        await connect(a, b, topic="t")
        await in_mesh(a, b, topic="t")  # until then go sends to nobody
        await a.publish("t", b"bad")
        await wait_score(b, a, -10)
        await a.command("disconnect", peer=b.peer_id)
        await b.wait_answer("peers", lambda got: got["peers"] == [])
        assert (await wait_score(b, a, -10))["topics"]["t"]["invalid_message_deliveries"] == 1


async def test_a_short_decay_interval_is_kept(target: str) -> None:
    """At the second that the library allows at least, this would take some 15."""
    topic = {"invalidMessageDeliveriesDecay": 0.75, "timeInMeshWeight": 0}
    score = {"topics": {"*": topic}, "decayIntervalMs": 50}
    async with start_peers(target, target, topic="t", params=FAST, score=score) as (a, b):
        await reject(b, b"bad")
        await connect(a, b, topic="t")
        await in_mesh(a, b, topic="t")  # until then go sends to nobody
        await a.publish("t", b"bad")
        await b.wait_answer("stats", lambda got: got["rejected"] == 1)
        await wait_score(b, a, 0)


async def test_the_applications_scores_count_and_are_read_back(target: str) -> None:
    score = STILL | {"appScores": {SOMEBODY: 3}, "appSpecificWeight": 2}
    async with start_peers(target, target, topic="t", first_seed=0, score=score) as (a, b):
        assert a.peer_id == SOMEBODY
        await connect(a, b, topic="t")
        assert (await wait_score(b, a, 6))["app_specific_score"] == 3
        await b.command("app_score", peer=a.peer_id, score=-1.5)
        assert (await wait_score(b, a, -3))["app_specific_score"] == -1.5
        assert (await wait_score(a, b, 0))["app_specific_score"] == 0


@pytest.mark.timeout(BUILD_TIMEOUT)
async def test_nobody_in_a_scored_mesh_of_python_and_go_loses_by_talking(
    go_peer_available: object,
) -> None:
    # go's own buffers hold 32 each; three publishers fill them now and then.
    roomy = FAST | {"outboundQueue": 1024, "validateQueue": 1024, "subBuffer": 1024}
    async with start_peers("python", "go", "go", topic="t", params=roomy, score={}) as peers:
        python, first, second = peers
        for one, other in ((python, first), (python, second), (first, second)):
            await connect(one, other, topic="t")
        await in_mesh(*peers, topic="t")
        await exchange(peers, peers, topic="t", count=50, size=200, window=16)
        for peer in peers:
            scores = (await peer.command("scores"))["scores"]
            others = {other.peer_id for other in peers if other is not peer}
            assert {name for name in scores if name in others} == others
            assert min(each["score"] for each in scores.values()) >= 0
            assert max(each["score"] for each in scores.values()) > 0
        await in_mesh(*peers, topic="t")
