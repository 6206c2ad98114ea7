"""How the commands read their arguments."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

EXIT_STATUSES = "exit status: 0 done, 1 error, 2 wrong call, 130 Ctrl-C"


class Parser(argparse.ArgumentParser):
    """An option has one name, never a part of it, so that new ones break no script."""

    def __init__(self, command: str, description: str, epilog: str = EXIT_STATUSES) -> None:
        super().__init__(
            prog=f"gossipsub {command}",
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def add_json(self) -> None:
        self.add_argument(
            "--json", action="store_true", help="one JSON object per line on standard output"
        )


def seconds(text: str) -> float:
    """A time above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"not a number of seconds above 0: {text!r}")
    return value


def count(text: str) -> int:
    """A whole number from 1."""
    number = whole(text)
    if not number:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def whole(text: str) -> int:
    """A whole number from 0."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise argparse.ArgumentTypeError(f"not a whole number: {text!r}")
    return int(text)


def topic(text: str) -> str:
    """A name that a topic can have."""
    if not text:
        raise argparse.ArgumentTypeError("a topic has a name")
    return encodable(text)


def encodable(text: str) -> str:
    """A text that can be sent: the shell hands bytes that are no UTF-8 over as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError(f"not UTF-8: {text!r}") from None
    return text


def once_each(values: Sequence[str] | None) -> list[str]:
    """The values in their order, without repetitions."""
    return list(dict.fromkeys(values or ()))
