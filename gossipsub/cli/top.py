"""`gossipsub top`: a running node's peers, topics and rates, in the terminal.

Reads the snapshots that a node serves (`StatusServer`, or `--status` of the node commands).
"""

from __future__ import annotations

import argparse
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gossipsub.cli.exit_status import DONE
from gossipsub.cli.parsing import Parser, seconds, whole
from gossipsub.cli.running import fail
from gossipsub.cli.text import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

TIMEOUT = 10.0
"""Seconds for a snapshot to come."""
MOST_BYTES = 64 << 20
"""Of a snapshot."""
TEXTS = {"TOPIC": 40, "PEER": 12, "AGENT": 24, "ADDRESS": 44}
"""Columns of text, and how wide they become."""

Snapshot = Mapping[str, Any]


class NoSnapshot(Exception):
    """The node did not give one: says why."""


def main(arguments: Sequence[str]) -> int:
    """0: shown. 1: the node cannot be reached. 2: a wrong call. 130: Ctrl-C."""
    options = _parser().parse_args(list(arguments))
    try:
        return _run(options)
    except NoSnapshot as problem:
        return fail("top", f"{options.node}: {problem}")
    except ImportError:
        return fail("top", "needs rich: pip install gossipsub[cli]")


def _parser() -> Parser:
    parser = Parser("top", "Show a running node's peers, topics and rates until Ctrl-C.")
    parser.add_argument("node", metavar="URL|HOST:PORT", help="where it serves its status")
    parser.add_argument("--token", help="what the node asks for")
    parser.add_argument(
        "-n", "--interval", type=_interval, default=2.0, metavar="SECONDS", help="(default: 2)"
    )
    parser.add_argument("--peers", type=whole, default=50, metavar="N", help="peers shown at most")
    parser.add_argument(
        "--once", action="store_true", help="show it once; rates need a second look"
    )
    parser.add_json()
    return parser


def _interval(text: str) -> float:
    value = seconds(text)
    if value < 1.0:  # the node gives the same snapshot again before
        raise argparse.ArgumentTypeError(f"at least 1 second: {text}")
    return value


def _run(options: argparse.Namespace) -> int:
    url = snapshot_url(options.node, options.peers)
    if options.json:
        while True:
            print(json.dumps(fetch(url, options.token)), flush=True)
            if options.once:
                return DONE
            time.sleep(options.interval)
    from rich.console import Console
    from rich.live import Live

    console = Console()
    now = fetch(url, options.token)
    if options.once:
        time.sleep(options.interval)
        console.print(render(fetch(url, options.token), now))
        return DONE
    with Live(render(now, None), console=console, screen=True, auto_refresh=False) as live:
        while True:
            time.sleep(options.interval)
            before, now = now, fetch(url, options.token)
            live.update(render(now, before), refresh=True)


def snapshot_url(node: str, peers: int) -> str:
    """`HOST:PORT` stands for `http://HOST:PORT/`. NoSnapshot for what is neither."""
    base = node if node.startswith(("http://", "https://")) else f"http://{node}"
    try:
        path = urllib.parse.urlsplit(base)._replace(fragment="", query="").geturl()
    except ValueError as problem:
        raise NoSnapshot(str(problem)) from problem
    return f"{path.rstrip('/')}/snapshot.json?peers={peers}"


def fetch(url: str, token: str | None) -> Snapshot:
    """The node's snapshot. NoSnapshot where there is none."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        request = urllib.request.Request(url, headers=headers)
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            text = answer.read(MOST_BYTES)
        found = json.loads(text)
    except urllib.error.HTTPError as problem:
        reason = problem.read(200).decode("utf-8", "replace").strip()
        raise NoSnapshot(f"{problem.code}: {printable(reason)}") from problem
    except urllib.error.URLError as problem:
        raise NoSnapshot(str(getattr(problem.reason, "strerror", None) or problem.reason)) from None
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as problem:
        raise NoSnapshot(printable(str(problem)) or type(problem).__name__) from problem
    if not isinstance(found, dict) or found.get("format") != 1:
        raise NoSnapshot("this is no snapshot that this version can read")
    return found


def rate(now: Snapshot, before: Snapshot | None, read: Callable[[Snapshot], Any]) -> float | None:
    """Per second between two snapshots; None where there is none before, or the node began anew."""
    if before is None or before["peer_id"] != now["peer_id"]:
        return None
    elapsed = now["measurements"]["uptime"] - before["measurements"]["uptime"]
    first, last = read(before), read(now)
    if elapsed <= 0 or first is None or last is None or last < first:
        return None
    return float((last - first) / elapsed)


def render(now: Snapshot, before: Snapshot | None) -> RenderableType:
    """All of it, for a console of rich."""
    from rich.console import Group
    from rich.text import Text

    def per_second(read: Callable[[Snapshot], Any]) -> str:
        return _short(rate(now, before, read))

    measured = now["measurements"]
    statistics = measured["statistics"]
    title = f"{now['peer_id']}  up {_duration(measured['uptime'])}"
    totals = "  ".join(
        [
            f"peers {sum(measured['protocols'].values())}",
            f"delivered/s {per_second(lambda s: s['measurements']['statistics']['delivered'])}",
            f"published/s {per_second(lambda s: s['measurements']['statistics']['published'])}",
            f"duplicates/s {per_second(lambda s: s['measurements']['statistics']['duplicates'])}",
            f"in/s {per_second(lambda s: s['measurements']['bytes_in'])}B",
            f"out/s {per_second(lambda s: s['measurements']['bytes_out'])}B",
            f"validating {statistics['validation_waiting']}",
            f"dropped {statistics['rpc_dropped']}",
        ]
    )
    return Group(
        Text(title, style="bold", no_wrap=True, overflow="ellipsis"),
        Text(totals),
        _topics(now, before),
        _peers(now, before),
    )


def _topics(now: Snapshot, before: Snapshot | None) -> Table:
    table = _table("TOPIC", "PEERS", "MESH", "RECV/S", "DUP/S", "PUB/S", "LOST")
    for topic in now["topics"]:
        name = topic["name"]

        def count(field: str, name: str = name) -> str:
            def read(snapshot: Snapshot) -> Any:
                counts = snapshot["measurements"]["counts"]["topics"].get(name)
                return None if counts is None else counts[field]

            return _short(rate(now, before, read))

        mesh = "-" if topic["mesh"] is None else str(len(topic["mesh"]))
        lost = sum(each["dropped"] for each in topic["subscriptions"])
        _add(
            table, name, str(topic["peers"]), mesh, count("accepted"), count("duplicates"),
            count("published"), str(lost),
        )  # fmt: skip
    return table


def _peers(now: Snapshot, before: Snapshot | None) -> Table:
    table = _table("PEER", "SCORE", "MESHES", "IN/S", "OUT/S", "QUEUE", "AGENT", "ADDRESS")
    earlier = {} if before is None else {each["info"]["peer"]: each for each in before["peers"]}
    for peer in now["peers"]:
        info = peer["info"]
        known = earlier.get(info["peer"])

        def flow(field: str, peer: Snapshot = peer, known: Snapshot | None = known) -> str:
            def read(snapshot: Snapshot) -> Any:
                found = peer if snapshot is now else known
                return None if found is None else sum(each[field] for each in found["connections"])

            return _short(rate(now, before, read))

        score = "-" if peer["score"] is None else f"{peer['score']:.1f}"
        _add(
            table, f"{info['peer'][:2]}*{info['peer'][-6:]}", score, str(len(peer["meshes"])),
            flow("bytes_in"), flow("bytes_out"), str(peer["queue_rpcs"]),
            info["agent_version"] or "-", info["address"] or "-",
        )  # fmt: skip
    return table


def _table(*names: str) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="reverse", pad_edge=False)
    for name in names:
        width = TEXTS.get(name)
        table.add_column(
            name,
            justify="right" if width is None else "left",
            min_width=7 if width is None else 8,
            max_width=width,
            no_wrap=True,
            overflow="ellipsis",
        )
    return table


def _add(table: Table, *cells: str) -> None:
    """As text: what peers say of themselves is neither markup nor control characters."""
    from rich.text import Text

    table.add_row(*[Text(printable(cell)) for cell in cells])


def _short(number: float | None) -> str:
    if number is None:
        return "-"
    for least, size, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if number >= least:
            return f"{number / size:.1f}{letter}"
    return f"{number:.1f}"


def _duration(time_up: float) -> str:
    minutes, hours = int(time_up) // 60, int(time_up) // 3600
    if minutes < 2:
        return f"{time_up:.0f} s"
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"
    return f"{hours // 24} d {hours % 24} h"
