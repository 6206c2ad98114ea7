"""What an agent makes of envelopes that are no good, and what it costs whoever hands them over:
their author, or a neighbour in python or go that relays whatever is signed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import anyio
import pytest

from gossipsub import (
    GossipParams,
    Host,
    LocalProtocolError,
    PeerScoreParams,
    Topic,
    TopicScoreParams,
)
from gossipsub.chorus import (
    Access,
    AccessRule,
    AccessRules,
    ChorusPubSub,
    DeadLetter,
    Envelope,
    MessageType,
    PayloadPolicy,
    RateLimit,
    RateLimits,
    RefusalReason,
    Timestamp,
)
from gossipsub.chorus.topics import COORDINATION_TOPIC as TOPIC
from gossipsub.conformance.driver import start_peer
from gossipsub.crypto.peer_id import PeerId

pytestmark = pytest.mark.anyio

PATIENCE = 30.0
NOW = Timestamp("2025-01-02T03:04:05Z")
BUILD_TIMEOUT = 900
"""The first test that needs the go peer may have to build it."""
SCORE = PeerScoreParams(
    other_topics=TopicScoreParams(
        invalid_message_deliveries_weight=-0.1, invalid_message_deliveries_decay=0.9
    ),
    decay_interval=3600.0,
)
"""Nothing but P4, and it does not decay: scores can be compared to the last digit."""


@dataclass
class Case:
    """A message, by what its author and the agent are called, and what is to become of it."""

    message: Callable[[str, str], bytes]
    reason: RefusalReason
    blames_author: bool = False
    """It is REJECTed when its author hands it over."""


def envelope(author: str, kind: str = "task_claim", hop_count: int = 0) -> bytes:
    return Envelope(kind, author, NOW, {"task_id": "t-1"}, hop_count=hop_count).encode()


def with_data(author: str, data: bytes) -> bytes:
    return envelope(author).replace(b'{"task_id":"t-1"}', data)


NESTED = b"[" * 100_000 + b"]" * 100_000
CASES = {
    "above the hop limit": Case(
        lambda author, agent: envelope(author, hop_count=16).replace(b":16}", b":17}"),
        RefusalReason.HOP_LIMIT,
    ),
    "100,000 brackets in data": Case(
        lambda author, agent: with_data(author, b'{"a":' + NESTED + b"}"), RefusalReason.TOO_DEEP
    ),
    "100,000 brackets and nothing else": Case(
        lambda author, agent: NESTED, RefusalReason.TOO_DEEP
    ),
    "100,000 brackets that nobody closes": Case(
        lambda author, agent: b"[" * 100_000, RefusalReason.TOO_DEEP
    ),
    "too large": Case(
        lambda author, agent: with_data(author, b'{"a":"' + b"x" * 262_144 + b'"}'),
        RefusalReason.TOO_LARGE,
    ),
    "a field of a wrong type": Case(
        lambda author, agent: envelope(author).replace(b'"2025-01-02T03:04:05Z"', b"5"),
        RefusalReason.WRONG_TYPE,
        blames_author=True,
    ),
    "a field missing": Case(
        lambda author, agent: envelope(author).replace(b'"data"', b'"date"'),
        RefusalReason.MISSING_FIELD,
        blames_author=True,
    ),
    "a payload that is not of its type": Case(
        lambda author, agent: with_data(author, b'{"task_id":[]}'),
        RefusalReason.BAD_PAYLOAD,
        blames_author=True,
    ),
    "no JSON": Case(
        lambda author, agent: b"\x00\xff", RefusalReason.NOT_JSON, blames_author=True
    ),
    "against the access rules": Case(
        lambda author, agent: envelope(author, "work_allocation"),
        RefusalReason.FORBIDDEN,
        blames_author=True,
    ),
    "above the rate": Case(
        lambda author, agent: envelope(author, "task_progress"), RefusalReason.RATE_LIMIT
    ),
    # The last: a neighbour that is blamed leaves the mesh, and what it relays comes by gossip.
    "impersonation": Case(
        lambda author, agent: envelope(agent),
        RefusalReason.IMPERSONATION,
        blames_author=True,
    ),
}  # fmt: skip


class Scene:
    """An agent that scores, an author without CHORUS, and between them nobody or a relay."""

    def __init__(self, host: Host, chorus: ChorusPubSub, author: Topic, me: PeerId) -> None:
        self.host = host
        self.chorus = chorus
        self.author = me
        self.neighbour = me
        self._publish = author.publish
        self._tell, self._told = anyio.create_memory_object_stream[str | DeadLetter](64)
        chorus.set_bzzz_message_handler(lambda envelope, _: self._tell.send_nowait(envelope.type))
        chorus.set_dead_letter_handler(self._tell.send_nowait)

    async def says(self, data: bytes) -> str | DeadLetter:
        """What the agent makes of it: the type that its handler was told of, or a dead letter."""
        await self._publish(data)
        with anyio.fail_after(PATIENCE):
            made_of_it = await self._told.receive()
            if isinstance(made_of_it, DeadLetter):
                # When the next message has been through, the verdict on this one has had effect.
                await self._publish(envelope(str(self.author), "marker"))
                assert await self._told.receive() == "marker"
        return made_of_it

    @property
    def blamed(self) -> float:
        """How often the neighbour was blamed for an invalid message (P4)."""
        topics = self.host.scores()[self.neighbour].topics
        return topics[TOPIC].invalid_message_deliveries if TOPIC in topics else 0.0

    def close(self) -> None:
        self._tell.close()
        self._told.close()


@asynccontextmanager
async def scene(between: str) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(Host(params=GossipParams(score=SCORE)))
        chorus = await stack.enter_async_context(
            ChorusPubSub(host, payload_policy=PayloadPolicy.STRICT)
        )
        outsider = await stack.enter_async_context(Host())
        topic = await outsider.join(TOPIC)
        await stack.enter_async_context(topic.subscribe())
        scene = Scene(host, chorus, topic, outsider.peer_id)
        stack.callback(scene.close)
        if between == "nobody":
            await outsider.connect(host.addresses[0])
        elif between == "python":
            relay = await stack.enter_async_context(Host())
            relayed = await relay.join(TOPIC)
            await stack.enter_async_context(relayed.subscribe())
            await relay.connect(host.addresses[0])
            await outsider.connect(relay.addresses[0])
            await relayed.wait_for_peers(2, timeout=PATIENCE, grafted=True)
            scene.neighbour = relay.peer_id
        else:
            fast = {"heartbeatMs": 100, "heartbeatInitialDelayMs": 10}
            go = await stack.enter_async_context(start_peer("go", seed=1, params=fast))
            await go.command("subscribe", topic=TOPIC)
            await go.command("connect", addr=host.addresses[0])
            await go.command("connect", addr=outsider.addresses[0])
            await go.wait_answer("mesh", lambda answer: len(answer["peers"]) == 2, topic=TOPIC)
            scene.neighbour = PeerId.parse(go.peer_id)
        await topic.wait_for_peers(1, timeout=PATIENCE, grafted=True)
        yield scene


@pytest.fixture(
    params=["nobody", "python", pytest.param("go", marks=pytest.mark.timeout(BUILD_TIMEOUT))]
)
def between(request: pytest.FixtureRequest) -> str:
    if request.param == "go":
        request.getfixturevalue("go_peer_available")
    return str(request.param)


async def test_what_is_refused_has_a_dead_letter_and_blames_whom_it_should(between: str) -> None:
    async with scene(between) as the:
        the.chorus.add_check(
            AccessRules(
                [AccessRule(access=Access.DENY, types=["work_allocation"])], default=Access.ALLOW
            ).check,
            own_too=True,
        )
        slow = RateLimit(messages_per_second=1e-9, burst=1)
        the.chorus.add_check(RateLimits(types={"task_progress": slow}).check, live_only=True)
        assert await the.says(envelope(str(the.author), "task_progress")) == "task_progress"

        blamed, found = 0, dict[RefusalReason, int]()
        for name, case in CASES.items():
            letter = await the.says(case.message(str(the.author), str(the.host.peer_id)))
            found[case.reason] = found.get(case.reason, 0) + 1
            blamed += case.blames_author and between == "nobody"
            assert isinstance(letter, DeadLetter), name
            assert (name, letter.reason) == (name, case.reason)
            assert (letter.sender, letter.received_from) == (the.author, the.neighbour)
            assert (name, the.chorus.statistics().refused) == (name, found)
            assert (name, the.blamed) == (name, blamed)

            assert letter == the.chorus.dead_letters()[-1]

        assert the.chorus.statistics().refused_by_agent == {the.author: found}
        for reason, count in found.items():
            author = str(the.author)
            assert len(the.chorus.dead_letters(reason=reason, topic=TOPIC, sender=author)) == count
        assert the.chorus.dead_letters(sender=the.host.peer_id) == ()
        refusals = the.host.statistics().rejections
        assert refusals.get("validation failed", 0) == blamed
        assert refusals["validation ignored"] == len(CASES) - blamed


async def test_the_score_of_the_neighbour_tells_what_it_was_blamed_for(between: str) -> None:
    async with scene(between) as the:
        for name in ("above the hop limit", "a field of a wrong type", "a field missing"):
            await the.says(CASES[name].message(str(the.author), str(the.host.peer_id)))
        told = str(the.host.explain_score(the.neighbour)).splitlines()
        if between == "nobody":  # squared: twice blamed costs four times as much
            assert told[:2] == ["score -0.40", f"  -0.40  P4 in {TOPIC}: 4 x -0.1"]
            assert told[2].endswith(f"P4 in {TOPIC}: validation failed, 2 times")
        else:
            assert told == ["score +0.00"]


async def test_what_the_rules_deny_this_agent_is_an_error_and_is_not_sent() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        rules = AccessRules([AccessRule(access=Access.DENY, name="silence")], default=Access.ALLOW)
        chorus.add_check(rules.check, own_too=True)
        host.add_default_validator(rules.raw_validator(["room"]))
        await chorus.join_raw_topic("room")
        with pytest.raises(LocalProtocolError) as raised:
            await chorus.publish_hmmm_message(MessageType.META_DISCUSSION, {})
        assert str(raised.value) == "refused as forbidden: denied by rule 1 'silence'"
        with pytest.raises(LocalProtocolError):
            await chorus.publish_raw("room", b"{}")
        assert host.statistics().published == 0
        rules.replace(AccessRules(default=Access.ALLOW))
        await chorus.publish_hmmm_message(MessageType.META_DISCUSSION, {})
        await chorus.publish_raw("room", b"{}")
        assert host.statistics().published == 2


async def test_an_unknown_type_is_delivered_and_blames_nobody(between: str) -> None:
    async with scene(between) as the:
        assert await the.says(envelope(str(the.author), "task_stolen")) == "task_stolen"
        assert the.chorus.dead_letters() == ()
        assert the.chorus.statistics().refused == {}
        assert the.blamed == 0
