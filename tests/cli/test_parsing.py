"""What the commands take as arguments."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from gossipsub.cli.parsing import Parser, count, encodable, once_each, seconds, topic, whole


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (seconds, "0.5", 0.5),
        (seconds, "3", 3.0),
        (count, "1", 1),
        (whole, "0", 0),
        (topic, "news ü", "news ü"),
        (encodable, "", ""),
    ],
)
def test_a_value_is_read(read: Callable[[str], Any], text: str, value: Any) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "text", "complaint"),
    [
        (seconds, "0", "not a number of seconds above 0: '0'"),
        (seconds, "-1", "not a number of seconds above 0: '-1'"),
        (seconds, "nan", "not a number of seconds above 0: 'nan'"),
        (seconds, "inf", "not a number of seconds above 0: 'inf'"),
        (seconds, "soon", "not a number of seconds above 0: 'soon'"),
        (count, "0", "must be 1 or more"),
        (whole, "-1", "not a whole number: '-1'"),
        (whole, "1.5", "not a whole number: '1.5'"),
        (whole, "9" * 5000, f"not a whole number: '{'9' * 5000}'"),
        (topic, "", "a topic has a name"),
        (topic, "\udcff", "not UTF-8: '\\udcff'"),
    ],
)
def test_another_value_is_refused(read: Callable[[str], Any], text: str, complaint: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError) as refused:
        read(text)
    assert str(refused.value) == complaint


def test_a_part_of_an_options_name_is_not_taken_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    parser = Parser("sub", "…")
    parser.add_json()
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(["--js"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith("gossipsub sub: error: unrecognized arguments: --js\n")


def test_repetitions_are_left_out() -> None:
    assert once_each(["b", "a", "b"]) == ["b", "a"]
    assert once_each(None) == []
