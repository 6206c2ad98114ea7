"""An implementation that takes part, and how its nodes are started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gossipsub.conformance.driver import PEERS
from gossipsub.peer.installed import why_missing

_OWN: Mapping[str, tuple[str, str]] = {
    "python": ("cryptography", "asyncio"),
    "python+fast": ("pynacl", "uvloop"),
}
"""Our own node without and with the extra `fast`: who verifies, and what it runs on where nothing
else is asked for."""
NAMES = (*_OWN, *(name for name in PEERS if name not in _OWN))


@dataclass(frozen=True, slots=True)
class Contestant:
    """Nodes of one implementation, all started in the same way."""

    name: str
    backend: str = ""
    """Of our own node."""

    @property
    def target(self) -> str:
        """Its name among the test peers."""
        return "python" if self.name in _OWN else self.name

    @property
    def title(self) -> str:
        """Its name, and the backend where that is not the usual one."""
        if self.name in _OWN and self.backend != _OWN[self.name][1]:
            return f"{self.name} on {self.backend}"
        return self.name

    @property
    def arguments(self) -> Sequence[str]:
        """Flags of its nodes that others do not have."""
        if self.name not in _OWN:
            return ()
        return ("--backend", self.backend, "--crypto", _OWN[self.name][0])

    def missing(self) -> str:
        """What has to be installed first; nothing if it can run."""
        if self.name not in _OWN:
            return ""
        return why_missing(_OWN[self.name][0]) or why_missing(self.backend)


def contestants(names: Sequence[str], backends: Sequence[str] = ()) -> list[Contestant]:
    """Those named, our own on each of the backends; without any each on its usual one.

    ValueError for an unknown name.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ValueError(f"no peer is called {unknown[0]!r}; there are {', '.join(NAMES)}")
    return [
        Contestant(name, backend)
        for name in names
        for backend in ((backends or (_OWN[name][1],)) if name in _OWN else ("",))
    ]
