#!/usr/bin/env python3
"""Write into a weights file what the scans it was trained on look like.

`predict` then warns of scans that are unlike them. A few hundred scans are enough:

    python tools/add_statistics.py town.safetensors data/town/sequences more/scans/
"""

from __future__ import annotations

import argparse
from pathlib import Path

from lidarpan import PanopticPipeline
from lidarpan.model.checkpoint import load_weights, save_weights
from lidarpan.model.device_network import voxel_network
from lidarpan.model.likeness import Likeness, summary_of
from lidarpan.model.weights import find_weights
from lidarpan.scans.files import find_scans, load_scan
from lidarpan.scans.inspection import sensor_height


def main() -> None:
    """Measure the scans and write the file anew."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("weights", help="shipped weights or a .safetensors file; written anew")
    parser.add_argument("scans", nargs="+", help="files, folders or globs of scans trained on")
    parser.add_argument("--limit", type=int, default=400, help="use so many of the scans")
    arguments = parser.parse_args()
    path = find_weights(arguments.weights)
    likeness = measure(path, find_scans(arguments.scans), arguments.limit)
    state, header = load_weights(path)
    save_weights(path, state, {**header, "statistics": likeness.to_header()}, half=True)
    print(f"{path}: a scan is unlike those from {likeness.limit:.2f} deviations on")


def measure(weights: Path, scans: list[Path], limit: int) -> Likeness:
    """What `limit` of the scans, evenly spread, look like to the network of a weights file."""
    pipeline = PanopticPipeline.from_weights(weights, "cpu")
    voxel_network(pipeline.network)  # complains of another network
    expected = pipeline.sensor_height_m or 0.0
    summaries = []
    for path in scans[:: max(1, len(scans) // limit)]:
        loaded = load_scan(path, expected)
        height = sensor_height(loaded.scan, expected)
        prepared = pipeline.prepare(loaded.scan, sensor_height_m=height)
        summaries.append(summary_of(prepared.features))
    return Likeness.of(summaries)


if __name__ == "__main__":
    main()
