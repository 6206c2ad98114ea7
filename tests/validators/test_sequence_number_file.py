from __future__ import annotations

import logging
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from gossipsub import LocalProtocolError, PeerId, PrivateKey
from gossipsub.validators import IncreasingSequenceNumbers, SequenceNumberFile

ALICE, BOB = (PrivateKey.from_seed(bytes(31) + bytes([n])).peer_id() for n in (1, 2))
LARGEST = 2**64 - 1


def author(number):
    return PeerId(b"author %d" % number)


def until(condition, timeout=20.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def numbers(path):
    with sqlite3.connect(path, timeout=10) as database:
        rows = database.execute("SELECT author, seqno FROM authors").fetchall()
    database.close()
    return {name: int.from_bytes(seqno, "big") for name, seqno in rows}


@pytest.mark.rule("VAL-14")
def test_the_numbers_are_there_after_a_restart(tmp_path):
    path = tmp_path / "seqnos.db"
    with SequenceNumberFile(path) as store:
        assert store.get(ALICE) is None
        store.put(ALICE, 3)
        store.put(ALICE, 5)
        store.put(BOB, LARGEST)
        assert (store.get(ALICE), store.get(BOB), len(store)) == (5, LARGEST, 2)
    with SequenceNumberFile(str(path)) as store:
        assert (store.get(ALICE), store.get(BOB), len(store)) == (5, LARGEST, 2)
        assert repr(IncreasingSequenceNumbers(store)) == (
            "IncreasingSequenceNumbers(SequenceNumberFile)"
        )


def test_they_are_saved_while_it_is_open(tmp_path):
    path = tmp_path / "seqnos.db"
    with SequenceNumberFile(path, save_interval=0.01) as store:
        store.put(ALICE, 5)
        until(lambda: numbers(path) == {ALICE: 5})
        store.put(ALICE, 6)
        until(lambda: numbers(path) == {ALICE: 6})


KILLED = """
import sys, time
from gossipsub import PeerId
from gossipsub.validators import SequenceNumberFile

store = SequenceNumberFile(sys.argv[1], save_interval=0.001)
for number in range(1, 10**9):
    for author in range(50):
        store.put(PeerId(b"author %d" % author), number)
    if number == 20:
        print("goes on", flush=True)
    time.sleep(0.0001)
"""


def test_a_process_killed_while_it_writes_leaves_a_whole_file(tmp_path):
    path = tmp_path / "seqnos.db"
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "goes on\n"
        until(lambda: len(numbers(path)) == 50)
    finally:
        process.kill()
        assert process.wait(20) == -signal.SIGKILL
        process.stdout.close()
    with SequenceNumberFile(path) as store:
        assert all(store.get(author(number)) > 0 for number in range(50))


def test_the_file_keeps_those_with_most_messages_when_there_are_too_many(tmp_path):
    path = tmp_path / "seqnos.db"
    with SequenceNumberFile(path, capacity=20) as store:
        for number in range(2):
            store.put(ALICE, number)
        for number in range(200):
            store.put(author(number), 1)
        assert len(store) == 20
    kept = numbers(path)
    assert len(kept) == 20
    assert kept[ALICE] == 1
    with SequenceNumberFile(path, capacity=5) as store:
        assert len(store) == 5
        assert store.get(ALICE) == 1
        for number in range(500, 900):
            store.put(author(number), 1)
    assert len(numbers(path)) == 5
    assert numbers(path)[ALICE] == 1


def test_who_published_before_a_restart_is_not_forgotten_for_new_ones(tmp_path):
    path = tmp_path / "seqnos.db"
    with SequenceNumberFile(path) as store:
        for number in range(3):
            store.put(ALICE, number)
    with SequenceNumberFile(path, capacity=9) as store:
        for number in range(100):
            store.put(author(number), 1)
            store.put(author(number), 2)
        assert store.get(ALICE) == 2


def test_two_processes_with_the_same_file_keep_the_higher_number(tmp_path):
    path = tmp_path / "seqnos.db"
    with SequenceNumberFile(path) as one, SequenceNumberFile(path) as other:
        one.put(ALICE, 10)
        other.put(ALICE, 7)
        other.put(BOB, 256)
        one.put(BOB, 255)
    assert numbers(path) == {ALICE: 10, BOB: 256}


def test_a_file_that_cannot_be_written_is_told_once_and_tried_again(tmp_path, caplog):
    path = tmp_path / "seqnos.db"
    caplog.set_level(logging.DEBUG, "gossipsub")
    with SequenceNumberFile(path, capacity=10, save_interval=0.001) as store:
        other = sqlite3.connect(path, timeout=20, isolation_level=None)
        other.execute("ALTER TABLE authors RENAME TO taken")
        store.put(ALICE, 1)
        until(lambda: caplog.records)
        store.put(ALICE, 2)
        for number in range(100):
            store.put(author(number), 1)
            assert store.unsaved <= 20
            time.sleep(0.001)
        store.put(ALICE, 3)
        other.execute("ALTER TABLE taken RENAME TO authors")
        until(lambda: numbers(path).get(ALICE) == 3)
        other.close()
        assert len(numbers(path)) <= 10
    (record,) = caplog.records
    assert record.name == "gossipsub.validators.sequence_number_file"
    assert record.getMessage() == f"cannot save path={path} error=no such table: authors"
    assert record.levelno == logging.WARNING


def test_a_closed_file_takes_nothing_and_may_be_closed_again(tmp_path):
    store = SequenceNumberFile(tmp_path / "seqnos.db")
    assert store.close()
    assert store.close()
    with pytest.raises(LocalProtocolError, match=r"^the file of sequence numbers is closed: '"):
        store.put(ALICE, 1)


def test_what_is_no_such_file_is_told_at_once_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("my notes " * 1000)
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE authors (name TEXT)")
    database.close()
    strange = tmp_path / "strange.db"
    with SequenceNumberFile(strange):
        pass
    with sqlite3.connect(strange) as database:
        database.execute("INSERT INTO authors VALUES (?, ?, ?)", (b"a", b"short", 1))
    database.close()
    for path, complaint in [
        (text, f"cannot open the file of sequence numbers '{text}': file is not a database"),
        (foreign, f"cannot open the file of sequence numbers '{foreign}': no such column: author"),
        (tmp_path, f"cannot open the file of sequence numbers '{tmp_path}': "),
        (tmp_path / "a" / "b", f"cannot open the file of sequence numbers '{tmp_path}/a/b': "),
        (strange, f"no sequence numbers in '{strange}': b'a'"),
    ]:
        with pytest.raises(LocalProtocolError) as refused:
            SequenceNumberFile(path)
        assert str(refused.value).startswith(complaint)
    assert text.read_text() == "my notes " * 1000


class File(RuleBasedStateMachine):
    """However often it is opened again, the file knows what was put last."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.known = {}

    @initialize()
    def open(self):
        self.store = SequenceNumberFile(self.folder / "seqnos.db", save_interval=0.002)

    @rule(whose=st.integers(0, 5), by=st.integers(1, 2**58))
    def put(self, whose, by):
        seqno = self.known.get(author(whose), 0) + by
        self.store.put(author(whose), seqno)
        self.known[author(whose)] = seqno

    @rule()
    def open_again(self):
        self.store.close()
        self.open()
        assert {name: self.store.get(name) for name in self.known} == self.known
        assert len(self.store) == len(self.known)

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
        shutil.rmtree(self.folder)


TestFile = File.TestCase
TestFile.settings = settings(max_examples=10, stateful_step_count=15, deadline=None)
