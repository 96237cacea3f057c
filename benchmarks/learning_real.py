"""Weights of `learning.py` on labelled scans of a dataset: mean and spread over the seeds.

    python benchmarks/learning_real.py out/learning --data semantickitti /data/kitti valid

The name of a weights file is VARIANT_SEED.safetensors.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

from lidarpan import PanopticPipeline
from lidarpan.datasets.open import open_dataset
from lidarpan.metrics import PanopticQuality
from lidarpan.model.device_network import voxel_network
from lidarpan.scans.inspection import sensor_height
from lidarpan.structures import PanopticLabels

COLUMNS = ("pq", "pq_things", "miou")


def main() -> None:
    """Score every file and print a row for each variant and way of grouping."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", nargs=3, metavar=("DATASET", "ROOT", "SPLIT"), required=True)
    parser.add_argument("--limit", type=int, default=6)
    parser.add_argument("--groupings", default="auto", help="separated by commas")
    parser.add_argument("--device", default="auto")
    o = parser.parse_args()
    groupings, rows = o.groupings.split(","), {}
    for path in sorted(o.folder.glob("*.safetensors")):
        variant = path.stem.rsplit("_", 1)[0]
        found = score(path, o.data, o.limit, groupings, o.device)
        print(f"{path.stem}: {found}", file=sys.stderr, flush=True)
        for grouping, scores in found.items():
            rows.setdefault((variant, grouping), []).append(scores)
    print(f"| | objects by | runs | {' | '.join(COLUMNS)} |\n|---|---|---|---|---|---|")
    for (variant, grouping), scores in rows.items():
        table = np.array(scores)
        spread = (table.max(axis=0) - table.min(axis=0)) / 2
        cells = [f"{m:.3f} ± {s:.3f}" for m, s in zip(table.mean(axis=0), spread, strict=True)]
        print(f"| {variant} | {grouping} | {len(table)} | {' | '.join(cells)} |")


def score(
    path: Path, data: list[str], limit: int, groupings: list[str], device: str
) -> dict[str, list[float]]:
    """PQ, PQ of things and mIoU over the classes that occur, by way of grouping.

    Points beyond the network's grid do not count.
    """
    pipeline, dataset = PanopticPipeline.from_weights(path, device), open_dataset(*data)
    reach_m = voxel_network(pipeline.network).grid.max_m[0]
    classes = dataset.classes
    quality = {
        name: PanopticQuality(classes.num_classes, classes.things, min_points=classes.min_points)
        for name in groupings
    }
    for i in np.unique(np.linspace(0, len(dataset) - 1, min(limit, len(dataset))).astype(int)):
        scan, truth = dataset[int(i)], dataset.labels(int(i))
        height = sensor_height(scan, pipeline.sensor_height_m or 0.0)
        near = (np.abs(scan.points[:, :2]) < reach_m).all(axis=1)
        scan, truth = scan.take(near), PanopticLabels(truth.semantic[near], truth.instance[near])
        prepared = pipeline.prepare(scan, sensor_height_m=height)
        outputs = pipeline.run_network(prepared)
        for name in groupings:
            pipeline.grouping = name
            said = pipeline.finish(prepared, outputs)
            quality[name].update(said.semantic, said.instance, truth.semantic, truth.instance)
    out = {}
    for name in groupings:
        s = quality[name].compute()
        present = [c for c in range(classes.num_classes) if s.tp[c] + s.fn[c] > 0]
        things = [c for c in present if c in classes.things]
        means = (s.class_pq[present], s.class_pq[things], s.class_iou[present])
        out[name] = [round(float(values.mean()), 4) for values in means]
    return out


if __name__ == "__main__":
    main()
