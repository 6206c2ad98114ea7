"""Rules for credentials that only their surroundings tell: headers, URLs, assignments, PEM."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator

from gossipsub.chorus.redaction.rule import RedactionRule, RedactionSeverity, Span
from gossipsub.chorus.redaction.secret_names import (
    WORD_LITERALS,
    WORDS,
    is_placeholder,
    looks_secret,
    strength,
)

_BEGIN = "-----BEGIN "
_END = "-----END "
_DASHES = "-----"
_LONGEST_LABEL = 64
_PEM_BODY = re.compile(r"(?:\\*[rn]|\s)*+(?:[0-9A-Za-z+/=]{16,}+(?:\\+[rn]|\s)*+)*+", re.ASCII)
"""What of a key is left where its end is missing; in text that was JSON a line may end in `\\n`."""
_OPENSSH = re.compile(
    r"b3BlbnNzaC1rZXktdjE[0-9A-Za-z+/]{40,}+(?:(?:\\+[rn]|\s){1,4}[0-9A-Za-z+/]{16,}+)*+=*",
    re.ASCII,
)
_SPACE = r"[ \t]{0,4}"
_QUOTES = r"""[\\"'\]`]{0,6}"""
_AWS_SECRET = re.compile(
    rf"(?i:secret[_-]?access[_-]?key|secret[_-]?key){_QUOTES}{_SPACE}(?:=>|:=|[:=])"
    rf"{_SPACE}{_QUOTES}(?P<secret>[0-9A-Za-z/+]{{40}})(?![0-9A-Za-z/+=])",
    re.ASCII,
)
_AWS_ID = re.compile(r"(?<![0-9A-Za-z])A[KS]IA[A-Z2-7]{16}(?![0-9A-Za-z])", re.ASCII)
_AWS_BESIDE = re.compile(r"(?<![0-9A-Za-z/+=])[0-9A-Za-z/+]{40}(?![0-9A-Za-z/+=])", re.ASCII)
_BESIDE = 100
"""Characters after an access key id in which its secret is looked for."""
_GIT_ID = re.compile(r"[0-9a-f]{40}")
_BEARER = re.compile(r"(?i:\bbearer)[ \t]{1,4}(?P<secret>[0-9A-Za-z._~+/-]{12,}+=*)", re.ASCII)
_BASIC = re.compile(r"(?i:\bbasic)[ \t]{1,4}(?P<secret>[0-9A-Za-z+/_-]{6,}+={0,2})", re.ASCII)
_URL = re.compile(r"""://[^\s/?#:@"'<>]*+:(?P<secret>[^\s/?#"'<>]+)@[0-9A-Za-z\[_${-]""", re.ASCII)
_ENDING = r"(?:s|[_-]?value|[_-]?hash)?"
_ASSIGNMENT = re.compile(
    rf"(?i:(?P<word>{WORDS}){_ENDING}){_QUOTES}{_SPACE}(?P<sign>=>|:=|={{1,2}}|:){_SPACE}"
    r"""(?:\\*(?P<quote>["'`])(?P<quoted>[^"'`\\\n]++)|(?P<plain>[^\s"'`,;&)\]}>\\]++))""",
    re.ASCII,
)
_OPTION = re.compile(
    rf"(?<![0-9A-Za-z-])--[a-z-]{{0,32}}?(?i:{WORDS})[ \t]{{1,4}}(?P<secret>[^\s\"'-][^\s\"']++)",
    re.ASCII,
)
_CODE = re.compile(
    r"[A-Za-z_][\w.]*+[(\[{]|(?:self|os|env|environ|process|config|settings|args|request|req|this|cls"
    r"|ctx|options|params|context|state|user|data|event|secrets|vars?)\.|[A-Z][A-Z0-9_]*+$",
    re.ASCII,
)
"""Where a program takes a secret from is none itself."""
_NAME_OF_ONE = re.compile(rf"(?i)[a-z_.]*(?:{WORDS})[a-z_.]*s?", re.ASCII)
_ASSIGNED = rf"""(?i)(?:{WORDS}){_ENDING}(?:[\\"'\]`]|[ \t]{{0,4}}[:=])"""
"""A quote is enough: in JSON the value may stand elsewhere."""


def _pem(is_wanted: Callable[[str], bool]) -> Callable[[str], Iterator[Span]]:
    def search(text: str) -> Iterator[Span]:
        # `find` and not a pattern: a lazy one took a second for 54 KB of BEGIN lines. Where the
        # next end is, is looked up once for all beginnings before it.
        start, end = text.find(_BEGIN), 0
        while start >= 0:
            label_start = start + len(_BEGIN)
            label_end = text.find(_DASHES, label_start, label_start + _LONGEST_LABEL)
            after = label_start
            if label_end >= 0 and is_wanted(text[label_start:label_end]):
                body = label_end + len(_DASHES)
                if 0 <= end < body:
                    end = text.find(_END, body)
                after = _end_of_pem(text, body, end)
                if after > body:
                    yield start, after
            start = text.find(_BEGIN, after)

    return search


def _end_of_pem(text: str, body: int, end: int) -> int:
    """Where the block ends whose body starts there; the body itself if there is none."""
    if end >= 0:
        label = end + len(_END)
        dashes = text.find(_DASHES, label, label + _LONGEST_LABEL)
        return dashes + len(_DASHES) if dashes >= 0 else label
    match = _PEM_BODY.match(text, body)
    rest = match[0].rstrip() if match else ""
    return body + len(rest) if len(rest) >= 16 else body


def _is_other_key(label: str) -> bool:
    return "PRIVATE KEY" in label and not _is_openssh(label)


def _is_openssh(label: str) -> bool:
    return label.startswith("OPENSSH PRIVATE KEY")


_openssh_blocks = _pem(_is_openssh)


def _openssh(text: str) -> Iterator[Span]:
    yield from _openssh_blocks(text)
    for match in _OPENSSH.finditer(text):
        yield match.span()


def _aws_secrets(text: str) -> Iterator[Span]:
    for match in _AWS_SECRET.finditer(text):
        yield match.span("secret")
    for access_key in _AWS_ID.finditer(text):
        end = access_key.end()
        for match in _AWS_BESIDE.finditer(text, end, end + _BESIDE):
            if not _GIT_ID.fullmatch(match[0]) and any(map(str.isdigit, match[0])):
                yield match.span()


def _is_bearer(match: re.Match[str]) -> bool:
    return any(map(str.isdigit, match["secret"])) and not is_placeholder(match["secret"])


def _is_basic(match: re.Match[str]) -> bool:
    """Name, colon and password, in base64."""
    encoded = match["secret"].rstrip("=")
    try:
        decoded = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_")
    except binascii.Error:
        return False
    return b":" in decoded and decoded.isascii() and decoded.decode().isprintable()


def _is_password(match: re.Match[str]) -> bool:
    return not is_placeholder(match["secret"])


def _option_is_secret(match: re.Match[str]) -> bool:
    value = match["secret"]
    return not is_placeholder(value) and not _CODE.match(value) and _is_no_word(value)


def _is_no_word(value: str) -> bool:
    return not value.rstrip(".:!?").isalpha()


def _assignments(text: str) -> Iterator[Span]:
    for match in _ASSIGNMENT.finditer(text):
        group = "quoted" if match["quote"] else "plain"
        value = match[group]
        if len(value) < 4 or is_placeholder(value) or _NAME_OF_ONE.fullmatch(value):
            continue
        # The word may be the end of a longer name, which says more.
        word_start, word_end = match.span("word")
        name = re.split(r"[^0-9A-Za-z_.-]", text[max(0, word_start - 32) : word_end])[-1]
        if strength(name) < 2 and not looks_secret(value):
            continue
        if group == "plain":
            if _CODE.match(value):
                continue
            # "The password: never say it" is a sentence.
            if match["sign"] == ":" and not _is_no_word(value):
                continue
        yield match.span(group)


SECRET_FIELD = RedactionRule(
    name="secret-field",
    search=lambda text: (),
    severity=RedactionSeverity.HIGH,
    tags=("field",),
)
"""Values of fields whose name says that they are secret; the walk over the structure finds them."""

PEM_RULES = (
    RedactionRule(
        name="openssh-private-key",
        search=_openssh,
        severity=RedactionSeverity.CRITICAL,
        tags=("key", "ssh"),
        literals=("-----BEGIN OPENSSH", "b3BlbnNzaC1rZXktdjE"),
        is_in_base64=True,
    ),
    RedactionRule(
        name="private-key",
        search=_pem(_is_other_key),
        severity=RedactionSeverity.CRITICAL,
        tags=("key", "pem"),
        literals=("-----BEGIN",),
        is_in_base64=True,
        screen=r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY",
    ),
)

SURROUNDED_RULES = (
    RedactionRule(
        name="aws-secret-access-key",
        search=_aws_secrets,
        severity=RedactionSeverity.CRITICAL,
        tags=("aws",),
        literals=("AKIA", "ASIA", "secret"),
        screen=r"A[KS]IA[A-Z2-7]{8}|(?i:secret[_-]?(?:access[_-]?)?key)[^0-9A-Za-z]",
    ),
    RedactionRule(
        name="bearer-token",
        pattern=_BEARER,
        accept=_is_bearer,
        tags=("header",),
        literals=("bearer",),
        screen=r"(?i:bearer)[ \t]+[0-9A-Za-z._~+/-]{12}",
    ),
    RedactionRule(
        name="basic-auth",
        pattern=_BASIC,
        accept=_is_basic,
        tags=("header",),
        literals=("basic",),
        screen=r"(?i:basic)[ \t]+[0-9A-Za-z+/_-]{6}",
    ),
    RedactionRule(
        name="url-password",
        pattern=_URL,
        accept=_is_password,
        tags=("url",),
        literals=("://",),
        screen=r"""://[^\s/?#:@"'<>]*:[^\s/?#"'<>]*@""",
    ),
    RedactionRule(
        name="secret-assignment",
        search=_assignments,
        tags=("assignment",),
        literals=WORD_LITERALS,
        screen=_ASSIGNED,
    ),
    RedactionRule(
        name="secret-option",
        pattern=_OPTION,
        accept=_option_is_secret,
        tags=("assignment",),
        literals=("--",),
        screen=rf"(?:^|[^0-9A-Za-z-])--[a-z-]{{0,32}}(?i:{WORDS})[ \t]",
    ),
)
