"""What a peer can run on and verify with here."""

from __future__ import annotations

import pytest

from gossipsub.peer import installed
from gossipsub.peer.installed import BACKENDS, why_missing


def test_what_is_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installed, "find_spec", lambda name: None)
    assert [why_missing(name) for name in (*BACKENDS, "cryptography", "pynacl")] == [
        "",
        "uvloop is not installed (pip install gossipsub[fast])",
        "trio is not installed (pip install trio)",
        "",
        "pynacl is not installed (pip install gossipsub[fast])",
    ]


def test_what_is_there_is_not_missing() -> None:
    assert why_missing("trio") == ""
