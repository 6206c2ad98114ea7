"""What all commands that open a node are told about it, and the node opened so."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import gossipsub
from gossipsub.cli.parameters import apply, parameter

if TYPE_CHECKING:
    from gossipsub.host import Host
    from gossipsub.status.answers import Conversation

LOG_LEVELS = ("debug", "info", "warning", "error")


def add_node_options(parser: argparse.ArgumentParser) -> None:
    node = parser.add_argument_group("the node")
    _add_place_options(node)
    _add_peer_options(node)
    node.add_argument(
        "--param",
        action="append",
        type=parameter,
        default=[],
        metavar="NAME=VALUE",
        help="a field of GossipParams or HostConfig, as in mesh.d=8; repeatable",
    )
    node.add_argument("--trace", metavar="FILE", help="trace it: .json or .pb, maybe .gz")
    node.add_argument("--record", metavar="FILE", help="record it for `gossipsub replay`")
    node.add_argument(
        "--status", type=_place, metavar="HOST:PORT", help="serve its status page there"
    )
    node.add_argument(
        "--log-level", choices=LOG_LEVELS, default="warning", help="of the log on standard error"
    )


def _add_place_options(node: argparse._ArgumentGroup) -> None:
    node.add_argument(
        "--listen",
        action="append",
        type=_address,
        metavar="MULTIADDR",
        help="where to listen; repeatable (default: a free port of the loopback interface)",
    )
    node.add_argument(
        "--key", metavar="FILE", help="its identity; made if there is none (default: a new one)"
    )
    node.add_argument(
        "--announce",
        action="append",
        type=_address,
        default=[],
        metavar="MULTIADDR",
        help="tell peers this address instead of those it listens on; repeatable",
    )


def _add_peer_options(node: argparse._ArgumentGroup) -> None:
    node.add_argument(
        "-b",
        "--bootstrap",
        action="append",
        type=_peer_address,
        default=[],
        metavar="MULTIADDR",
        help="a peer to be connected to, ending in /p2p/PEER; repeatable",
    )
    node.add_argument(
        "--direct",
        action="append",
        type=_direct_address,
        default=[],
        metavar="MULTIADDR",
        help="a direct peer, always sent everything, ending in /p2p/PEER; repeatable",
    )
    node.add_argument("--peerstore", metavar="FILE", help="remember peers there between runs")
    node.add_argument(
        "--mdns", action="store_true", help="find peers on the local network and be found"
    )


def parse_with_node(parser: argparse.ArgumentParser, arguments: Any) -> argparse.Namespace:
    """The arguments, checked together; the log is set up as they say."""
    options = parser.parse_args(list(arguments))
    try:
        options.params, options.config = apply(options.param)
    except ValueError as error:
        parser.error(f"--param: {error}")
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    return options


@asynccontextmanager
async def open_node(options: argparse.Namespace, *, has_status: bool = True) -> AsyncIterator[Host]:
    """The node that the options describe, running, and with `has_status` its status page, where
    one is wanted. Errors are those of `Host` and `StatusServer`."""
    from gossipsub.cli.running import keeping_what_is_loaded

    where = {} if options.listen is None else {"listen": options.listen}
    host = gossipsub.Host(
        **where,
        key=options.key,
        bootstrap=options.bootstrap,
        direct_peers=options.direct,
        announce=options.announce,
        peerstore=options.peerstore,
        mdns=options.mdns,
        params=options.params,
        config=options.config,
        trace=options.trace,
        record=options.record,
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(host)
        stack.enter_context(keeping_what_is_loaded())
        if has_status:
            await stack.enter_async_context(open_status(options, host))
        yield host


@asynccontextmanager
async def open_status(
    options: argparse.Namespace, host: Host, conversation: Conversation | None = None
) -> AsyncIterator[None]:
    """The status page, where one is wanted; where it is goes to standard error."""
    if options.status is None:
        yield
        return
    from gossipsub.status import StatusServer
    from gossipsub.wire.errors import GossipSubError

    if find_spec("h11") is None:
        raise GossipSubError("--status needs h11: pip install gossipsub[status]")
    async with StatusServer(host, options.status, conversation=conversation) as server:
        print(f"STATUS {server.url}", file=sys.stderr, flush=True)
        yield


def tell_where_it_listens(options: argparse.Namespace, host: Host) -> None:
    """`LISTEN MULTIADDR` on standard error, unless the node only goes where it was sent."""
    if options.listen or not options.bootstrap:
        for address in host.addresses:
            print(f"LISTEN {address}", file=sys.stderr, flush=True)


def _address(text: str) -> str:
    return _checked(text)


def _peer_address(text: str) -> str:
    return _checked(text, peer_of="bootstrap")


def _direct_address(text: str) -> str:
    return _checked(text, peer_of="direct peer's")


def _place(text: str) -> str:
    from gossipsub.status.place import Place
    from gossipsub.wire.errors import LocalProtocolError

    try:
        return str(Place.parse(text))
    except LocalProtocolError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _checked(text: str, *, peer_of: str = "") -> str:
    from gossipsub.transport.address import Address, AddressError

    try:
        address = Address.parse(text)
    except AddressError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if peer_of and address.peer is None:
        raise argparse.ArgumentTypeError(f"a {peer_of} address ends in /p2p/PEER: {text}")
    return text
