"""Ready-made validators: who may publish, what, how much, how often, and how late.

Each is given to `Host.set_validator` or joined with others by `all_of` (docs/validating.md).
"""

from __future__ import annotations

from gossipsub.validators.authors import AuthorAllowList
from gossipsub.validators.combination import all_of
from gossipsub.validators.content import MaxSize, Schema
from gossipsub.validators.lifetime import Lifetime
from gossipsub.validators.rates import RatePerAuthor, RatePerPeer
from gossipsub.validators.sequence_number_file import SequenceNumberFile
from gossipsub.validators.sequence_numbers import (
    IncreasingSequenceNumbers,
    SequenceNumberStore,
    SequenceNumberTable,
)

__all__ = [
    "AuthorAllowList",
    "IncreasingSequenceNumbers",
    "Lifetime",
    "MaxSize",
    "RatePerAuthor",
    "RatePerPeer",
    "Schema",
    "SequenceNumberFile",
    "SequenceNumberStore",
    "SequenceNumberTable",
    "all_of",
]
