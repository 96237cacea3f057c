"""Annotated boxes -> which object each point of a scan belongs to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Cuboids:
    """K upright boxes in the frame of some points.

    Attributes:
        center_m: (K, 3) x, y, z of the middle.
        size_m: (K, 3) along its heading, across, and up.
        yaw_rad: (K,) of the heading about z from x.
        raw: (K,) raw label of the class.
        instance: (K,) id of the object, from 1.
    """

    center_m: NDArray[np.float64]
    size_m: NDArray[np.float64]
    yaw_rad: NDArray[np.float64]
    raw: NDArray[np.int64]
    instance: NDArray[np.int64]

    def take(self, keep: NDArray[np.bool_]) -> Cuboids:
        """Some of the boxes. keep: (K,)."""
        return Cuboids(
            self.center_m[keep],
            self.size_m[keep],
            self.yaw_rad[keep],
            self.raw[keep],
            self.instance[keep],
        )


def points_in_cuboids(
    points: NDArray[np.float64], boxes: Cuboids, semantic_raw: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """The box that each point is in, -1 for none.

    Of several the one of the point's own class, else the smallest.

    Args:
        points: (N, 3) in the frame of the boxes; NaN is in none.
        boxes: K of them.
        semantic_raw: (N,) raw labels of the points where they are known.

    Returns:
        (N,) place in the boxes.
    """
    found = np.full(len(points), -1, np.int64)
    order = np.argsort(points[:, 0], kind="stable")
    along = points[order, 0]
    reach = np.hypot(boxes.size_m[:, 0], boxes.size_m[:, 1]) / 2
    for k in np.argsort(-boxes.size_m.prod(axis=1), kind="stable").tolist():
        low, high = (boxes.center_m[k, 0] + side * reach[k] for side in (-1, 1))
        near = order[np.searchsorted(along, low) : np.searchsorted(along, high, side="right")]
        shifted = points[near] - boxes.center_m[k]
        c, s = np.cos(boxes.yaw_rad[k]), np.sin(boxes.yaw_rad[k])
        ahead = c * shifted[:, 0] + s * shifted[:, 1]
        aside = c * shifted[:, 1] - s * shifted[:, 0]
        local = np.stack([ahead, aside, shifted[:, 2]], axis=1)
        inside = near[(np.abs(local) <= boxes.size_m[k] / 2).all(axis=1)]
        if semantic_raw is not None:
            before = found[inside]
            is_own = (before >= 0) & (boxes.raw[before] == semantic_raw[inside])
            inside = inside[~is_own | (semantic_raw[inside] == boxes.raw[k])]
        found[inside] = k
    return found


def number_words(words: Iterable[str]) -> dict[str, int]:
    """Ids from 1 for the names of a sequence's objects, the same whichever scan comes first."""
    return {word: k for k, word in enumerate(sorted(set(words)), 1)}
