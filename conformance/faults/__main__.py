"""`python -m gossipsub.conformance.faults FAULT …`: `gossipsub peer …` with that fault."""

from __future__ import annotations

import sys

from gossipsub.conformance.faults.fault import load_faults
from gossipsub.peer.command import main

if __name__ == "__main__":
    load_faults()[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
