"""Who may publish."""

from __future__ import annotations

from collections.abc import Iterable

from gossipsub.arguments import peer_id_of
from gossipsub.crypto.peer_id import PeerId
from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.router.effects import Verdict
from gossipsub.validators.arguments import require_refusal


class AuthorAllowList:
    """Lets through what one of `authors` signed; `otherwise` for the rest and for the unsigned.

    A host that publishes under it must be in its own list. REJECT blames the peer that handed the
    message over (P4), which is right only while all peers of the topic have the same list: where
    lists can differ for a time, because authors come and go, say `otherwise=Verdict.IGNORE`.

    Authors are peer ids or their text. LocalProtocolError for what is neither, ValueError for a
    wrong `otherwise`.
    """

    def __init__(
        self, authors: Iterable[PeerId | str], *, otherwise: Verdict = Verdict.REJECT
    ) -> None:
        if isinstance(authors, str | bytes):
            raise ValueError(f"authors is a list of peers, not one of them: {authors!r}")
        require_refusal("otherwise", otherwise)
        self._authors = {peer_id_of(author) for author in authors}
        self._otherwise = otherwise

    def __call__(self, message: ReceivedMessage) -> Verdict:
        return Verdict.ACCEPT if message.sender in self._authors else self._otherwise

    def __repr__(self) -> str:
        return f"AuthorAllowList({len(self._authors)} authors, otherwise={self._otherwise.name})"

    @property
    def authors(self) -> frozenset[PeerId]:
        """Who is in the list now."""
        return frozenset(self._authors)

    def add(self, author: PeerId | str) -> None:
        """From now on; harmless when repeated."""
        self._authors.add(peer_id_of(author))

    def remove(self, author: PeerId | str) -> None:
        """From now on; harmless where it is not in the list."""
        self._authors.discard(peer_id_of(author))
