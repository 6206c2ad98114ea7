"""Rules for what names or reaches a person, or a person's money or machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address

from gossipsub.chorus.redaction.checksums import IBAN_LENGTHS, is_card, is_iban
from gossipsub.chorus.redaction.rule import (
    RedactionCategory,
    RedactionRule,
    RedactionSeverity,
    Span,
)

_HOST = re.compile(
    r"(?:[0-9A-Za-z-]{1,63}+\.){1,8}[A-Za-z]{2,24}+(?![0-9A-Za-z]|[.-][0-9A-Za-z])", re.ASCII
)
_LOCAL_BACKWARDS = re.compile(r"[0-9A-Za-z._%+'-]{1,64}", re.ASCII)
_LONGEST_LOCAL = 64
_LONGEST_USER = 256
_ENDS_USER = re.compile(r"[\s/]")
_PATH_ON_HOST = re.compile(r":[^\s]")
_CARD = re.compile(
    r"(?<![0-9A-Za-z.])(?:[2-6][0-9]{12,18}+"
    r"|[2-6][0-9]{3}(?P<a>[ -])[0-9]{4}(?P=a)[0-9]{4}(?P=a)[0-9]{4}"
    r"|3[0-9]{3}(?P<b>[ -])[0-9]{6}(?P=b)[0-9]{4,5})(?!\.?[0-9A-Za-z])",
    re.ASCII,
)
_IBAN_START = re.compile(r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?=[ -]?[0-9A-Z])", re.ASCII)
_IBAN_REST = {
    length: re.compile(rf"(?:[ -]?[0-9A-Z]){{{length - 4}}}(?![0-9A-Za-z])", re.ASCII)
    for length in set(IBAN_LENGTHS.values())
}
_SSN = re.compile(
    r"(?<![0-9A-Za-z-])(?!000|666|9)[0-9]{3}([- ])(?!00)[0-9]{2}\1(?!0000)[0-9]{4}(?![0-9A-Za-z-])",
    re.ASCII,
)
_PHONE = re.compile(
    r"(?<![0-9A-Za-z+/=])\+[1-9](?:[ .()-]{0,2}[0-9]){7,14}+(?![0-9A-Za-z])"
    r"|(?<![0-9A-Za-z.-])(?:\+?1[-. ])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-. ])"
    r"[2-9][0-9]{2}[-. ][0-9]{4}(?![0-9A-Za-z-]|\.[0-9])",
    re.ASCII,
)
# After a slash only where a URL's host stands: a multiaddr says where an agent can be reached.
_IPV4 = re.compile(
    r"(?:(?<![0-9A-Za-z./])|(?<=//))(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z]|\.[0-9])", re.ASCII
)


def _emails(text: str) -> Iterator[Span]:
    at = text.find("@")
    while at >= 0:
        host = _HOST.match(text, at + 1)
        if host is not None:
            before = text[max(0, at - _LONGEST_LOCAL) : at][::-1]
            local = _LOCAL_BACKWARDS.match(before)
            # `git@host:path` is where a repository is.
            is_repository = before[:3] == "tig" and _PATH_ON_HOST.match(text, host.end())
            if local is not None and not is_repository and not _is_in_url(text, at):
                yield at - local.end(), host.end()
        at = text.find("@", at + 1)


def _is_in_url(text: str, at: int) -> bool:
    """True for the name before a host in a URL; what may be secret of it has a rule of its own."""
    start = text.rfind("://", max(0, at - _LONGEST_USER), at)
    return start >= 0 and not _ENDS_USER.search(text, start + 3, at)


def _cards(match: re.Match[str]) -> bool:
    return is_card(match[0].replace(" ", "").replace("-", ""))


def _ibans(text: str) -> Iterator[Span]:
    for match in _IBAN_START.finditer(text):
        length = IBAN_LENGTHS.get(match[0][:2])
        if length is None:
            continue
        rest = _IBAN_REST[length].match(text, match.end())
        if rest is None:
            continue
        if is_iban((match[0] + rest[0]).replace(" ", "").replace("-", "")):
            yield match.start(), rest.end()


def _is_public(match: re.Match[str]) -> bool:
    try:
        return IPv4Address(match[0]).is_global
    except AddressValueError:
        return False


PERSONAL_RULES = (
    RedactionRule(
        name="iban",
        search=_ibans,
        severity=RedactionSeverity.HIGH,
        category=RedactionCategory.FINANCE,
        shapes=("AA00",),
        screen=r"(?:^|[^0-9A-Za-z])[A-Z]{2}[0-9]{2}[ -]?[0-9A-Z]",
    ),
    RedactionRule(
        name="card",
        pattern=_CARD,
        accept=_cards,
        severity=RedactionSeverity.HIGH,
        category=RedactionCategory.FINANCE,
        shapes=("0000000000000", "0000-0000-0000-0", "0000-000000-0000"),
        screen=r"(?:^|[^0-9A-Za-z.])[2-6][0-9]{3}"
        r"(?:[ -]?[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]|[ -][0-9]{6}[ -])",
    ),
    RedactionRule(
        name="ssn",
        pattern=_SSN,
        severity=RedactionSeverity.HIGH,
        category=RedactionCategory.IDENTITY,
        shapes=("000-00-0000",),
        screen=r"(?:^|[^0-9A-Za-z-])[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}",
    ),
    RedactionRule(
        name="email",
        search=_emails,
        severity=RedactionSeverity.MEDIUM,
        category=RedactionCategory.CONTACT,
        literals=("@",),
        screen=r"[0-9A-Za-z._%+'-]@[0-9A-Za-z-]+\.[0-9A-Za-z]",
    ),
    RedactionRule(
        name="phone",
        pattern=_PHONE,
        severity=RedactionSeverity.MEDIUM,
        category=RedactionCategory.CONTACT,
        shapes=("+0", "000-000-0000", "000--000-0000"),
        screen=r"\+[1-9][ .()-]{0,2}[0-9]|[2-9][0-9]{2}(?:[-. ]|\) ?)[2-9][0-9]{2}[-. ][0-9]{4}",
    ),
    RedactionRule(
        name="ipv4",
        pattern=_IPV4,
        accept=_is_public,
        severity=RedactionSeverity.LOW,
        category=RedactionCategory.NETWORK,
        shapes=tuple(f"0-{'0' * a}-{'0' * b}-0" for a in (1, 2, 3) for b in (1, 2, 3)),
        screen=r"(?:^|[^0-9A-Za-z./]|//)[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
    ),
)
