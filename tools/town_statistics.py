"""Print how simulated scans compare with the labelled SemanticKITTI scans of a folder.

Example:
    python tools/town_statistics.py ../shared/data/semantickitti --scans 40
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lidarpan.classes import ClassTable, load_class_table
from lidarpan.structures import FloatArray, PanopticLabels, Scan
from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.simulate import simulate_scan

RANGE_EDGES_M = (0.0, 5.0, 10.0, 20.0, 30.0, 40.0, 50.0, 80.0)
"""Horizontal distances between which points are counted."""


@dataclass(frozen=True)
class ScanStatistics:
    """What a set of labelled scans looks like; C classes of a class table, nan where none occurs.

    Attributes:
        num_points: mean points of a scan.
        range_share: (7,) share of points between consecutive RANGE_EDGES_M.
        class_share: (C,) share of points.
        occurs: (C,) share of scans with at least the table's min_points points of the class.
        height_m: (C, 3) 5th, 50th and 95th percentile of z in the sensor frame.
        intensity: (C, 3) the same percentiles of intensity.
        ground_share: share of points on flat ground classes.
        thickness_m: (C, 3) quartiles of how far points lie from a plane through their neighbours.
    """

    num_points: float
    range_share: NDArray[np.float64]
    class_share: NDArray[np.float64]
    occurs: NDArray[np.float64]
    height_m: NDArray[np.float64]
    intensity: NDArray[np.float64]
    ground_share: float
    thickness_m: NDArray[np.float64]


def describe(scans: Sequence[tuple[Scan, PanopticLabels]], classes: ClassTable) -> ScanStatistics:
    """Statistics of labelled scans."""
    points = np.concatenate([scan.points for scan, _ in scans])
    intensity = np.concatenate([scan.intensity for scan, _ in scans])
    semantic = np.concatenate([labels.semantic for _, labels in scans])
    num_classes = classes.num_classes
    counts = np.stack([np.bincount(labels.semantic, minlength=num_classes) for _, labels in scans])
    distance = np.hypot(points[:, 0], points[:, 1])
    share = counts.sum(axis=0) / len(points)
    return ScanStatistics(
        num_points=len(points) / len(scans),
        range_share=np.histogram(distance, RANGE_EDGES_M)[0] / len(points),
        class_share=share,
        occurs=(counts >= classes.min_points).mean(axis=0),
        height_m=_percentiles(points[:, 2], semantic, num_classes),
        intensity=_percentiles(intensity, semantic, num_classes),
        ground_share=float(share[list(classes.ground)].sum()),
        thickness_m=_thickness(scans, num_classes),
    )


def _thickness(
    scans: Sequence[tuple[Scan, PanopticLabels]], num_classes: int
) -> NDArray[np.float64]:
    """Root mean square distance from the plane through the points of one class within 0.4 m.

    Of up to 100 places of each class in each scan, 4 to 20 m from the sensor.
    """
    found: list[list[float]] = [[] for _ in range(num_classes)]
    rng = np.random.default_rng(0)
    for scan, labels in scans:
        distance = np.linalg.norm(scan.points, axis=1)
        near = (distance > 4) & (distance < 20)
        for train_id in np.unique(labels.semantic[near]).tolist():
            points = scan.points[near & (labels.semantic == train_id)]
            tree = cKDTree(points)
            for place in rng.permutation(len(points))[:100]:
                around = points[tree.query_ball_point(points[place], 0.4)]
                if len(around) >= 10:
                    spread = np.linalg.svd(around - around.mean(axis=0), compute_uv=False)
                    found[train_id].append(float(spread[-1] / np.sqrt(len(around))))
    rows = np.full((num_classes, 3), np.nan)
    for train_id, values in enumerate(found):
        if len(values) >= 50:
            rows[train_id] = np.percentile(values, (25, 50, 75))
    return rows


def _percentiles(
    values: FloatArray, semantic: NDArray[np.uint8], num_classes: int
) -> NDArray[np.float64]:
    rows = np.full((num_classes, 3), np.nan)
    for train_id in np.unique(semantic):
        rows[train_id] = np.percentile(values[semantic == train_id], (5, 50, 95))
    return rows


def comparison_table(simulated: ScanStatistics, real: ScanStatistics, classes: ClassTable) -> str:
    """Both sets side by side as a Markdown table: simulated / real."""
    lines = [
        "| | simulated | real |",
        "|---|---|---|",
        f"| points per scan | {simulated.num_points:.0f} | {real.num_points:.0f} |",
        f"| share on flat ground | {simulated.ground_share:.2f} | {real.ground_share:.2f} |",
    ]
    for k, (low, high) in enumerate(pairwise(RANGE_EDGES_M)):
        ours, theirs = simulated.range_share[k], real.range_share[k]
        lines.append(f"| share at {low:.0f} to {high:.0f} m | {ours:.3f} | {theirs:.3f} |")
    lines += [
        "",
        "| class | share | scans with it | z median (5..95 %) m | intensity median (5..95 %) | "
        "thickness median (quartiles) cm |",
        "|---|---|---|---|---|---|",
    ]
    for train_id, name in enumerate(classes.names):
        ours, theirs = simulated.class_share[train_id], real.class_share[train_id]
        lines.append(
            f"| {name} | {ours:.4f} / {theirs:.4f} | {simulated.occurs[train_id]:.2f} | "
            f"{_span(simulated.height_m[train_id])} / {_span(real.height_m[train_id])} | "
            f"{_span(simulated.intensity[train_id])} / {_span(real.intensity[train_id])} | "
            f"{_span(100 * simulated.thickness_m[train_id])} / "
            f"{_span(100 * real.thickness_m[train_id])} |"
        )
    return "\n".join(lines)


def _span(row: NDArray[np.float64]) -> str:
    if np.isnan(row).any():
        return "-"
    return f"{row[1]:.2f} ({row[0]:.2f}..{row[2]:.2f})"


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder above sequences/")
    parser.add_argument("--scans", type=int, default=40, help="how many towns")
    parser.add_argument("--seed", type=int, default=0, help="of the first town")
    chosen = parser.parse_args()
    classes = load_class_table("semantickitti")
    real = []
    for path in sorted(chosen.root.glob("sequences/*/velodyne/*.bin")):
        values = np.fromfile(path, np.float32).reshape(-1, 4)
        labels = np.fromfile(path.parents[1] / "labels" / f"{path.stem}.label", np.uint32)
        semantic = classes.to_train((labels & 0xFFFF).astype(np.int32))
        scan = Scan(np.ascontiguousarray(values[:, :3]), np.ascontiguousarray(values[:, 3]))
        real.append((scan, PanopticLabels(semantic, np.zeros(len(values), np.int32))))
    simulated = []
    for seed in range(chosen.seed, chosen.seed + chosen.scans):
        result = simulate_scan(seed, SENSORS["hdl64e"])
        simulated.append((result.scan, result.labels(classes)))
    print(comparison_table(describe(simulated, classes), describe(real, classes), classes))


if __name__ == "__main__":
    main()
