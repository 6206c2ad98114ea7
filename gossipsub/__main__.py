"""The command `gossipsub`: each subcommand is a module with a `main(arguments) -> int`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

_COMMANDS = {
    "check-params": ("gossipsub.cli.check_params", "score parameters held to four properties"),
    "demo": ("gossipsub.cli.demo", "five agents (and a go peer) work through tasks"),
    "demo-agent": ("gossipsub.demo.agent", "one agent of the demo"),
    "peer": ("gossipsub.peer.command", "a node steered by JSON lines, for other languages"),
    "replay": ("gossipsub.cli.replay", "replay the recording of a host's router"),
    "rules": ("gossipsub.conformance.rules", "which conformance rules the tests cover"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; its exit status. 2 for a wrong call."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0 if words else 2
    if words[0] not in _COMMANDS:
        print(f"gossipsub: no such command: {words[0]}\n\n{_usage()}", file=sys.stderr)
        return 2
    module = import_module(_COMMANDS[words[0]][0])
    status: int = module.main(words[1:])
    return status


def _usage() -> str:
    lines = [f"  {name:<12} {what}" for name, (_, what) in sorted(_COMMANDS.items())]
    return "\n".join(["usage: gossipsub COMMAND [OPTIONS]  (COMMAND --help tells more)", *lines])


if __name__ == "__main__":
    sys.exit(main())
