"""A case: a rule's number, and a script that tries it on a target.

    @case("BACK-04", fault="graft_needs_a_subscription")
    async def graft_without_a_subscription_is_accepted(trial: Trial) -> None:
        node = await trial.start(subscribed=True)
        w = await trial.peer(node)
        with trial.expecting("W in the mesh"):
            ...

The function's name is what the target is to do, its docstring, if any, where the rule leaves a
choice or implementations differ. `fault` names the control in `gossipsub.conformance.faults`:
a node of ours with that fault must not pass the case.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import getdoc
from typing import TYPE_CHECKING

from gossipsub.conformance import cases as cases_package
from gossipsub.conformance.rules import Rule, load_rules

if TYPE_CHECKING:
    from gossipsub.conformance.kit.trial import Trial

Script = Callable[["Trial"], Awaitable[None]]

TIME_LIMIT = 40.0
"""Seconds a case may take unless it says otherwise."""

_CASE_ID = re.compile(r"([A-Z]+-?\d+)([b-z]?)")


@dataclass(frozen=True, slots=True)
class Case:
    """One numbered case."""

    id: str
    """The number of the rule it tries; a second case of the same rule has `b` behind it."""
    script: Script
    fault: str
    """The control: a fault of our own node under which the case must fail."""
    also: tuple[str, ...]
    """Further rules that it shows."""
    address: bool
    """It can be tried on a running node of which nothing but the address is known."""
    time_limit: float
    """Seconds."""

    @property
    def rule(self) -> Rule:
        return _rules()[_rule_id(self.id)]

    @property
    def title(self) -> str:
        """What the target is to do, in words."""
        return self.script.__name__.replace("_", " ")

    @property
    def remarks(self) -> str:
        """Where implementations may differ, or what else a reader must know; may be empty."""
        return getdoc(self.script) or ""


def case(
    id: str,
    *,
    fault: str,
    also: Iterable[str] = (),
    address: bool = False,
    time_limit: float = TIME_LIMIT,
) -> Callable[[Script], Script]:
    """Add the script below to the cases. ValueError for an unknown rule or a case given twice."""

    def add(script: Script) -> Script:
        for rule in (_rule_id(id), *also):
            if rule not in _rules():
                raise ValueError(f"case {id}: there is no rule {rule}")
        if id in _cases:
            raise ValueError(f"there are two cases {id}")
        _cases[id] = Case(id, script, fault, tuple(also), address, time_limit)
        return script

    return add


_cases: dict[str, Case] = {}


def load_cases() -> dict[str, Case]:
    """All cases by id, in the order of the catalogue of rules."""
    for module in pkgutil.iter_modules(cases_package.__path__):
        import_module(f"{cases_package.__name__}.{module.name}")
    order = {rule: number for number, rule in enumerate(_rules())}
    return {id: _cases[id] for id in sorted(_cases, key=lambda id: (order[_rule_id(id)], id))}


def choose_cases(wanted: Iterable[str]) -> list[Case]:
    """The cases of these areas (`BACK`), rules and ids (`BACK-03`); all where none is named.

    ValueError for a name that stands for no case.
    """
    known = load_cases()
    names = list(wanted)
    for name in names:
        if not any(_stands_for(name, case) for case in known.values()):
            raise ValueError(f"there is no case {name}")
    return [
        case for case in known.values() if not names or any(_stands_for(n, case) for n in names)
    ]


def _stands_for(name: str, case: Case) -> bool:
    return name in (case.id, case.rule.id, case.rule.area)


@cache
def _rules() -> dict[str, Rule]:
    return load_rules()


def _rule_id(id: str) -> str:
    match = _CASE_ID.fullmatch(id)
    if match is None:
        raise ValueError(f"a case is named after its rule, not {id!r}")
    return match[1]
