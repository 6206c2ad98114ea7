"""`gossipsub chorus log`: what an event log holds, and whether it is whole."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from gossipsub.cli.chorus.sayings import clock, saying_line
from gossipsub.cli.exit_status import DONE, FAILED
from gossipsub.cli.output import Output
from gossipsub.cli.parsing import Parser, count, encodable, whole
from gossipsub.cli.running import run
from gossipsub.cli.text import printable

if TYPE_CHECKING:
    from gossipsub.chorus.event_log.entry import LogEntry
    from gossipsub.chorus.event_log.verification import LogVerification

_SQLITE = b"SQLite format 3\0"
_NAMES = {
    "type": "log type, such as task_claimed",
    "message-type": "type of message, such as task_claim",
    "agent": "author, by peer id",
    "project": "project",
    "thread": "thread_id",
    "topic": "topic",
}
_FIELDS = {"agent": "author", "project": "project_id", "thread": "thread_id"}


def main(arguments: Sequence[str]) -> int:
    """0; of `verify`, 1 when the log is not what its node wrote."""
    options = parse(arguments)
    work = {"query": query, "verify": verify, "export": export}[options.action]
    return run(f"chorus log {options.action}", partial(work, options))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser(
        "chorus log",
        "Look into the log that an agent keeps (--log), also while it does.",
        "exit status: 0 done; 1 error, or the log is not what its node wrote; 2 wrong call;\n"
        "130 Ctrl-C",
    )
    actions = parser.add_subparsers(
        dest="action",
        required=True,
        metavar="query|verify|export",
        parser_class=argparse.ArgumentParser,
    )
    asks = _action(actions, "query", "write entries, oldest first")
    for name, what in _NAMES.items():
        asks.add_argument(
            f"--{name}", type=encodable, metavar=name.upper(), help=f"only of this {what}"
        )
    asks.add_argument("--since", type=_time, metavar="TIME", help="logged then or later")
    asks.add_argument("--until", type=_time, metavar="TIME", help="logged before; as 2025-03-01")
    asks.add_argument("--last", type=count, metavar="N", help="only the last N of them")
    asks.add_argument("--json", action="store_true", help="one JSON object per line")
    proves = _action(actions, "verify", "prove a log, or an export of one")
    proves.add_argument(
        "--no-signatures", action="store_true", help="hashes and the newest head alone: quicker"
    )
    proves.add_argument("--json", action="store_true", help="one JSON object")
    gives = _action(actions, "export", "write it as JSON lines, which prove themselves")
    gives.add_argument(
        "--after", type=whole, default=0, metavar="INDEX", help="entries after this one"
    )
    return parser.parse_args(list(arguments))


def _action(actions: Any, name: str, what: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False
    )
    parser.add_argument("file", metavar="FILE")
    return parser


async def query(options: argparse.Namespace, output: Output | None = None) -> int:
    """Write the entries asked for."""
    from gossipsub.chorus.event_log.event_log import EventLog

    output = output or Output()
    wanted = {
        _FIELDS.get(name, name.replace("-", "_")): getattr(options, name.replace("-", "_"))
        for name in _NAMES
    }
    times = {"since": options.since, "until": options.until}
    async with EventLog.read(options.file) as log:
        write = _entry_object if options.json else _entry_line
        if options.last is None:
            async for entry in log.entries(**wanted, **times):
                await output.write(f"{write(entry)}\n".encode())
            return DONE
        newest = log.entries(**wanted, **times, limit=options.last, newest_first=True)
        lines = [write(entry) async for entry in newest]
        await output.write("".join(f"{line}\n" for line in reversed(lines)).encode())
    return DONE


async def verify(options: argparse.Namespace, output: Output | None = None) -> int:
    """Prove the log, or say at which entry that is not possible."""
    from gossipsub.chorus.event_log.errors import CorruptLog

    output = output or Output()
    try:
        proved = await _prove(options)
    except CorruptLog as problem:
        if not options.json:
            raise
        told: dict[str, Any] = {"ok": False, "index": problem.index, "reason": problem.reason}
        await output.write(f"{json.dumps(told)}\n".encode())
        return FAILED
    await output.write(f"{_proof(proved, as_json=options.json)}\n".encode())
    return DONE


async def _prove(options: argparse.Namespace) -> LogVerification:
    from gossipsub.chorus.event_log.event_log import EventLog

    signatures = not options.no_signatures
    if await anyio.to_thread.run_sync(_is_export, options.file):
        return await anyio.to_thread.run_sync(_prove_export, options.file, signatures)
    async with EventLog.read(options.file) as log:
        return await log.verify(signatures=signatures)


def _is_export(path: str) -> bool:
    """Anything that is no database: what it is instead, its first line has to say."""
    with open(path, "rb") as file:
        start = file.read(len(_SQLITE))
    return bool(start) and start != _SQLITE


def _prove_export(path: str, signatures: bool) -> LogVerification:
    from gossipsub.chorus.event_log.export import MAX_LINE_BYTES, verify_export

    with open(path, "rb") as file:
        lines = iter(lambda: file.readline(MAX_LINE_BYTES + 1), b"")
        return verify_export(lines, signatures=signatures)


def _proof(proved: LogVerification, *, as_json: bool) -> str:
    told: dict[str, Any] = {
        "ok": True,
        "node": str(proved.node),
        "entries": proved.entries,
        "first_index": proved.first_index,
        "last_index": proved.last_index,
        "heads": proved.heads,
        "messages": proved.messages,
        "head": None if proved.newest_head is None else proved.newest_head.hash.hex(),
    }
    if as_json:
        return json.dumps(told)
    return (
        f"whole: {proved.entries} entries ({proved.first_index} to {proved.last_index}) of node "
        f"{proved.node}; signatures checked: {proved.heads} of its own, "
        f"{proved.messages} of authors"
    )


async def export(options: argparse.Namespace, output: Output | None = None) -> int:
    """Write the log as JSON lines."""
    from gossipsub.chorus.event_log.event_log import EventLog

    output = output or Output()
    async with EventLog.read(options.file) as log:
        async for line in log.export(after_index=options.after):
            await output.write(line)
    return DONE


def _entry_line(entry: LogEntry) -> str:
    """The message in a sentence; of other entries, the data."""
    from gossipsub.chorus.sentences import shortened

    said = _delivery(entry)
    if said is None:
        data = printable(entry.data_json)[:200]
        line = f"{clock(entry.timestamp, with_date=True)} {shortened(entry.author)}: {data}"
    else:
        line = saying_line(said, shortened, with_date=True)
    return f"{entry.index:>6} {printable(entry.type)} {line}"


def _entry_object(entry: LogEntry) -> str:
    from gossipsub.chorus.event_log.export import entry_line

    return json.dumps(json.loads(entry_line(entry)))


def _delivery(entry: LogEntry) -> Any:
    from gossipsub.chorus.envelope import DEFAULT_LIMITS
    from gossipsub.chorus.event_log.reader import delivery_of

    return delivery_of(entry, "", DEFAULT_LIMITS)


def _time(text: str) -> int:
    """Nanoseconds since 1970 of a time as ISO 8601 has it; local where it does not say."""
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(text).astimezone()
        return int(moment.timestamp() * 1_000_000) * 1000
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"no time such as 2025-03-01T12:00: {text!r}") from error
