"""Inputs that change how a router judges while it runs: parameters, and what it cannot see."""

from __future__ import annotations

from collections.abc import Iterable

from gossipsub.router.params import TopicParams
from gossipsub.router.queries import Queries
from gossipsub.router.score.params import TopicScoreParams
from gossipsub.wire.errors import LocalProtocolError


class Adjustments(Queries):
    """They take effect from now on; nothing but a mode for partial messages is announced."""

    def set_topic_params(self, topic: str, params: TopicParams, *, now: float) -> None:
        """Give a topic, joined or not, other parameters of its own from now on; without `score`
        its scoring stays as it is. ValueError where they cannot work together with the router's.

        Another mode for partial messages is announced where the topic is joined, and what is
        remembered of its groups is forgotten.
        """
        parts = self._parts
        mode = parts.partial.mode(topic)
        parts.topics.set(topic, params)
        if params.score is not None:
            self.set_topic_score_params(topic, params.score, now=now)
        if parts.partial.mode(topic) is not mode:
            parts.partial.forget_topic(topic)
            if topic in parts.joined:
                parts.announcements.announce(parts.peers.connected, topic, True)

    def set_peer_addresses(self, peer: bytes, ips: Iterable[str]) -> None:
        """All IP addresses a connected peer has now, replacing what is known (P6); none for
        relayed connections."""
        scoring = self._parts.scoring
        if scoring is not None and peer in self._parts.peers.connected:
            scoring.scores.set_addresses(peer, ips)

    def set_topic_score_params(self, topic: str, params: TopicScoreParams, *, now: float) -> None:
        """Score a topic by other parameters from now on. LocalProtocolError if scoring is off."""
        scoring = self._parts.scoring
        if scoring is None:
            raise LocalProtocolError("scoring is off: no score parameters were given")
        scoring.scores.set_topic_params(topic, params)
        # Where it had none before, the time in the mesh begins now.
        for peer in self._parts.mesh.meshes.get(topic, ()):
            scoring.scores.graft(peer, topic, now)

    def unblacklist(self, peer: bytes) -> bool:
        """End a blacklisting early; False where the peer is not blacklisted."""
        return self._parts.blacklist.remove(peer)

    def report_delivery(self, peer: bytes, topic: str, *, useful: bool) -> None:
        """The application's own judgement on a message a peer delivered in some other way: as if
        it had been first to deliver a valid one (P2, P3), or had delivered an invalid one (P4)."""
        scoring = self._parts.scoring
        if scoring is not None:
            if useful:
                scoring.scores.first_delivery(peer, topic)
            else:
                scoring.scores.invalid_delivery(peer, topic, "reported by the application")
