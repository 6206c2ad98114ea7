from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import resources
from random import Random
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from gossipsub.chorus import (
    ChorusPubSub,
    Envelope,
    MalformedEnvelope,
    MessageOptions,
    MessageType,
    RefusalReason,
)
from gossipsub.chorus.agent_card import AgentCard
from gossipsub.chorus.agent_table import Agent
from gossipsub.chorus.conversation import Conversation
from gossipsub.chorus.conversation_view import ConversationView
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.presence import Presence
from gossipsub.crypto.keys import PrivateKey
from gossipsub.pubsub.message import ReceivedMessage

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

NOW = 1_700_000_000.0
Fleet = Callable[..., Any]


def view_of(chorus: ChorusPubSub, presence: Presence | None = None) -> ConversationView:
    conversation = Conversation()
    chorus.add_observer(conversation)
    return ConversationView(chorus, conversation, presence, clock=lambda: NOW)


def presence(chorus: ChorusPubSub, card: AgentCard) -> Presence:
    return Presence(chorus, agent=card, rng=Random(1))


def refuse_gossip(envelope: Envelope, message: ReceivedMessage) -> None:
    if envelope.type == "gossip":
        raise MalformedEnvelope(RefusalReason.FORBIDDEN, "no gossip")


async def test_it_shows_who_is_there_what_was_said_and_what_was_refused(fleet: Fleet) -> None:
    alice = AgentCard(name="Alice", roles=("Tech Lead",), max_tasks=2)
    bob = AgentCard(name="Bob", expertise=("go", "yamux"))
    async with fleet(2) as (mesh, (a, b)), presence(a, alice) as known, presence(b, bob):
        view = view_of(a, known)
        known.update(current_tasks=1)
        await anyio.sleep(5)
        options = MessageOptions(from_role="Developer", thread_id="release", priority="high")
        await b.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": "Go?"}, options)
        a.add_check(refuse_gossip)
        await b.publish_extension(b.hmmm_topic, "gossip", {})
        await anyio.sleep(1)
        shown: Any = view()
    me, other = str(mesh[0].peer_id), str(mesh[1].peer_id)
    assert (shown["peer_id"], shown["taken_at"]) == (me, NOW)
    first, second = shown["agents"]
    assert first == {
        "peer": me, "name": "Alice", "roles": ["Tech Lead"], "expertise": [],
        "status": "working", "tasks": 1, "capacity": 2, "last_seen": NOW, "is_me": True,
    }  # fmt: skip
    assert second | {"last_seen": 0} == {
        "peer": other, "name": "Bob", "roles": [], "expertise": ["go", "yamux"],
        "status": "ready", "tasks": 0, "capacity": 1, "last_seen": 0, "is_me": False,
    }  # fmt: skip
    assert NOW - 2 < second["last_seen"] < NOW
    (thread,) = [each for each in shown["threads"] if each["name"] == "release"]
    (remark,) = thread.pop("remarks")
    assert thread == {
        "name": "release", "topic": b.hmmm_topic, "project_id": "", "total": 1, "agents": (other,)
    }  # fmt: skip
    del remark["sent_at"], remark["received_at"]
    assert remark == {
        "sender": other, "role": "Developer", "type": "meta_discussion", "text": "Go?",
        "priority": "high", "is_own": False, "is_caught_up": False,
    }  # fmt: skip
    assert shown["refused"] == {"forbidden": 1}
    json.dumps(shown)


async def test_agents_that_said_nothing_of_themselves_have_no_tasks(fleet: Fleet) -> None:
    async with fleet(2) as (_, (a, b)), presence(a, AgentCard()) as known:
        view = view_of(a, known)
        await b.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": "Hello"})
        await anyio.sleep(1)
        told: Any = view()
        assert [(each["tasks"], each["capacity"]) for each in told["agents"]] == [
            (0, 1), (None, None),
        ]  # fmt: skip
        assert view_of(a)()["agents"] == []


async def test_it_is_bounded_and_says_what_is_left_out(fleet: Fleet) -> None:
    many = tuple(f"word {number}" for number in range(50))
    async with fleet(1) as (_, (a,)):
        agents = [
            Agent(
                PrivateKey.from_seed(number.to_bytes(32, "big")).peer_id(),
                AgentCard(name=f"agent {number:03}", roles=many, expertise=many),
                "ready", 0, True, anyio.current_time(),
            )
            for number in range(250)
        ]  # fmt: skip
        known: Any = SimpleNamespace(
            card=AgentCard(), status="ready", current_tasks=0, agents=lambda: tuple(agents)
        )
        said: list[Delivery] = []
        a.add_observer(said.append)
        await a.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": "mine"})
        (pattern,) = said
        conversation = Conversation()
        for number in range(40):
            envelope = replace(pattern.envelope, thread_id=f"thread {number}")
            for _ in range(60):
                conversation(replace(pattern, envelope=envelope))
        shown: Any = ConversationView(a, conversation, known)()
    assert (len(shown["agents"]), shown["agents_left_out"]) == (200, 51)
    assert shown["agents"][0]["is_me"]
    assert "agent 249" in {each["name"] for each in shown["agents"]}
    names = [each["name"] for each in shown["agents"][1:]]
    assert names == sorted(names)
    assert {len(each["roles"]) for each in shown["agents"][1:]} == {16}
    assert (len(shown["threads"]), shown["threads_left_out"]) == (30, 10)
    assert {len(each["remarks"]) for each in shown["threads"]} == {50}
    assert shown["threads"][0]["total"] == 60


async def test_it_has_everything_that_the_page_reads(fleet: Fleet) -> None:
    async with fleet(1) as (_, (a,)), presence(a, AgentCard()) as known:
        view = view_of(a, known)
        await a.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": "mine"})
        shown: Any = view()
    script = resources.files("gossipsub.status").joinpath("conversation.js").read_text("utf-8")

    def read(what: str) -> set[str]:
        return set(re.findall(rf"(?<![.\w]){what}\.(\w+)", script))

    def fields(told: Any) -> set[str]:
        assert isinstance(told, Mapping)
        return set(told)

    assert read("now") <= fields(shown)
    assert read("agent") <= fields(shown["agents"][0])
    thread = shown["threads"][0]
    assert read("thread") <= fields(thread)
    assert read("each") - {"name"} <= fields(thread["remarks"][0]) | fields(shown["agents"][0])
