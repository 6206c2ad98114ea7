"""`python -m gossipsub.conformance.matrix`."""

from __future__ import annotations

import sys

from gossipsub.conformance.matrix.command import main

if __name__ == "__main__":
    sys.exit(main())
