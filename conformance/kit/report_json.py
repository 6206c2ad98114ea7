"""Reports as JSON, and back: format 1, laid out as the classes of `results`."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from gossipsub.conformance.kit.results import Report, Result, Run
from gossipsub.conformance.kit.verdict import Verdict

FORMAT = "gossipsub conformance report"
VERSION = 1


def encode_report(report: Report) -> str:
    """With a line break at the end."""
    entries = {"format": FORMAT, "version": VERSION, **asdict(report)}
    return json.dumps(entries, indent=1, ensure_ascii=False, default=_verdict_text) + "\n"


def _verdict_text(value: object) -> str:
    if isinstance(value, Verdict):
        return value.value
    raise TypeError(f"no JSON: {value!r}")


def decode_report(text: str) -> Report:
    """ValueError where the text is no report of this version."""
    try:
        entries = json.loads(text)
        if entries["format"] != FORMAT or entries["version"] != VERSION:
            raise ValueError(f"{entries['format']!r}, version {entries['version']!r}")
        runs = tuple(_run(run) for run in entries["runs"])
        return Report(**{**_of(Report, entries), "runs": runs})
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"not a {FORMAT} of version {VERSION}: {error}") from error


def _run(entries: dict[str, Any]) -> Run:
    results = tuple(_result(result) for result in entries["results"])
    not_run = tuple(entries.get("not_run", ()))  # of this version's first reports there is none
    return Run(**{**_of(Run, {**entries, "not_run": not_run}), "results": results})


def _result(entries: dict[str, Any]) -> Result:
    values = _of(Result, entries)
    values["verdict"] = Verdict(values["verdict"])
    for name in ("observed", "transcript"):
        values[name] = tuple(values[name])
    return Result(**values)


def _of(kind: type[Report | Run | Result], entries: dict[str, Any]) -> dict[str, Any]:
    return {field.name: entries[field.name] for field in fields(kind)}
