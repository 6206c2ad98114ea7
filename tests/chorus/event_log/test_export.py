from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import gossipsub.conformance
from gossipsub.chorus import CorruptLog, EventLog, LogHead, LogRetention, verify_export
from gossipsub.chorus.event_log.chain import Chain, genesis_hash, head_statement
from gossipsub.chorus.event_log.entry import LogEntry, draft
from gossipsub.chorus.event_log.export import entry_line, first_line
from gossipsub.crypto.keys import PrivateKey
from gossipsub.pubsub.signed_message import SignedMessage

FOLDER = Path(gossipsub.conformance.__file__).resolve().parent / "vectors" / "event_log"
VECTORS = FOLDER / "export.jsonl"
KEY = PrivateKey.from_node_number(1)
START = 1_735_787_045_000_000_000

Append = Callable[..., list[Any]]


@pytest.fixture
def as_it_should_be(alice: Any, bob: Any, log_data: Any) -> list[bytes]:
    """The lines of a log of seven entries in three groups, with all that is optional."""
    key = KEY.public_key.encode()
    chain = Chain(0, genesis_hash(bytes(range(16)), key), 0, 0)
    lines = [first_line(bytes(range(16)), KEY.public_key, index=0, hash=chain.hash)]
    said = [
        alice.say({"task_id": "t<1>", "ratio": 0.5}, project_id="apollo", at=START),
        bob.say(
            {"note": "naïve \u2028 \U0001f600 \ufffd", "n": [1, -0.0, 1e21, None]}, thread_id="t"
        ),
    ]
    drafts: list[list[Any]] = [[], [("peer_joined", {"peer": "x"}, None)], []]
    drafts[0] = [("task_progress", log_data(envelope), signed) for envelope, signed in said]
    drafts[2] = [("network_event", {"n": 10**n, "deep": [[{}]]}, None) for n in (0, 15, 30)]
    drafts[2].append(("collaboration", {"timestamp": "9999-12-31T23:59:59Z"}, None))
    for group in drafts:
        rows = []
        for log_type, data, signed in group:
            now = START + chain.index * 1_000_000_007
            name = str(KEY.public_key.peer_id())
            rows.append(chain.extend(draft(log_type, data, signed, node=name, now=now)))
        rows[-1] = (*rows[-1][:-1], chain.sign(KEY).signature)
        lines += [entry_line(LogEntry.of_row(row)) for row in rows]
    return lines


def test_the_vectors_are_what_we_write(as_it_should_be: list[bytes]) -> None:
    assert VECTORS.read_bytes().splitlines(keepends=True) == as_it_should_be


def test_the_vectors_verify() -> None:
    with VECTORS.open("rb") as lines:
        proved = verify_export(lines)
    assert proved.node == KEY.public_key.peer_id()
    assert (proved.entries, proved.first_index, proved.last_index) == (7, 1, 7)
    assert (proved.heads, proved.messages) == (3, 2)
    text = VECTORS.read_text(encoding="utf-8").splitlines()
    assert verify_export(text, signatures=False).heads == 1


def run_go(lines: list[bytes]) -> str:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    environment = os.environ | {
        "GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOEXPERIMENT": "",
    }  # fmt: skip
    ran = subprocess.run(
        [go, "run", "-buildvcs=false", "."],
        cwd=FOLDER, env=environment, input=b"".join(lines), capture_output=True, check=False,
        timeout=280,
    )  # fmt: skip
    return ran.stdout.decode()


@pytest.mark.timeout(300)
def test_a_program_in_go_verifies_it_from_the_description(as_it_should_be: list[bytes]) -> None:
    assert run_go(as_it_should_be) == "entries 7 heads 3 messages 2\n"
    changed = [line.replace(b'"peer":"x"', b'"peer":"y"') for line in as_it_should_be]
    assert run_go(changed) == "entry 3: the chain is broken\n"


def changed(line: bytes, **fields: Any) -> bytes:
    return json.dumps(json.loads(line) | fields).encode()


DEFECTS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int, str]] = {
    "nothing": (lambda lines: [], 0, "empty"),
    "no entry": (lambda lines: [lines[0], b"{}\n"], 1, "not an entry"),
    "not JSON": (lambda lines: [*lines[:2], b"\xff\n"], 2, "not a line of JSON"),
    "a list": (lambda lines: [*lines[:2], b"[]\n"], 2, "not an object"),
    "deep": (lambda lines: [*lines[:2], b"[" * 100_000], 2, "not a line of JSON"),
    "a name twice": (
        lambda lines: [lines[0], lines[1].replace(b"{", b'{"index":1,', 1)], 1, "twice"),
    "an unknown field": (lambda lines: [lines[0], changed(lines[1], note="")], 1, "unknown field"),
    "another format": (lambda lines: [changed(lines[0], format=2), *lines[1:]], 0, "format 1"),
    "no key": (lambda lines: [changed(lines[0], public_key="")], 0, "whose it is"),
    "another node": (lambda lines: [changed(lines[0], node="me")], 0, "whose it is"),
    "another log": (
        lambda lines: [changed(lines[0], log_id="00" * 16)], 0, "does not begin as this log"),
    "no beginning": (lambda lines: lines[1:], 0, "not an export|whose it is"),
    "no end": (lambda lines: lines[:-1], 6, "the end is missing"),
    "a line missing": (lambda lines: lines[:3] + lines[4:], 3, "missing; entry 4 follows"),
    "a line twice": (lambda lines: [*lines[:3], *lines[2:]], 3, "missing; entry 2 follows"),
    "an empty origin": (lambda lines: [lines[0], changed(lines[1], origin="")], 1, "nothing"),
    "a later time": (
        lambda lines: [lines[0], changed(lines[1], timestamp="2026-01-01T00:00:00Z")], 1,
        "hash is not"),
    "a large index": (lambda lines: [lines[0], changed(lines[1], index=2**80)], 1, "missing"),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_an_export_that_was_changed_is_refused(as_it_should_be: list[bytes], defect: str) -> None:
    change, index, reason = DEFECTS[defect]
    with pytest.raises(CorruptLog, match=reason) as caught:
        verify_export(change(as_it_should_be))
    assert caught.value.index == index


LINES = VECTORS.read_bytes().splitlines(keepends=True)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_any_field_that_was_changed_is_found(data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(LINES) - 1))
    fields = json.loads(LINES[number])
    name = data.draw(st.sampled_from(sorted(fields)))
    value = data.draw(anything)
    assume(value != fields[name])
    lines = [*LINES]
    lines[number] = changed(LINES[number], **{name: value})
    with pytest.raises(CorruptLog):
        verify_export(lines)


@given(line=st.binary(max_size=200), number=st.integers(0, len(LINES) - 1))
@settings(deadline=None)
def test_nothing_but_a_corrupt_log_comes_of_any_bytes(line: bytes, number: int) -> None:
    with pytest.raises(CorruptLog):
        verify_export([*LINES[:number], line, *LINES[number + 1 :]])


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@given(data=st.dictionaries(st.text(), anything, max_size=4))
@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_whatever_was_logged_is_proved_by_its_export(
    tmp_path: Path, data: dict[str, Any]
) -> None:
    path = tmp_path / "log"
    async with EventLog.open(path, key=KEY) as log:
        try:
            log.append("collaboration", data)
        except ValueError:
            assume(False)
        await log.flush()
        assert verify_export([line async for line in log.export()]).entries > 0


@pytest.mark.anyio
async def test_an_export_of_the_end_proves_the_end(
    tmp_path: Path, alice: Any, append_messages: Append
) -> None:
    async with EventLog.open(tmp_path / "log", key=KEY) as log:
        for _ in range(4):
            append_messages(log, alice, 100)
            await log.flush()
        head = await log.head()
        lines = [line async for line in log.export(after_index=250)]
        empty = [line async for line in log.export(after_index=10_000)]
    proved = verify_export(lines)
    assert (proved.first_index <= 251, proved.last_index) == (True, 400)
    assert proved.newest_head == head
    assert head is not None
    assert verify_export(lines, anchor=head) == proved
    with pytest.raises(CorruptLog, match="not of this node"):
        verify_export(lines, anchor=LogHead(9, 0, bytes(32), b""))
    assert verify_export(empty).entries == 0
    another = json.loads(lines[0])
    another["public_key"] = b64encode(alice.key.public_key.encode()).decode()
    another["node"] = alice.name
    with pytest.raises(CorruptLog, match="the node's signature is wrong"):
        verify_export([json.dumps(another), *lines[1:]])


def signed_lines(*drafts: Any) -> list[bytes]:
    """A log of these entries as its node would sign it."""
    chain = Chain(0, genesis_hash(bytes(16), KEY.public_key.encode()), 0, 0)
    lines = [first_line(bytes(16), KEY.public_key, index=0, hash=chain.hash)]
    for each in drafts:
        chain.timestamp = 0
        row = chain.extend(each)
        lines.append(entry_line(LogEntry.of_row((*row[:-1], chain.sign(KEY).signature))))
    return lines


def test_what_a_node_signed_and_cannot_be_is_found(alice: Any, bob: Any) -> None:
    _, signed = alice.say({})
    told = draft("x", {}, signed, node="", now=START)
    assert verify_export(signed_lines(told, told._replace(timestamp=START + 1))).entries == 2
    with pytest.raises(CorruptLog, match="logged before the entry before it"):
        verify_export(signed_lines(told, told._replace(timestamp=START - 1)))
    for lie in ({"author": bob.name}, {"origin": bytes(46)}):
        lines = signed_lines(told, told._replace(**lie))
        assert verify_export(lines, signatures=False).entries == 2
        with pytest.raises(CorruptLog, match="the message is not its author's") as caught:
            verify_export(lines)
        assert caught.value.index == 2
    with pytest.raises(CorruptLog, match="not of its topic"):
        verify_export(signed_lines(told._replace(topic="elsewhere")))


@pytest.mark.parametrize("lie", [{}, {"origin": bytes(46)}])
def test_a_node_cannot_say_what_others_said_without_their_messages(
    node: Any, alice: Any, lie: dict[str, Any]
) -> None:
    own = draft("task_claimed", {}, None, node=node.name, now=START)
    assert verify_export(signed_lines(own)).entries == 1
    made_up = own._replace(**(lie or {"author": alice.name}))
    for signatures in (True, False):
        with pytest.raises(CorruptLog, match="names an author, and has no message") as caught:
            verify_export(signed_lines(own, made_up), signatures=signatures)
        assert caught.value.index == 2
    assert run_go(signed_lines(own, made_up)).startswith("entry 2: it names an author")


def test_an_author_whose_name_is_endless_is_refused_at_once(alice: Any) -> None:
    _, signed = alice.say({})
    endless = SignedMessage(replace(signed.wire, from_peer=bytes(1 << 20), encoding=None))
    told = draft("x", {}, signed, node="", now=START)
    lie = told._replace(origin=endless.origin, signed=endless.encoded)
    with pytest.raises(CorruptLog, match="signature is wrong"):  # its text would take minutes
        verify_export(signed_lines(lie))


@pytest.mark.anyio
async def test_a_head_from_before_an_export_or_a_log_begins_is_not_passed_over(
    tmp_path: Path, alice: Any, append_messages: Append
) -> None:
    retention = LogRetention(max_entries=4)
    async with EventLog.open(tmp_path / "log", key=KEY, retention=retention) as log:
        heads = []
        for _ in range(4):
            append_messages(log, alice, 3)
            await log.flush()
            heads.append(await log.head())
        await log.verify(anchor=heads[2])
        with pytest.raises(CorruptLog, match="not here; a head") as caught:
            await log.verify(anchor=heads[0])
        assert caught.value.index == 3
        lines = [line async for line in log.export(after_index=9)]
    with pytest.raises(CorruptLog, match="not here; a head"):
        verify_export(lines, anchor=heads[1])


def test_a_head_says_what_it_signs() -> None:
    assert head_statement(7, 3, bytes(32)) == (
        b"gossipsub-chorus-log:head:1:" + bytes(7) + b"\7" + bytes(7) + b"\3" + bytes(32)
    )
