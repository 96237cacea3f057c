"""Print how simulated scans compare with the labelled SemanticKITTI scans of a folder.

Example:
    python tools/town_statistics.py ../shared/data/semantickitti --scans 40
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lidarpan.classes import load_class_table
from lidarpan.structures import PanopticLabels, Scan
from lidarpan.synthetic.sensors.sensor import SENSORS
from lidarpan.synthetic.simulate import simulate_scan
from lidarpan.synthetic.statistics import comparison_table, describe


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
