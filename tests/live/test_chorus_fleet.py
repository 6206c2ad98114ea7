"""Agents in processes of their own, on TCP: each task is completed once, whoever is killed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import anyio
import pytest

from gossipsub.chorus import EventLog
from gossipsub.chorus.fleet.index import index_folder
from gossipsub.chorus.fleet.supervisor import AgentProcess, Fleet

PATIENCE = 100.0

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(300)]


def make_files(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        words = " ".join(["lorem", "ipsum", "dolor"][: number % 3 + 1])
        (folder / f"{number:03}.txt").write_text(f"{words} {number % 150}\n" * (number % 7 + 1))


async def require_each_once(agent: AgentProcess, expected: Counter[tuple[str, str]]) -> None:
    """Its log is sound, and holds every completion once."""
    async with EventLog.read(Path(agent.settings.state) / "events.db") as log:
        # Signatures take a tenth of a second for each log: those of two are enough.
        await log.verify(signatures=agent.name in ("agent-0", "agent-5"))
        completed = Counter(
            [
                (entry.author, entry.data["data"]["task_id"])  # type: ignore[index]
                async for entry in log.entries(message_type="task_complete")
            ]
        )
    assert completed == expected, agent.name


def expected_of(fleet: Fleet, names: list[str]) -> Counter[tuple[str, str]]:
    """Every announcer's share of the files, once each."""
    return Counter(
        (agent.peer_id, name)
        for agent in fleet.agents
        if agent.settings.share is not None
        for name in names[agent.settings.share[0] :: agent.settings.share[1]]
    )


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_twelve_agents_two_late_and_one_killed_complete_200_tasks_once_each_in_every_log(
    tmp_path: Path,
) -> None:
    files, result = tmp_path / "files", tmp_path / "index.json"
    make_files(files, 200)
    async with Fleet(files, tmp_path / "state", pace=0.25, lease=4.0) as fleet:
        announcer = await fleet.start(share=(0, 1), result=str(result))
        async with anyio.create_task_group() as tasks:
            for _ in range(9):
                tasks.start_soon(fleet.start)
        await fleet.wait_until(lambda: announcer.completed >= 10, timeout=PATIENCE)
        victim = fleet.agents[5]
        await fleet.kill(victim)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fleet.start)
            tasks.start_soon(fleet.start)
            tasks.start_soon(fleet.restart, victim)
        await fleet.wait_until(
            lambda: (
                announcer.result is not None
                and all(agent.completed >= 200 for agent in fleet.agents)
            ),
            timeout=PATIENCE,
        )
    assert len(fleet.agents) == 12
    assert announcer.result == {"event": "result", "files": 200, "failed": {}}
    index = index_folder(files)
    assert json.loads(result.read_text()) == index
    expected = expected_of(fleet, list(index["files"]))
    assert len(expected) == 200
    for agent in fleet.agents:
        await require_each_once(agent, expected)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_announcer_that_is_killed_and_restarted_completes_its_tasks_once_each(
    tmp_path: Path,
) -> None:
    files, result = tmp_path / "files", tmp_path / "index.json"
    make_files(files, 60)
    async with Fleet(files, tmp_path / "state", pace=0.1, lease=4.0) as fleet:
        one = await fleet.start(share=(0, 2), result=str(result))
        other = await fleet.start(share=(1, 2))
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(fleet.start)
        for _ in range(2):
            before = one.completed
            await fleet.wait_until(
                lambda before=before: one.completed > before,  # type: ignore[misc]
                timeout=PATIENCE,
            )
            await fleet.kill(one)
            one.result = None
            await fleet.restart(one)
        await fleet.wait_until(
            lambda: (
                one.result is not None
                and other.result is not None
                and all(agent.completed >= 60 for agent in fleet.agents)
            ),
            timeout=PATIENCE,
        )
    index = index_folder(files)
    mine = json.loads(result.read_text())["files"]
    assert mine == {name: index["files"][name] for name in list(index["files"])[::2]}
    expected = expected_of(fleet, list(index["files"]))
    for agent in fleet.agents:
        await require_each_once(agent, expected)
