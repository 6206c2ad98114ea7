from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from gossipsub.conformance.interop.__main__ import main
from gossipsub.conformance.interop.lab import LabPlan, NodePlan, address_of
from gossipsub.conformance.interop.run import Experiment, namespaces_missing


def experiment(**changes: object) -> Experiment:
    options: dict[str, object] = {
        "scenario": "simple-fanout",
        "nodes": 10,
        "composition": {"go": 1, "python": 9},
    }
    return Experiment(**{**options, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("nodes", "composition", "counts"),
    [
        (10, {"go": 1, "python": 9}, {"go": 1, "python": 9}),
        (8, {"go": 1, "python": 1}, {"go": 4, "python": 4}),
        (7, {"go": 1, "python": 1}, {"go": 4, "python": 3}),
        (3, {"python": 5}, {"python": 3}),
    ],
)
def test_nodes_are_dealt_by_their_shares(
    nodes: int, composition: dict[str, int], counts: dict[str, int]
) -> None:
    dealt = experiment(nodes=nodes, composition=composition).implementations()
    assert Counter(dealt) == counts


def test_the_seed_says_which_node_is_of_which_implementation() -> None:
    dealt = [tuple(experiment(seed=seed).implementations()) for seed in (1, 1, 2, 3, 4)]
    assert dealt[0] == dealt[1]
    assert len(set(dealt)) > 1


def test_programs_of_others_take_part() -> None:
    it = experiment(composition={"rust": 1, "go": 1}, programs={"rust": ["rust-node"]})
    assert set(it.implementations()) == {"rust", "go"}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"nodes": 1}, "from 2 to 1000 nodes, not 1"),
        ({"scenario": "x"}, "no scenario is called 'x'"),
        ({"timing": "x"}, "no timing is called 'x'"),
        ({"composition": {}}, "the composition needs an implementation"),
        ({"composition": {"go": 0}}, "shares of at least 1"),
        ({"composition": {"nim": 1}}, "no node is called 'nim'; known are python, go"),
    ],
)
def test_what_cannot_be_run_is_refused_at_once(changes: dict[str, object], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        experiment(**changes)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--nodes", "1"],
        ["--nodes", "4", "--composition", "go=x"],
        ["--nodes", "4", "--composition", "nim"],
        ["--nodes", "4", "--program", "nim"],
        ["--nodes", "4", "--scenario", "x"],
        [],
    ],
)
def test_a_wrong_call_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_a_machine_without_the_tools_is_told_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert namespaces_missing() == (
        "there is no `unshare` on the PATH (util-linux and iproute2 have them)"
    )
    assert main(["--nodes", "2", "--composition", "python"]) == 2
    assert capsys.readouterr().err == f"interop: {namespaces_missing()}\n"


def test_other_systems_have_no_namespaces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert namespaces_missing() == "network namespaces are Linux's"


def test_a_plan_survives_its_file() -> None:
    node = NodePlan(command=["a", "b"], awaits_start=True, kilobits=50)
    plan = LabPlan(nodes=[node], start_seconds=1.5, run_seconds=2.5)
    assert LabPlan.of_json(plan.to_json()) == plan


def test_every_node_has_an_address_of_its_own() -> None:
    addresses = [address_of(node) for node in range(1000)]
    assert addresses[0] == "10.83.1.0"
    assert len(set(addresses)) == 1000
