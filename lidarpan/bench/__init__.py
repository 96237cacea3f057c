"""Honest latency: batch 1, from the file's bytes to the written labels, stage by stage."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lidarpan.bench.curves import measure_curves
from lidarpan.bench.report import (
    PERCENTILES,
    BenchReport,
    check_comparable,
    format_comparison,
    format_report,
    read_report,
    write_report,
)
from lidarpan.bench.scans import write_scans
from lidarpan.bench.timing import (
    CLOCK,
    describe_machine,
    digest_of,
    forget_peaks,
    peak_memory_mb,
    time_scans,
)
from lidarpan.model.device_network import voxel_network
from lidarpan.model.weights import find_weights
from lidarpan.pipeline import PanopticPipeline

__all__ = [
    "BenchReport",
    "format_comparison",
    "format_report",
    "read_report",
    "run_bench",
    "write_report",
]

WARM_UP = 4  # scans: each simulated one is met once


def run_bench(
    *,
    weights: str = "town",
    device: str = "auto",
    num_scans: int = 20,
    sparse: str | None = None,
    precision: str = "fp32",
    voxel_m: float | None = None,
    scan_paths: Sequence[Path] = (),
    with_curves: bool = False,
    against: tuple[BenchReport, str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> BenchReport:
    """Time the whole way from scan file to label file.

    Args:
        weights: shipped weights or a file.
        device: auto, cpu or cuda.
        num_scans: timed predictions, after warm-up.
        sparse: sparse convolution engine; None takes the device's best.
        precision: of the network: fp32, or fp16 or bf16 on CUDA.
        voxel_m: edge of the voxels, metres; None takes the weights' own.
        scan_paths: scan files to time; none = simulated HDL-64E scans.
        with_curves: measure the cost against points and voxel size too.
        against: a report that this one is to be compared with, and its file's name.
        say: told what is done next.

    Raises:
        InputError: no such weights, device, engine or precision, or the work is not that of
            `against`; before anything is timed.
    """
    pipeline = PanopticPipeline.from_weights(weights, device, sparse, precision, voxel_m=voxel_m)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        if scan_paths:
            paths, what = list(scan_paths), f"{len(scan_paths)} files"
        else:
            say("simulating scans")
            paths, what = write_scans(out)
        workload = _describe_workload(pipeline, weights, paths, what)
        if against:
            check_comparable(workload, against[0].workload, against[1])
        machine = describe_machine(pipeline)
        say("warming up")
        time_scans(pipeline, paths, WARM_UP, out)
        forget_peaks()
        say(f"timing {num_scans} scans")
        timed = time_scans(pipeline, paths, num_scans, out)
    host_mb, device_mb = peak_memory_mb(pipeline.device)
    each = timed[: len(paths)]
    return BenchReport(
        machine=machine,
        workload=workload,
        clock=CLOCK,
        num_scans=num_scans,
        num_points=int(np.median([scan.num_points for scan in timed])),
        num_voxels=int(np.median([scan.num_voxels for scan in timed])),
        points=[scan.num_points for scan in each],
        voxels=[scan.num_voxels for scan in each],
        stages_ms={
            stage: {
                f"p{p}": float(np.percentile([scan.stages_ms[stage] for scan in timed], p))
                for p in PERCENTILES
            }
            for stage in timed[0].stages_ms
        },
        host_memory_mb=host_mb,
        device_memory_mb=device_mb,
        curves=measure_curves(pipeline, say=say) if with_curves else None,
    )


def _describe_workload(
    pipeline: PanopticPipeline, weights: str, paths: Sequence[Path], what: str
) -> dict[str, str | float]:
    return {
        "weights": Path(weights).stem,
        "weights_sha256": digest_of([find_weights(weights)]),
        "scans": what,
        "scans_sha256": digest_of(paths),
        "grouping": pipeline.grouping,
        "voxel_m": round(voxel_network(pipeline.network).grid.cell_m[0], 6),
    }
