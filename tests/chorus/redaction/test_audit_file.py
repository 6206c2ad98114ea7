from __future__ import annotations

import json
from pathlib import Path

import pytest

from gossipsub.chorus.redaction.audit_file import AuditFile
from gossipsub.chorus.redaction.sentinel import Sentinel


def cut(audit: AuditFile) -> None:
    sentinel = Sentinel(audit=audit, salt=bytes(16), clock=lambda: 7)
    sentinel.redact_map_with_labels({"a": {"password": "correct horse"}}, {"topic": "news"})


def test_each_cut_is_a_line_that_its_owner_alone_can_read(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_text('{"older": "line"}\n')
    path.chmod(0o644)
    with AuditFile(path) as audit:
        cut(audit)
    assert path.stat().st_mode & 0o777 == 0o600
    older, line = map(json.loads, path.read_text().splitlines())
    assert older == {"older": "line"}
    assert line.pop("digest")
    assert line == {
        "at": 7,
        "rule": "secret-field",
        "severity": "high",
        "category": "credentials",
        "tags": ["field"],
        "place": "/a/password",
        "is_name": False,
        "start": 0,
        "length": 13,
        "labels": {"topic": "news"},
    }


def test_after_closing_records_are_counted_and_not_written(tmp_path: Path) -> None:
    audit = AuditFile(tmp_path / "audit.jsonl")
    assert audit.close()
    assert audit.close()
    cut(audit)
    assert audit.refused == 1
    assert (tmp_path / "audit.jsonl").read_bytes() == b""


def test_a_file_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        AuditFile(tmp_path / "missing" / "audit.jsonl")


def test_a_disk_that_fails_is_logged_and_stops_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    monkeypatch.setattr("os.chmod", lambda path, mode: None)  # the device stays as it is
    audit = AuditFile("/dev/full")
    cut(audit)
    assert audit.close()
    assert "cannot write the audit trail" in caplog.text
