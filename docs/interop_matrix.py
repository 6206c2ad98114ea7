"""Writes docs/interop-matrix.md from the Markdown of the matrix: `make matrix` calls it."""

from __future__ import annotations

import sys
from pathlib import Path

PAGE = Path(__file__).with_name("interop-matrix.md")
HEAD = """\
# Who works with whom

Every pair of GossipSub implementations, each dialling the other, over real sockets on one machine:
TCP, Noise, yamux. `make matrix` writes this page anew, and builds what it needs;
`gossipsub conformance matrix --targets python,go` tries fewer. Each implementation is a process
that speaks the [test-peer protocol](peer-protocol.md), made of the published packages named below
with their own defaults, but for a heartbeat of 0.3 s and messages of up to 1 MiB. Of py-libp2p two
things are turned off: its limit of 10 messages a second for each neighbour and topic, and its
dialling of peers by itself. What single rules of the specifications say is not the matter here but
of [the conformance kit](conformance-results.md).

A cell has the number of steps that worked, and names those that did not; why stands below.

"""


def write_page(file: Path) -> None:
    PAGE.write_text(HEAD + file.read_text(encoding="utf-8"), encoding="utf-8")


if __name__ == "__main__":
    write_page(Path(sys.argv[1]))
