"""One simulated town scan, from the ray caster to a scored panoptic map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from lidarpan.classes import ClassTable
from lidarpan.clock import StageClock
from lidarpan.datasets.kitti_labels import write_predictions
from lidarpan.draw import draw_panoptic, save_png
from lidarpan.metrics import PanopticScores, score_labels
from lidarpan.pipeline import PanopticPipeline
from lidarpan.scans.convert import scan_fields, write_fields
from lidarpan.scans.fields import LoadedScan
from lidarpan.structures import PanopticLabels
from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.simulate import simulate_scan


@dataclass(frozen=True)
class DemoReport:
    """What the demo made: scores, and lines that say where everything is."""

    scores: PanopticScores
    table: Table
    lines: tuple[str, ...]


def run_demo(
    out: Path, *, seed: int = 7, weights: str = "town", device: str = "auto"
) -> DemoReport:
    """Simulate, predict, score and draw one HDL-64E scan of a town.

    Writes scan.bin (KITTI layout), truth.label, prediction.label and map.png to `out`.

    Raises:
        InputError: the folder cannot be written to, or the weights do not load.
    """
    out.mkdir(parents=True, exist_ok=True)
    clock = StageClock()
    with clock("load weights"):
        pipeline = PanopticPipeline.from_weights(weights, device)
    with clock("simulate"):
        simulated = simulate_scan(seed, SENSORS["hdl64e"])
    scan, truth = simulated.scan, simulated.labels(pipeline.classes)
    pipeline.predict(scan)  # the first call loads kernels: it is not timed
    labels = pipeline.predict(scan, clock=clock)
    with clock("score"):
        scores = score_labels(labels, truth, pipeline.classes)
    with clock("draw"):
        title = f"town {seed}, PQ {_present_mean(scores, truth, labels):.2f} over classes present"
        picture = draw_panoptic(scan, labels, pipeline.classes, truth=truth, title=title)
        save_png(picture, out / "map.png")
    with clock("write"):
        whole = LoadedScan(scan, np.ones(scan.num_points, np.bool_))
        write_fields(out / "scan.bin", scan_fields(whole, keep_empty=True), "bin")
        write_predictions(out / "truth.label", truth, pipeline.classes)
        write_predictions(out / "prediction.label", labels, pipeline.classes)
    table = class_table_of(scores, truth, labels, pipeline.classes)
    times = ", ".join(f"{stage} {ms:.0f} ms" for stage, ms in clock.elapsed_ms.items())
    lines = (
        f"time: {times}",
        f"scan: {out / 'scan.bin'} ({scan.num_points:,} points, x y z intensity float32)",
        f"labels: {out / 'prediction.label'} (SemanticKITTI), truth: {out / 'truth.label'}",
        f"picture: {out / 'map.png'}",
    )
    return DemoReport(scores, table, lines)


def class_table_of(
    scores: PanopticScores, truth: PanopticLabels, labels: PanopticLabels, classes: ClassTable
) -> Table:
    """The scores of one scan: the classes present in it, and their mean."""
    table = Table(title="Scores of this scan (fractions), over the classes present")
    for column in ("class", "PQ", "SQ", "RQ", "IoU"):
        table.add_column(column, justify="left" if column == "class" else "right")
    present = _present(truth, labels)
    per_class = (scores.class_pq, scores.class_sq, scores.class_rq, scores.class_iou)
    for c in present:
        table.add_row(classes.names[c], *(f"{values[c]:.3f}" for values in per_class))
    table.add_section()
    table.add_row("mean", *(f"{values[present].mean():.3f}" for values in per_class))
    return table


def _present(truth: PanopticLabels, labels: PanopticLabels) -> np.ndarray:  # type: ignore[type-arg]
    """Train ids of the classes in the truth or, on points with a truth, in the prediction."""
    known = truth.semantic > 0
    seen = np.union1d(truth.semantic[known], labels.semantic[known])
    return seen[seen > 0]


def _present_mean(scores: PanopticScores, truth: PanopticLabels, labels: PanopticLabels) -> float:
    return float(scores.class_pq[_present(truth, labels)].mean())
