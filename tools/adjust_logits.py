r"""Add to each class's logit the constant that makes the mean IoU of held-out scans largest.

Example:
    python tools/adjust_logits.py runs/town/best.safetensors --data data/town --split valid \
        --every 3 --out runs/town/adjusted.safetensors
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from lidarpan import PanopticPipeline
from lidarpan.datasets.open import open_dataset
from lidarpan.model.adjustment import fit_class_biases
from lidarpan.model.checkpoint import load_weights, save_weights
from lidarpan.structures import FloatArray, InputError, Scan, SemanticArray


def main() -> None:
    """Read the command line, adjust, say what changed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, help="a .safetensors file of lidarpan train")
    parser.add_argument("--data", type=Path, required=True, help="root of a labelled dataset")
    parser.add_argument("--split", default="valid")
    parser.add_argument("--every", type=int, default=1, help="use every n-th scan")
    parser.add_argument("--out", type=Path, required=True, help="the adjusted weights")
    chosen = parser.parse_args()
    try:
        biases = adjust(chosen.weights, chosen.data, chosen.split, chosen.every, chosen.out)
    except InputError as error:
        parser.error(str(error))
    for name, bias in biases.items():
        print(f"{name:16s} {bias:+.2f}")
    print(f"adjusted weights: {chosen.out}")


def adjust(weights: Path, data: Path, split: str, every: int, out: Path) -> dict[str, float]:
    """Predict, fit and write; returns the bias of each class by name."""
    pipeline = PanopticPipeline.from_weights(weights)
    dataset = open_dataset(pipeline.classes.name, data, split)
    parts = []
    for i in track(range(0, len(dataset), max(every, 1)), "Predicting", transient=True):
        labels = dataset.labels(i)
        if labels is None:
            raise InputError(f"{dataset.name(i)}: wanted a labelled scan, found no labels")
        parts.append(rows(pipeline, dataset[i], labels.semantic))
    biases = fit_class_biases(*(np.concatenate(part) for part in zip(*parts, strict=True)))
    state, header = load_weights(weights)
    state["semantic_head.bias"] += state["semantic_head.bias"].new_tensor(biases)
    named = dict(zip(pipeline.classes.names[1:], np.round(biases, 2).tolist(), strict=True))
    header["training"]["logit_adjustment"] = named
    save_weights(out, state, header, half=True)
    return named


def rows(
    pipeline: PanopticPipeline, scan: Scan, semantic: SemanticArray
) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.float64]]:
    """Log-probabilities, true class and number of points of each (voxel, class) of a scan."""
    prepared = pipeline.prepare(scan)
    outputs = pipeline.run_network(prepared)
    if outputs is None:
        raise InputError("wanted scans with points in the grid, got one without")
    voxel = prepared.voxels.point_to_voxel.astype(np.int64)
    known = (voxel >= 0) & (semantic > 0)
    size = pipeline.classes.num_classes
    key, count = np.unique(voxel[known] * size + semantic[known], return_counts=True)
    probabilities = np.maximum(outputs.probabilities[key // size], 1e-12)
    return np.log(probabilities), key % size - 1, count.astype(np.float64)


if __name__ == "__main__":
    main()
