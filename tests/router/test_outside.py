"""Floodsub and direct peers as targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.router.conftest import Node


@pytest.mark.rule("FS-01", "DIR-02", "THR-04")
def test_floodsub_and_direct_peers_get_messages_the_latter_whatever_their_score(
    node: Node,
) -> None:
    node.router.add_direct_peer(b"direct", now=node.now)
    node.join("t")
    node.connect([b"direct", b"author"])
    node.connect([b"flood", b"low flood", b"sender"], protocol="/floodsub/1.0.0")
    node.scores |= {b"direct": -1000.0, b"low flood": -50.1, b"flood": -50.0}
    forwarded = node.sent(node.accept(b"sender", node.message()))
    assert set(forwarded) == {b"direct", b"flood"}
