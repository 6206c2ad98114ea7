"""Transcripts show whatever passed."""

from __future__ import annotations

import pytest

from gossipsub.conformance.kit.transcript import transcript
from gossipsub.conformance.scripted_peer import Frame
from gossipsub.conformance.scripted_wire import Entry, Journal
from gossipsub.wire.yamux_frame import DATA


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"\x13/multistream/1.0.0\n\x03na\n", "/multistream/1.0.0 na"),
        (b"a\n\n", "3 bytes 610a0a"),
        (b"\n", "1 bytes 0a"),
        (b"\x02\xff\n", "3 bytes 02ff0a"),
    ],
)
def test_a_data_frame_is_shown_as_lines_where_it_has_lines(body: bytes, shown: str) -> None:
    entry = Entry(0.5, True, "yamux", Frame(DATA, 0, 1, len(body), body))
    (line,) = transcript({"W1": Journal(began=0.0, entries=[entry])})
    assert line.endswith(shown)
