from __future__ import annotations

import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus.redaction.folding import Folded, fold, has_odd_characters


def test_no_format_character_of_unicode_is_read() -> None:
    visible = [
        hex(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) == "Cf" and fold(f"a{chr(code)}b") != "ab"
    ]
    assert visible == []


def test_letters_of_other_languages_stay_as_they_are() -> None:
    text = "Der Schlüssel 任务已完成 Пароль \\u4efb 🚀"
    assert fold(text) == text
    assert not has_odd_characters(text)


@given(st.text(alphabet="ab\u200b\uff21\\u0061\x00é/ ", max_size=40))
def test_every_span_leads_back_to_where_it_was_read(text: str) -> None:
    folded = Folded(text)
    for start in range(len(folded.text)):
        first, last = folded.origin(start, start + 1)
        assert 0 <= first < last <= len(text)
        assert folded.text[start] in fold(text[first:last])
    if folded.text:
        assert fold(text[: folded.origin(0, len(folded.text))[1]]).startswith(folded.text[:-1])
