"""Topics with parameters of their own, beside topics that have the router's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from gossipsub.router.effects import Deliver, Validate, Verdict
from gossipsub.router.message_id import content_id, origin_id
from gossipsub.router.params import MeshParams, SignaturePolicy, TopicParams
from gossipsub.router.score.params import PeerScoreParams, TopicScoreParams
from gossipsub.wire.rpc import Graft, Message

if TYPE_CHECKING:
    from tests.router.conftest import Node

NO_SIGN = TopicParams(signature_policy=SignaturePolicy.STRICT_NO_SIGN, message_id=content_id)
SMALL_MESH = MeshParams(d=3, d_low=2, d_high=4, d_out=1, d_score=1)


def topic_score(weight: float) -> TopicScoreParams:
    return TopicScoreParams(
        topic_weight=1.0,
        invalid_message_deliveries_weight=weight,
        invalid_message_deliveries_decay=0.5,
    )


def counted_content_id() -> tuple[list[Message], Callable[[Message], bytes]]:
    """The messages it was called for, and the function."""
    calls: list[Message] = []

    def by_content(message: Message) -> bytes:
        calls.append(message)
        return content_id(message)

    return calls, by_content


@pytest.mark.rule("CFG-06")
def test_a_topic_may_have_degrees_of_its_own(make_node: Callable[..., Node]) -> None:
    node = make_node(topics={"a": TopicParams(mesh=SMALL_MESH)})
    node.connect(node.peers(20), topics=["a", "b"])
    node.join("a", "b")
    assert (len(node.router.mesh("a")), len(node.router.mesh("b"))) == (3, 6)
    for peer in node.peers(20):  # let in up to D_high
        node.receive(peer, graft=(Graft("a"), Graft("b")))
    assert (len(node.router.mesh("a")), len(node.router.mesh("b"))) == (4, 12)


@pytest.mark.rule("MID-02")
def test_a_topics_own_function_names_its_messages_and_is_called_once_for_each(
    make_node: Callable[..., Node],
) -> None:
    calls, by_content = counted_content_id()
    node = make_node(topics={"a": TopicParams(message_id=by_content)})
    node.connect([b"w"], topics=["a", "b"])
    node.join("a", "b")
    in_a, in_b = node.message(1, topic="a"), node.message(1, topic="b")
    first, second = node.receive(b"w", publish=[in_a, in_b])
    assert isinstance(first, Validate)
    assert isinstance(second, Validate)
    assert (first.message_id, second.message_id) == (content_id(in_a), origin_id(in_b))
    assert node.verdict(first) == [Deliver(in_a, content_id(in_a), b"w")]
    assert calls == [in_a]


@pytest.mark.rule("MID-02")
def test_an_id_asked_for_before_publishing_is_not_computed_again(
    make_node: Callable[..., Node],
) -> None:
    calls, by_content = counted_content_id()
    node = make_node(topics={"a": TopicParams(message_id=by_content)})
    message = node.message(topic="a", author=node.ME)
    message_id = node.router.message_id(message)
    receipt = node.router.publish(message, message_id=message_id, now=node.now)
    assert receipt.message_id == content_id(message)
    assert calls == [message]


def test_a_topic_may_sign_nothing_while_others_do(make_node: Callable[..., Node]) -> None:
    node = make_node(topics={"open": NO_SIGN})
    node.connect([b"w"], topics=["open", "t"])
    node.join("open", "t")
    bare, signed = Message("open", b"x"), node.message(2, topic="open")
    (validate,) = node.receive(
        b"w", publish=[bare, signed, Message("t", b"x"), node.message(2, topic="elsewhere")]
    )
    assert isinstance(validate, Validate)
    assert validate.message == bare
    assert node.router.undelivered() == {"unexpected signature": 1, "missing signature": 1}


def test_a_topic_may_be_scored_by_parameters_of_its_own(make_node: Callable[..., Node]) -> None:
    node = make_node(
        score=PeerScoreParams(other_topics=topic_score(-1.0)),
        topics={"a": TopicParams(score=topic_score(-5.0))},
    )
    node.connect([b"v", b"w"], topics=["a", "b"])
    node.join("a", "b")
    for peer, topic in ((b"v", "a"), (b"w", "b")):
        (validate,) = node.receive(peer, publish=[node.message(topic=topic, author=peer)])
        node.verdict(validate, Verdict.REJECT)
    assert (node.router.score(b"v"), node.router.score(b"w")) == (-5.0, -1.0)


def test_a_topics_parameters_may_change_at_run_time(make_node: Callable[..., Node]) -> None:
    node = make_node(score=PeerScoreParams(other_topics=topic_score(-1.0)))
    node.connect(node.peers(20))
    node.join("t")
    (validate,) = node.receive(b"w00", publish=[node.message()])
    node.verdict(validate, Verdict.REJECT)
    own = TopicParams(mesh=SMALL_MESH, max_data_bytes=3, score=topic_score(-7.0))
    node.router.set_topic_params("t", own, now=node.now)
    assert node.router.topic_settings("t").mesh == SMALL_MESH
    assert node.router.score(b"w00") == -7.0
    assert node.receive(b"w01", publish=[node.message(2)]) == []  # four bytes of data
    node.tick()
    assert len(node.router.mesh("t")) == 3
    assert len(node.router.mesh("other")) == 0


@pytest.mark.parametrize(
    ("own", "complaint"),
    [
        (TopicParams(signature_policy=SignaturePolicy.STRICT_NO_SIGN), "STRICT_NO_SIGN needs a"),
        (TopicParams(score=topic_score(-1.0)), "a topic has score parameters while scoring is off"),
    ],
)
def test_parameters_that_contradict_the_routers_are_refused_and_change_nothing(
    make_node: Callable[..., Node], own: TopicParams, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        make_node(topics={"t": own})
    node = make_node()
    before = node.router.topic_settings("t")
    with pytest.raises(ValueError, match=complaint):
        node.router.set_topic_params("t", own, now=node.now)
    assert node.router.topic_settings("t") == before
