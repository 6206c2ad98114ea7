"""How long messages are of use, in topics that say so (`TopicParams.message_lifetime`)."""

from __future__ import annotations

import math

from gossipsub.router.params import TopicSettings
from gossipsub.wire.rpc import Message


def expiry_of(message: Message, settings: TopicSettings, now: float) -> float:
    """When a message that comes now is of no use any more; before `now`: it is so already."""
    lifetime = settings.message_lifetime
    if lifetime is None:
        return math.inf
    if settings.message_age is None:
        return now + lifetime
    try:
        age = float(settings.message_age(message))
    except Exception:  # the application's function: contained (VAL-18)
        age = math.inf
    if not math.isfinite(age):
        return -math.inf
    return now + lifetime - max(age, 0.0)
