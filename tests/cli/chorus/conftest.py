"""What the tests of `gossipsub chorus` share: another agent."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.cli.chorus.agents import Other, other_agent


@pytest.fixture
async def ada() -> AsyncIterator[Other]:
    async with other_agent() as other:
        yield other
