"""Extensions announced by both sides of a stream (gossipsub v1.3, "Extensions Control Message")."""

from __future__ import annotations

from gossipsub.router.effects import Lane
from gossipsub.router.extension.params import ExtensionParams
from gossipsub.router.outbox import Outbox
from gossipsub.router.peers import Peer
from gossipsub.router.score.scoring import Scoring
from gossipsub.wire.rpc import Control, Extensions, Rpc

LATE_PENALTY = 10
"""What announcing extensions beyond a stream's first RPC adds to P7, as in go."""


class PeerExtensions:
    """Announces ours, and notes on each `Peer` what its first RPC announced.

    Nothing is negotiated: an extension is used where both sides announced it.
    """

    def __init__(self, params: ExtensionParams, outbox: Outbox, scoring: Scoring | None) -> None:
        self._params = params
        self._outbox = outbox
        self._scoring = scoring
        is_any = params.partial_messages or params.test_extension
        self._control = (
            Control(extensions=Extensions(params.partial_messages, params.test_extension))
            if is_any
            else None
        )

    def announcement(self, peer: Peer) -> Control | None:
        """What belongs into the first RPC of a new stream to the peer; None: nothing."""
        return self._control if peer.features.extensions else None

    def greeted(self, peer: Peer) -> None:
        """That RPC is on its way."""
        self._test(peer)

    def receive(self, peer: Peer, announced: Extensions | None) -> None:
        """The first RPC of the peer's stream, or a later one that announces extensions.

        The first decides, whether it announces any or not: "An Extensions control message MUST
        NOT be sent more than once", and it "MUST be included in the first message".
        """
        if not peer.has_spoken:
            peer.has_spoken = True
            peer.extensions = announced
            self._test(peer)
        elif announced is not None and self._scoring is not None:
            when = "late" if peer.extensions is None else "again"
            self._scoring.scores.penalise(peer.id, LATE_PENALTY, f"announced extensions {when}")

    @staticmethod
    def forget(peer: Peer) -> None:
        """The peer's stream ended: what it announced held for that stream."""
        peer.has_spoken, peer.extensions = False, None

    def _test(self, peer: Peer) -> None:
        """Test extension: each side sends one message when both have announced it."""
        theirs = peer.extensions
        is_ours = self._params.test_extension and peer.features.extensions
        if is_ours and theirs is not None and theirs.test_extension:
            self._outbox.send(peer.id, Rpc(test_extension=True), Lane.CONTROL)
