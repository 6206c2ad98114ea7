"""What strangers sent, on a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.cli.text import printable


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        ("grüße, 世界 🎈".encode(), "grüße, 世界 🎈"),
        ("1\u00a0000\tkm".encode(), "1\u00a0000\tkm"),
        (b'{"a": "b\\n"}', '{"a": "b\\n"}'),
        (b"two\nlines\r", "two\\nlines\\r"),
        (b"\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\u009b31m".encode(), "\\x9b31m"),
        ("\u202egnp.exe \u2028".encode(), "\\u202egnp.exe \\u2028"),
        ("\U000e0001".encode(), "\\U000e0001"),
        (b"\xff\xfe\x00", "\\xff\\xfe\\x00"),
        ("a\udcffb", "a\\udcffb"),
    ],
)
def test_text_stays_and_what_a_terminal_would_act_on_is_escaped(
    data: bytes | str, text: str
) -> None:
    assert printable(data) == text


@given(st.binary())
def test_whatever_comes_is_one_line_that_can_be_written(data: bytes) -> None:
    text = printable(data)
    assert text.encode().decode() == text
    assert len(text.splitlines()) <= 1
    assert all(each.isprintable() or each.isspace() for each in text)
    assert not set(text) & set("\n\r\v\f\x1b\x1c\x85\u2028\u2029")
