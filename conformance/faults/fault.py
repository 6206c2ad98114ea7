"""The registry of faults.

@fault
def graft_needs_a_subscription() -> None:
    original = Mesh.handle_graft
    def handle_graft(self, …): …
    replace(Mesh, "handle_graft", handle_graft)
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module

from gossipsub.conformance import faults as faults_package

Fault = Callable[[], None]

_faults: dict[str, Fault] = {}


def fault(make: Fault) -> Fault:
    """Add the function to the faults by its name. ValueError for a name given twice."""
    if make.__name__ in _faults:
        raise ValueError(f"there are two faults {make.__name__}")
    _faults[make.__name__] = make
    return make


def replace(owner: object, name: str, new: object) -> None:
    """Set what must exist: a fault must not outlive what it changes."""
    getattr(owner, name)
    setattr(owner, name, new)


def load_faults() -> dict[str, Fault]:
    """All faults by name. Loads the parts of the node that they change."""
    for module in pkgutil.iter_modules(faults_package.__path__):
        if module.name != "__main__":
            import_module(f"{faults_package.__name__}.{module.name}")
    return dict(_faults)
