"""What is measured to judge the aims: only what they name, beside those they are held against."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from gossipsub.benchmarks.harness.aims import BULKY, FASTER, OURS
from gossipsub.benchmarks.harness.contestant import contestants
from gossipsub.benchmarks.harness.plan import Wishes
from gossipsub.benchmarks.harness.workload import SIZES, Workload

WINDOW = 64
"""The same for all, unless told otherwise: trying some would take longer than measuring."""
NARROW_WINDOW = 16
"""py-libp2p loses messages where more are under way, and is no faster with fewer."""
_GO = (*OURS, "go")


def plan_of_aims(how: Wishes) -> list[Wishes]:
    """Some runs one after the other; `how` says how often, how long, with which window and seed."""
    how = replace(how, window=how.window or WINDOW)
    narrow = replace(how, window=min(how.window or WINDOW, NARROW_WINDOW))
    small = [size for size in SIZES if size not in BULKY]
    others = [size for size in small if size != 1024]
    return [
        _messages(how, ["pair"], [1024], [*_GO, "js"], ["flood"]),
        _messages(narrow, ["pair"], [1024], ["py-libp2p"], ["flood"]),
        _messages(how, ["relay"], [1024], _GO, ["flood", "half", "gentle"]),
        _messages(how, ["pair"], [1024], _GO, ["gentle"]),
        _messages(how, ["pair", "relay"], others, _GO, ["flood"]),
        _messages(how, ["pair", "relay"], BULKY, [*_GO, "rust"], ["flood"]),
        _messages(how, ["mesh-8"], SIZES, [FASTER, "go"], ["flood"]),
        _in_one_piece(how, ["setup", "startup", "fan", "duplicates"], OURS),
        _in_one_piece(replace(how, repeats=1), ["memory", "idle"], OURS),
        _in_one_piece(how, ["endurance"], [FASTER]),
    ]


def _messages(
    how: Wishes,
    workloads: Sequence[str],
    sizes: Sequence[int],
    peers: Sequence[str],
    loads: Sequence[str],
) -> Wishes:
    return replace(
        how,
        workloads=[Workload.named(name) for name in workloads],
        single=[],
        sizes=sizes,
        paced_sizes=sizes,
        contestants=contestants(peers),
        loads=loads,
    )


def _in_one_piece(how: Wishes, workloads: Sequence[str], peers: Sequence[str]) -> Wishes:
    return replace(how, workloads=[], single=workloads, contestants=contestants(peers))


def narrowed(
    plan: Sequence[Wishes],
    *,
    workloads: Collection[str] | None = None,
    peers: Collection[str] | None = None,
    sizes: Collection[int] | None = None,
) -> list[Wishes]:
    """What is left of a plan where only these are wanted; None: all of them."""

    def keep(name: str, wanted: Collection[str] | None) -> bool:
        return wanted is None or name in wanted

    parts = [
        replace(
            part,
            workloads=[each for each in part.workloads if keep(each.name, workloads)],
            single=[name for name in part.single if keep(name, workloads)],
            sizes=[size for size in part.sizes if sizes is None or size in sizes],
            paced_sizes=[size for size in part.paced_sizes if sizes is None or size in sizes],
            contestants=[each for each in part.contestants if keep(each.name, peers)],
        )
        for part in plan
    ]
    return [part for part in parts if part.runs]
