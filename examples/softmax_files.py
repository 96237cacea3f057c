"""Another network's probabilities, saved to files, through the pipeline.

    python examples/softmax_files.py SCANS/ SOFTMAX/ OUT/

SOFTMAX/NAME.npy belongs to SCANS/NAME.bin: (N, 20) or, without void, (N, 19), a row per point.
"""

import sys
from pathlib import Path

import numpy as np

from lidarpan import PanopticPipeline, Scan
from lidarpan.inference import predict_files
from lidarpan.scans.files import find_scans

scans, softmax, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])


def saved(scan: Scan) -> np.ndarray:
    """The probabilities of the scan's points."""
    return np.load(softmax / f"{scan.path.stem}.npy")


pipeline = PanopticPipeline(network=saved, classes="semantickitti")
for result in predict_files(pipeline, find_scans([scans]), out, "npz"):
    print(result.error or f"{result.path}: {result.labels.instance.max()} objects")
