"""Whether instance ids of a drive's scans stay with their objects."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import IntArray, PanopticLabels, Scan

NEAR_M = 3.0  # the visible middle of an object at rest wanders less between two scans
STAYING = 0.75  # of the ids two scans share, if ids stay: fast objects move more than NEAR_M
NUM_PAIRS = 8
Frame = tuple[Scan, PanopticLabels]


def ids_stay(read: Callable[[int], Frame], poses: NDArray[np.float64]) -> bool:
    """Whether instance ids name the same objects from scan to scan.

    Up to NUM_PAIRS pairs of neighbouring scans are compared: of the ids that both have, those of
    staying ids are less than NEAR_M apart in the world.

    Args:
        read: scan number to scan and labels.
        poses: (T, 4, 4) world_T_sensor.
    """
    firsts = np.unique(np.linspace(0, len(poses) - 2, NUM_PAIRS).round().astype(int))
    near = shared = 0
    for i in firsts.tolist() if len(poses) > 1 else []:
        (ids, places), (later, moved) = (_objects(*read(k), poses[k]) for k in (i, i + 1))
        _, here, there = np.intersect1d(ids, later, return_indices=True)
        way = np.linalg.norm(places[here] - moved[there], axis=1)
        near += int((way < NEAR_M).sum())
        shared += len(here)
    return near >= STAYING * shared


def _objects(
    scan: Scan, labels: PanopticLabels, pose: NDArray[np.float64]
) -> tuple[IntArray, NDArray[np.float64]]:
    """Ids of the objects of a scan (K,), and the middles of their boxes in the world (K, 2)."""
    has = np.flatnonzero(labels.instance > 0)
    order = has[np.argsort(labels.instance[has], kind="stable")]
    ids, start = np.unique(labels.instance[order], return_index=True)
    world = (scan.points[order] @ pose[:3, :3].T + pose[:3, 3])[:, :2]
    if not len(ids):
        return ids, np.zeros((0, 2))
    low, high = (f.reduceat(world, start, axis=0) for f in (np.minimum, np.maximum))
    return ids, (low + high) / 2
