"""Intensities -> brightness by rank, on any device, without waiting for it."""

from __future__ import annotations

import torch
from torch import Tensor

from lidarpan.voxels.intensity import COMMONEST, FARTHEST_M, NEAREST_M, OWN_M, REFERENCE
from lidarpan.voxels.keys import constant

_BITS = 30


def rank_brightness_on_device(points: Tensor, intensity: Tensor, is_point: Tensor) -> Tensor:
    """What `rank_brightness` gives.

    Args:
        points: (N, 3) float32 metres, the sensor on the z axis.
        intensity: (N,) float32 finite.
        is_point: (N,) bool, false for rows to spare.

    Returns:
        (N,) float32 in [0, 1]; what rows to spare get means nothing.
    """
    value, order = torch.where(is_point, intensity, torch.inf).sort()
    range_m = torch.hypot(points[:, 0], points[:, 1])
    weight = range_m.clamp(NEAREST_M, FARTHEST_M) * ((range_m > OWN_M) & is_point)
    whole = (weight[order].double() * 2.0**_BITS).long()  # exact: sums do not depend on the order
    before = torch.cat([whole.new_zeros(1), whole.cumsum(0)])
    begin = before[torch.searchsorted(value, value)]
    end = before[torch.searchsorted(value, value, right=True)]
    total = before[-1]
    rank = (begin + end).double() / (2 * total.clamp(min=1))
    has_intensity = (total > 0) & ((end - begin).max().double() <= COMMONEST * total.double())
    bright = torch.where(has_intensity, _look_up(rank), 0).float()
    return torch.empty_like(bright).scatter_(0, order, bright)


def _look_up(rank: Tensor) -> Tensor:
    """The reference's quantiles at ranks, linear in between. (N,) float64 in [0, 1]."""
    reference = constant(tuple(REFERENCE.tolist()), rank.device, torch.float64)
    steps = len(reference) - 1
    place = (rank * steps).floor().clamp(0, steps - 1)
    low, high = reference[place.long()], reference[place.long() + 1]
    return low + (rank * steps - place) * (high - low)
