from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipsub.benchmarks.redaction_corpus import Planted, load_corpus
from gossipsub.chorus.errors import RedactionFailed
from gossipsub.chorus.message_type import MessageType
from gossipsub.chorus.pubsub import ChorusPubSub
from gossipsub.chorus.redaction.finding import RedactionRecord
from gossipsub.chorus.redaction.rule import RedactionCategory, RedactionRule, RedactionSeverity
from gossipsub.chorus.redaction.sentinel import DEFAULT_RULES, Sentinel
from gossipsub.host import Host
from gossipsub.wire.errors import LocalProtocolError

CORPUS = load_corpus()
LABELS = {"source": "pubsub", "topic": "CHORUS/coordination/v1", "message_type": "task_claim"}
WITH = Sentinel(categories=RedactionCategory, use_re2=True)
WITHOUT = Sentinel(categories=RedactionCategory, use_re2=False)

both = pytest.mark.parametrize("sentinel", [WITH, WITHOUT], ids=["re2", "plain"])
each_planted = pytest.mark.parametrize("planted", CORPUS.planted, ids=lambda each: each.kind)
tokens = [each for each in CORPUS.planted if each.is_in_base64 and "\n" not in each.secret]


def redacted(sentinel: Sentinel, payload: Any) -> Any:
    return sentinel.redact_map_with_labels(payload, LABELS)


@both
@each_planted
def test_a_planted_secret_is_cut_and_nothing_else(sentinel: Sentinel, planted: Planted) -> None:
    expected = planted.document(f"[REDACTED:{planted.rule}]")
    assert redacted(sentinel, planted.document()) == expected


@both
@each_planted
def test_it_is_cut_in_a_text_that_is_json_with_all_it_says_escaped(
    sentinel: Sentinel, planted: Planted
) -> None:
    written = json.dumps(planted.document("\x01")).replace("/", "\\/")
    escaped = written.replace("\\u0001", "".join(f"\\u{ord(each):04x}" for each in planted.secret))
    cut = json.loads(redacted(sentinel, {"output": escaped})["output"])
    assert cut == planted.document(f"[REDACTED:{planted.rule}]")


@both
@pytest.mark.parametrize("planted", tokens, ids=lambda each: each.kind)
@pytest.mark.parametrize(
    "hide",
    [
        pytest.param(lambda text: text[:2] + "\u200b" + text[2:], id="zero-width-space"),
        pytest.param(lambda text: "\ufeff".join(text), id="byte-order-marks"),
        pytest.param(lambda text: text[:6] + "\u00ad\u2060" + text[6:], id="soft-hyphen"),
        pytest.param(lambda text: text[:1] + "\x00" + text[1:], id="nul"),
        pytest.param(lambda text: f"\\u{ord(text[0]):04x}{text[1:]}", id="json-escape"),
        pytest.param(lambda text: f"\\\\u{ord(text[0]):04X}{text[1:]}", id="escaped-escape"),
        pytest.param(lambda text: text[0] + chr(ord(text[1]) + 0xFEE0) + text[2:], id="full-width"),
        pytest.param(lambda text: base64.b64encode(text.encode()).decode(), id="base64"),
        pytest.param(lambda text: base64.b64encode(f":{text}".encode()).decode(), id="base64-1"),
        pytest.param(
            lambda text: base64.urlsafe_b64encode(f"a={text}\n".encode()).decode(), id="base64-2"
        ),
        pytest.param(
            lambda text: base64.b64encode(f"{text} and a word".encode()).decode().rstrip("="),
            id="base64-unpadded",
        ),
    ],
)
def test_a_token_does_not_hide(sentinel: Sentinel, planted: Planted, hide: Any) -> None:
    text = f"here: {hide(planted.secret)}"
    cut = redacted(sentinel, {"a": [{"b": text}]})
    assert cut == {"a": [{"b": f"here: [REDACTED:{planted.rule}]"}]}


@both
def test_a_pem_block_in_base64_is_cut_over_its_lines(sentinel: Sentinel) -> None:
    block = next(each for each in CORPUS.planted if each.kind == "PEM key").secret
    for encode in (base64.b64encode, base64.encodebytes):
        text = f"data:\n{encode(block.encode()).decode().strip()}"
        assert redacted(sentinel, {"a": text}) == {"a": "data:\n[REDACTED:private-key]"}


@both
@pytest.mark.parametrize("name", CORPUS.clean)
def test_a_look_alike_stays(sentinel: Sentinel, name: str) -> None:
    document = CORPUS.clean[name]
    assert sentinel.scan(document) == ()
    assert redacted(sentinel, document) is document


def secret(kind: str) -> str:
    return next(each.secret for each in CORPUS.planted if each.kind == kind)


TOKEN = secret("GitHub classic")


@both
def test_secrets_in_names_are_cut_and_names_stay_apart(sentinel: Sentinel) -> None:
    other = TOKEN[:-1] + "Z"
    payload = {TOKEN: 1, other: 2, "[REDACTED:github-token]#2": 3, f"a {TOKEN}": {"b": TOKEN}}
    assert redacted(sentinel, payload) == {
        "[REDACTED:github-token]": 1,
        "[REDACTED:github-token]#3": 2,
        "[REDACTED:github-token]#2": 3,
        "a [REDACTED:github-token]": {"b": "[REDACTED:github-token]"},
    }
    places = [(finding.place, finding.is_name) for finding in sentinel.scan(payload)]
    assert places == [
        ("/[REDACTED:github-token]", True),
        ("/[REDACTED:github-token]", True),
        ("/a [REDACTED:github-token]", True),
        ("/a [REDACTED:github-token]/b", False),
    ]


@both
@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"password": 1234}, {"password": "[REDACTED:secret-field]"}),
        ({"passwords": ["ab", {"c": "d"}]}, {"passwords": ["[REDACTED:secret-field]", {"c": "d"}]}),
        ({"dbPassword": "x y"}, {"dbPassword": "[REDACTED:secret-field]"}),
        ({"AWS_SECRET_ACCESS_KEY": "ab"}, {"AWS_SECRET_ACCESS_KEY": "[REDACTED:secret-field]"}),
        ({"token": "abcdefgh12345678"}, {"token": "[REDACTED:secret-field]"}),
        ({"Authorization": "Token abc"}, {"Authorization": "[REDACTED:secret-field]"}),
        ({"n": 4111111111111111}, {"n": "[REDACTED:card]"}),
        ({"n": 4111111111111111.0}, {"n": "[REDACTED:card]"}),
        ({"t": ("a", TOKEN)}, {"t": ["a", "[REDACTED:github-token]"]}),
        ({"t": '{"password": "ab", "b": [1.5]}'},
         {"t": '{"password": "[REDACTED:secret-field]", "b": [1.5]}'}),
        ({"t": '{"password": "a1b2c3", "password": "***"}'},
         {"t": '{"password": "[REDACTED:secret-assignment]", "password": "***"}'}),
        ({"t": json.dumps(json.dumps({"password": "ab"}))[1:-1]},
         {"t": '{\\"password\\": \\"ab\\"}'}),
        ({"t": f"AKIA{'Q2' * 8}:{'aB3/' * 10}"},
         {"t": "[REDACTED:aws-access-key-id]:[REDACTED:aws-secret-access-key]"}),
    ],
)  # fmt: skip
def test_structure_is_understood(sentinel: Sentinel, payload: Any, expected: Any) -> None:
    assert redacted(sentinel, payload) == expected


@both
@pytest.mark.parametrize(
    "payload",
    [
        {"password": None, "secret": True, "api_key": "", "pwd": "***", "token": "cat"},
        {"password": "${DB_PASSWORD}", "client_secret": "<from the vault>", "apiKey": "{{ key }}"},
        {"password": {"type": "string"}, "max_tokens": 4096, "primary_key": "id", "keys": ["a"]},
    ],
)
def test_what_stands_for_a_secret_stays(sentinel: Sentinel, payload: Any) -> None:
    assert redacted(sentinel, payload) is payload


def test_texts_are_redacted_whether_json_or_not() -> None:
    sentinel = Sentinel()
    assert sentinel.redact_text_with_labels(f"a {TOKEN}.", LABELS) == "a [REDACTED:github-token]."
    assert sentinel.redact_text_with_labels('["a", {"pwd": "b1"}]', LABELS) == (
        '["a", {"pwd": "[REDACTED:secret-field]"}]'
    )
    assert sentinel.redact_text_with_labels("", LABELS) == ""


def test_addresses_are_cut_only_when_asked_for_and_public() -> None:
    payload = {"text": "from 10.0.0.1 by 93.184.216.34, /ip4/93.184.216.34/tcp/1"}
    assert Sentinel().redact_map_with_labels(payload, LABELS) is payload
    assert redacted(WITH, payload) == {
        "text": "from 10.0.0.1 by [REDACTED:ipv4], /ip4/93.184.216.34/tcp/1"
    }


def test_categories_can_be_switched_off() -> None:
    sentinel = Sentinel(categories=[RedactionCategory.FINANCE])
    payload = {"password": TOKEN, "card": "4111 1111 1111 1111", "mail": "a@b.example"}
    assert redacted(sentinel, payload) == payload | {"card": "[REDACTED:card]"}


@pytest.mark.parametrize("use_re2", [True, False])
@pytest.mark.parametrize("literals", [(), ("CASE",)])
def test_rules_of_ones_own_are_looked_for_first(use_re2: bool, literals: tuple[str, ...]) -> None:
    rule = RedactionRule(
        name="case-number",
        pattern=r"case-(?P<secret>\d{4})",
        severity=RedactionSeverity.LOW,
        tags=("ours",),
        literals=literals,
    )
    sentinel = Sentinel(extra_rules=[rule], secret_names=["Blood Group"], use_re2=use_re2)
    payload = {"a": "case-1234 case-12", "blood_group": "A+", "b": '{"Blood Group": "O-"}'}
    assert redacted(sentinel, payload) == {
        "a": "case-[REDACTED:case-number] case-12",
        "blood_group": "[REDACTED:secret-field]",
        "b": '{"Blood Group": "[REDACTED:secret-field]"}',
    }
    finding = sentinel.scan({"a": "case-1234"})[0]
    assert (finding.severity, finding.tags, finding.start, finding.length) == (
        RedactionSeverity.LOW,
        ("ours",),
        5,
        4,
    )
    assert Sentinel([rule]).scan({"password": TOKEN}) == ()


def test_bad_settings_are_refused() -> None:
    rule = RedactionRule(name="mine", pattern="x")
    with pytest.raises(LocalProtocolError, match="two rules of one name: mine"):
        Sentinel(extra_rules=[rule, RedactionRule(name="mine", pattern="y")])
    with pytest.raises(LocalProtocolError, match="a salt has at least 16 bytes"):
        Sentinel(salt=b"short")
    with pytest.raises(LocalProtocolError, match="the audit trail keeps at least 1: 0"):
        Sentinel(audit_buffer=0)
    with pytest.raises(ValueError, match="'x' is not a valid RedactionCategory"):
        Sentinel(categories=["x"])  # type: ignore[list-item]


def test_the_audit_trail_tells_everything_but_the_secret() -> None:
    told: list[RedactionRecord] = []
    sentinel = Sentinel(audit=told.append, audit_buffer=2, salt=bytes(16), clock=lambda: 7)
    observed: list[RedactionRecord] = []
    sentinel.add_observer(observed.append)
    redacted(sentinel, {"a/b": {"~": ["x", TOKEN, TOKEN]}, "password": "hunter2"})
    assert [record.finding.place for record in told] == ["/a~1b/~0/1", "/a~1b/~0/2", "/password"]
    first, second, third = told
    assert first.digest == second.digest != third.digest
    assert (first.labels, first.at, first.finding.rule) == (LABELS, 7, "github-token")
    assert (first.finding.start, first.finding.length) == (0, len(TOKEN))
    assert observed == told
    assert sentinel.records() == tuple(told[1:])
    assert TOKEN not in repr(told)
    assert "hunter2" not in repr(told)
    statistics = sentinel.statistics()
    assert (statistics.looked_at, statistics.changed) == (1, 1)
    assert statistics.cuts == {"github-token": 2, "secret-field": 1}
    sentinel.remove_observer(observed.append)
    with pytest.raises(LocalProtocolError, match="this sink was not added"):
        sentinel.remove_observer(observed.append)


def test_salts_differ_from_sentinel_to_sentinel() -> None:
    sentinels = [Sentinel(), Sentinel()]
    for sentinel in sentinels:
        redacted(sentinel, {"a": TOKEN})
    assert len({sentinel.records()[0].digest for sentinel in sentinels}) == 2


def test_a_sink_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail(record: RedactionRecord) -> None:
        raise RuntimeError("full")

    sentinel = Sentinel(audit=fail)
    assert redacted(sentinel, {"a": TOKEN}) == {"a": "[REDACTED:github-token]"}
    assert sentinel.statistics().sink_failures == 1
    assert "an audit sink failed" in caplog.text
    assert TOKEN not in caplog.text


def test_what_a_rule_of_ones_own_raises_comes_out() -> None:
    def fail(text: str) -> list[tuple[int, int]]:
        raise RuntimeError("no idea")

    sentinel = Sentinel(extra_rules=[RedactionRule(name="mine", search=fail)])
    with pytest.raises(RuntimeError, match="no idea"):
        redacted(sentinel, {"a": "b"})


def test_however_deep_a_payload_is_nothing_is_raised_and_nothing_leaks() -> None:
    deep: Any = TOKEN
    for _ in range(5000):
        deep = [deep]
    assert "ghp_" not in repr_of(redacted(WITH, {"a": deep}))
    harmless: Any = "x"
    for _ in range(5000):
        harmless = {"a": harmless}
    assert redacted(WITH, harmless) is harmless
    text = TOKEN
    for _ in range(6):
        text = json.dumps({"a": text})
    assert "ghp_" not in redacted(WITHOUT, {"a": text})["a"]
    itself: dict[str, Any] = {"a": "b"}
    itself["c"] = [itself]
    assert redacted(WITH, itself) is itself


def repr_of(payload: Any) -> str:
    texts: list[str] = []
    waiting = [payload]
    for node in waiting:
        if isinstance(node, (dict, list)):
            waiting += node.values() if isinstance(node, dict) else node
        else:
            texts.append(str(node))
    return " ".join(texts)


pieces = st.sampled_from(
    [each.secret for each in CORPUS.planted]
    + [each.secret[: len(each.secret) // 2] for each in CORPUS.planted]
    + ["password=", "token: ", '"', "\\", "\\u0067", "\u200b", "://a:", "@", " ", "\n", "+1", "-",
       "Bearer ", "--password ", "[REDACTED:card]", "aws_secret_access_key=", "eyJ", "é", "{", "}"]
)  # fmt: skip
texts = st.lists(pieces | st.text(max_size=4), max_size=6).map("".join)
values = st.recursive(
    texts | st.none() | st.booleans() | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150)
@given(st.dictionaries(texts | st.sampled_from(["password", "name", "value"]), values, max_size=4))
def test_with_and_without_re2_the_same_is_cut(payload: dict[str, Any]) -> None:
    with_re2 = WITH.scan(payload)
    assert with_re2 == WITHOUT.scan(payload)
    cut = redacted(WITH, payload)
    assert (cut is not payload) == bool(with_re2)


@settings(max_examples=150)
@given(texts)
def test_what_was_redacted_is_not_redacted_again(text: str) -> None:
    once = WITH.redact_text_with_labels(text, LABELS)
    twice = WITH.redact_text_with_labels(once, LABELS)
    assert twice.count("[REDACTED:[") == 0
    assert all("REDACTED" not in once[f.start : f.start + f.length] for f in WITH.scan(once))


HOSTILE = [
    "-----BEGIN PRIVATE KEY-----",
    "-----BEGIN ",
    "-----END ",
    "eyJ",
    "eyJaaaaaaaaaaaa.aaaa",
    "ghp_",
    "sk-",
    "glpat-",
    "xoxb-",
    "A",
    "0",
    "4111 ",
    "+1 ",
    "(555) ",
    "@",
    "a@b.",
    "a@a-",
    "a@a.co",
    "1.",
    "DE89 3704 ",
    "A1",
    "://",
    "://a:",
    "x://a:b@",
    "password",
    'password"',
    "--password ",
    "--a-",
    "-",
    "bearer ",
    "basic aaaaaa ",
    'token: "',
    "\\",
    "\\u0067",
    "\\/",
    "a\u200b",
    "\uff21",
    "Z2hwX",
    "aws_secret_access_key=",
    "AKIAQQQQQQQQQQQQQQQQ ",
    '{"a":',
    "[",
    '{"password":"a"},',
    "\n",
    "b3BlbnNzaC1rZXktdjE",
]


@both
@pytest.mark.parametrize("piece", HOSTILE)
def test_twice_the_text_takes_no_more_than_about_twice_the_time(
    sentinel: Sentinel, piece: str
) -> None:
    """Quadratic rules take four times as long; the smaller text is long enough to tell."""

    def seconds(size: int) -> float:
        text = (piece * (size // len(piece) + 1))[:size]
        spent = []
        for _ in range(2):
            started = time.process_time()
            sentinel.scan(text)
            spent.append(time.process_time() - started)
        return min(spent)

    small = seconds(10_000)
    assert seconds(40_000) < 4 * 2.5 * small + 0.02


def test_every_rule_is_planted_somewhere_or_tried_here() -> None:
    planted = {each.rule for each in CORPUS.planted}
    letters = "aB3" * 40
    others = {
        "groq-key": f"gsk_{letters}",
        "sendgrid-key": f"SG.{letters[:22]}.{letters[:43]}",
        "digitalocean-token": f"dop_v1_{'0a' * 32}",
        "docker-token": f"dckr_pat_{letters[:27]}",
        "vault-token": f"hvs.{letters[:90]}",
        "databricks-token": f"dapi{'0a' * 16}",
        "age-key": f"AGE-SECRET-KEY-1{'Q2' * 29}",
    }
    for rule, text in others.items():
        assert redacted(WITH, {"a": text}) == {"a": f"[REDACTED:{rule}]"}
        assert redacted(WITHOUT, {"a": text}) == {"a": f"[REDACTED:{rule}]"}
    assert {rule.name for rule in DEFAULT_RULES} - planted - set(others) == set()


@pytest.mark.anyio
async def test_what_chorus_publishes_was_redacted_first() -> None:
    def fail(text: str) -> list[tuple[int, int]]:
        if "poison" in text:
            raise RuntimeError("no idea")
        return []

    rule = RedactionRule(name="mine", search=fail)
    sentinel = Sentinel(extra_rules=[rule])
    seen: list[Any] = []
    async with Host() as host, ChorusPubSub(host, redactor=sentinel) as chorus:
        chorus.add_observer(lambda delivery: seen.append(delivery.envelope.data))
        given = {"message": f"use {TOKEN}"}
        await chorus.publish_hmmm_message(MessageType.META_DISCUSSION, given)
        with pytest.raises(RedactionFailed):
            await chorus.publish_hmmm_message(MessageType.META_DISCUSSION, {"message": "poison"})
    assert seen == [{"message": "use [REDACTED:github-token]"}]
    assert given == {"message": f"use {TOKEN}"}
    assert dict(sentinel.records()[0].labels) == {
        "source": "pubsub",
        "topic": "hmmm/meta-discussion/v1",
        "message_type": "meta_discussion",
    }
