"""Events about connections, as the library's network tells of them."""

from __future__ import annotations

from typing import Any

from libp2p.abc import INotifee

from gossipsub.peer.json_lines import LineWriter


class ConnectionReports(INotifee):
    """One event a peer, however many connections there are to it."""

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer
        self._connections: dict[str, set[int]] = {}

    async def connected(self, network: Any, conn: Any) -> None:
        peer = str(conn.muxed_conn.peer_id)
        open_ones = self._connections.setdefault(peer, set())
        if not open_ones:
            self._writer.write({"event": "peer_connected", "peer": peer})
        open_ones.add(id(conn))

    async def disconnected(self, network: Any, conn: Any) -> None:
        peer = str(conn.muxed_conn.peer_id)
        open_ones = self._connections.get(peer, set())
        open_ones.discard(id(conn))
        if not open_ones and self._connections.pop(peer, None) is not None:
            self._writer.write({"event": "peer_disconnected", "peer": peer})

    async def opened_stream(self, network: Any, stream: Any) -> None:
        """Nobody asks for streams."""

    async def closed_stream(self, network: Any, stream: Any) -> None:
        """Nobody asks for streams."""

    async def listen(self, network: Any, multiaddr: Any) -> None:
        """The ready event tells the addresses."""

    async def listen_close(self, network: Any, multiaddr: Any) -> None:
        """Only the end of the process closes them."""
