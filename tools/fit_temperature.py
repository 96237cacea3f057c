#!/usr/bin/env python3
"""How far the confidence of points can be trusted, and a temperature for a weights file.

    python tools/fit_temperature.py town --data semantickitti data/town train --write w.safetensors
    python tools/fit_temperature.py w.safetensors --data semantickitti data/town valid

The first fits the temperature on scans that the second must not use. Prints the expected
calibration error as it is and with the temperature fitted, the same of points said to be ground
and of the others, the error among the surest points, and how well doubt tells points of no class
(void in the truth) that are off the ground from others.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from confidences import (
    auroc,
    expected_calibration_error,
    fit_temperature,
    risk_coverage,
)

from lidarpan import PanopticPipeline
from lidarpan.datasets.open import open_dataset
from lidarpan.grouping.claims import tempered
from lidarpan.model.checkpoint import load_weights, save_weights
from lidarpan.model.weights import find_weights
from lidarpan.scans.inspection import sensor_height

COVERAGE = np.array([1.0, 0.95, 0.9, 0.8, 0.5])
PER_SCAN = 20_000


def main() -> None:
    """Predict, measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("weights", help="shipped weights or a .safetensors file")
    parser.add_argument("--data", nargs=3, metavar=("DATASET", "ROOT", "SPLIT"), required=True)
    parser.add_argument("--limit", type=int, default=40, help="scans, evenly spread")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--also", type=float, nargs="*", default=[], help="other temperatures")
    parser.add_argument("--write", type=Path, help="write the weights with the temperature here")
    arguments = parser.parse_args()
    pipeline = PanopticPipeline.from_weights(arguments.weights, arguments.device)
    found = collect(pipeline, arguments.data, arguments.limit)
    known = found["truth"] > 0
    temperature = fit_temperature(found["softmax"][known][:, 1:], found["truth"][known] - 1)
    print(
        f"{known.sum():,} points with a true class; temperature fitted to them: {temperature:.3f}"
    )
    report("as it is", pipeline.temperature, found)
    report("fitted", temperature, found)
    for given in arguments.also:
        report("given", given, found)
    if arguments.write:
        state, header = load_weights(find_weights(arguments.weights))
        header["config"].setdefault("trust", {})["temperature"] = round(temperature, 4)
        save_weights(arguments.write, state, header, half=True)
        print(f"written: {arguments.write}")


def collect(pipeline: PanopticPipeline, data: list[str], limit: int) -> dict[str, Any]:
    """Probabilities, predicted and true classes of points of some scans."""
    dataset = open_dataset(*data)
    rng, parts = np.random.default_rng(0), []
    for i in np.unique(np.linspace(0, len(dataset) - 1, min(limit, len(dataset))).astype(int)):
        scan, truth = dataset[int(i)], dataset.labels(int(i))
        assert truth is not None
        height = sensor_height(scan, pipeline.sensor_height_m or 0.0)
        prepared = pipeline.prepare(scan, sensor_height_m=height)
        outputs = pipeline.run_network(prepared)
        said = pipeline.network.per_point(prepared, outputs)
        labels = pipeline.finish(prepared, outputs)
        inside = np.flatnonzero(said.softmax.max(axis=1) > 0)
        some = rng.permutation(inside)[:PER_SCAN]
        semantic = np.where(labels.semantic > 0, labels.semantic, said.classes)
        parts.append((said.softmax[some], semantic[some], truth.semantic[some]))
    softmax, semantic, true = (np.concatenate(part) for part in zip(*parts, strict=True))
    off_ground = ~np.isin(semantic, pipeline.classes.ground)
    return {"softmax": softmax, "semantic": semantic, "truth": true, "off_ground": off_ground}


def report(name: str, temperature: float, found: dict[str, Any]) -> None:
    """One line of each measure."""
    confidence = tempered(found["softmax"], found["semantic"], temperature)
    known = found["truth"] > 0
    right = (found["semantic"] == found["truth"])[known]
    error = expected_calibration_error(confidence[known], right)
    risk = risk_coverage(confidence[known], right, COVERAGE)
    off = found["off_ground"][known]
    parts = [
        f"{right[part].mean():.3f} right, {confidence[known][part].mean():.3f} sure, error "
        f"{expected_calibration_error(confidence[known][part], right[part]):.4f}"
        for part in (~off, off)
    ]
    ways = ", ".join(f"{c:.0%}: {r:.3f}" for c, r in zip(COVERAGE, risk, strict=True))
    here = found["off_ground"]
    strange = auroc(-confidence[here], ~known[here])
    print(f"{name}, T = {temperature:.3f}: expected calibration error {error:.4f}")
    print(f"  said to be ground ({np.mean(~off):.0%}): {parts[0]}; off it: {parts[1]}")
    print(f"  wrong among the surest {ways}")
    print(f"  void off the ground by doubt: AUROC {strange:.3f} ({(~known & here).sum():,} points)")


if __name__ == "__main__":
    main()
