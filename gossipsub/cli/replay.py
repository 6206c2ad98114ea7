"""`gossipsub replay FILE`: does this version's router still say what was recorded?"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from gossipsub.recording import replay
from gossipsub.recording.errors import RecordingUnreadable
from gossipsub.recording.player import Replay

SAME, DIFFERENT, UNREADABLE = 0, 1, 2


def main(arguments: Sequence[str]) -> int:
    """0: every effect was the same; 1: one was not; 2: the file is no recording, is damaged, or
    ends early while nothing differs so far."""
    parser = argparse.ArgumentParser(
        prog="gossipsub replay",
        description="Give a recording's inputs to a router and compare what it says.",
        epilog="Exit status: 0 the same, 1 different, 2 the recording is unreadable or cut short.",
    )
    parser.add_argument("file", help="written by Host(record=...)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    options = parser.parse_args(arguments)
    path = options.file
    try:
        result = replay(path)
    except (RecordingUnreadable, OSError) as error:
        print(f"gossipsub replay: {path}: {error}", file=sys.stderr)
        return UNREADABLE
    if options.json:
        print(json.dumps({"file": path, **asdict(result)}))
        return _status(result)
    if result.difference is not None:
        print(result.difference)
    elif result.end is None:
        print(f"{result.inputs} inputs replayed the same, then the recording is cut short")
    else:
        print(f"{result.inputs} inputs replayed the same; the recording ends: {result.end}")
    return _status(result)


def _status(result: Replay) -> int:
    if result.difference is not None:
        return DIFFERENT
    return SAME if result.end is not None else UNREADABLE
