"""Cost against the number of points and against the voxel size."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np

from lidarpan.bench.scans import write_street
from lidarpan.bench.timing import time_scans
from lidarpan.model.device_network import on_device, voxel_network
from lidarpan.pipeline import PanopticPipeline
from lidarpan.voxels.grid import Grid

NUM_POINTS = (10_000, 30_000, 100_000, 300_000, 1_000_000)
VOXEL_FACTORS = (2 / 3, 1, 4 / 3, 2, 8 / 3)
"""Voxel edges over the edge that the weights were trained for: labels are of no use, cost is."""
VOXEL_POINTS = 120_000


def measure_curves(
    pipeline: PanopticPipeline,
    *,
    num_points: Sequence[int] = NUM_POINTS,
    voxel_factors: Sequence[float] = VOXEL_FACTORS,
    repeats: int = 3,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, list[dict[str, Any]]]:
    """Time streets of boxes of many sizes, and one of them with many voxel sizes.

    Args:
        pipeline: what is timed.
        num_points: points of the scans, about.
        voxel_factors: voxel edges over the pipeline's own.
        repeats: timed predictions of each, after one of warm-up.
        say: told what is measured next.

    Returns:
        "points" and "voxel_size": a list of {"num_points", "num_voxels", "voxel_m", "stages_ms"},
        where stages_ms holds the median of each stage, milliseconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        by_points, by_voxel = [], []
        for count in num_points:
            say(f"{count:,} points")
            path = write_street(Path(folder), count)
            by_points.append(_measure(pipeline, path, repeats))
        for factor in voxel_factors:
            other = copy(pipeline)
            network = copy(voxel_network(pipeline.network))
            network.grid = resized(network.grid, factor)
            other.network = on_device(network)
            say(f"voxels of {network.grid.cell_m[0]:.3g} m")
            path = write_street(Path(folder), VOXEL_POINTS)
            by_voxel.append(_measure(other, path, repeats))
    return {"points": by_points, "voxel_size": by_voxel}


def resized(grid: Grid, factor: float) -> Grid:
    """The same lower corner and at least the same box, cells `factor` times as large."""
    cell = [edge * factor for edge in grid.cell_m]
    count = [-(-n // factor) for n in grid.shape]
    high = [m + c * n for m, c, n in zip(grid.min_m, cell, count, strict=True)]
    return Grid(grid.min_m, (high[0], high[1], high[2]), (cell[0], cell[1], cell[2]))


def _measure(pipeline: PanopticPipeline, path: Path, repeats: int) -> dict[str, Any]:
    timed = time_scans(pipeline, [path], repeats + 1, path.parent / "labels")[1:]
    return {
        "num_points": timed[0].num_points,
        "num_voxels": timed[0].num_voxels,
        "voxel_m": voxel_network(pipeline.network).grid.cell_m[0],
        "stages_ms": {
            stage: float(np.median([scan.stages_ms[stage] for scan in timed]))
            for stage in timed[0].stages_ms
        },
    }
