"""Pictures of made-up runs: which there are, and what is written on them."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

import pytest

from gossipsub.benchmarks.harness.plots import write_plots
from gossipsub.benchmarks.harness.results import Figure, Measurement
from tests.benchmarks.harness.made_up import run

SIZES = (256, 1024)


def flood(workload: str, peer: str, size: int, **figures: float) -> Measurement:
    units = {"delivered": "per_s", "latency": "ms"}
    named = {name.replace("__", "."): value for name, value in figures.items()}
    return Measurement(
        workload=workload,
        load="flood",
        peer=peer,
        size=size,
        figures={
            name: Figure((value, value * 1.1), units.get(name.split(".")[0], "us"))
            for name, value in named.items()
        },
    )


PAIRS = [
    flood("pair", peer, size, delivered=4000.0, cpu__publisher=200.0, cpu__receiver=250.0)
    for peer in ("python", "python+fast", "go", "somebody's")
    for size in SIZES
]


def texts(path: Path) -> list[str]:
    """What is written on a picture; matplotlib tells it in comments."""
    found = re.findall("<!-- (.+?) -->", path.read_text(encoding="utf-8"))
    return list(dict.fromkeys(html.unescape(text) for text in found))


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_flood_has_pictures_of_rates_and_of_cpu_by_role(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rates, cpu = written = write_plots(run(*PAIRS), tmp_path / "new" / "folder")
    assert names(written) == ["throughput.svg", "cpu.svg"]
    for wanted in (
        "Messages delivered a second, by their size", "pair, flood, signed", "delivered a second",
        "bytes of data in a message", "256 B", "1 KiB", "python", "python+fast", "go", "somebody's",
    ):  # fmt: skip
        assert wanted in texts(rates)
    for wanted in (
        "pair, flood, signed: publisher", "pair, flood, signed: receiver", "µs of CPU a message",
        "floor",
    ):  # fmt: skip
        assert wanted in texts(cpu)


def test_a_floor_that_was_not_measured_is_not_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    elsewhere = flood("pair", "go", 99, delivered=1.0, cpu__publisher=1.0)
    _, cpu = write_plots(run(elsewhere), tmp_path)
    assert "floor" not in texts(cpu)


def test_latencies_have_a_picture_by_share_of_the_messages(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    gentle = flood("relay", "go", 1024, latency__p50=1.0, latency__p90=2.0, latency__max=9.0)
    (path,) = write_plots(run(gentle), tmp_path)
    assert path.name == "latency.svg"
    for wanted in ("relay, flood, signed, 1 KiB", "ms after publishing", "50 %", "90 %", "slowest"):
        assert wanted in texts(path)


def test_layers_have_a_bar_for_each_role_and_the_dearest_layer_first(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figures = {"layer__publisher__noise": 20.0, "layer__receiver__verify": 70.0}
    profiled = [flood("pair", "python", size, **figures) for size in SIZES]
    (path,) = write_plots(run(*profiled), tmp_path)
    assert path.name == "layers.svg"
    written = texts(path)
    for size in ("256 B", "1 KiB"):
        for role in ("publisher", "receiver"):
            assert f"python, pair, flood, signed, {size}: {role}" in written
    assert written.index("verify") < written.index("noise")


def test_meshes_have_a_picture_by_their_nodes(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    meshes = [
        flood(f"mesh-{nodes}", "go", 1024, delivered=9000.0, cpu__delivery=80.0)
        for nodes in (50, 8, 20)
    ]
    scaling = write_plots(run(*meshes), tmp_path)[-1]
    assert scaling.name == "scaling.svg"
    assert [text for text in texts(scaling) if text.isdecimal()][:3] == ["8", "20", "50"]
    assert "µs of CPU a delivery" in texts(scaling)


def test_equal_runs_make_equal_files(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    one, other = (write_plots(run(*PAIRS), tmp_path / name) for name in ("one", "other"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in other]


def test_pictures_can_be_png(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    written = write_plots(run(*PAIRS), tmp_path, format="png")
    assert names(written) == ["throughput.png", "cpu.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)


def test_a_run_without_figures_makes_no_files(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    absent = Measurement(workload="pair", load="flood", peer="js", size=1024, failure="no node")
    assert write_plots(run(absent), tmp_path / "folder") == []


def test_without_matplotlib_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install gossipsub\[bench\]"):
        write_plots(run(), tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_another_format_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="plots are svg or png, not 'pdf'"):
        write_plots(run(), tmp_path / "folder", format="pdf")
    assert not (tmp_path / "folder").exists()
