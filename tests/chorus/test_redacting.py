from __future__ import annotations

import json
from typing import Any

import pytest

from gossipsub import Host
from gossipsub.chorus import ChorusPubSub, Delivery, MessageType, RedactionFailed
from gossipsub.chorus.redacting import Redaction, copied
from gossipsub.chorus.topics import HMMM_TOPIC
from gossipsub.wire.errors import LocalProtocolError
from tests.chorus.agents import BrokenRedactor, Collector, StarRedactor, two_agents

TOPIC = "CHORUS/meta/issue/42"


def redaction(redactor: Any) -> Redaction:
    return Redaction(redactor, max_depth=8)


# Envelopes


@pytest.mark.anyio
async def test_secrets_do_not_leave_and_are_not_logged_and_the_payload_given_stays_as_it_was() -> (
    None
):
    redactor = StarRedactor()
    async with two_agents(redactor=redactor) as (alice, bob):
        got, observed = Collector(), list[Delivery]()
        bob.set_hmmm_message_handler(got)
        alice.add_observer(observed.append)
        data = {"message": "my secret", "participants": ("a secret", 1), "more": {"x": ["secret"]}}
        await alice.publish_hmmm_message(MessageType.META_DISCUSSION, data)
        ((envelope, _),) = await got.wait()
    starred = {"message": "my ***", "participants": ["a ***", 1], "more": {"x": ["***"]}}
    assert envelope.data == observed[0].envelope.data == starred
    assert b"secret" not in observed[0].signed.encoded
    assert data["participants"] == ("a secret", 1)
    assert data["more"] == {"x": ["secret"]}
    assert redactor.labels == [
        {"source": "pubsub", "topic": HMMM_TOPIC, "message_type": "meta_discussion"}
    ]


class ReturnsNothing(StarRedactor):
    def redact_map_with_labels(self, payload: Any, labels: Any) -> Any:
        return None

    def redact_text_with_labels(self, text: Any, labels: Any) -> Any:
        return None


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("redactor", "why"),
    [
        (BrokenRedactor(), "it raised RuntimeError"),
        (ReturnsNothing(), "it returned NoneType for a payload"),
    ],
)
async def test_a_redactor_that_fails_lets_nothing_leave(redactor: Any, why: str) -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        observed = list[Delivery]()
        chorus.add_observer(observed.append)
        chorus.set_redactor(redactor)
        with pytest.raises(RedactionFailed) as raised:
            await chorus.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": "hi"})
        assert str(raised.value) == f"nothing was sent, the redactor failed: {why}"
        await chorus.join_raw_topic(TOPIC)
        for payload in (b"{}", b"[]", b'"text"', b"no json", b"7"):
            with pytest.raises(RedactionFailed):
                await chorus.publish_raw(TOPIC, payload)
        assert chorus.statistics().redaction_failures == 6
        assert host.statistics().published == len(observed) == 0
        chorus.set_redactor(None)
        await chorus.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": "hi"})
        assert host.statistics().published == 1


# Raw payloads


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"b": "secret",  "a": 1.0}', b'{"a":1,"b":"***"}'),
        (b'{"a": "\\u0073ecret"}', b'{"a":"***"}'),
        (b'[1, {"x": "secret"}]', b'[1,{"x":"***"}]'),
        (b'"a \\u0073ecret"', b'"a ***"'),
        (b"a secret, not JSON", b"a ***, not JSON"),
        (b"\xff secret \xfe", b"\xff *** \xfe"),
        # A redactor sees the last of equal keys alone.
        (b'{"a": "secret", "a": 1}', b'{"a":1}'),
        (b'{"a": NaN, "b": "secret"}', b'{"a": NaN, "b": "***"}'),
    ],
)
def test_raw_payloads_are_redacted_whatever_they_are(payload: bytes, expected: bytes) -> None:
    assert redaction(StarRedactor()).redact_raw(payload, topic=TOPIC) == expected


@pytest.mark.parametrize(
    "payload",
    [b'{"b": 1.50,  "a": "x"}', b"[1, 2]", b' "x"', b"7", b"null", b"", b"\xff", b"plain"],
)
def test_a_raw_payload_without_secrets_leaves_byte_for_byte(payload: bytes) -> None:
    redactor = StarRedactor()
    assert redaction(redactor).redact_raw(payload, topic=TOPIC) == payload
    assert redactor.labels == [{"source": "pubsub", "topic": TOPIC, "message_type": ""}]
    assert redaction(None).redact_raw(payload, topic=TOPIC) == payload


def test_what_is_nested_too_deep_is_an_error_before_the_redactor_sees_it() -> None:
    deep = b"[" * 20 + b"]" * 20
    redactor = StarRedactor()
    with pytest.raises(LocalProtocolError, match=r"^nested too deep, or within itself$"):
        redaction(redactor).redact_raw(deep, topic=TOPIC)
    assert redaction(redactor).redact_raw(b"[" * 100_000, topic=TOPIC) == b"[" * 100_000
    assert len(redactor.labels) == 1


def test_a_copy_shares_nothing_with_what_it_was_made_of() -> None:
    value = {"list": [{"x": 1}], "tuple": (1, [2])}
    copy = copied(value, 4)
    assert copy == {"list": [{"x": 1}], "tuple": [1, [2]]}
    copy["list"][0]["x"] = 2
    copy["tuple"][1].append(3)
    assert value == {"list": [{"x": 1}], "tuple": (1, [2])}
    value["self"] = value  # type: ignore[assignment]
    with pytest.raises(LocalProtocolError):
        copied(value, 64)
    assert json.dumps(copied("text", 0)) == '"text"'
