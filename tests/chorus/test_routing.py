from __future__ import annotations

import pytest

from gossipsub import Host
from gossipsub.chorus import ChorusPubSub, Envelope, MessageOptions, MessageType, Timestamp
from gossipsub.chorus.routing import Routing
from gossipsub.chorus.topics import HMMM_TOPIC
from gossipsub.wire.errors import LocalProtocolError
from tests.chorus.agents import Collector, two_agents


def envelope(to_roles: tuple[str, ...] = (), expertise: tuple[str, ...] = ()) -> Envelope:
    now = Timestamp.from_unix_ns(0)
    return Envelope("news", "f", now, {}, to_roles=to_roles, required_expertise=expertise)


@pytest.mark.parametrize(
    ("to_roles", "expertise", "expected"),
    [
        ((), (), True),
        (("Senior Developer",), (), True),
        (("senior_developer",), (), True),
        (("Architect", "SENIOR DEVELOPER"), (), True),
        (("Architect",), (), False),
        (("",), (), False),
        ((), ("Go Lang", "rust"), True),
        ((), ("rust",), False),
        (("Architect",), ("go_lang",), False),
        (("Senior Developer",), ("rust",), False),
        (("Senior Developer",), ("go_lang",), True),
        (("Senior Developer" * 1000,), (), False),
    ],
)
def test_a_message_needs_one_of_its_roles_and_one_of_its_fields(
    to_roles: tuple[str, ...], expertise: tuple[str, ...], expected: bool
) -> None:
    routing = Routing()
    routing.set("Senior Developer", ["Go Lang", "kubernetes"])
    assert routing.is_for_us(envelope(to_roles, expertise)) is expected


def test_an_agent_without_a_role_gets_what_is_for_all_and_an_observer_gets_everything() -> None:
    routing = Routing()
    assert routing.is_for_us(envelope())
    assert not routing.is_for_us(envelope(("Architect",)))
    routing.set("", ())
    assert not routing.is_for_us(envelope(("",)))
    routing.set("", (), sees_everything=True)
    assert routing.is_for_us(envelope(("Architect",), ("rust",)))
    routing.set("Architect", ())
    assert not routing.is_for_us(envelope((), ("rust",)))


def test_what_is_no_text_is_an_error_and_leaves_the_role_as_it_was() -> None:
    routing = Routing()
    routing.set("Architect", ())
    with pytest.raises(LocalProtocolError, match=r"^expertise is several texts, not one$"):
        routing.set("Developer", "golang")
    with pytest.raises(LocalProtocolError, match=r"^roles and expertise are text, not of type int"):
        routing.set("Developer", [1])  # type: ignore[list-item]
    assert routing.is_for_us(envelope(("Architect",)))


@pytest.mark.anyio
async def test_handlers_get_what_is_for_their_role_and_the_rest_is_counted() -> None:
    async with two_agents() as (alice, bob):
        got = Collector()
        bob.set_hmmm_message_handler(got)
        bob.set_role("Senior Developer", ["golang"])
        for number, options in enumerate(
            (
                MessageOptions(to_roles=("Architect",)),
                MessageOptions(required_expertise=("rust",)),
                MessageOptions(to_roles=("Architect", "senior developer"), thread_id="thread-abc"),
                None,
            )
        ):
            data = {"question": str(number), "context": "Microservices architecture"}
            await alice.publish_role_based_message(MessageType.EXPERTISE_REQUEST, data, options)
        heard = [(envelope.data or {})["question"] for envelope, _ in await got.wait(2)]
        assert heard == ["2", "3"]
        assert got.got[0][0].thread_id == "thread-abc"
        assert bob.statistics().topics[HMMM_TOPIC].not_for_us == 2


@pytest.mark.anyio
async def test_joining_the_topics_of_a_role_takes_the_role() -> None:
    async with Host() as host, ChorusPubSub(host) as chorus:
        assert not chorus.is_for_us(envelope(("Architect",)))
        await chorus.join_role_based_topics("Architect", ["golang"])
        assert chorus.is_for_us(envelope(("architect",), ("Golang",)))
