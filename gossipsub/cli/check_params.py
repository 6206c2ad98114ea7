"""`gossipsub check-params`: do score parameters keep what they promise?

Reads a preset or a JSON file (docs/score-parameters.md) and says which of the four properties of
the formal model of GossipSub's scores are violated, and how much misbehaviour goes unpunished.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from gossipsub.router.presets.by_name import SCORE_PRESETS, ScorePreset, score_preset
from gossipsub.router.score.params import PeerScoreParams, PeerScoreThresholds, TopicScoreParams
from gossipsub.router.score_check.check import check
from gossipsub.router.score_check.report import ScoreReport, render

T = TypeVar("T", TopicScoreParams, PeerScoreThresholds)

_BESIDES = ("thresholds", "heartbeat_interval")
_NOT_IN_A_FILE = ("app_specific_score", "app_specific_weight")
"""P5 is a function of the application."""


def main(arguments: Sequence[str]) -> int:
    """0: no property is violated. 1: one is. 2: the call or the file is wrong."""
    parser = argparse.ArgumentParser(prog="gossipsub check-params", description=__doc__)
    parser.add_argument("file", nargs="?", help="score parameters as JSON; - reads standard input")
    parser.add_argument("--preset", metavar="NAME", help=", ".join(SCORE_PRESETS))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    flags = parser.parse_args(list(arguments))
    if (flags.file is None) is (flags.preset is None):
        parser.error("give either a file or --preset")
    try:
        given = score_preset(flags.preset) if flags.preset else _read_file(flags.file)
    except (ValueError, OSError) as error:
        print(f"gossipsub check-params: {error}", file=sys.stderr)
        return 2
    report = check(given.score, given.thresholds, heartbeat_interval=given.heartbeat_interval)
    print(
        json.dumps(_as_json(given, report)) if flags.json else f"{given.source}\n{render(report)}"
    )
    return 0 if report.holds else 1


def _as_json(given: ScorePreset, report: ScoreReport) -> dict[str, Any]:
    def plain(items: list[tuple[str, Any]]) -> dict[str, Any]:
        return {name: value.name if isinstance(value, Enum) else value for name, value in items}

    return {
        "source": given.source,
        "holds": report.holds,
        **asdict(report, dict_factory=plain),
    }


def _read_file(path: str) -> ScorePreset:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    try:
        return read_params(given, source=path)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def read_params(given: Any, *, source: str) -> ScorePreset:
    """Score parameters from parsed JSON: the fields of PeerScoreParams by name, and `thresholds`
    and `heartbeat_interval`. ValueError says what is wrong, and where."""
    values = _object(given)
    besides = {name: values.pop(name) for name in _BESIDES if name in values}
    _refuse_unknown(values, PeerScoreParams, besides=_BESIDES)
    heartbeat = _number("heartbeat_interval", besides.get("heartbeat_interval", 1.0))
    if not 0.0 < heartbeat < 1e9:
        raise ValueError(f"heartbeat_interval: must be above 0 and below 1e9: {heartbeat}")
    return ScorePreset(
        source=source,
        score=_peer_params(values),
        thresholds=_within("thresholds", PeerScoreThresholds, besides.get("thresholds", {})),
        heartbeat_interval=heartbeat,
    )


def _peer_params(values: dict[str, Any]) -> PeerScoreParams:
    topics = values.pop("topics", {})
    if not isinstance(topics, dict):
        raise ValueError("topics: must be an object of parameters by topic")
    whitelist = values.pop("ip_colocation_factor_whitelist", [])
    if not (isinstance(whitelist, list) and all(isinstance(entry, str) for entry in whitelist)):
        raise ValueError("ip_colocation_factor_whitelist: must be a list of networks")
    others = values.pop("other_topics", None)
    threshold = values.get("ip_colocation_factor_threshold", 10)
    if not isinstance(threshold, int):
        raise ValueError("ip_colocation_factor_threshold: must be a whole number")
    return PeerScoreParams(
        topics={
            name: _within(f"topics: {name!r}", TopicScoreParams, topic)
            for name, topic in topics.items()
        },
        other_topics=None if others is None else _within("other_topics", TopicScoreParams, others),
        ip_colocation_factor_whitelist=tuple(whitelist),
        **{name: _number(name, value) for name, value in values.items()},
    )


def _within(where: str, kind: type[T], given: Any) -> T:
    try:
        values = _object(given)
        _refuse_unknown(values, kind)
        return kind(**{name: _number(name, value) for name, value in values.items()})
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _refuse_unknown(
    values: Mapping[str, Any], kind: type[Any], *, besides: Sequence[str] = ()
) -> None:
    known = [entry.name for entry in fields(kind) if entry.name not in _NOT_IN_A_FILE]
    for name in values:
        if name in _NOT_IN_A_FILE:
            raise ValueError(f"{name}: cannot be checked; leave the application's part (P5) out")
        if name not in known:
            near = get_close_matches(name, [*known, *besides], n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ValueError(f"no such parameter: {name}{hint}")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {json.dumps(value)}")
    return dict(value)


def _number(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name}: must be a number, not {json.dumps(value)}")
    return value
