"""Honest latency: batch 1, from the file's bytes to the written labels, stage by stage."""

from __future__ import annotations

import json
import os
import platform
import resource
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import lidarpan
from lidarpan.clock import StageClock
from lidarpan.datasets.files import load_scan
from lidarpan.datasets.predictions import prediction_path, write_prediction
from lidarpan.pipeline import PanopticPipeline
from lidarpan.synthetic.sensor import SENSORS
from lidarpan.synthetic.simulate import simulate_scan

if TYPE_CHECKING:
    from rich.table import Table

PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class BenchReport:
    """What was timed, on what, and how long it took.

    Attributes:
        machine: device, versions, engine, threads.
        num_scans: timed scans, after warm-up.
        num_points: median points per scan.
        stages_ms: stage -> {"p50", "p95", "p99"} in milliseconds; "total" is end to end.
        host_memory_mb: peak resident memory of the process.
        device_memory_mb: peak CUDA memory, 0 on a CPU.
    """

    machine: dict[str, str | int]
    num_scans: int
    num_points: int
    stages_ms: dict[str, dict[str, float]]
    host_memory_mb: float
    device_memory_mb: float


def run_bench(
    *,
    weights: str = "town",
    device: str = "auto",
    num_scans: int = 20,
    sparse: str | None = None,
    scan_paths: Sequence[Path] = (),
) -> BenchReport:
    """Time the whole way from scan file to label file.

    Args:
        weights: shipped weights or a file.
        device: auto, cpu or cuda.
        num_scans: timed predictions, after two of warm-up.
        sparse: sparse convolution engine; None takes the device's best.
        scan_paths: scan files to time; none = simulated HDL-64E scans.
    """
    pipeline = PanopticPipeline.from_weights(weights, device, sparse)
    is_cuda = pipeline.device.type == "cuda"
    runs: list[dict[str, float]] = []
    sizes = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        paths = list(scan_paths) or _simulated(out)
        for i in range(num_scans + 2):
            path = paths[i % len(paths)]
            clock = StageClock(torch.cuda.synchronize if is_cuda else lambda: None)
            with clock("read"):
                loaded = load_scan(path)
            labels = pipeline.predict(loaded.scan, clock=clock)
            with clock("write"):
                target = prediction_path(out, path, "semantickitti")
                write_prediction(target, labels, loaded, pipeline.classes, "semantickitti")
            runs.append({**clock.elapsed_ms, "total": sum(clock.elapsed_ms.values())})
            sizes.append(loaded.scan.num_points)
    timed = runs[2:]
    stages = {
        stage: {
            f"p{p}": float(np.percentile([run[stage] for run in timed], p)) for p in PERCENTILES
        }
        for stage in timed[0]
    }
    return BenchReport(
        machine=_machine(pipeline),
        num_scans=num_scans,
        num_points=int(np.median(sizes)),
        stages_ms=stages,
        host_memory_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        device_memory_mb=torch.cuda.max_memory_allocated() / 2**20 if is_cuda else 0.0,
    )


def write_report(report: BenchReport, path: Path) -> None:
    """The report as JSON; the file is whole or absent."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(json.dumps(asdict(report), indent=1) + "\n")
    os.replace(beside, path)


def format_report(report: BenchReport) -> Table:
    """A table of the stages in milliseconds."""
    from rich.table import Table

    what = f"{report.num_scans} scans of {report.num_points:,} points, batch 1"
    machine = ", ".join(f"{key} {value}" for key, value in report.machine.items())
    memory = f"peak memory {report.host_memory_mb:.0f} MB host"
    if report.device_memory_mb:
        memory += f", {report.device_memory_mb:.0f} MB device"
    table = Table(title=what, caption=f"{machine}; {memory}")
    table.add_column("stage")
    for p in PERCENTILES:
        table.add_column(f"p{p} ms", justify="right")
    for stage, values in report.stages_ms.items():
        table.add_row(stage, *(f"{values[f'p{p}']:.1f}" for p in PERCENTILES))
    return table


def _simulated(folder: Path) -> list[Path]:
    paths = []
    for seed in range(4):
        scan = simulate_scan(10_000 + seed, SENSORS["hdl64e"]).scan
        path = folder / f"{seed:06d}.bin"
        np.column_stack([scan.points, scan.intensity]).astype(np.float32).tofile(path)
        paths.append(path)
    return paths


def _machine(pipeline: PanopticPipeline) -> dict[str, str | int]:
    is_cuda = pipeline.device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name() if is_cuda else platform.machine() + " CPU",
        "engine": pipeline.engine.name,
        "threads": torch.get_num_threads(),
        "lidarpan": lidarpan.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
