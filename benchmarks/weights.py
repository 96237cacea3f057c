"""Scores of weights on unseen towns and on real labelled scans.

    python benchmarks/weights.py --weights town --towns 40 --first-seed 900000
    python benchmarks/weights.py --weights town --real ../shared/data

Truth and prediction are compared with the benchmark's rules (min_points 50); means are given over
all 19 classes, as the official script prints them, and over the classes present in the truth.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import tee
from pathlib import Path

import numpy as np

from lidarpan import PanopticPipeline
from lidarpan.classes import ClassTable
from lidarpan.datasets.open import open_dataset
from lidarpan.metrics import PanopticQuality
from lidarpan.scans.inspection import sensor_height
from lidarpan.structures import PanopticLabels, Scan
from lidarpan.synthetic.sensors.choose import sensor_of_town
from lidarpan.synthetic.simulate import simulate_scan

Labelled = Iterator[tuple[Scan, PanopticLabels]]


def towns(
    count: int, first_seed: int, sensor: str, classes: ClassTable, held_out: bool
) -> Labelled:
    """Labelled scans of towns, one of each."""
    choose = sensor_of_town(sensor)
    for seed in range(first_seed, first_seed + count):
        simulated = simulate_scan(seed, choose(seed), held_out=held_out)
        yield simulated.scan, simulated.labels(classes)


def real(root: Path, sequence: str) -> Labelled:
    """Labelled real scans in SemanticKITTI layout."""
    dataset = open_dataset("semantickitti", root, sequence)
    for i in range(len(dataset)):
        labels = dataset.labels(i)
        if labels is not None:
            yield dataset[i], labels


def score(pipeline: PanopticPipeline, scans: Labelled, title: str) -> None:
    """Predict, score and print."""
    classes = pipeline.classes
    quality = PanopticQuality(classes.num_classes, classes.things, min_points=classes.min_points)
    elapsed, count = 0.0, 0
    for scan, truth in scans:
        start = time.perf_counter()
        height = sensor_height(scan, pipeline.sensor_height_m)
        labels = pipeline.predict(scan, sensor_height_m=height)
        elapsed += time.perf_counter() - start
        count += 1
        quality.update(labels.semantic, labels.instance, truth.semantic, truth.instance)
    scores = quality.compute()
    present = np.flatnonzero(scores.confusion[:, :].sum(axis=0) > 0)
    present = present[present > 0]
    things = np.intersect1d(present, classes.things)
    print(f"\n{title}: {count} scans, {1e3 * elapsed / count:.0f} ms per scan")
    print(
        f"  all classes     PQ {scores.pq:.3f}  SQ {scores.sq:.3f}  RQ {scores.rq:.3f}  "
        f"mIoU {scores.miou:.3f}  things PQ {scores.pq_things:.3f}"
    )
    print(
        f"  classes present PQ {scores.class_pq[present].mean():.3f}  "
        f"mIoU {scores.class_iou[present].mean():.3f}  "
        f"things PQ {scores.class_pq[things].mean():.3f}  accuracy {scores.accuracy:.3f}"
    )
    for c in present:
        print(
            f"  {classes.names[c]:16s} IoU {scores.class_iou[c]:.3f}  PQ {scores.class_pq[c]:.3f}  "
            f"SQ {scores.class_sq[c]:.3f}  RQ {scores.class_rq[c]:.3f}"
        )


def main() -> None:
    """Score towns, real scans, or both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--weights", nargs="+", default=["town"], help="several on the same towns")
    parser.add_argument("--voxel", type=float, help="edge of the voxels, metres")
    parser.add_argument("--towns", type=int, default=0, help="how many towns")
    parser.add_argument("--first-seed", type=int, default=900_000)
    parser.add_argument("--sensor", default="hdl64e", help="a name, a file, or random")
    parser.add_argument("--held-out", action="store_true", help="objects that no other town has")
    parser.add_argument("--real", type=Path, help="folder with semantickitti/ and pandaset/")
    arguments = parser.parse_args()
    pipelines = [
        PanopticPipeline.from_weights(weights, voxel_m=arguments.voxel)
        for weights in arguments.weights
    ]
    sets: dict[str, Labelled] = {}
    if arguments.towns:
        chosen = (arguments.towns, arguments.first_seed, arguments.sensor, pipelines[0].classes)
        title = f"towns from seed {arguments.first_seed}, {arguments.sensor}"
        sets[title] = towns(*chosen, arguments.held_out)
    if arguments.real:
        sets["SemanticKITTI 00"] = real(arguments.real / "semantickitti", "00")
        sets["PandaSet 02"] = real(arguments.real / "pandaset", "02")
    for title, scans in sets.items():
        copies = tee(scans, len(pipelines))
        for weights, pipeline, mine in zip(arguments.weights, pipelines, copies, strict=True):
            score(pipeline, mine, f"{title}, {weights}")


if __name__ == "__main__":
    main()
