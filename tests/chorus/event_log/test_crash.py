from __future__ import annotations

from pathlib import Path

import pytest

from gossipsub.benchmarks.event_log_crash import kill_often
from gossipsub.chorus import LogDurability


@pytest.mark.timeout(300)
def test_a_writer_killed_at_any_moment_breaks_nothing_and_loses_nothing_confirmed(
    tmp_path: Path,
) -> None:
    found = kill_often(
        tmp_path / "log", kills=15, longest=0.1, durability=LogDurability.FULL, seed=1
    )
    assert found["complaints"] == []
    assert found["entries"] > 0
