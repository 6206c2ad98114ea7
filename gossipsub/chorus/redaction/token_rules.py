"""Rules for tokens that tell by their first characters whose they are.

The forms are those that the issuers document, or have shown for years.
"""

from __future__ import annotations

import base64
import binascii
import json
import re

from gossipsub.chorus.redaction.rule import RedactionRule, RedactionSeverity

_EDGE = r"(?<![0-9A-Za-z])"
"""No pattern asks for an end: what is glued to a token must not hide it."""
_HAS_DIGIT = re.compile(r"[0-9]")
_HAS_UPPER = re.compile(r"[A-Z]")
_LONG_HEX = re.compile(r"[0-9a-f]{32}")


_SLACK = tuple(f"xox{kind}-" for kind in "abeoprs")


def _token(
    name: str,
    pattern: str,
    *literals: str,
    severity: RedactionSeverity = RedactionSeverity.CRITICAL,
    tags: tuple[str, ...] = (),
) -> RedactionRule:
    return RedactionRule(
        name=name,
        pattern=re.compile(_EDGE + pattern, re.ASCII),
        severity=severity,
        tags=("token", *tags),
        literals=literals,
        is_token=True,
        screen=f"(?:{'|'.join(map(re.escape, literals))})[0-9A-Za-z+/_=.-]{{6}}",
    )


def _is_random(match: re.Match[str]) -> bool:
    """Words in kebab case can start as a key does: `sk-` stands for many things."""
    text = match[0]
    return bool((_HAS_DIGIT.search(text) and _HAS_UPPER.search(text)) or _LONG_HEX.search(text))


def _is_jwt(match: re.Match[str]) -> bool:
    header = match[0].partition(".")[0]
    if len(header) > 4096:
        return True
    try:
        decoded = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, RecursionError, binascii.Error):
        return False
    return isinstance(decoded, dict) and "alg" in decoded


TOKEN_RULES = (
    _token("aws-access-key-id", r"A(?:KIA|SIA|BIA|CCA)[A-Z2-7]{16}(?![0-9A-Za-z])",
           "AKIA", "ASIA", "ABIA", "ACCA", severity=RedactionSeverity.HIGH, tags=("aws",)),
    _token("github-fine-grained-token", r"github_pat_[0-9A-Za-z_]{22,}+",
           "github_pat_", tags=("github",)),
    _token("github-token", r"gh[pousr]_[0-9A-Za-z_]{36,}+(?:\.[0-9A-Za-z_-]{8,}+){0,2}",
           "ghp_", "gho_", "ghu_", "ghs_", "ghr_", tags=("github",)),
    _token("gitlab-token", r"gl(?:pat|ptt|dt|rt|rtr|cbt|soat|ft|imt|agent|oas|ffct|wt)-"
           r"[0-9A-Za-z_-]{20,}+(?:\.[0-9A-Za-z_-]{2,}+){0,3}",
           "glpat-", "glptt-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glsoat-", "glft-", "glimt-",
           "glagent-", "gloas-", "glffct-", "glwt-", tags=("gitlab",)),
    _token("slack-token", r"(?:(?:xoxe\.)?xox[abeoprs]|xapp)-[0-9A-Za-z-]{15,}+", *_SLACK, "xapp-",
           tags=("slack",)),
    _token("slack-webhook",
           r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[0-9A-Za-z+/_-]{16,}+)",
           "hooks.slack.com/", tags=("slack",)),
    _token("google-api-key", r"AIza[0-9A-Za-z_-]{35}", "AIza", tags=("google",)),
    _token("google-oauth-secret", r"(?:GOCSPX-[0-9A-Za-z_-]{24,}+|ya29\.[0-9A-Za-z_-]{20,}+)",
           "GOCSPX-", "ya29.", tags=("google",)),
    _token("stripe-key",
           r"(?:(?:sk|rk)_(?:live|test)_[0-9A-Za-z]{16,}+|whsec_[0-9A-Za-z+/]{24,}+=*)",
           "sk_live_", "sk_test_", "rk_live_", "rk_test_", "whsec_", tags=("stripe",)),
    _token("anthropic-key", r"sk-ant-[0-9A-Za-z_-]{16,}+", "sk-ant-", tags=("anthropic",)),
    RedactionRule(
        name="openai-key",
        pattern=re.compile(r"(?<![0-9A-Za-z_-])sk-(?!ant-)[0-9A-Za-z_-]{20,}+", re.ASCII),
        accept=_is_random,
        severity=RedactionSeverity.CRITICAL,
        tags=("token", "openai"),
        literals=("sk-",),
        is_token=True,
        screen=r"(?:^|[^0-9A-Za-z_-])sk-[0-9A-Za-z_-]{20}",
    ),
    _token("npm-token", r"npm_[0-9A-Za-z]{36,}+", "npm_", tags=("npm",)),
    _token("pypi-token", r"pypi-A[0-9A-Za-z_-]{48,}+", "pypi-A", tags=("pypi",)),
    _token("hugging-face-token", r"hf_[0-9A-Za-z]{30,}+", "hf_", tags=("hugging-face",)),
    _token("groq-key", r"gsk_[0-9A-Za-z]{40,}+", "gsk_", tags=("groq",)),
    _token("sendgrid-key", r"SG\.[0-9A-Za-z_-]{16,32}+\.[0-9A-Za-z_-]{32,64}+", "SG.",
           tags=("sendgrid",)),
    _token("digitalocean-token", r"do[opr]_v1_[0-9a-f]{64}", "dop_v1_", "doo_v1_", "dor_v1_",
           tags=("digitalocean",)),
    _token("docker-token", r"dckr_pat_[0-9A-Za-z_-]{20,}+", "dckr_pat_", tags=("docker",)),
    _token("vault-token", r"hv[sbr]\.[0-9A-Za-z_-]{24,}+", "hvs.", "hvb.", "hvr.",
           tags=("vault",)),
    _token("databricks-token", r"dapi[0-9a-f]{32}(?![0-9a-f])", "dapi", tags=("databricks",)),
    _token("age-key", r"AGE-SECRET-KEY-1[0-9A-Z]{50,}+", "AGE-SECRET-KEY-1", tags=("age",)),
    # The protobuf of an Ed25519 key of libp2p in base64, as Kubo's configuration has it: 08 01 12
    # 40, and 64 bytes. The public key has another length, hence another fifth character.
    _token("libp2p-private-key", r"CAESQ[A-P][0-9A-Za-z+/_-]{80,}+=*", "CAESQ", tags=("libp2p",)),
    RedactionRule(
        name="jwt",
        # All characters of the run stand before it too, so that each run is tried once.
        pattern=re.compile(
            r"(?<![0-9A-Za-z_-])eyJ[0-9A-Za-z_-]{10,}+\.[0-9A-Za-z_-]{4,}+"
            r"(?:\.[0-9A-Za-z_-]*+){1,3}",
            re.ASCII,
        ),
        accept=_is_jwt,
        severity=RedactionSeverity.HIGH,
        tags=("token", "jwt"),
        literals=("eyJ",),
        is_token=True,
        screen=r"eyJ[0-9A-Za-z_-]{10}",
    ),
)  # fmt: skip
