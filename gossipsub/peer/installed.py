"""What a test peer runs on and verifies with, and whether it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

BACKENDS = ("asyncio", "uvloop", "trio")
"""What a node's tasks run on; uvloop is asyncio on another loop."""
_FAST = "gossipsub[fast]"
_PACKAGES: Mapping[str, tuple[str, str]] = {
    "pynacl": ("nacl", _FAST),
    "uvloop": ("uvloop", _FAST),
    "trio": ("trio", "trio"),
}
"""By name what is imported, and what has to be installed for it; all else is always there."""


def why_missing(name: str) -> str:
    """Of a backend or a signature library; nothing where it is there."""
    module, package = _PACKAGES.get(name, ("", ""))
    if module and find_spec(module) is None:
        return f"{name} is not installed (pip install {package})"
    return ""
