"""When a message was published: not too long ago, and not in the future."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.router.effects import Verdict
from gossipsub.validators.arguments import (
    require_function,
    require_not_negative,
    require_positive,
    require_refusal,
)

logger = logging.getLogger("gossipsub.validators.lifetime")


@dataclass(frozen=True, slots=True)
class Lifetime:
    """`otherwise` for messages published more than `seconds` ago, or more than `ahead` seconds in
    the future as far as clocks agree.

    `published_at` reads that time from a message, in seconds of `clock`; by default since 1970.
    `undated` is for messages of which it returns None or no finite number, or raises: their data
    is a stranger's, and not having the time where it should be is nothing to log.

    Old messages are IGNOREd, not REJECTed: on its way a message can get too old through no fault of
    the peer that hands it over, and clocks differ.

    `TopicParams.message_lifetime` is the router's own: it knows one topic, looks before a signature
    is checked, and ends gossip about what has got too old; it takes a message from the future for a
    new one. This one looks once, when a message comes, in whatever topics it is used.

    Where `seconds` + `ahead` is no more than the time for which ids count as seen
    (`GossipParams.seen_ttl`, 120 s), no message can be replayed once it is forgotten, as long as
    its time is under its signature.
    """

    seconds: float
    published_at: Callable[[ReceivedMessage], float | None]
    _: KW_ONLY
    ahead: float = 30.0
    otherwise: Verdict = Verdict.IGNORE
    undated: Verdict = Verdict.IGNORE
    """Verdict.ACCEPT, too, is possible here."""
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        require_positive("seconds", self.seconds)
        require_function("published_at", self.published_at)
        require_not_negative("ahead", self.ahead)
        require_refusal("otherwise", self.otherwise)
        if self.undated is not Verdict.ACCEPT:
            require_refusal("undated", self.undated)
        require_function("clock", self.clock)

    def __call__(self, message: ReceivedMessage) -> Verdict:
        published = self._published_at(message)
        if published is None:
            return self.undated
        age = self.clock() - published
        return Verdict.ACCEPT if -self.ahead <= age <= self.seconds else self.otherwise

    def _published_at(self, message: ReceivedMessage) -> float | None:
        try:
            published = self.published_at(message)
            if published is None:
                return None
            published = float(published)
        except Exception as error:  # the application's function, on a stranger's data
            logger.debug("no time of publication topic=%s error=%r", message.topic, error)
            return None
        return published if math.isfinite(published) else None
