"""A network of one's own in the pipeline: a plain torch module from a scan to probabilities.

    python examples/own_network.py SCAN

The weights are random here, so the classes mean nothing; train yours as you like.
"""

import sys

import numpy as np
import torch
from torch import nn

from lidarpan import PanopticPipeline, Scan


class PointNetwork(nn.Module):
    """x, y, z, intensity and distance of each point -> the probabilities of 19 classes."""

    def __init__(self, num_classes: int = 19) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 64), nn.ReLU(), nn.Linear(64, num_classes))

    def forward(self, scan: Scan) -> torch.Tensor:
        distance = np.linalg.norm(scan.points, axis=1)
        rows = torch.from_numpy(np.column_stack([scan.points, scan.intensity, distance]))
        return self.layers(rows).softmax(dim=1)


pipeline = PanopticPipeline(network=PointNetwork(), classes="semantickitti")
labels = pipeline.predict(sys.argv[1])
print(f"{labels.num_points} points, {labels.instance.max()} objects")
