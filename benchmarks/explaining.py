"""Do attributions tell what they claim to? Boundaries, errors, deletion and insertion.

    python benchmarks/explaining.py --data semantickitti data/town valid --scans 5 --objects 3
    python benchmarks/explaining.py --data semantickitti /data/kitti valid --device cuda

For predicted objects of some scans, by integrated gradients: rank correlation of a voxel's evidence
with its distance to the object's border; AUROC of little evidence for a wrong voxel; and the area
under the log-odds while the voxels with most evidence are made average (deletion, low is good) or
alone are left as they are (insertion, high is good), beside the same in random order.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.stats import mannwhitneyu, spearmanr

from lidarpan import PanopticPipeline
from lidarpan.attribution import Evidence, Explainer
from lidarpan.datasets.open import open_dataset
from lidarpan.model.device_network import voxel_network
from lidarpan.scans.inspection import sensor_height
from lidarpan.training.targets import voxel_majority

STEPS = np.linspace(0, 1, 9)
AROUND_M = 2.0


def main() -> None:
    """Explain objects, print the means as Markdown, write every row as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--weights", default="town")
    parser.add_argument("--data", nargs=3, metavar=("DATASET", "ROOT", "SPLIT"), required=True)
    parser.add_argument("--scans", type=int, default=5, help="evenly spread")
    parser.add_argument("--objects", type=int, default=3, help="of each scan, by chance")
    parser.add_argument("--steps", type=int, default=24, help="of the integral")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    o = parser.parse_args()
    pipeline, dataset = PanopticPipeline.from_weights(o.weights, o.device), open_dataset(*o.data)
    rows = []
    for i in np.unique(np.linspace(0, len(dataset) - 1, min(o.scans, len(dataset))).astype(int)):
        rows += explain_scan(pipeline, dataset, int(i), o.objects, o.steps)
        print(f"scan {i}: {len(rows)} objects so far", file=sys.stderr, flush=True)
    if o.json:
        o.json.write_text(json.dumps(rows, indent=1))
    print("| | mean | standard error | objects |\n|---|---|---|---|")
    for name in (key for key in rows[0] if key not in ("scan", "object")):
        values = np.array([row[name] for row in rows], np.float64)
        values = values[np.isfinite(values)]
        if len(values):
            error = values.std() / np.sqrt(len(values))
            print(f"| {name} | {values.mean():.3f} | {error:.3f} | {len(values)} |")


def explain_scan(
    pipeline: PanopticPipeline, dataset: Any, i: int, num_objects: int, steps: int
) -> list[dict[str, Any]]:
    """A row for each of some predicted objects of a scan."""
    scan, truth, rng = dataset[i], dataset.labels(i), np.random.default_rng(i)
    height = sensor_height(scan, pipeline.sensor_height_m or 0.0)
    prepared = pipeline.prepare(scan, sensor_height_m=height)
    labels = pipeline.finish(prepared, pipeline.run_network(prepared))
    ids, size = np.unique(labels.instance, return_counts=True)
    usable = ids[(ids > 0) & (size >= 40)]
    explainer = Explainer(voxel_network(pipeline.network), prepared)
    to_voxel, count = prepared.voxels.point_to_voxel, prepared.voxels.num_voxels
    true = voxel_majority(truth.semantic, to_voxel, count, pipeline.classes.num_classes)
    rows = []
    for k in rng.permutation(usable)[:num_objects]:
        own = to_voxel[labels.instance == k]
        target = np.zeros(count, np.bool_)
        target[own[own >= 0]] = True
        class_id = int(labels.semantic[labels.instance == k][0])
        evidence = explainer.evidence(target, class_id, steps)
        rows.append(
            {
                "scan": i,
                "object": f"{pipeline.classes.names[class_id]} {k}",
                "completeness error": evidence.completeness_error,
                **where(explainer, evidence, true, class_id),
                **curves(explainer, evidence, class_id, rng),
            }
        )
    return rows


def where(
    explainer: Explainer, evidence: Evidence, true: NDArray[np.int64], class_id: int
) -> dict[str, float]:
    """How evidence goes with the distance to the object's border, and with errors."""
    middle = explainer.network.grid.center_of(explainer.prepared.voxels.indices)
    inside, outside = middle[evidence.target], middle[evidence.near & ~evidence.target]
    away = cKDTree(outside).query(inside)[0]
    around, _ = cKDTree(inside).query(outside)
    close = around < AROUND_M
    gain = evidence.voxel.sum(axis=1)
    own, other = gain[evidence.target], gain[evidence.near & ~evidence.target][close]
    wrong = (true[evidence.target] > 0) & (true[evidence.target] != class_id)
    return {
        "rank correlation with nearness to the border, inside": float(
            spearmanr(np.abs(own), -away).statistic
        ),
        "the same, outside": float(spearmanr(np.abs(other), -around[close]).statistic),
        "AUROC of little evidence for a wrong voxel": auroc(-own, wrong),
        "share of evidence on the object": float(
            np.maximum(own, 0).sum() / max(np.maximum(gain, 0).sum(), 1e-9)
        ),
        "share of its voxels that are wrong": float(wrong.mean()),
    }


def auroc(score: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> float:
    """Probability that a positive scores higher than a negative, ties half; nan without both."""
    positive, negative = score[is_positive], score[~is_positive]
    pairs = len(positive) * len(negative)
    return float(mannwhitneyu(positive, negative).statistic / pairs) if pairs else float("nan")


def curves(
    explainer: Explainer, evidence: Evidence, class_id: int, rng: np.random.Generator
) -> dict[str, float]:
    """Areas under deletion and insertion, as shares of the way from the average to the scan."""
    near = evidence.near
    x = explainer.features[near]
    base = explainer.features.mean(dim=0).expand_as(x)
    gain = evidence.voxel.sum(axis=1)[near]
    out = {}
    for name, order in (
        ("by evidence", np.argsort(-gain)),
        ("at random", rng.permutation(len(gain))),
    ):
        for kind, begin, end in (("deletion", x, base), ("insertion", base, x)):
            values = []
            for share in STEPS:
                mixed = begin.clone()
                rows = torch.from_numpy(order[: round(share * len(order))].copy())
                mixed[rows] = end[rows]
                with torch.no_grad():
                    odds = explainer.log_odds(mixed, near, evidence.target, class_id)
                values.append((float(odds) - evidence.base) / (evidence.log_odds - evidence.base))
            out[f"{kind} {name}"] = float(np.mean(values))
    return out


if __name__ == "__main__":
    main()
