"""What `gossipsub conformance` was told."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gossipsub.conformance.driver import PEERS
from gossipsub.conformance.kit.case import load_cases
from gossipsub.conformance.kit.deviations import read_deviations
from gossipsub.conformance.kit.runner import JOBS
from gossipsub.conformance.kit.target import HEARTBEAT, RUNNING_HEARTBEAT, Target, named_target
from gossipsub.conformance.scripted_wire import host_and_port
from gossipsub.crypto.peer_id import PeerId
from gossipsub.wire.errors import RemoteProtocolError


class WrongCall(ValueError):
    """The arguments make no sense together; says why."""


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    """SystemExit with status 2 where they are no arguments of this command."""
    parser = argparse.ArgumentParser(
        prog="gossipsub conformance",
        description="Hold a GossipSub implementation to the numbered rules of the specifications.",
        epilog="exit status: 0 nothing failed, 1 something did, 2 wrong call, 3 no such target, "
        "130 after Ctrl-C and 143 after SIGTERM, with a report of what was run",
        allow_abbrev=False,
    )
    _add_target(parser)
    _add_cases(parser)
    _add_report(parser)
    return parser.parse_args(arguments)


def _add_target(parser: argparse.ArgumentParser) -> None:
    target = parser.add_argument_group("what is tried (default: --target python)")
    target.add_argument(
        "--target", action="append", default=[], metavar="NAME", help=f"{', '.join(PEERS)}; several"
    )
    target.add_argument(
        "--peer-command", metavar="COMMAND", help="any program that speaks the test-peer protocol"
    )
    target.add_argument("--name", default="target", help="what reports call it (default: target)")
    target.add_argument("--address", metavar="MULTIADDR", help="a node that runs already")
    target.add_argument("--topic", default="t", help="what that node is subscribed to")
    target.add_argument(
        "--heartbeat",
        type=float,
        metavar="SECONDS",
        help=f"of the target (default: {HEARTBEAT:g}, of a running node {RUNNING_HEARTBEAT:g})",
    )
    target.add_argument(
        "--known", type=Path, metavar="FILE", help="JSON: cases it is known to fail, and why"
    )


def _add_cases(parser: argparse.ArgumentParser) -> None:
    cases = parser.add_argument_group("cases")
    cases.add_argument("--only", type=_names, metavar="SCORE,BACK-03", help="areas, rules, cases")
    cases.add_argument("--list", action="store_true", help="the cases, and what they need")
    cases.add_argument("--explain", metavar="CASE", help="all about one case, tried on the target")
    cases.add_argument("--self-test", action="store_true", help="each case on a node it must fail")
    cases.add_argument("--seed", type=int, default=1, help="of all that is drawn (default: 1)")
    cases.add_argument("--jobs", type=_jobs, default=JOBS, help=f"at once (default: {JOBS})")


def _add_report(parser: argparse.ArgumentParser) -> None:
    report = parser.add_argument_group("report")
    report.add_argument("--json", metavar="FILE", help="- is standard output")
    report.add_argument("--junit", metavar="FILE", help="XML for build servers")
    report.add_argument("--html", metavar="FILE", help="one page, targets beside each other")
    report.add_argument("--markdown", metavar="FILE", help="tables")
    report.add_argument(
        "--compare", nargs="+", metavar="JSON", help="run nothing: make the report of these"
    )
    report.add_argument("--transcript", action="store_true", help="what passed, in failed cases")


def targets_of(options: argparse.Namespace) -> list[Target]:
    """WrongCall where an address or a name is none, or `--known` could be about several."""
    given = options.heartbeat
    heartbeat = HEARTBEAT if given is None else given
    if not 0.05 <= heartbeat <= 10:
        raise WrongCall(f"a heartbeat of {heartbeat} s; 0.05 to 10 are possible")
    named = [named_target(_named(name), heartbeat=heartbeat) for name in options.target]
    theirs = []
    if options.peer_command is not None:
        command = tuple(shlex.split(options.peer_command))
        if not command:
            raise WrongCall("--peer-command is empty")
        theirs.append(Target(name=options.name, command=command, heartbeat=heartbeat))
    if options.address is not None:
        _check_address(options.address)
        theirs.append(
            Target(
                name=options.name,
                address=options.address,
                topic=options.topic,
                heartbeat=RUNNING_HEARTBEAT if given is None else given,
            )
        )
    if not named and not theirs:
        named = [named_target("python", heartbeat=heartbeat)]
    if options.known is None:
        return [*named, *theirs]
    if len(theirs or named) > 1:
        raise WrongCall("--known is about one target, and there are several")
    known = _known(options.known)
    if theirs:
        return [*named, replace(theirs[0], known=known)]
    return [replace(named[0], known={**named[0].known, **known})]


def _named(name: str) -> str:
    if name not in PEERS:
        raise WrongCall(f"no target is called {name!r}; there are {', '.join(PEERS)}")
    return name


def _known(file: Path) -> Mapping[str, str]:
    try:
        known = read_deviations(file)
    except (OSError, ValueError) as error:
        raise WrongCall(f"--known: {error}") from error
    for case in known:
        if case not in load_cases():
            raise WrongCall(f"--known: there is no case {case}")
    return known


def _check_address(address: str) -> None:
    head, found, peer = address.rpartition("/p2p/")
    try:
        if not found:
            raise ValueError("it does not end in /p2p/ and a peer id")
        PeerId.parse(peer)
        host_and_port(head)
    except (ValueError, RemoteProtocolError) as error:
        raise WrongCall(f"not an address of a TCP node: {address!r}: {error}") from error


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _jobs(text: str) -> int:
    jobs = int(text)
    if not 1 <= jobs <= 64:
        raise argparse.ArgumentTypeError("1 to 64")
    return jobs
