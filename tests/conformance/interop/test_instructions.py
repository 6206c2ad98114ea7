from __future__ import annotations

from typing import Any

import pytest

from gossipsub.conformance.interop.instructions import (
    AddPartialMessage,
    Connect,
    InitGossipSub,
    Publish,
    PublishPartial,
    ScriptError,
    SetTopicValidationDelay,
    SubscribeToTopic,
    WaitUntil,
    read_params,
    read_script,
)

INIT = {"type": "initGossipSub", "gossipSubParams": {"D": 8}}


def only(node: int, instruction: object) -> dict[str, Any]:
    return {"type": "ifNodeIDEquals", "nodeID": node, "instruction": instruction}


def test_a_node_reads_its_own_instructions_of_every_kind() -> None:
    script = [
        INIT,
        only(1, {"type": "connect", "connectTo": [0, 2]}),
        only(2, {"type": "connect", "connectTo": [0]}),
        {"type": "waitUntil", "elapsedSeconds": 30},
        {"type": "subscribeToTopic", "topicID": "t"},
        {"type": "subscribeToTopic", "topicID": "t", "partial": True},
        only(
            1, only(1, {"type": "publish", "messageID": 1, "messageSizeBytes": 8, "topicID": "t"})
        ),
        only(1, only(2, {"type": "waitUntil", "elapsedSeconds": 99})),
        {"type": "setTopicValidationDelay", "topicID": "t", "delaySeconds": 0.005},
        {"type": "addPartialMessage", "topicID": "t", "groupID": 2**64 - 1, "parts": 255},
        {"type": "publishPartial", "topicID": "t", "groupID": 7},
        {"type": "publishPartial", "topicID": "t", "groupID": 7, "publishToNodeIDs": [1]},
        {"type": "publishPartial", "topicID": "t", "groupID": 7, "publishToNodeIDs": None},
    ]
    assert read_script(script, node=1) == [
        InitGossipSub({"D": 8}),
        Connect((0, 2)),
        WaitUntil(30.0),
        SubscribeToTopic("t", False),
        SubscribeToTopic("t", True),
        Publish(1, 8, "t"),
        SetTopicValidationDelay("t", 0.005),
        AddPartialMessage("t", 2**64 - 1, 255),
        PublishPartial("t", 7, ()),
        PublishPartial("t", 7, (1,)),
        PublishPartial("t", 7, ()),
    ]


def nested(depth: int) -> dict[str, Any]:
    instruction: dict[str, Any] = INIT
    for _ in range(depth):
        instruction = only(0, instruction)
    return instruction


def test_conditions_may_be_nested_as_deep_as_one_likes() -> None:
    assert read_script([nested(100_000)], node=0) == [InitGossipSub({"D": 8})]
    assert read_script([nested(100_000)], node=1) == []


@pytest.mark.parametrize(
    ("instruction", "error"),
    [
        ([], "must be an object, not []"),
        ({}, "no 'type' in 'it'"),
        ({"type": 5}, "type: must be a text that is not empty"),
        ({"type": "dance"}, "unknown type 'dance'"),
        ({"type": "connect"}, "no 'connectTo' in 'connect'"),
        ({"type": "connect", "connectTo": 1}, "connectTo: must be a list of node numbers"),
        (
            {"type": "connect", "connectTo": [True]},
            "connectTo: must be a whole number, not true",
        ),
        (
            {"type": "waitUntil", "elapsedSeconds": -1},
            "elapsedSeconds: must not be negative",
        ),
        (
            {"type": "publish", "messageID": 1, "messageSizeBytes": 7, "topicID": "t"},
            "messageSizeBytes: must be 8 at least: 7",
        ),
        (
            {"type": "publish", "messageID": 2**64, "messageSizeBytes": 8, "topicID": "t"},
            f"messageID: must be from 0 to 2^64-1: {2**64}",
        ),
        (
            {"type": "addPartialMessage", "topicID": "t", "groupID": 1, "parts": 256},
            "parts: must be a bitmap of 8 parts: 256",
        ),
        ({"type": "subscribeToTopic", "topicID": ""}, "topicID: must be a text that is not empty"),
        (only(7, {"type": "dance"}), "unknown type 'dance'"),  # another node's
        ({"type": "ifNodeIDEquals", "nodeID": 0}, "no 'instruction' in 'ifNodeIDEquals'"),
    ],
)
def test_a_wrong_instruction_is_named(instruction: object, error: str) -> None:
    with pytest.raises(ScriptError) as caught:
        read_script([INIT, instruction], node=0)
    assert str(caught.value) == f"instruction 1: {error}"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (
            [{"type": "waitUntil", "elapsedSeconds": 1}],
            "initGossipSub must come first, not WaitUntil",
        ),
        ([INIT, INIT], "initGossipSub comes twice"),
    ],
)
def test_the_router_is_made_first_and_once(script: list[Any], error: str) -> None:
    with pytest.raises(ScriptError) as caught:
        read_script(script, node=0)
    assert str(caught.value) == error


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"script": 1}', b"\xff", b"[" * 100_000])
def test_what_is_no_params_file_is_refused(text: bytes) -> None:
    with pytest.raises(ScriptError):
        read_params(text)


def test_a_params_file_holds_the_script() -> None:
    assert read_params(b'{"script": [1], "other": 2}') == [1]
