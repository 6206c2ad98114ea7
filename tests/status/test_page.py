"""The status page: nothing from elsewhere, and no way for peers' texts to become markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib import resources

import pytest

from gossipsub.status.page import page

PAGES = ("page", "conversation")


@pytest.fixture(params=PAGES)
def name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def html(name: str) -> str:
    return page(name, has_conversation=True).html.decode()


@pytest.fixture
def script(document: Document) -> str:
    return document.inside["script"]


class Document(HTMLParser):
    """Elements with their attributes, and the text in script and style."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, str] = {}
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style"):
            self.inside[self._open] = self.inside.get(self._open, "") + data


@pytest.fixture
def document(html: str) -> Document:
    parsed = Document()
    parsed.feed(html)
    return parsed


def test_a_page_loads_nothing_from_elsewhere(document: Document, html: str) -> None:
    for tag, attributes in document.elements:
        assert "src" not in attributes
        own = ("./", "conversation") if tag == "a" else ("data:,",)
        assert attributes.get("href", own[0]) in own, tag
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    assert "@import" not in html
    assert "url(" not in html
    assert set(re.findall(r"https?://[^\s\"']+", html)) == set()


def test_only_the_scripts_and_styles_of_the_page_may_run(document: Document, name: str) -> None:
    def digest(text: str) -> str:
        return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

    told = page(name, has_conversation=True).policy
    policy = dict(part.strip().split(" ", 1) for part in told.split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == f"'sha256-{digest(document.inside['script'])}'"
    assert policy["style-src"] == f"'sha256-{digest(document.inside['style'])}'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in told


def test_texts_reach_the_page_as_texts_alone(script: str) -> None:
    for way in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function("):
        assert way not in script
    assert set(re.findall(r"setAttribute\(\"([^\"]+)\"", script)) <= {"aria-expanded"}


def test_everything_the_script_looks_for_is_in_the_page(document: Document, script: str) -> None:
    known = {attributes["id"] for _, attributes in document.elements if "id" in attributes}
    assert set(re.findall(r"\bat\(\"(\w[\w-]*)\"\)", script)) <= known


def test_a_page_works_on_a_phone_and_in_the_dark(html: str) -> None:
    assert '<meta name="viewport"' in html
    assert "prefers-color-scheme: dark" in html
    assert "color-scheme: light dark" in html


def test_without_a_conversation_no_page_leads_to_one() -> None:
    assert b"<nav" not in page("page", has_conversation=False).html


# -- the script's arithmetic, in Node


def calculate(expression: str, name: str = "page") -> object:
    """What an expression in the script's functions gives."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node")
    files = resources.files("gossipsub.status")
    script = "".join(files.joinpath(f"{each}.js").read_text("utf-8") for each in ("common", name))
    code = (
        f"{script}\nconst page = module.exports;process.stdout.write(JSON.stringify({expression}))"
    )
    ran = subprocess.run([node, "-e", code], capture_output=True, text=True, timeout=60, check=True)
    value: object = json.loads(ran.stdout)
    return value


def test_the_scripts_numbers() -> None:
    now = {"peer_id": "a", "measurements": {"uptime": 12, "bytes_in": 500}}
    before = {"peer_id": "a", "measurements": {"uptime": 10, "bytes_in": 100}}
    other = {**before, "peer_id": "b"}
    larger = {"peer_id": "a", "measurements": {"uptime": 10, "bytes_in": 900}}

    def rate(earlier: object) -> str:
        first, last = json.dumps(earlier), json.dumps(now)
        return f"page.rate({last}, {first}, (s) => s.measurements.bytes_in)"

    buckets = "{bounds: [1, 2], counts: [8, 1, 1]}, {bounds: [1, 2], counts: [8, 0, 0]}"
    expressions = {
        rate(before): 200,
        rate(None): None,
        rate(other): None,
        rate(larger): None,
        "page.compact(null)": "\u2013",
        "page.compact(9999)": "9999",
        "page.compact(12345)": "12.3 k",
        "page.compact(-2.345)": "-2.35",
        "page.compact(12345678)": "12.3 M",
        "page.duration(0.0042)": "4.2 ms",
        "page.duration(59.9)": "60 s",
        "page.duration(3725)": "1 h 2 min",
        "page.duration(200000)": "2 d 7 h",
        f"page.quantile({buckets}, 0.5)": 2,
        f"page.quantile({buckets}, 0.99) === Infinity": True,
        "page.quantile({bounds: [1], counts: [0, 0]}, null, 0.5)": None,
        "page.total({a: 1, b: 2})": 3,
        "page.entry({a: 1}, 'a')": 1,
        "page.entry({a: 1}, 'constructor') === undefined": True,
        "page.tokenOf('#token=a%2Fb')": "a/b",
        "page.tokenOf('#token=100%')": "100%",
        "page.tokenOf('#peers')": "",
        "page.matches({info: {peer: '12D3', topics: ['News']}}, 'news')": True,
        "page.matches({info: {peer: '12D3', topics: []}}, 'news')": False,
    }
    assert calculate(f"[{', '.join(expressions)}]") == list(expressions.values())


def test_the_conversation_is_searched_by_thread_agent_and_words() -> None:
    remarks = [
        {"text": "claims a task", "sender": "12D3", "role": "Dev", "type": "task_claim"},
        {"text": "asks: how?", "sender": "12D4", "role": "", "type": "expertise_request"},
    ]
    thread = {"name": "Release", "project_id": "atlas", "topic": "t", "remarks": remarks}
    given = f"{json.dumps(thread)}, %s, (peer) => peer === '12D4' ? 'alice' : ''"

    def found(wanted: str) -> object:
        return calculate(f"page.found({given % json.dumps(wanted)}).length", "conversation")

    assert [found(each) for each in ("", "release", "atlas")] == [2, 2, 2]
    assert [found(each) for each in ("how", "alice", "dev", "task_", "nobody")] == [1, 1, 1, 1, 0]


def test_what_agents_write_cannot_turn_or_hide_the_text_beside_it() -> None:
    texts = ["\u202egnirts\u2066", "bell\x07 esc\x1b[2J \x9b", "a\tb\nc", "Grüße 👩‍💻 שלום"]
    assert calculate(f"{json.dumps(texts)}.map(page.spelled)", "conversation") == [
        "\\u202egnirts\\u2066", "bell\\u0007 esc\\u001b[2J \\u009b", *texts[2:],
    ]  # fmt: skip
    document = "{createElement: () => ({})}"
    shown = f"(globalThis.document = {document}, page.element('b', '\\u202e').textContent)"
    assert calculate(shown, "conversation") == "\\u202e"
    cuts = "[page.cut('short', 5), page.cut('longer', 5), page.cut('👩👩👩', 2)]"
    assert calculate(cuts, "conversation") == ["short", "long…", "👩…"]
