"""The floor: which operations it has, and how a role's is made of them."""

from __future__ import annotations

import sys

import pytest

from gossipsub.benchmarks.harness.floor import floor_of, measure_floor
from gossipsub.benchmarks.harness.results import Figure

FLOOR = {
    f"{name}.1024": Figure((cost + 1, cost, cost - 1), "us")
    for name, cost in {"verify": 100.0, "verify_fast": 70.0, "sign": 30.0, "seal": 5.0, "open": 4.0}
    .items()
}  # fmt: skip


def test_every_operation_is_measured_at_every_size_in_every_repeat() -> None:
    pytest.importorskip("nacl")
    floor = measure_floor([10, 100_000], repeats=2)
    names = ("verify", "verify_fast", "sign", "seal", "open")
    assert list(floor) == [f"{name}.{size}" for size in (10, 100_000) for name in names]
    assert {figure.unit for figure in floor.values()} == {"us"}
    assert {len(figure.samples) for figure in floor.values()} == {2}
    assert min(figure.least for figure in floor.values()) > 0


def test_without_pynacl_there_is_no_fast_verifying(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nacl.bindings", None)
    assert list(measure_floor([10], repeats=1)) == ["verify.10", "sign.10", "seal.10", "open.10"]


@pytest.mark.parametrize(
    ("role", "fast", "signed", "floor"),
    [
        ("publisher", False, True, 35.0),
        ("relay", False, True, 109.0),
        ("receiver", False, True, 104.0),
        ("receiver", True, True, 74.0),
        ("publisher", True, True, 35.0),
        ("publisher", False, False, 5.0),
        ("relay", True, False, 9.0),
    ],
)
def test_a_roles_floor_is_the_sum_of_what_it_does(
    role: str, fast: bool, signed: bool, floor: float
) -> None:
    assert floor_of(FLOOR, role, 1024, fast=fast, signed=signed) == floor


def test_the_fast_floor_is_that_of_the_cheaper_library() -> None:
    floor = {**FLOOR, "verify_fast.1024": Figure((120.0,), "us")}
    assert floor_of(floor, "receiver", 1024, fast=True) == 104.0


def test_a_role_without_a_floor_and_a_size_not_measured_have_none() -> None:
    assert floor_of(FLOOR, "node", 1024) is None
    assert floor_of(FLOOR, "relay", 256) is None
    assert floor_of({"verify.1": Figure((1.0,), "us")}, "receiver", 1) is None
