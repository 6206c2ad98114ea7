"""Groups of parts at a test peer: 8 parts of 1024 bytes, as in the public experiments."""

from __future__ import annotations

import base64
from functools import partial

from gossipsub.peer.fields import BadCommand, Fields
from gossipsub.peer.json_lines import LineWriter
from gossipsub.pubsub.parts import PartExchange
from gossipsub.pubsub.topic import Topic
from gossipsub.router.extension.params import PartialMode

PARTS = 8
PART_BYTES = 1024
GROUP_BYTES = 8
_WORDS = PART_BYTES // 8


class PartGroups:
    """An exchange of parts per topic; says when a group is complete."""

    def __init__(self, mode: PartialMode | None, writer: LineWriter) -> None:
        self.mode = mode
        self._writer = writer
        self._exchanges: dict[str, PartExchange] = {}

    def joined(self, topic: Topic) -> None:
        if self.mode is not None:
            self._exchanges[topic.name] = PartExchange(
                topic,
                parts=PARTS,
                part_bytes=PART_BYTES,
                complete=partial(self._complete, topic.name),
                verify=lambda group, index, part: part == made_part(group, index),
                accept_group=lambda group: len(group) == GROUP_BYTES,
            )

    def check(self, fields: Fields) -> tuple[bytes, int]:
        """Group and bitmap of a command."""
        if self.mode is None:
            raise BadCommand("partial messages are off (start with --partial)")
        group = fields.data("group_b64")
        if len(group) != GROUP_BYTES:
            raise BadCommand(f"group_b64: must be {GROUP_BYTES} bytes")
        return group, fields.whole("parts", most=2**PARTS - 1)

    def add(self, topic: Topic, group: bytes, bitmap: int) -> None:
        parts = {i: made_part(group, i) for i in range(PARTS) if bitmap >> i & 1}
        self._exchanges[topic.name].add(group, parts)

    def _complete(self, topic: str, group: bytes, parts: tuple[bytes, ...]) -> None:
        text = base64.b64encode(group).decode()
        self._writer.write({"event": "partial_complete", "topic": topic, "group_b64": text})


def made_part(group: bytes, index: int) -> bytes:
    """Big-endian numbers that count up through all parts; the first is the group's id."""
    first = int.from_bytes(group) + _WORDS * index
    return b"".join(((first + word) % 2**64).to_bytes(8) for word in range(_WORDS))
