"""Dials under way: who waits for whom, and what comes of it."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from gossipsub.crypto.keys import PrivateKey
from gossipsub.transport.address import Address
from gossipsub.transport.connections import DialError
from gossipsub.transport.dials import Dials

pytestmark = pytest.mark.anyio

PEER = PrivateKey.from_node_number(1).peer_id()
HERE = Address("ip4", "192.0.2.1", 1, PEER)
THERE = Address("ip4", "192.0.2.2", 1, PEER)
ANYBODY = Address("ip4", "192.0.2.1", 1)


class Dialler:
    """Begins dials that end when they are told to, and notes what came of them."""

    def __init__(self) -> None:
        self.dials = Dials()
        self.begun: list[Address] = []
        self.outcomes: list[object] = []
        self.may_end = anyio.Event()
        self.error: Exception | None = None

    async def _dial(self, address: Address):
        self.begun.append(address)
        await self.may_end.wait()
        if self.error is not None:
            raise self.error
        return PEER

    async def dial(self, address: Address) -> None:
        try:
            self.outcomes.append(await self.dials.share(address, partial(self._dial, address)))
        except DialError as error:
            self.outcomes.append(str(error))


@pytest.fixture
def dialler() -> Dialler:
    return Dialler()


async def test_the_same_dial_is_not_begun_twice(dialler):
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(dialler.dial, HERE)
        await anyio.wait_all_tasks_blocked()
        dialler.may_end.set()
    assert dialler.begun == [HERE]
    assert dialler.outcomes == [PEER] * 3
    await dialler.dial(HERE)
    assert dialler.begun == [HERE, HERE]


async def test_those_who_wait_hear_of_a_failure(dialler):
    dialler.error = DialError("nobody is there")
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(dialler.dial, HERE)
        await anyio.wait_all_tasks_blocked()
        dialler.may_end.set()
    assert dialler.begun == [HERE]
    assert dialler.outcomes == ["nobody is there"] * 3


async def test_when_the_one_that_dials_is_cancelled_another_takes_over(dialler):
    async with anyio.create_task_group() as tasks:
        async with anyio.create_task_group() as impatient:
            impatient.start_soon(dialler.dial, HERE)
            await anyio.wait_all_tasks_blocked()
            for _ in range(2):
                tasks.start_soon(dialler.dial, HERE)
            await anyio.wait_all_tasks_blocked()
            impatient.cancel_scope.cancel()
        await anyio.wait_all_tasks_blocked()
        assert dialler.begun == [HERE, HERE]
        dialler.may_end.set()
    assert dialler.outcomes == [PEER] * 2


async def test_other_addresses_are_dialled_side_by_side_until_one_leads_to_the_peer(dialler):
    async with anyio.create_task_group() as tasks:
        for address in (HERE, THERE, ANYBODY):
            tasks.start_soon(dialler.dial, address)
        await anyio.wait_all_tasks_blocked()
        assert sorted(dialler.begun, key=str) == [ANYBODY, HERE, THERE]
        dialler.dials.reached(PEER, HERE)
        await anyio.wait_all_tasks_blocked()
        assert dialler.outcomes == [PEER]  # there; it is not known whom anybody would turn out
        dialler.may_end.set()
    assert dialler.outcomes == [PEER] * 3


async def test_at_the_end_all_dials_end_without_an_outcome(dialler):
    async with anyio.create_task_group() as tasks:
        for address in (HERE, THERE):
            tasks.start_soon(dialler.dial, address)
        await anyio.wait_all_tasks_blocked()
        dialler.dials.cancel_all()
    assert dialler.outcomes == [None, None]
