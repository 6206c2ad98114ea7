"""What the target and the flooders of the overload benchmark share: they are driven like test
peers, by JSON lines, and end with their input."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from gossipsub.peer.json_lines import LineWriter, read_lines

FLOODED = "flooded"
QUIET = "quiet"
TOPICS = (FLOODED, QUIET)
"""The topic that is flooded, and another one; honest peers talk in both."""
STDIN, STDOUT = 0, 1


def say_ready(writer: LineWriter, peer_id: str, addresses: list[str]) -> None:
    ready = {"event": "ready", "peer_id": peer_id, "addrs": addresses, "impl": "benchmark"}
    writer.write({**ready, "versions": {}, "pid": os.getpid(), "unsupported_params": []})


async def obey(writer: LineWriter, commands: dict[str, Callable[[], dict[str, Any]]]) -> None:
    """Carry out commands without fields, until `exit` or the end of the input."""
    async for line in read_lines(STDIN):
        command = json.loads(line)
        name = command["cmd"]
        answer = commands[name]() if name in commands else {}
        writer.write({"event": "ok", "cmd": name, "id": command.get("id"), **answer})
        if name == "exit":
            return
