"""What the environment's Python is given to run."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run() -> int:
    root = next(folder for folder in HERE.parents if (folder / "gossipsub").is_dir())
    # Last: beside an installed gossipsub lie other packages, in versions that py-libp2p refuses.
    sys.path[:] = [*(entry for entry in sys.path if Path(entry) != HERE), str(root)]
    from gossipsub.conformance.peers.py_libp2p.command import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
