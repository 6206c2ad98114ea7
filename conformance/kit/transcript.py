"""What passed between a target and the peers of a case, as lines for people."""

from __future__ import annotations

from collections.abc import Mapping

from gossipsub.conformance.scripted_wire import Journal

_SHOWN = 400


def transcript(journals: Mapping[str, Journal]) -> tuple[str, ...]:
    """A line for each thing that passed, oldest first; times in seconds since the first journal
    began. `>` is what a scripted peer or the kit sent to the target, `<` what came of it."""
    if not journals:
        return ()
    start = min(journal.began for journal in journals.values())
    entries = [
        (journal.began + entry.at - start, name, entry)
        for name, journal in journals.items()
        for entry in journal.entries
    ]
    return tuple(
        f"{at:8.3f} {name:<12}{'>' if entry.sent else '<'} {entry.layer:<8} {_short(entry.what)}"
        for at, name, entry in sorted(entries, key=lambda item: item[0])
    )


def _short(what: object) -> str:
    text = repr(what)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
