"""The redactor that comes with CHORUS."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from gossipsub.chorus.redaction.audit import AuditSink, AuditTrail, frozen_labels
from gossipsub.chorus.redaction.credential_rules import PEM_RULES, SECRET_FIELD, SURROUNDED_RULES
from gossipsub.chorus.redaction.finding import RedactionFinding, RedactionRecord
from gossipsub.chorus.redaction.personal_rules import PERSONAL_RULES
from gossipsub.chorus.redaction.rewrite import Report, Rewrite
from gossipsub.chorus.redaction.rule import RedactionCategory, RedactionRule
from gossipsub.chorus.redaction.survey import FieldNames, Survey
from gossipsub.chorus.redaction.text_search import TextSearch
from gossipsub.chorus.redaction.token_rules import TOKEN_RULES
from gossipsub.wire.errors import LocalProtocolError

DEFAULT_RULES = (*PEM_RULES, *TOKEN_RULES, *SURROUNDED_RULES, SECRET_FIELD, *PERSONAL_RULES)
"""All rules that come with it, those of categories that are off by default included."""

DEFAULT_CATEGORIES = frozenset(RedactionCategory) - {RedactionCategory.NETWORK}
"""Agents tell each other their addresses all the time."""


@dataclass(frozen=True, slots=True)
class RedactionStatistics:
    """Totals since the sentinel was made."""

    looked_at: int
    """Payloads and texts."""
    changed: int
    """Those in which something was cut."""
    cuts: Mapping[str, int]
    """By rule."""
    sink_failures: int
    """How often an audit sink raised."""


class Sentinel:
    """Cuts secrets and personal data out of payloads and texts, and keeps a trail of what it cut.

    It looks at names and values of fields, at numbers, into texts that are JSON themselves,
    behind invisible characters and escapes, and for tokens into base64. In a text the secret
    alone is cut, and `[REDACTED:<rule>]` stands in its place. Time is linear in the size, and no
    JSON value makes it raise; what a rule of one's own raises comes out.

    One sentinel serves one thread.
    """

    def __init__(
        self,
        rules: Sequence[RedactionRule] | None = None,
        *,
        categories: Iterable[RedactionCategory] = DEFAULT_CATEGORIES,
        extra_rules: Sequence[RedactionRule] = (),
        secret_names: Iterable[str] = (),
        audit: AuditSink | None = None,
        audit_buffer: int = 1024,
        salt: bytes | None = None,
        use_re2: bool | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`rules` replace those that come with it, `extra_rules` are looked for besides and count
        first; of both, those in `categories` are used. `secret_names` are fields whose values are
        always cut. `audit` is told of every cut, the newest `audit_buffer` are kept. The audit
        trail's hashes use `salt`, at least 16 bytes, or one drawn for this sentinel. `use_re2`
        says whether google-re2 is used: True needs it (ImportError), None takes it where it is.

        LocalProtocolError for a rule's name that comes twice and for values out of range.
        """
        wanted = frozenset(map(RedactionCategory, categories))
        given = DEFAULT_RULES if rules is None else tuple(rules)
        used = [rule for rule in (*extra_rules, *given) if rule.category in wanted]
        _require_unique(used)
        names = tuple(secret_names)
        is_named = any(rule.name == SECRET_FIELD.name for rule in used)
        # The names are literals of the rule, so that a text that is JSON is looked into.
        used = [rule for rule in used if rule.name != SECRET_FIELD.name]
        if is_named and names:
            used.append(replace(SECRET_FIELD, literals=names))
        self._fields = FieldNames(names, is_on=is_named)
        self._search = TextSearch(used, use_re2=use_re2)
        self._trail = AuditTrail(bound=audit_buffer, salt=salt, clock=clock)
        if audit is not None:
            self._trail.add_sink(audit)
        self._looked_at = 0
        self._changed = 0
        self._cuts: Counter[str] = Counter()

    def redact_map_with_labels(
        self, payload: dict[str, Any], labels: Mapping[str, str]
    ) -> dict[str, Any]:
        """The payload without its secrets: itself where nothing was found, else a new one."""
        redacted: dict[str, Any] = self._redact(payload, labels)
        return redacted

    def redact_text_with_labels(self, text: str, labels: Mapping[str, str]) -> str:
        """The text without its secrets."""
        redacted: str = self._redact(text, labels)
        return redacted

    def scan(self, value: object) -> tuple[RedactionFinding, ...]:
        """What would be cut out of a payload or text; nothing is changed, counted or recorded."""
        found: list[RedactionFinding] = []
        self._rewritten(value, lambda finding, secret: found.append(finding))
        return tuple(found)

    def add_observer(self, observer: AuditSink) -> None:
        """Have a function told of every cut; it must be quick. What it raises is logged."""
        self._trail.add_sink(observer)

    def remove_observer(self, observer: AuditSink) -> None:
        """LocalProtocolError when it was not added."""
        self._trail.remove_sink(observer)

    def records(self) -> tuple[RedactionRecord, ...]:
        """The newest cuts, oldest first."""
        return self._trail.records()

    def statistics(self) -> RedactionStatistics:
        """Totals of what it looked at and cut."""
        return RedactionStatistics(
            looked_at=self._looked_at,
            changed=self._changed,
            cuts=MappingProxyType(dict(self._cuts)),
            sink_failures=self._trail.failures,
        )

    def _redact(self, value: object, labels: Mapping[str, str]) -> Any:
        self._looked_at += 1
        kept: Mapping[str, str] | None = None

        def report(finding: RedactionFinding, secret: str) -> None:
            nonlocal kept
            if kept is None:
                kept = frozen_labels(labels)
            self._cuts[finding.rule] += 1
            self._trail.add(finding, secret, kept)

        redacted = self._rewritten(value, report)
        self._changed += redacted is not value
        return redacted

    def _rewritten(self, value: object, report: Report) -> object:
        survey = Survey(value, self._fields)
        # One look at all of it. What stands between the texts is printable and in no pattern.
        hits = self._search.hits("^".join((*survey.texts, *survey.names)))
        if not hits and not survey.is_named:
            self._fields.remember(survey.names)
            return value
        return Rewrite(self._search, self._fields, hits, report).value(value)


def _require_unique(rules: Sequence[RedactionRule]) -> None:
    names = Counter(rule.name for rule in rules)
    twice = [name for name, count in names.items() if count > 1]
    if twice:
        raise LocalProtocolError(f"two rules of one name: {', '.join(twice)}")
