"""The corpus that redaction is measured on: planted secrets, and what only looks like some."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent.parent / "conformance" / "vectors" / "redaction" / "corpus.json"
_HOLE = "{secret}"


@dataclass(frozen=True, slots=True)
class Planted:
    """A secret, and a document with a hole for it."""

    kind: str
    rule: str
    """Of ours, that is to find it."""
    secret: str
    template: Any
    is_in_base64: bool
    """Whether it is still one once it is base64; else only its surroundings tell."""

    def document(self, secret: str | None = None) -> Any:
        """The document with the secret in it, or with another text in its place."""
        return filled(self.template, self.secret if secret is None else secret)


@dataclass(frozen=True, slots=True)
class Corpus:
    planted: tuple[Planted, ...]
    clean: dict[str, Any]
    """Documents in which nothing is to be found, by name."""


def load_corpus() -> Corpus:
    """Put together here, since it is stored in pieces."""
    stored = json.loads(CORPUS.read_text(encoding="utf-8"))
    planted = tuple(
        Planted(
            kind=entry["kind"],
            rule=entry["rule"],
            secret="".join(entry["secret"]),
            template=_joined(entry["document"]),
            is_in_base64=entry["rule"] in _TOKENS,
        )
        for entry in stored["planted"]
    )
    return Corpus(planted, {entry["name"]: entry["document"] for entry in stored["clean"]})


_TOKENS = frozenset(
    (
        "aws-access-key-id", "github-token", "github-fine-grained-token", "gitlab-token",
        "google-api-key", "google-oauth-secret", "stripe-key", "anthropic-key", "npm-token",
        "pypi-token", "libp2p-private-key", "slack-token", "openssh-private-key", "private-key",
    )
)  # fmt: skip


def filled(template: Any, secret: str) -> Any:
    """The template with the secret in its hole."""
    if isinstance(template, str):
        return template.replace(_HOLE, secret)
    if isinstance(template, dict):
        return {name: filled(value, secret) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(item, secret) for item in template]
    return template


def _joined(template: Any) -> Any:
    if isinstance(template, str):
        return template.replace("~", "")
    if isinstance(template, dict):
        return {name: _joined(value) for name, value in template.items()}
    if isinstance(template, list):
        return [_joined(item) for item in template]
    return template
