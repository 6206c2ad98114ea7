"""Several connections to one peer, as simultaneous dials leave them: unused ones are closed.

All are kept at first, as in go and rust: neither side knows on which the other has opened its
streams. A stream is never moved or cut off by this; only a connection without any goes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gossipsub.config import HostConfig

if TYPE_CHECKING:
    from gossipsub.timers import Timer, Timers
    from gossipsub.transport.connection import Connection


class Surplus:
    """Looks at peers with several connections every `surplus_timeout` seconds, or every second
    time where the peer's id is below ours: two hosts that look at the same moment would close
    one connection each, and keep none."""

    def __init__(
        self,
        connections: Mapping[bytes, list[Connection]],
        *,
        me: bytes,
        config: HostConfig,
        timers: Timers,
    ) -> None:
        self._connections = connections
        self._me = me
        self._pause = config.surplus_timeout
        self._timers = timers
        self._looks: dict[bytes, Timer] = {}

    def opened(self, peer: bytes) -> None:
        if peer not in self._looks and len(self._connections[peer]) > 1:
            self._look_later(peer)

    def closed(self, peer: bytes) -> None:
        if peer not in self._connections and peer in self._looks:
            self._looks.pop(peer).cancel()

    def _look_later(self, peer: bytes) -> None:
        pause = self._pause if self._me < peer else 2 * self._pause
        self._looks[peer] = self._timers.after(pause, lambda: self._look(peer))

    def _look(self, peer: bytes) -> None:
        """Close the youngest that nobody uses, and come back while several are left."""
        del self._looks[peer]
        connections = [each for each in self._connections.get(peer, ()) if each.is_open]
        if len(connections) < 2:
            return
        settled = self._timers.now() - self._pause
        for connection in reversed(connections):
            if not connection.streams and connection.opened_at <= settled:
                connection.close("another connection to the peer is in use")
                break
        self._look_later(peer)
