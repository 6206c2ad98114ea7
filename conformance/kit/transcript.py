"""What passed between a target and the peers of a case, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from gossipsub.conformance.kit.rpc_text import describe_rpc
from gossipsub.conformance.scripted_peer import Frame
from gossipsub.conformance.scripted_wire import Entry, Journal
from gossipsub.wire.rpc import Rpc
from gossipsub.wire.yamux_frame import ACK, DATA, FIN, GO_AWAY, PING, RST, SYN, WINDOW_UPDATE

MAX_LINES = 400
"""Of a transcript; of a longer one the middle is left out."""

TRANSPORT_AREAS = ("CONN", "MSS", "NOI", "YMX", "IDY", "PNG", "WIRE", "T")
"""Areas whose cases are about frames: their transcripts show each; those of others show RPCs."""

_KINDS = {DATA: "DATA", WINDOW_UPDATE: "WINDOW_UPDATE", PING: "PING", GO_AWAY: "GO_AWAY"}
_FLAGS = {SYN: "SYN", ACK: "ACK", FIN: "FIN", RST: "RST"}
_SHOWN_BYTES = 48
_SHOWN_CHARACTERS = 300


def transcript(journals: Mapping[str, Journal], *, frames: bool = True) -> tuple[str, ...]:
    """A line for each thing that passed, oldest first; times in seconds since the first journal
    began. `>` is what a scripted peer or the kit sent to the target, `<` what came of it.

    Without `frames`, what is below RPCs is left out, but for the ends of streams and connections.
    """
    if not journals:
        return ()
    start = min(journal.began for journal in journals.values())
    lines = [
        (journal.began + entry.at - start, name, "><"[not entry.sent], text)
        for name, journal in journals.items()
        for entry, text in _told(journal.entries, frames)
    ]
    lines.sort(key=lambda line: line[0])
    shown = [f"{at:8.3f} {name:<11} {way} {text}" for at, name, way, text in lines]
    if len(shown) > MAX_LINES:
        half = MAX_LINES // 2
        shown[half:-half] = [f"… {len(shown) - 2 * half} lines left out …"]
    return tuple(shown)


def _told(entries: Sequence[Entry], frames: bool) -> Iterator[tuple[Entry, str]]:
    has_yamux = False
    entries = list(_joined(entries))
    layers = [entry.layer for entry in entries]
    for number, entry in enumerate(entries):
        has_yamux = has_yamux or "yamux" in layers[number : number + 2]
        match entry.what:
            case Rpc() as rpc:
                yield entry, describe_rpc(rpc)
            case Frame() as frame:
                if frames or frame.kind == GO_AWAY or frame.flags & RST:
                    yield entry, _frame_text(frame)
            case bytes(data):  # what yamux carries is told by its frames
                if frames and not (entry.layer == "noise" and has_yamux):
                    yield entry, f"{entry.layer} {_bytes_text(data)}"
            case what:
                text = str(what)
                cut = "…" if len(text) > _SHOWN_CHARACTERS else ""
                yield entry, f"{entry.layer} {text[:_SHOWN_CHARACTERS]}{cut}"


def _joined(entries: Sequence[Entry]) -> Iterator[Entry]:
    """What was read in the clear piece by piece, as one."""
    pending: Entry | None = None
    for entry in entries:
        if pending is not None and (entry.layer, entry.sent) == ("tcp", pending.sent):
            what = bytes(pending.what) + bytes(entry.what)  # type: ignore[call-overload]
            pending = Entry(pending.at, pending.sent, "tcp", what)
            continue
        if pending is not None:
            yield pending
        pending = entry if entry.layer == "tcp" else None
        if pending is None:
            yield entry
    if pending is not None:
        yield pending


def _frame_text(frame: Frame) -> str:
    kind = _KINDS.get(frame.kind, f"type {frame.kind}")
    flags = "+".join(name for flag, name in _FLAGS.items() if frame.flags & flag)
    odd = frame.flags & ~(SYN | ACK | FIN | RST)
    version = f" version {frame.version}" if frame.version else ""
    head = f"{kind}{version} stream {frame.stream_id}"
    head += f" {flags}" if flags else ""
    head += f" flags {odd:#06x}" if odd else ""
    return f"{head} {_bytes_text(frame.body)}" if frame.body else f"{head} {frame.length}"


def _bytes_text(data: bytes) -> str:
    """Lines of multistream-select as they are, all else in hex."""
    pieces = data.split(b"\n")
    if data.endswith(b"\n") and all(_is_line(piece) for piece in pieces[:-1]):
        return " ".join(piece[1:].decode() for piece in pieces[:-1])
    shown = data[:_SHOWN_BYTES].hex()
    return f"{len(data)} bytes {shown}{'…' if len(data) > _SHOWN_BYTES else ''}"


def _is_line(piece: bytes) -> bool:
    text = piece[1:]
    has_its_length = piece != b"" and piece[0] == len(piece)
    return has_its_length and text.isascii() and text.decode().isprintable()
