"""Tasks beside the panoptic ones, whose heads belong to the training alone.

Ground height per BEV cell, from the labelled ground; and the range that a beam would have measured
that was hidden from the network, which wants no labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor, nn
from torch.nn import functional

from lidarpan.structures import FloatArray
from lidarpan.training.augment import Sample
from lidarpan.training.thinning import bands_of_inclination

HIDDEN = 0.15
"""Share of the bands of inclination that are hidden."""

_MOST_RAYS = 2000
_WIDEST_RAD = 0.03  # a hidden ray wants a seen one this near


class GroundHeight(nn.Module):
    """A linear head on BEV features: mean height of the ground's voxels in each cell."""

    def __init__(self, channels: int, ground: Sequence[int]) -> None:
        super().__init__()
        self.head = nn.Linear(channels, 1)
        self.ground = tuple(ground)

    def forward(
        self, bev: Tensor, voxel_to_column: Tensor, semantic: Tensor, height_m: Tensor
    ) -> Tensor:
        """Mean distance to the truth, metres, of the cells with labelled ground. -> ().

        (M, C_bev), (V,), (V,) train ids, (V,) metres.
        """
        is_ground = torch.isin(semantic, semantic.new_tensor(self.ground))
        column = voxel_to_column[is_ground]
        count = torch.bincount(column, minlength=len(bev))
        total = height_m.new_zeros(len(bev)).index_add(0, column, height_m[is_ground])
        known = count > 0
        if not bool(known.any()):
            return bev.sum() * 0.0
        said = self.head(bev[known]).float().squeeze(1)
        return functional.smooth_l1_loss(said, total[known] / count[known], beta=0.1)


class HiddenRange(nn.Module):
    """Two layers: features of the nearest seen voxel, and the way to the hidden ray -> range."""

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels + 3, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, features: Tensor, rays: Tensor) -> Tensor:
        """Mean distance to log(range / range of the seen ray). (V, C), (R, 5) -> ()."""
        if not len(rays):
            return features.sum() * 0.0
        seen = features[rays[:, 0].long()]
        said = self.layers(torch.cat([seen, rays[:, 1:4].to(seen.dtype)], dim=1))
        return functional.smooth_l1_loss(said.float().squeeze(1), rays[:, 4], beta=0.05)


def hide_beams(sample: Sample, rng: np.random.Generator) -> tuple[Sample, FloatArray]:
    """Leave out bands of inclination, and say what rays there would have measured.

    Args:
        sample: seen from (0, 0, 0).
        rng: source of randomness.

    Returns:
        What is left, and (R, 5) float32 rows: place of the nearest seen ray in it, the way from
        there in azimuth and inclination in units of 0.01 rad, log of its range in metres, and
        log(hidden range / its range).
    """
    band = bands_of_inclination(sample, float(np.radians(rng.uniform(0.5, 1.5))), rng)
    chosen = rng.random(int(band.max(initial=0)) + 1) < HIDDEN
    hidden = np.flatnonzero(chosen[band])
    kept = np.flatnonzero(~chosen[band])
    if not len(hidden) or not len(kept):
        return sample, np.zeros((0, 5), np.float32)
    hidden = rng.permutation(hidden)[:_MOST_RAYS]
    angle, range_m = _angles(sample.points)
    away, near = cKDTree(angle[kept]).query(angle[hidden], distance_upper_bound=_WIDEST_RAD)
    found = np.isfinite(away) & (range_m[hidden] > 0.1)
    near, hidden = near[found], hidden[found]
    way = (angle[hidden] - angle[kept][near]) / 0.01
    base = np.log(np.maximum(range_m[kept][near], 0.1))
    rows = np.column_stack([near, way, base, np.log(range_m[hidden]) - base])
    return sample.take(kept), rows.astype(np.float32)


def _angles(points: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Azimuth and inclination (N, 2) rad, and range (N,) metres."""
    x, y, z = points.T.astype(np.float64)
    flat = np.hypot(x, y)
    angle = np.column_stack([np.arctan2(y, x), np.arctan2(z, flat)])
    return angle, np.hypot(flat, z)
