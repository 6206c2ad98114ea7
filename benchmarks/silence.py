"""The journal of scripted peers that send so much that nothing of it is to be kept."""

from __future__ import annotations

from gossipsub.conformance.scripted_wire import Journal


class Silence(Journal):
    """Keeps nothing."""

    def note(self, layer: str, what: object, *, sent: bool) -> None:
        pass
