"""Peers in the local network, found by multicast DNS (libp2p "Multicast DNS"; what go, rust and js
do beyond that text: a random name, and the addresses as `dnsaddr=` strings in the TXT record).

Needs the `zeroconf` package, which works on threads of its own, so under trio as well. It speaks
IPv4 multicast on the interfaces that are there at the start.
"""

from __future__ import annotations

import importlib.util
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal

from gossipsub.crypto.peer_id import PeerId
from gossipsub.transport.address import Address, AddressError
from gossipsub.transport.dialing import Dialing
from gossipsub.transport.reachability import Scope, scope_of
from gossipsub.wire.errors import LocalProtocolError

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, ServiceStateChange, Zeroconf

logger = logging.getLogger("gossipsub.mdns")

SERVICE = "_p2p._udp.local."
MOST_ADVERTISED = 8
"""Addresses told to others: about as many as one packet holds."""
MOST_READ = 32
"""Addresses read of one service."""
MOST_SERVICES = 128
"""Services remembered, and looked up at one time; further ones are ignored."""
LOOKUP_TIMEOUT = 3.0
"""Seconds until a service that did not tell its addresses of itself must have."""
CLOSE_TIMEOUT = 2.0
"""Seconds for telling others that this host leaves."""
RETRY_INTERVAL = 60.0
"""Seconds between two attempts where there is no network."""
_ENTRY = "dnsaddr="


def require_zeroconf() -> None:
    """LocalProtocolError where the package is missing."""
    if importlib.util.find_spec("zeroconf") is None:
        raise LocalProtocolError("mdns needs zeroconf: pip install gossipsub[discovery]")


class LocalDiscovery:
    """Tells others on the local network where this host is, and dials those that do the same, with
    the peers named in exchange.

    Only addresses in the local network or on this machine are dialled: whoever is in that network
    can say anything. `interfaces` are the IPv4 addresses of those to use; none: all. Every
    `interval` seconds those that were found are dialled again, where that failed.
    """

    def __init__(
        self,
        dialing: Dialing,
        *,
        me: PeerId,
        listening: Iterable[Address],
        interfaces: Sequence[str],
        interval: float,
    ) -> None:
        self._dialing = dialing
        self._me = me
        self._listening = listening
        self._interfaces = interfaces
        self._interval = interval
        self._name = f"{secrets.token_hex(20)}.{SERVICE}"
        self._services: dict[str, list[Address]] = {}
        self._looking: dict[str, None] = {}
        self._threads = anyio.CapacityLimiter(4)

    async def run(self) -> None:
        """Runs until cancelled; without a network, tries again later."""
        from zeroconf import Error

        failed = False
        async with BlockingPortal() as portal:
            while True:
                try:
                    await self._take_part(portal)
                except (OSError, Error) as error:
                    if not failed:
                        logger.warning("no local discovery error=%r", error)
                    failed = True
                await anyio.sleep(RETRY_INTERVAL)

    async def _take_part(self, portal: BlockingPortal) -> None:
        from zeroconf import InterfaceChoice, ServiceBrowser, Zeroconf

        def changed(
            zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
        ) -> None:  # on a thread of the browser's
            with suppress(RuntimeError):  # this host has closed
                portal.start_task_soon(self._changed, zeroconf, name, state_change)

        interfaces = list(self._interfaces) or InterfaceChoice.All
        network = await anyio.to_thread.run_sync(Zeroconf, interfaces)
        closing: list[Callable[[], None]] = [network.close]
        try:
            browser = await anyio.to_thread.run_sync(ServiceBrowser, network, SERVICE, [changed])
            closing.insert(0, browser.cancel)  # its thread would outlive the network
            service = own_service(self._name, self._advertised())
            if service is not None:
                await anyio.to_thread.run_sync(network.register_service, service)
            while True:
                await anyio.sleep(self._interval)
                for addresses in list(self._services.values()):
                    self._dial(addresses)
        finally:
            with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
                await anyio.to_thread.run_sync(_call_each, closing, abandon_on_cancel=True)

    def _advertised(self) -> list[Address]:
        interfaces = self._interfaces or interface_ips()
        return [each.with_peer(self._me) for each in advertised(self._listening, interfaces)]

    async def _changed(self, network: Zeroconf, name: str, change: ServiceStateChange) -> None:
        """A service came, went, or tells something else; any number of strangers can send that."""
        if change.name == "Removed":
            self._services.pop(name, None)
        elif (
            name != self._name and name not in self._looking and len(self._looking) < MOST_SERVICES
        ):
            self._looking[name] = None
            try:
                text = await anyio.to_thread.run_sync(
                    _text_of, network, name, limiter=self._threads, abandon_on_cancel=True
                )
                self._found(name, text)
            except Exception:
                logger.exception("a bug ended the look-up of a local service")
            finally:
                del self._looking[name]

    def _found(self, name: str, text: bytes) -> None:
        addresses = [
            each
            for each in addresses_in(text)
            if each.peer not in (None, self._me) and is_local(each)
        ]
        logger.debug("found service=%s addresses=%d", name.partition(".")[0], len(addresses))
        if addresses and (name in self._services or len(self._services) < MOST_SERVICES):
            self._services[name] = addresses
        self._dial(addresses)

    def _dial(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            self._dialing.connect_found(address)


def _call_each(functions: Iterable[Callable[[], None]]) -> None:
    for function in functions:
        function()


def interface_ips() -> list[str]:
    """The IP addresses of this machine's interfaces."""
    import ifaddr  # comes with zeroconf

    ips = (ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips)
    return [ip if isinstance(ip, str) else ip[0] for ip in ips]


def advertised(listening: Iterable[Address], interfaces: Iterable[str]) -> list[Address]:
    """What to tell the local network: where this host listens, by IP address. Loopback addresses
    only where there is nothing else, and link-local ones of IPv6 not at all, since others would
    have to know the interface."""
    own = [Address.of_socket(ip, 0) for ip in interfaces]
    expanded = [
        candidate
        for address in listening
        for candidate in (
            [address.with_host(each.host) for each in own if each.protocol == address.protocol]
            if address.is_wildcard()
            else [address]
        )
    ]
    usable = [each for each in expanded if each.zone is None and _leads_somewhere(each)]
    elsewhere = [each for each in usable if scope_of(each) is not Scope.LOOPBACK]
    return list(dict.fromkeys(elsewhere or usable))[:MOST_ADVERTISED]


def own_service(name: str, addresses: Sequence[Address]) -> ServiceInfo | None:
    """How this host presents itself; None where there is nothing to say."""
    from zeroconf import ServiceInfo

    if not addresses:
        return None
    strings = [f"{_ENTRY}{address}".encode() for address in addresses]
    return ServiceInfo(
        SERVICE,
        name,
        # Nobody uses these, but responses without them get lost on the way to go.
        port=addresses[0].port,
        server=f"{name.partition('.')[0]}.local.",
        addresses=[ip_address(address.host).packed for address in addresses],
        properties=b"".join(bytes([len(string)]) + string for string in strings),
    )


def addresses_in(text: bytes) -> list[Address]:
    """The addresses in the data of a TXT record; what is none is left out."""
    found: list[Address] = []
    position = read = 0
    while position < len(text) and read < MOST_READ:
        end = position + 1 + text[position]
        string, position, read = text[position + 1 : end], end, read + 1
        if string.startswith(_ENTRY.encode()):
            try:
                found.append(Address.parse(string[len(_ENTRY) :].decode("utf-8", "replace")))
            except AddressError as error:
                logger.debug("left out of a local service error=%s", error)
    return found


def is_local(address: Address) -> bool:
    """Whether an address is on this machine or in a network it is in. A link-local address of
    IPv4 counts where this machine has one itself; of IPv6, only the peer knows the interface."""
    if address.zone is not None or not _leads_somewhere(address):
        return False
    scope = scope_of(address)
    if scope is not None:
        return scope is not Scope.PUBLIC
    return any(
        ip_address(ip.partition("%")[0]).is_link_local for ip in interface_ips() if "." in ip
    )


def _leads_somewhere(address: Address) -> bool:
    """An IP address to dial: not a name, and not one that `reachability.py` cannot judge, but for
    link-local addresses of IPv4."""
    if scope_of(address) is not None:
        return True
    return (
        address.protocol == "ip4" and address.port != 0 and ip_address(address.host).is_link_local
    )


def _text_of(network: Zeroconf, name: str) -> bytes:
    """The data of a service's TXT record, asked for where it did not come by itself; on a thread,
    since that takes time."""
    from zeroconf import Error, ServiceInfo

    try:
        service = ServiceInfo(SERVICE, name)
        service.load_from_cache(network)
        if not service.text:
            service.request(network, LOOKUP_TIMEOUT * 1000)
    except Error as error:
        logger.debug("no local service error=%s", error)
        return b""
    return service.text or b""
