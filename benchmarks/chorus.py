"""What CHORUS adds to the cost of a message: to publish one, and to receive one.

`python -m gossipsub.benchmarks.chorus`: a `task_progress` whose envelope takes 1 KiB. Published on
a host without peers and received on one connected in memory, with and without CHORUS; what the
layer costs is the difference, beside the signature of the same run. With an event log its thread
counts too, and whatever the system does for it. Then each step alone.

CPU microseconds of this process, the least of the repeats. The payload's words and the keys depend
on the seed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

import anyio

from gossipsub.benchmarks import chorus_steps
from gossipsub.benchmarks.chorus_paths import (
    PLAIN,
    Cost,
    Data,
    Setup,
    encoded_by,
    key_of,
    published,
    received,
)
from gossipsub.benchmarks.measurement import environment
from gossipsub.chorus import TaskProgress

AIM_SIGNATURES = 1.0
"""At most so many signatures are what publishing may cost more, without an event log."""
AIM_LOGGED_US = 50.0
"""With one."""

_WORDS = (
    *("the", "tests", "of", "this", "module", "are", "running", "now", "two", "were", "repeated"),
    *("since", "its", "registry", "answered", "late", "no", "failure", "so", "far", "what"),
    *("remains", "is", "transport", "discovery", "and", "command", "line"),
)


def main(arguments: list[str] | None = None) -> int:
    flags = _parse(arguments)
    result = measure(flags)
    if flags.json:
        print(json.dumps(result))
    else:
        _print(result)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gossipsub.benchmarks.chorus", description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="bytes of an envelope, about")
    parser.add_argument("--messages", type=int, default=400, help="messages of a repeat")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(arguments)


def measure(flags: argparse.Namespace) -> dict[str, Any]:
    """All figures in microseconds of CPU."""
    data = payload(flags.size, Random(flags.seed))
    key = key_of(f"{flags.seed} steps")
    has_re2 = find_spec("re2") is not None
    often: dict[str, int] = {"messages": flags.messages, "repeats": flags.repeats}
    steps = chorus_steps.measured(data, key, has_re2=has_re2, **often)
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)

        async def run() -> tuple[Mapping[str, Sequence[Cost]], Mapping[str, Sequence[Cost]]]:
            where: dict[str, Any] = {"folder": folder, "seed": flags.seed, **often}
            return (
                await published(data, _publishing_setups(has_re2=has_re2), **where),
                await received(data, _RECEIVING_SETUPS, **where),
            )

        publishing, receiving = anyio.run(run)
    return {
        "versions": environment("cryptography", "anyio", *(["google-re2"] if has_re2 else [])),
        "seed": flags.seed,
        "envelope_bytes": len(encoded_by(key, data)),
        "messages": flags.messages,
        "repeats": flags.repeats,
        "sign_us": _least(steps[chorus_steps.SIGN]),
        "verify_us": _least(steps[chorus_steps.VERIFY]),
        "publish": _ways(publishing),
        "receive": _ways(receiving),
        "steps_us": {name: _least(seconds) for name, seconds in steps.items()},
    }


def _publishing_setups(*, has_re2: bool) -> list[Setup]:
    setups = [
        Setup("CHORUS"),
        Setup("and an observer", observers=1),
        Setup("and redaction without re2", redacts=True, use_re2=False),
        Setup("and an event log", logs=True),
    ]
    if has_re2:
        setups.insert(2, Setup("and redaction with re2", redacts=True, use_re2=True))
    setups.append(Setup("and redaction and an event log", redacts=True, logs=True))
    return setups


_RECEIVING_SETUPS = (
    Setup("CHORUS"),
    Setup("and an observer", observers=1),
    Setup("and an event log", logs=True),
)


def _ways(costs: Mapping[str, Sequence[Cost]]) -> list[dict[str, Any]]:
    """Of each setup all it takes, the event loop's part of it, and what the layer adds."""
    least = {
        name: (_least([each.total for each in some]), _least([each.loop for each in some]))
        for name, some in costs.items()
    }
    return [
        {"what": name, "total_us": total, "loop_us": loop, "layer_us": total - least[PLAIN][0]}
        for name, (total, loop) in least.items()
    ]


def _least(seconds: Sequence[float]) -> float:
    return min(seconds) * 1e6


def payload(size: int, random: Random) -> Data:
    """What an agent says of a task halfway: texts, numbers, a list, an object. Its message is as
    long as it takes to make the envelope `size` bytes, if that can be."""
    task_id = f"task-{random.randrange(10_000)}"
    words = [random.choice(_WORDS) for _ in range(size)]

    def saying(count: int) -> dict[str, object]:
        return TaskProgress(
            task_id=task_id,
            agent_id="agent-7",
            status="in_progress",
            progress=0.45,
            message=" ".join(words[:count]),
            blockers=("waits for the registry",),
            started_at="2026-11-22T09:30:00Z",
            output={
                "step": "test",
                "steps_done": 12,
                "steps_total": 27,
                "files": ["src/router/mesh.py", "src/router/scoring.py", "docs/scoring.md"],
                "durations": [12.4, 9.81, 33.02],
                "is_final": False,
            },
        ).to_data()

    key = key_of("size")
    count = 0
    while count < size and len(encoded_by(key, saying(count + 1))) <= size:
        count += 1
    return saying(count)


# -- printing --------------------------------------------------------------------------------


def _print(result: dict[str, Any]) -> None:
    print(", ".join(f"{name} {value}" for name, value in result["versions"].items()))
    print(
        f"envelopes of {result['envelope_bytes']} B, seed {result['seed']}, CPU microseconds, the "
        f"least of {result['repeats']} times {result['messages']}"
    )
    print(f"one signature {result['sign_us']:.1f}, verifying one {result['verify_us']:.1f}")
    for title, way, unit in (
        ("publishing", "publish", result["sign_us"]),
        ("receiving", "receive", result["verify_us"]),
    ):
        print(f"{title:34}{'all':>8}{'loop':>8}{'layer':>8}  layer by signature")
        for case in result[way]:
            figures = "".join(f"{case[name]:8.1f}" for name in ("total_us", "loop_us", "layer_us"))
            print(f"  {case['what']:32}{figures}{case['layer_us'] / unit:10.2f}")
    print(
        f"aims: to publish without a log at most {AIM_SIGNATURES:.0f} signature, with one "
        f"{AIM_LOGGED_US:.0f} us"
    )
    _print_steps(result["steps_us"])


def _print_steps(steps: Mapping[str, float]) -> None:
    for title, names in (
        ("publishing", chorus_steps.PUBLISHING),
        ("receiving", chorus_steps.RECEIVING),
        ("logging", chorus_steps.LOGGING),
    ):
        print(f"{title}, each step alone")
        for name in names:
            if name in steps:
                print(f"  {name:32}{steps[name]:8.1f}")


if __name__ == "__main__":
    sys.exit(main())
