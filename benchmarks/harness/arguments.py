"""What `gossipsub bench` was told."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from gossipsub.benchmarks.harness.aims_plan import narrowed, plan_of_aims
from gossipsub.benchmarks.harness.contestant import NAMES, contestants
from gossipsub.benchmarks.harness.endurance import ENDURANCE_SECONDS
from gossipsub.benchmarks.harness.gentle import RATE
from gossipsub.benchmarks.harness.plan import Wishes
from gossipsub.benchmarks.harness.single import SINGLE
from gossipsub.benchmarks.harness.workload import LOADS, SIZES, Workload
from gossipsub.peer.installed import BACKENDS

DEFAULT_PEERS = "python,python+fast,go"
DEFAULT_WORKLOADS = "pair,relay,mesh-8"
LEAST_BYTES, MOST_BYTES = 16, 512 * 1024
"""Sizes of messages: their number and time fit in, and all implementations take them."""
T = TypeVar("T")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """SystemExit with status 2 where they are no arguments of this command."""
    parser = argparse.ArgumentParser(
        prog="gossipsub bench",
        description="Rates, latencies and costs of nodes of any implementation, side by side.",
        epilog="exit status: 0 measured, 1 nothing could be or a node did not endure, "
        "2 wrong call, 130 Ctrl-C (what was measured until then is shown and stored)",
        allow_abbrev=False,
    )
    _add_what(parser)
    _add_how(parser)
    _add_output(parser)
    options = parser.parse_args(arguments)
    if options.aims:
        _check_aims(parser, options)
    if options.quick:
        _make_quick(options)
    _fill_in(options)
    for file in (options.json, options.markdown):
        if file not in (None, "-") and (Path(file).is_dir() or not Path(file).parent.is_dir()):
            parser.error(f"cannot write to {file}: a folder, or in none")
    if options.plots is not None:
        _check_plots(parser, Path(options.plots))
    return options


def _add_what(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what is measured")
    what.add_argument(
        "--aims",
        action="store_true",
        help="what our aims need, beside those they are held against, and whether each is met: "
        "about 20 minutes, of which --only, --peers and --sizes leave a part",
    )
    what.add_argument(
        "--peers",
        type=_list(_one_of(NAMES)),
        metavar="A,B",
        help=f"of {', '.join(NAMES)} (default: {DEFAULT_PEERS})",
    )
    what.add_argument(
        "--only",
        type=_list(_workload),
        metavar="A,B",
        help="pair, relay, chain-N, mesh-N (up to 100 nodes), fan-N, and in one piece "
        f"{', '.join(SINGLE)} (default: {DEFAULT_WORKLOADS})",
    )
    what.add_argument(
        "--loads",
        type=_list(_one_of(LOADS)),
        default=list(LOADS),
        metavar="A,B",
        help="flood (all that arrives without loss), half of that through a relay, "
        "gentle (a few a second; latency) (default: all)",
    )
    _add_messages(what)


def _add_messages(what: argparse._ArgumentGroup) -> None:
    what.add_argument(
        "--sizes",
        type=_list(_whole(LEAST_BYTES, MOST_BYTES)),
        metavar="N,N",
        help=f"bytes of a message in floods (default: {','.join(map(str, SIZES))})",
    )
    what.add_argument(
        "--paced-sizes",
        type=_list(_whole(LEAST_BYTES, MOST_BYTES)),
        metavar="N,N",
        help="the same of the other loads (default: 1024, or the first of --sizes)",
    )
    what.add_argument(
        "--sign", choices=["strict", "none"], default="strict", help="default: strict"
    )
    what.add_argument(
        "--topics",
        type=_list(_whole(1, 100)),
        default=[1],
        metavar="N,N",
        help="how many all nodes are in, and messages are spread over (default: 1)",
    )
    what.add_argument(
        "--backend",
        type=_list(_one_of(BACKENDS)),
        default=[],
        metavar="A,B",
        help="of our own node: asyncio, uvloop, trio (default: asyncio, and uvloop for "
        "python+fast)",
    )


def _add_how(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how")
    how.add_argument("--quick", action="store_true", help="1 KiB, once and shortly; no mesh")
    how.add_argument(
        "--repeats", type=_whole(1, 100), metavar="N", help="of each run, in turns (default: 3)"
    )
    how.add_argument(
        "--seconds", type=_number(0.1, 60.0), metavar="S", help="a run, about (default: 2)"
    )
    how.add_argument(
        "--endurance",
        type=_number(10.0, 86_400.0),
        default=ENDURANCE_SECONDS,
        metavar="S",
        help=f"seconds of the workload of that name (default: {ENDURANCE_SECONDS:g})",
    )
    how.add_argument(
        "--window",
        type=_whole(1, 4096),
        metavar="N",
        help="messages under way in a flood (default: the best that loses none)",
    )
    how.add_argument(
        "--rate",
        type=_number(0.1, 100_000.0),
        default=RATE,
        metavar="N",
        help=f"messages a second of gentle runs (default: {RATE:g})",
    )
    how.add_argument(
        "--seed", type=_whole(0, 2**31), default=1, metavar="N", help="of meshes (default: 1)"
    )

    how.add_argument(
        "--profile",
        action="store_true",
        help="our own nodes tell where the CPU time of floods goes, by layer (Linux)",
    )


def _add_output(parser: argparse.ArgumentParser) -> None:
    output = parser.add_argument_group("output")
    output.add_argument("--json", metavar="FILE", help="all samples; - is standard output")
    output.add_argument("--markdown", metavar="FILE", help="the tables")
    output.add_argument("--plots", metavar="FOLDER", help="pictures (SVG); needs gossipsub[bench]")
    output.add_argument(
        "--judge", nargs="+", metavar="FILE", help="measure nothing: the aims in --json files"
    )
    output.add_argument(
        "--compare", nargs=2, metavar=("OLD", "NEW"), help="measure nothing: two --json files"
    )


def _check_aims(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Flags that the aims leave no choice of are no use beside them."""
    fixed = ("quick", "loads", "paced_sizes", "sign", "topics", "backend", "profile", "rate")
    for name in fixed:
        if getattr(options, name) != parser.get_default(name):
            parser.error(f"--aims: not with --{name.replace('_', '-')}, which they settle")


def _check_plots(parser: argparse.ArgumentParser, folder: Path) -> None:
    """Not to be found out after a long run."""
    if find_spec("matplotlib") is None:
        parser.error("--plots: needs matplotlib (pip install gossipsub[bench])")
    if not (folder.is_dir() or (folder.parent.is_dir() and not folder.exists())):
        parser.error(f"cannot write to {folder}: neither a folder, nor in one")


def _make_quick(options: argparse.Namespace) -> None:
    """Where nothing else is said."""
    options.only = options.only or ["pair", "relay"]
    options.sizes = options.sizes or [1024]
    options.repeats = options.repeats or 1
    options.seconds = options.seconds or 1.0


def _fill_in(options: argparse.Namespace) -> None:
    options.repeats = options.repeats or 3
    options.seconds = options.seconds or 2.0
    if options.aims:
        return  # its plan has all else
    options.peers = options.peers or DEFAULT_PEERS.split(",")
    options.only = options.only or DEFAULT_WORKLOADS.split(",")
    options.sizes = options.sizes or list(SIZES)
    usual = 1024 if 1024 in options.sizes else options.sizes[0]
    options.paced_sizes = options.paced_sizes or [usual]


def plan_of(options: argparse.Namespace) -> list[Wishes]:
    """Of what is measured one after the other."""
    if not options.aims:
        return [wishes_of(options)]
    how = Wishes(
        sizes=(),
        paced_sizes=(),
        contestants=(),
        repeats=options.repeats,
        seconds=options.seconds,
        rate=options.rate,
        window=options.window,
        seed=options.seed,
        endurance=options.endurance,
    )
    wanted = {"workloads": options.only, "peers": options.peers, "sizes": options.sizes}
    return narrowed(plan_of_aims(how), **wanted)


def wishes_of(options: argparse.Namespace) -> Wishes:
    """Everything but the aims."""
    return Wishes(
        workloads=[Workload.named(name) for name in options.only if name not in SINGLE],
        single=[name for name in options.only if name in SINGLE],
        loads=options.loads,
        sizes=options.sizes,
        paced_sizes=options.paced_sizes,
        contestants=contestants(options.peers, options.backend),
        signed=options.sign == "strict",
        topics=options.topics,
        repeats=options.repeats,
        seconds=options.seconds,
        rate=options.rate,
        window=options.window,
        seed=options.seed,
        profile=options.profile,
        endurance=options.endurance,
    )


def _list(read: Callable[[str], T]) -> Callable[[str], list[T]]:
    def read_list(text: str) -> list[T]:
        words = [word.strip() for word in text.split(",") if word.strip()]
        if not words or len(set(words)) < len(words):
            raise argparse.ArgumentTypeError(f"name each once: {text!r}")
        try:
            return [read(word) for word in words]
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return read_list


def _workload(word: str) -> str:
    if word not in SINGLE:
        Workload.named(word)
    return word


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
    def read(word: str) -> str:
        if word not in names:
            raise ValueError(f"{word!r} is none of {', '.join(names)}")
        return word

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(word: str) -> int:
        if not (word.isascii() and word.isdigit() and least <= int(word) <= most):
            raise argparse.ArgumentTypeError(f"{word!r} is not a number from {least} to {most}")
        return int(word)

    return read


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(word: str) -> float:
        try:
            number = float(word)
        except ValueError:
            number = -1.0
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{word!r} is not a number from {least} to {most}")
        return number

    return read
