"""The command `gossipsub`: each subcommand is a module with a `main(arguments) -> int`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

_GROUPS = {
    "nodes": {
        "listen": ("gossipsub.cli.listen", "run a node until Ctrl-C; it may relay topics"),
        "pub": ("gossipsub.cli.pub", "publish a text, a file, or lines of standard input"),
        "sub": ("gossipsub.cli.sub", "write the messages of topics as lines"),
    },
    "fleets of agents": {
        "chorus": ("gossipsub.cli.chorus.command", "agents, their tasks, talk and logs"),
    },
    "identities": {
        "id": ("gossipsub.cli.peer_identity", "the peer id of a key file, multiaddr or peer id"),
        "key": ("gossipsub.cli.key", "make, show and convert key files"),
    },
    "looking closer": {
        "check-params": ("gossipsub.cli.check_params", "score parameters held to four properties"),
        "replay": ("gossipsub.cli.replay", "replay the recording of a host's router"),
        "top": ("gossipsub.cli.top", "a running node's peers, topics and rates, live"),
        "trace": ("gossipsub.cli.trace", "show, filter and sum up trace files"),
    },
    "the project": {
        "bench": (
            "gossipsub.benchmarks.harness.command",
            "rates, latencies and costs of any implementation, side by side",
        ),
        "conformance": (
            "gossipsub.conformance.kit.command",
            "hold any implementation to the numbered rules",
        ),
        "demo": ("gossipsub.cli.demo", "five agents (and a go peer) work through tasks"),
        "demo-agent": ("gossipsub.demo.agent", "one agent of the demo"),
        "peer": ("gossipsub.peer.command", "a node steered by JSON lines, for other languages"),
        "rules": ("gossipsub.conformance.rules", "which conformance rules the tests cover"),
    },
}
_COMMANDS = {name: module for group in _GROUPS.values() for name, (module, _) in group.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; its exit status. 2 for a wrong call, 130 after Ctrl-C, 1 where its output
    cannot be written, and 0 when nobody reads it any more."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by who started us
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    try:
        try:
            return _run(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _give_output_up()
        return 0
    except OSError as error:
        print(f"gossipsub: {error}", file=sys.stderr)
        _give_output_up()
        return 1
    except KeyboardInterrupt:
        return 130


def _give_output_up() -> None:
    """What is still in the buffer must go somewhere when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(words: list[str]) -> int:
    if words[:1] == ["help"] and len(words) > 1:
        words = [words[1], "--help"]
    if not words or words[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0 if words else 2
    if words[0] == "--version":
        import gossipsub

        print(f"gossipsub {gossipsub.__version__}")
        return 0
    if words[0] not in _COMMANDS:
        print(f"gossipsub: no such command: {words[0]}{_near(words[0])}", file=sys.stderr)
        print(f"\n{_usage()}", file=sys.stderr)
        return 2
    status: int = import_module(_COMMANDS[words[0]]).main(words[1:])
    return status


def _near(word: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, _COMMANDS, n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _usage() -> str:
    lines = ["usage: gossipsub COMMAND [OPTIONS]", "       gossipsub --version"]
    for title, commands in _GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:<12} {what}" for name, (_, what) in commands.items()]
    return "\n".join(
        [*lines, "", "`gossipsub COMMAND --help` tells more; docs/command-line.md, all."]
    )


if __name__ == "__main__":
    sys.exit(main())
