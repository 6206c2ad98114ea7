from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gossipsub.chorus import CorruptLog, EventLog, LogHead, LogRetention, LogVerification
from gossipsub.crypto.keys import PrivateKey

pytestmark = pytest.mark.anyio

KEY = PrivateKey.from_node_number(1)
COLUMNS = (
    "logged_at", "sent_at", "author", "type", "message_type", "topic", "project_id", "thread_id",
    "origin", "data", "signed", "prev_hash", "hash", "signature",
)  # fmt: skip

Append = Callable[..., list[Any]]


@pytest.fixture
async def written(
    tmp_path: Path,
    alice: Any,
    append_messages: Append,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """12 entries in three groups, the first 8 catalogued before it was closed."""
    path = tmp_path / "written"
    monkeypatch.setattr("gossipsub.chorus.event_log.store.CATALOGUE_EVERY", 8)
    async with EventLog.open(path, key=KEY) as log:
        for _ in range(3):
            append_messages(log, alice, 3, project_id="apollo")
            log.append("peer_joined", {"peer": "x"})
            await log.flush()
    return path


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


async def verify(path: Path, **options: Any) -> LogVerification:
    async with EventLog.read(path) as log:
        return await log.verify(**options)


async def head_of(path: Path) -> LogHead | None:
    async with EventLog.read(path) as log:
        return await log.head()


async def test_a_log_proves_its_entries_heads_and_authors(written: Path) -> None:
    proved = await verify(written)
    assert proved == LogVerification(
        node=KEY.public_key.peer_id(),
        entries=12,
        first_index=1,
        last_index=12,
        heads=3,
        messages=9,
        newest_head=await head_of(written),
    )
    quick = await verify(written, signatures=False)
    assert (quick.entries, quick.heads, quick.messages) == (12, 1, 0)


async def test_an_empty_log_is_in_order(tmp_path: Path) -> None:
    async with EventLog.open(tmp_path / "log", key=KEY) as log:
        proved = await log.verify()
    assert (proved.entries, proved.last_index, proved.newest_head) == (0, 0, None)


TAMPERING = {
    "data changed": (["UPDATE entries SET data = x'7b7d' WHERE idx = 5"], 5, "hash is not that"),
    "a hash changed": (["UPDATE entries SET hash = prev_hash WHERE idx = 6"], 6, "hash is not"),
    "an entry removed": (["DELETE FROM entries WHERE idx = 7"], 7, "missing; entry 8 follows"),
    "entries swapped": (
        ["UPDATE entries SET idx = 99 WHERE idx = 2", "UPDATE entries SET idx = 2 WHERE idx = 3",
         "UPDATE entries SET idx = 3 WHERE idx = 99"], 2, "prev_hash"),
    "an entry put in": (
        ["UPDATE entries SET idx = idx + 100 WHERE idx > 5",
         "UPDATE entries SET idx = idx - 99 WHERE idx > 100",
         "INSERT INTO entries SELECT 6, logged_at, sent_at, author, type, message_type, topic,"
         " project_id, thread_id, NULL, data, NULL, prev_hash, hash, NULL FROM entries"
         " WHERE idx = 5"], 6, "prev_hash"),
    "a head changed": (
        ["UPDATE entries SET signature = zeroblob(64) WHERE idx = 8"], 8, "signature is wrong"),
    "a head moved": (
        ["UPDATE entries SET signature = (SELECT signature FROM entries WHERE idx = 8)"
         " WHERE idx = 7"], 7, "signature is wrong"),
    "a head removed": (
        ["UPDATE entries SET signature = NULL WHERE idx = 8"], 12, "a head before is gone"),
    "the tail cut off within a group": (
        ["DELETE FROM entries WHERE idx > 10"], 10, "the end is missing"),
    "the beginning cut off": (
        ["DELETE FROM entries WHERE idx <= 4"], 1, "missing; entry 5 follows"),
    "pruned by a stranger": (
        ["DELETE FROM entries WHERE idx <= 4", "INSERT INTO pruned SELECT 4, prev_hash,"
         " zeroblob(64) FROM entries WHERE idx = 5"], 0, "did not sign for what is said"),
    "pruned by a head's signature": (
        ["INSERT INTO pruned SELECT idx, hash, signature FROM entries WHERE idx = 4",
         "DELETE FROM entries WHERE idx <= 4"], 0, "did not sign for what is said"),
    "an author changed": (
        ["UPDATE entries SET author = 'somebody' WHERE idx = 3"], 3, "hash is not that"),
    "text for a blob": (
        ["UPDATE entries SET data = CAST(data AS TEXT) WHERE idx = 3"], 3, "wrong type"),
    "a blob for a text": (
        ["UPDATE entries SET project_id = CAST(project_id AS BLOB) WHERE idx = 3"], 3,
        "wrong type"),
    "text for a number": (["UPDATE entries SET sent_at = 'soon' WHERE idx = 3"], 3, "wrong type"),
    "nothing for something": (
        ["UPDATE entries SET origin = x'' WHERE idx = 4"], 4, "wrong type"),
    "hidden from queries": (
        ["UPDATE catalogue SET project_id = 'other' WHERE idx = 2"], 2, "catalogue says"),
    "missing in the catalogue": (["DELETE FROM catalogue WHERE idx = 2"], 2, "catalogue lacks"),
    "more in the catalogue": (
        ["INSERT INTO catalogue (idx) VALUES (99)"], 99, "catalogue says otherwise"),
    "an entry before the first": (
        ["INSERT INTO entries SELECT -5, logged_at, sent_at, author, type, message_type, topic,"
         " project_id, thread_id, x'00', data, signed, prev_hash, hash, signature FROM entries"
         " WHERE idx = 1",
         "INSERT INTO catalogue SELECT idx, logged_at, sent_at, author, type, message_type, topic,"
         " project_id, thread_id, origin FROM entries WHERE idx = -5"], -5, "no entry has"),
    "an index dropped": (["DROP INDEX by_type"], 0, "not those of an event log"),
    "a view for the entries": (
        ["ALTER TABLE entries RENAME TO hidden",
         "CREATE VIEW entries AS SELECT * FROM hidden WHERE idx <= 8"], 0, "not those of"),
    "another node's name": (
        ["UPDATE log SET public_key = (SELECT public_key FROM log) || x'00'"], 0, "whose it is"),
    "another id": (["UPDATE log SET log_id = zeroblob(16)"], 1, "prev_hash"),
    "a short id": (["UPDATE log SET log_id = zeroblob(15)"], 0, "no id"),
    "another format": (["UPDATE log SET format = 2"], 0, "format 2 is not known"),
    "no identity": (["DELETE FROM log"], 0, "whose it is"),
}  # fmt: skip


@pytest.mark.parametrize("case", TAMPERING)
async def test_tampering_is_found_with_its_place(written: Path, case: str) -> None:
    statements, index, reason = TAMPERING[case]
    change(written, *statements)
    with pytest.raises(CorruptLog, match=reason) as caught:
        await verify(written)
    assert caught.value.index == index


@pytest.mark.parametrize(
    "case", [case for case in TAMPERING if case not in ("a head changed", "a head moved")]
)
async def test_hashes_and_the_newest_head_alone_find_all_but_an_older_head(
    written: Path, case: str
) -> None:
    change(written, *TAMPERING[case][0])
    with pytest.raises(CorruptLog):
        await verify(written, signatures=False)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("UPDATE entries SET data = x'7b7d' WHERE idx = 11", 11),
        ("DELETE FROM entries WHERE idx = 12", 11),
        ("UPDATE entries SET signature = zeroblob(64) WHERE idx = 12", 12),
    ],
)
async def test_opening_refuses_a_broken_end(written: Path, statement: str, index: int) -> None:
    change(written, statement)
    with pytest.raises(CorruptLog) as caught:
        async with EventLog.open(written, key=KEY, check_entries=4):
            pass
    assert caught.value.index == index
    async with EventLog.read(written) as log:  # what can be read still can
        assert len([entry async for entry in log.entries(limit=3)]) == 3


async def test_a_log_cut_off_behind_a_head_is_told_by_a_head_kept_elsewhere(
    written: Path,
) -> None:
    head = await head_of(written)
    assert (await verify(written, anchor=head)).last_index == 12
    change(written, "DELETE FROM entries WHERE idx > 8", "DELETE FROM catalogue WHERE idx > 8")
    assert (await verify(written)).last_index == 8  # nobody could tell
    with pytest.raises(CorruptLog, match="has signed for more") as caught:
        await verify(written, anchor=head)
    assert caught.value.index == 9


async def test_a_log_written_anew_is_told_by_a_head_kept_elsewhere(
    written: Path, tmp_path: Path, alice: Any, append_messages: Append
) -> None:
    head = await head_of(written)
    async with EventLog.open(tmp_path / "anew", key=KEY) as log:
        append_messages(log, alice, 20)
        await log.flush()
        assert (await log.verify()).entries == 20
        with pytest.raises(CorruptLog, match="the head kept elsewhere") as caught:
            await log.verify(anchor=head)
    assert caught.value.index == 12
    assert head is not None
    forged = LogHead(head.index, head.previous, bytes(32), head.signature)
    with pytest.raises(CorruptLog, match="not of this node"):
        await verify(written, anchor=forged)


async def test_an_author_who_did_not_say_it_is_found_though_the_node_signed(
    tmp_path: Path, alice: Any, bob: Any, log_data: Any
) -> None:
    from gossipsub.pubsub.signed_message import SignedMessage
    from gossipsub.wire.rpc import Message

    envelope, signed = alice.say({"n": 1})
    wire = signed.wire
    forged = SignedMessage(
        Message(
            from_peer=wire.from_peer,
            data=wire.data,
            seqno=b"12345678",
            topic=wire.topic,
            signature=wire.signature,
        )
    )
    async with EventLog.open(tmp_path / "log", key=KEY) as log:
        log.append("task_progress", log_data(envelope), signed=signed)
        log.append("task_progress", log_data(envelope), signed=forged)
        await log.flush()
        assert (await log.verify(signatures=False)).entries == 2
        with pytest.raises(CorruptLog, match="the author's signature is wrong") as caught:
            await log.verify()
    assert caught.value.index == 2


async def test_an_index_that_hides_entries_is_found(written: Path) -> None:
    connection = sqlite3.connect(written, isolation_level=None)
    execute = connection.execute
    row = execute("SELECT * FROM sqlite_master WHERE name = 'by_type'").fetchone()
    execute("UPDATE catalogue SET type = 'hidden' WHERE idx = 2")
    execute("PRAGMA writable_schema = ON")
    execute("DELETE FROM sqlite_master WHERE name = 'by_type'")
    connection.close()
    connection = sqlite3.connect(written, isolation_level=None)
    execute = connection.execute
    execute("UPDATE catalogue SET type = 'task_progress' WHERE idx = 2")  # not in the index
    execute("PRAGMA writable_schema = ON")
    execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
    connection.close()
    async with EventLog.read(written) as log:
        found = [entry.index async for entry in log.entries(type="task_progress", limit=2)]
        assert found == [1, 3]
        with pytest.raises(CorruptLog, match="the database is damaged"):
            await log.verify()


async def test_a_pruned_log_verifies_from_where_its_node_says_it_begins(
    tmp_path: Path, alice: Any, append_messages: Append
) -> None:
    path = tmp_path / "log"
    retention = LogRetention(max_entries=8)
    async with EventLog.open(path, key=KEY, retention=retention) as log:
        for _ in range(5):
            append_messages(log, alice, 4)
            await log.flush()
        proved = await log.verify()
    assert (proved.first_index, proved.last_index) == (13, 20)
    change(path, "DELETE FROM entries WHERE idx <= 16", "DELETE FROM catalogue WHERE idx <= 16")
    with pytest.raises(CorruptLog, match="missing; entry 17 follows") as caught:
        await verify(path)
    assert caught.value.index == 13


async def test_a_log_verifies_while_it_is_written_and_pruned(
    tmp_path: Path, alice: Any, append_messages: Append
) -> None:
    retention = LogRetention(max_entries=300)
    async with EventLog.open(tmp_path / "log", key=KEY, retention=retention) as log:
        append_messages(log, alice, 300)
        await log.flush()
        async with anyio.create_task_group() as tasks:

            async def write() -> None:
                for _ in range(10):
                    append_messages(log, alice, 30)
                    await log.flush()

            tasks.start_soon(write)
            for _ in range(5):
                await log.verify()
        proved = await log.verify()
    assert proved.last_index == 600
    assert proved.first_index > 290


values = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(),
    st.binary(),
)  # fmt: skip
indexes = st.integers(1, 12)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("original") / "log"

    async def write() -> None:
        async with EventLog.open(path, key=KEY) as log:
            for group in range(3):
                for number in range(4):
                    log.append("peer_joined", {"n": number}, signed=None)
                    log.append("collaboration", {"project_id": f"p{group}"})
                await log.flush()

    anyio.run(write)
    return path


async def changes_are_found(original: Path, folder: Path, mutate: Callable[..., None]) -> None:
    path = folder / "changed"
    shutil.copy(original, path)
    connection = sqlite3.connect(path)
    before = list(connection.iterdump())
    try:
        with connection:
            mutate(connection)
        is_changed = list(connection.iterdump()) != before
    except (sqlite3.Error, OverflowError):  # SQLite refused to
        is_changed = False
    finally:
        connection.close()
    assume(is_changed)
    with pytest.raises(CorruptLog):
        await verify(path)


relaxed = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@given(table=st.sampled_from(["entries", "catalogue"]), data=st.data())
@relaxed
async def test_any_changed_value_is_found(
    original: Path, tmp_path: Path, table: str, data: st.DataObject
) -> None:
    columns = COLUMNS if table == "entries" else COLUMNS[:9]
    column = data.draw(st.sampled_from(("idx", *columns)))
    index = data.draw(st.integers(1, 24))
    value = data.draw(values | st.just(index + 1))

    def mutate(connection: sqlite3.Connection) -> None:
        connection.execute(f"UPDATE {table} SET {column} = ? WHERE idx = ?", (value, index))

    await changes_are_found(original, tmp_path, mutate)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@given(
    table=st.sampled_from(["entries", "catalogue", "log", "pruned"]),
    first=st.integers(1, 24),
    second=st.integers(1, 24),
    deed=st.sampled_from(["delete", "swap", "copy", "cut"]),
)
@relaxed
async def test_any_row_removed_added_or_moved_is_found(
    original: Path, tmp_path: Path, table: str, first: int, second: int, deed: str
) -> None:
    # Cutting off behind a head is what only a head kept elsewhere can tell; and a catalogue that
    # follows behind is as good as any.
    assume(not (table == "entries" and deed == "cut" and first % 8 == 0))
    assume(not (table == "catalogue" and (deed == "cut" or first == second == 24)))
    assume(not (table == "catalogue" and deed == "delete" and first == 24))

    def mutate(connection: sqlite3.Connection) -> None:
        execute = connection.execute
        if table in ("log", "pruned"):
            execute(f"DELETE FROM {table}")
            if table == "pruned":
                execute("INSERT INTO pruned VALUES (?, zeroblob(32), zeroblob(64))", (first,))
        elif deed == "delete":
            execute(f"DELETE FROM {table} WHERE idx = ?", (first,))
        elif deed == "cut":
            execute(f"DELETE FROM {table} WHERE idx > ?", (first,))
        elif deed == "swap":
            execute(f"UPDATE {table} SET idx = -1 WHERE idx = ?", (first,))
            execute(f"UPDATE {table} SET idx = ? WHERE idx = ?", (first, second))
            execute(f"UPDATE {table} SET idx = ? WHERE idx = -1", (second,))
        else:
            execute(f"CREATE TEMP TABLE t AS SELECT * FROM {table} WHERE idx = ?", (first,))
            execute("UPDATE t SET idx = ?", (24 + second,))
            execute(f"INSERT INTO {table} SELECT * FROM t")

    await changes_are_found(original, tmp_path, mutate)
