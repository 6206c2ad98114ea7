from __future__ import annotations

import subprocess
import sys

import pytest

import gossipsub.chorus


def test_each_public_name_is_there_and_listed() -> None:
    assert dir(gossipsub.chorus) == sorted(gossipsub.chorus.__all__)
    for name in gossipsub.chorus.__all__:
        # The types of functions are of the standard library.
        home = getattr(gossipsub.chorus, name).__module__
        assert home.startswith("gossipsub.chorus.") or home == "collections.abc"


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'gossipsub\.chorus' has no attribute 'No'$"):
        gossipsub.chorus.No  # noqa: B018


def test_importing_it_and_reading_envelopes_loads_no_io() -> None:
    code = (
        "import sys, gossipsub.chorus as c; few = sum('gossipsub' in name for name in sys.modules);"
        "c.Envelope; print(few, 'anyio' in sys.modules, 'cryptography' in sys.modules)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.split() == ["2", "False", "False"]
