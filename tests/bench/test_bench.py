import io
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from overlap import measure_overlap
from parity import compare_runs, measure_parity

import lidarpan
from lidarpan.bench import (
    BenchReport,
    format_comparison,
    format_report,
    read_report,
    write_report,
)
from lidarpan.bench.curves import measure_curves, resized
from lidarpan.bench.plot import check_png, save_curves
from lidarpan.bench.scans import street_scan, write_street
from lidarpan.cli import main
from lidarpan.errors import InputError
from lidarpan.pipeline import PanopticPipeline
from lidarpan.voxels.grid import Grid

GPU_CHECK = Path(lidarpan.__file__).parents[1] / "tools" / "gpu_check.py"
STAGES = ["read", "voxelize", "network", "grouping", "fusion", "write", "total"]


def make_report(scale=1.0, **changes):
    stages = {
        name: {f"p{p}": scale * (i + 1) * p for p in (50, 95, 99)} for i, name in enumerate(STAGES)
    }
    report = BenchReport(
        machine={"device": "CPU A", "engine": "numba", "precision": "fp32", "threads": 2},
        workload={
            "weights": "town", "weights_sha256": "a1", "scans": "simulated", "scans_sha256": "b2",
            "grouping": "auto", "voxel_m": 0.15,
        },
        clock="perf_counter", num_scans=3, num_points=110_000, num_voxels=40_000,
        points=[110_000], voxels=[40_000], stages_ms=stages, host_memory_mb=500.0 * scale,
        device_memory_mb=0.0,
    )  # fmt: skip
    return replace(report, **changes)


def text_of(table):
    from rich.console import Console

    console = Console(width=200, file=io.StringIO())
    console.print(table)
    return console.file.getvalue()


def test_a_report_comes_back_as_it_was_written(tmp_path):
    report = make_report(curves={"points": [{"num_points": 10}]})
    write_report(report, tmp_path / "b.json")
    assert read_report(tmp_path / "b.json") == report


def test_the_table_says_what_was_measured_on_what():
    text = " ".join(text_of(format_report(make_report(device_memory_mb=12.0))).split())
    words = ("p50 ms", "p95 ms", "p99 ms", "110,000 points", "40,000 voxels", "threads 2",
             "500 MiB host", "12 MiB device", "engine numba", "precision fp32")  # fmt: skip
    for word in words:
        assert word in text


def test_two_reports_side_by_side_with_ratios():
    there = make_report(2.0, machine={**make_report().machine, "engine": "spconv"})
    text = text_of(format_comparison(make_report(), there, "old.json"))
    assert "engine: numba here, spconv there" in text
    total = next(line for line in text.splitlines() if line.startswith("│ total"))
    assert [cell.strip() for cell in total.strip("│").split("│")] == [
        "total", "350.0", "700.0", "0.50", "665.0", "1330.0", "0.50",
    ]  # fmt: skip
    assert any("host memory" in line and "0.50" in line for line in text.splitlines())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights_sha256": "ff", "weights": "mine"}, "other weights: there mine"),
        ({"scans_sha256": "ff"}, "other scans"),
        ({"grouping": "dbscan"}, "other grouping: there dbscan, here auto"),
        ({"voxel_m": 0.2}, "other voxel_m: there 0.2, here 0.15"),
    ],
)
def test_other_work_is_not_compared(changes, words):
    there = make_report(workload={**make_report().workload, **changes})
    with pytest.raises(InputError, match=f"old.json: not comparable, {words}"):
        format_comparison(make_report(), there, "old.json")


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no such file"), ("{", "wanted JSON"), ("[]", "list"),
     ('{"stages_ms": {}}', "make it anew"), ('{"format": "lidarpan-bench-2"}', "make it anew")],
)  # fmt: skip
def test_what_is_no_report_is_said(tmp_path, content, words):
    path = tmp_path / "b.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match=words):
        read_report(path)


def run_cli(monkeypatch, capsys, *words):
    monkeypatch.setattr(sys, "argv", ["lidarpan", *map(str, words)])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code or 0
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_bench_writes_compares_and_refuses(monkeypatch, capsys, tmp_path):
    street, first = write_street(tmp_path, 4000), tmp_path / "first.json"
    words = ("bench", street, "--device", "cpu", "--scans", "2")
    code, out, _ = run_cli(monkeypatch, capsys, *words, "--json", first)
    assert code == 0
    report = json.loads(first.read_text())
    assert set(report["stages_ms"]) == set(STAGES)
    assert all(set(stage) == {"p50", "p95", "p99"} for stage in report["stages_ms"].values())
    assert len(report["points"]) == len(report["voxels"]) == 1
    assert report["num_points"] == report["points"][0] > 3500
    assert 0 < report["num_voxels"] <= report["num_points"]
    assert report["host_memory_mb"] > 50
    needed = {"device", "engine", "engine_version", "precision", "threads", "cpu", "load_before",
              "lidarpan", "torch", "cuda", "python", "numba", "numpy"}  # fmt: skip
    assert needed <= set(report["machine"])
    code, out, _ = run_cli(monkeypatch, capsys, *words, "--compare", first)
    assert code == 0
    assert "ratio" in out
    other = asdict(read_report(first))
    other["workload"]["weights_sha256"] = "0"
    first.write_text(json.dumps(other))
    code, out, err = run_cli(monkeypatch, capsys, *words, "--compare", first)
    assert code == 2
    assert "not comparable, other weights" in err
    code, _, err = run_cli(monkeypatch, capsys, *words, "--precision", "fp16")
    assert code == 2
    assert "needs a CUDA device" in err
    code, _, err = run_cli(monkeypatch, capsys, *words, "--curves", tmp_path / "c.svg")
    assert code == 2
    assert ".png" in err


def test_curves_are_measured_and_drawn(tmp_path):
    from PIL import Image

    pipeline = PanopticPipeline.from_weights("town", "cpu")
    said = []
    curves = measure_curves(
        pipeline, num_points=(2000, 4000), voxel_factors=(1, 4), repeats=1, say=said.append
    )
    assert [round(at["voxel_m"], 3) for at in curves["voxel_size"]] == [0.15, 0.6]
    few, many = curves["points"]
    assert few["num_points"] < many["num_points"]
    assert few["num_voxels"] < many["num_voxels"]
    assert set(many["stages_ms"]) == set(STAGES)
    assert len(said) == 4
    assert pipeline.network.grid.cell_m[0] == pytest.approx(0.15)
    save_curves(curves, tmp_path / "curves.png", "a title")
    picture = np.asarray(Image.open(tmp_path / "curves.png"))
    assert picture.std() > 5
    with pytest.raises(InputError, match=r"\.png"):
        check_png(tmp_path / "curves.jpg")


def test_a_resized_grid_covers_the_old_one():
    grid = Grid((-3, -2, -1), (3, 2.1, 1), (0.1, 0.1, 0.1))
    for factor in (2 / 3, 4 / 3, 3):
        other = resized(grid, factor)
        assert other.min_m == grid.min_m
        assert all(a >= b - 1e-6 for a, b in zip(other.max_m, grid.max_m, strict=True))
        assert other.cell_m[0] == pytest.approx(0.1 * factor)


@pytest.mark.parametrize("num_points", [1000, 30_000, 250_000])
def test_streets_have_the_points_one_asks_for(num_points):
    one, again, other = street_scan(num_points), street_scan(num_points), street_scan(num_points, 1)
    assert abs(one.num_points / num_points - 1) < 0.1
    assert np.array_equal(one.points, again.points)
    assert not np.array_equal(one.points[:100], other.points[:100])
    assert one.points[:, 2].min() > -2
    assert np.abs(one.points).max() < 101


def test_parity_of_both_engines_of_ours():
    """Of a scan in which no unit of the shipped weights lies at the kink of its clip."""
    rows = measure_parity("cpu", ["numba", "torch"], num_points=2500)
    assert len(rows) == 2 * 7
    assert [row for row in rows if not row["passed"]] == []
    assert [row for row in rows if row["engine"] == "numba" and row["relative_error"]] == []


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize(
    ("error", "failing"),
    [
        (lambda g, _: g, set()),
        (lambda g, _: g * 0, {"gradients", "scale", "worst"}),
        (lambda g, _: -g, {"gradients", "scale", "worst"}),
        (lambda g, _: g * 1.05, {"scale"}),
        (lambda g, _: g * 0.95, {"scale"}),
        (lambda g, _: g * float("nan"), {"gradients", "scale", "worst"}),
        (lambda g, name: g * (name != "gradient of 3"), {"worst"}),
    ],
)
def test_a_gradient_that_is_zero_turned_or_scaled_fails(precision, error, failing):
    rng = torch.Generator().manual_seed(0)
    sizes = {"semantic": 9, "offset_m": 9, "heatmap": 9, "bev_offset_m": 9}
    sizes |= {f"gradient of {k}": 1000 if k else 100_000 for k in range(8)}
    wanted = {n: torch.randn(s, generator=rng, dtype=torch.float64) for n, s in sizes.items()}
    found = {n: error(t, n) if n.startswith("gradient") else t for n, t in wanted.items()}
    failed = {row["tensor"].split()[0] for row in compare_runs(found, wanted, precision)
              if not row["passed"]}  # fmt: skip
    assert failed >= failing
    assert bool(failed) == bool(failing)


def test_overlap_is_measured_and_the_same():
    pipeline = PanopticPipeline.from_weights("town", "cpu")
    result = measure_overlap(pipeline, num_scans=3, num_points=2000)
    assert result["is_same"]
    assert result["speedup"] == pytest.approx(
        result["overlapped_scans_per_s"] / result["serial_scans_per_s"]
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_gpu_check_without_a_gpu_is_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, GPU_CHECK, "--out", tmp_path / "r.json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: no CUDA device")
    assert not (tmp_path / "r.json").exists()


@pytest.mark.slow
def test_gpu_check_rehearses_without_the_optional_packages(tmp_path):
    """As on a machine that has torch and numba, but no open3d, spconv, devkit, lightning, laspy."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for name in ("open3d", "spconv", "nuscenes", "lightning", "laspy"):
        (hidden / f"{name}.py").write_text("raise ImportError('not installed here')")
    out = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, GPU_CHECK, "--dry-run", "--out", out],
        capture_output=True, text=True, check=False, env={"PYTHONPATH": str(hidden)},
    )  # fmt: skip
    report = json.loads(out.read_text())
    assert done.returncode == 0, done.stdout
    assert report["passed"]
    steps = {step["name"]: step for step in report["steps"]}
    left_out = [name for name, step in steps.items() if step["state"] == "left out"]
    assert left_out == ["network triton", "network spconv", "network spconv-triton"]
    assert steps["tests of engines"]["result"]["tests"] >= 3
    assert "streets of boxes" in steps["bench fp32"]["result"]["workload"]["scans"]
    assert steps["overlap"]["result"]["is_same"]
