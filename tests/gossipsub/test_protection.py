"""Peers whose connections are never closed to make room."""

from __future__ import annotations

from gossipsub.transport.protection import Protection


def test_a_peer_is_protected_while_it_has_a_tag():
    protection = Protection()
    assert b"a" not in protection
    protection.protect(b"a", "one")
    protection.protect(b"a", "one")
    protection.protect(b"a", "two")
    assert b"a" in protection
    assert b"b" not in protection
    assert protection.unprotect(b"a", "never given")
    assert protection.unprotect(b"a", "one")
    assert b"a" in protection
    assert not protection.unprotect(b"a", "two")
    assert b"a" not in protection
    assert not protection.unprotect(b"a", "two")
