from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from gossipsub.chorus import (
    AcknowledgedPublisher,
    Acknowledgements,
    Envelope,
    MessageOptions,
    MessageType,
    Requests,
    TaskAnnouncement,
)
from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.handlers import Handler
from gossipsub.crypto.peer_id import PeerId
from gossipsub.testing.mesh import Mesh
from gossipsub.wire.errors import LocalProtocolError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

Fleet = Callable[..., Any]
TASK = TaskAnnouncement(task_id="1")


def collector(got: list[Envelope]) -> Handler:
    return lambda envelope, sender: got.append(envelope)


def lose(mesh: Mesh) -> None:
    """What the first says from now on reaches nobody."""
    mesh.partition(mesh[:1], mesh[1:])
    mesh.network.cut(mesh.machine_of(mesh[0]))


async def test_it_returns_as_soon_as_all_have_acknowledged(fleet: Fleet) -> None:
    async with (
        fleet(4) as (mesh, (a, b, c, d)),
        AcknowledgedPublisher(a) as publisher,
        AcknowledgedPublisher(b),
        AcknowledgedPublisher(c),
        AcknowledgedPublisher(d) as bystander,
    ):
        got: list[Envelope] = []
        b.set_bzzz_message_handler(collector(got))
        start = anyio.current_time()
        wanted = {mesh[1].peer_id, mesh[2].peer_id}
        result = await publisher.publish(TASK, MessageOptions(thread_id="t"), expect=wanted)
        assert anyio.current_time() - start < 0.3
        assert (set(result.acknowledged_by), result.missing) == (wanted, ())
        assert (result.is_complete, result.sent) == (True, 1)
        await anyio.sleep(1)
        (envelope,) = got
        assert envelope.thread_id == "t"
        assert envelope.data is not None
        assert envelope.data["delivery_id"] == result.delivery_id
        assert len(bytes.fromhex(result.delivery_id)) == 16
        # Who is not expected says nothing.
        assert bystander.statistics().acknowledgements_sent == 0


async def test_a_number_of_agents_will_do_whoever_they_are(fleet: Fleet) -> None:
    async with (
        fleet(3) as (mesh, (a, b, c)),
        AcknowledgedPublisher(a) as publisher,
        AcknowledgedPublisher(b),
        AcknowledgedPublisher(c),
    ):
        result = await publisher.publish(TASK, expect=2)
        assert (result.is_complete, result.missing) == (True, ())
        assert set(result.acknowledged_by) == {mesh[1].peer_id, mesh[2].peer_id}
        start = anyio.current_time()
        result = await publisher.publish(TASK, expect=3, timeout=4, attempts=2)
        assert anyio.current_time() - start == pytest.approx(4, abs=0.1)
        assert (result.is_complete, len(result.acknowledged_by), result.sent) == (False, 2, 2)


async def test_the_result_names_those_that_are_missing(fleet: Fleet) -> None:
    async with (
        fleet(3) as (mesh, (a, b, _c)),
        AcknowledgedPublisher(a) as publisher,
        AcknowledgedPublisher(b),
    ):
        both = [mesh[2].peer_id, mesh[1].peer_id]
        result = await publisher.publish(TASK, expect=both, timeout=6)
        assert result == Acknowledgements(
            result.delivery_id, (mesh[1].peer_id,), (mesh[2].peer_id,), False, 3
        )
        counts = publisher.statistics()
        assert (counts.published, counts.resent, counts.waiting) == (1, 2, 0)


async def test_what_is_sent_again_is_handed_to_handlers_once(fleet: Fleet) -> None:
    async with (
        fleet(3) as (mesh, (a, b, _c)),
        AcknowledgedPublisher(a) as publisher,
        AcknowledgedPublisher(b) as receiver,
        Requests(b),
    ):
        got: list[Envelope] = []
        b.set_bzzz_message_handler(collector(got))
        await publisher.publish(TASK, expect=[mesh[2].peer_id], timeout=3)
        assert [envelope.type for envelope in got] == [MessageType.TASK_ANNOUNCEMENT]
        assert receiver.statistics().repeats == 2
        # It is by agent and delivery: another one's message, and the next one, are others.
        await publisher.publish(TASK, expect=1, timeout=1, attempts=1)
        assert len(got) == 2


async def test_all_who_handle_a_message_get_the_first_of_it(fleet: Fleet) -> None:
    async with (
        fleet(2) as (_mesh, (a, b)),
        AcknowledgedPublisher(a) as publisher,
        AcknowledgedPublisher(b),
    ):
        got: list[Envelope] = []
        observed: list[Delivery] = []
        b.set_bzzz_message_handler(collector(got))
        b.add_observer(observed.append)
        await publisher.publish(TASK, expect=2, timeout=3)
        copies = [each for each in observed if not each.is_own]
        await b.call_handler(collector(got), copies[0])
        await b.call_handler(collector(got), copies[-1])
        assert len(got) == 2


async def test_it_is_sent_again_until_it_arrives(fleet: Fleet) -> None:
    async def reconnect() -> None:
        await anyio.sleep(5)
        mesh.heal()
        await mesh[0].connect(mesh[1].addresses[0])

    async with (
        fleet(2) as (mesh, (a, b)),
        AcknowledgedPublisher(a) as publisher,
        AcknowledgedPublisher(b),
    ):
        lose(mesh)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reconnect)
            result = await publisher.publish(TASK, expect=1, timeout=30, attempts=10)
        assert result.is_complete
        assert result.sent in (2, 3)


async def test_many_messages_take_one_acknowledgement(fleet: Fleet) -> None:
    async with (
        fleet(2) as (_mesh, (a, b)),
        AcknowledgedPublisher(a) as publisher,
        AcknowledgedPublisher(b) as receiver,
    ):
        results: list[Acknowledgements] = []

        async def publish() -> None:
            results.append(await publisher.publish(TASK, expect=1))

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(publish)
                await anyio.sleep(0.002)
        assert all(result.is_complete for result in results)
        assert len({result.delivery_id for result in results}) == 50
        assert receiver.statistics().acknowledgements_sent <= 3


async def test_agents_of_other_roles_and_those_without_it_do_not_acknowledge(
    fleet: Fleet,
) -> None:
    async with (
        fleet(3) as (mesh, (a, b, c)),
        AcknowledgedPublisher(a) as publisher,
        AcknowledgedPublisher(b),
        AcknowledgedPublisher(c),
    ):
        b.set_role("Developer")
        c.set_role("Architect")
        options = MessageOptions(to_roles=("developer",))
        result = await publisher.publish(TASK, options, expect=2, timeout=2)
        assert result.acknowledged_by == (mesh[1].peer_id,)


async def test_an_acknowledgement_that_is_none_does_no_harm(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    async with fleet(3) as (mesh, (a, b, _c)), AcknowledgedPublisher(a) as publisher:

        async def answer(envelope: Envelope, sender: PeerId) -> None:
            ours = (envelope.data or {})["delivery_id"]
            for ids in (None, 5, "x", [], [5, "", "x" * 65, {}], ["unknown"], [ours]):
                await b.publish_extension(
                    b.coordination_topic, "acknowledgement", {"delivery_ids": ids}
                )
            await b.publish_extension(b.coordination_topic, "acknowledgement", None)

        b.set_bzzz_message_handler(answer)
        # From one that was not expected.
        result = await publisher.publish(TASK, expect=[mesh[2].peer_id], timeout=1)
        assert (result.acknowledged_by, result.is_complete) == ((), False)
        assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_what_is_told_afterwards_is_handled_once_and_not_acknowledged(fleet: Fleet) -> None:
    async with (
        fleet(2) as (mesh, (a, b)),
        AcknowledgedPublisher(a) as publisher,
        AcknowledgedPublisher(b) as receiver,
    ):
        said: list[Delivery] = []
        got: list[Envelope] = []
        a.add_observer(said.append)
        b.set_bzzz_message_handler(collector(got))
        lose(mesh)
        await publisher.publish(TASK, expect=1, timeout=1, attempts=2)
        assert [b.catch_up(delivery.signed) for delivery in said] == [True, True]
        await anyio.sleep(1)
        assert len(got) == 1
        assert receiver.statistics().acknowledgements_sent == 0


async def test_what_makes_no_sense_is_refused(fleet: Fleet) -> None:
    async with fleet(1) as (mesh, (a,)):
        with pytest.raises(LocalProtocolError, match="open it first"):
            await AcknowledgedPublisher(a).publish(TASK, expect=1)
        with pytest.raises(LocalProtocolError, match="delay"):
            AcknowledgedPublisher(a, delay=-1)
        with pytest.raises(LocalProtocolError, match="at least 1 name"):
            AcknowledgedPublisher(a, remembered=0)
        async with AcknowledgedPublisher(a) as publisher:
            with pytest.raises(LocalProtocolError, match="open already"):
                await publisher.__aenter__()
            for options in (
                {"expect": 0}, {"expect": []}, {"expect": True}, {"expect": 257},
                {"expect": 1, "timeout": 0}, {"expect": 1, "attempts": 0},
                {"expect": 1, "topic": "never joined"}, {"expect": mesh[0].peer_id},
            ):  # fmt: skip
                with pytest.raises(LocalProtocolError):
                    await publisher.publish(TASK, **options)  # type: ignore[arg-type]
            assert publisher.statistics().waiting == 0
            assert publisher.statistics().published == 0
