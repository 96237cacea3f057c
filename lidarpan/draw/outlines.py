"""The outline of each object: its convex hull seen from above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lidarpan.draw.text import DIM
from lidarpan.grouping.hulls import hull_of
from lidarpan.structures import FloatArray, IntArray, PanopticLabels

MIN_OUTLINE_POINTS = 8
_ANGLES = np.arange(24) * (np.pi / 12)
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1).astype(np.float32)


def convex_hull(points: FloatArray) -> FloatArray:
    """Corners of the smallest convex polygon around points.

    Args:
        points: (N, 2).

    Returns:
        (H, 2) float32 corners in order round the polygon; H <= N, no three on a line.
    """
    if not len(points):
        return np.zeros((0, 2), np.float32)
    every = np.arange(len(points), dtype=np.int32)
    hull: FloatArray = hull_of(np.ascontiguousarray(points, np.float32), every)
    return hull.astype(np.float32)


def hulls_in(
    place: FloatArray, labels: PanopticLabels, edge_px: int, pad_px: float
) -> list[tuple[int, FloatArray]]:
    """Outlines of the instances that touch a square picture, largest first.

    Args:
        place: (N, 2) column and row of each point.
        labels: N points.
        edge_px: of the picture.
        pad_px: how far the outline stays off the points.

    Returns:
        Instance id and (H, 2) corners, pixels, of each with MIN_OUTLINE_POINTS or more.
    """
    has = np.flatnonzero(labels.instance > 0)
    order = has[np.argsort(labels.instance[has], kind="stable")]
    ids, start, count = np.unique(labels.instance[order], return_index=True, return_counts=True)
    hulls = []
    for k in np.argsort(-count, kind="stable"):
        part = place[order[start[k] : start[k] + count[k]]]
        inside = ((part >= 0) & (part < edge_px)).all(axis=1)
        if inside.any() and count[k] >= MIN_OUTLINE_POINTS:
            outer = part[(part @ _DIRECTIONS.T).argmax(axis=0)]
            hulls.append((int(ids[k]), _padded(convex_hull(outer), pad_px)))
    return hulls


def _padded(hull: FloatArray, pad_px: float) -> FloatArray:
    """A hull moved outwards: the hull of small octagons around its corners."""
    octagon = np.float32(pad_px) * _DIRECTIONS[::3]
    return convex_hull((hull[:, None] + octagon).reshape(-1, 2))


def outline_arrays(
    hulls: list[tuple[int, FloatArray]],
    labels: PanopticLabels,
    point_colors: NDArray[np.uint8],
    is_dim: bool,
) -> tuple[FloatArray, IntArray, NDArray[np.uint8], NDArray[np.uint8]]:
    """Segments, first segment, fill and line colour of each outline, as the kernel wants them."""
    none = np.zeros((0, 3), np.uint8)
    if not hulls:
        return np.zeros((0, 4), np.float32), np.zeros(1, np.int32), none, none
    segments = np.concatenate([np.hstack([h, np.roll(h, -1, axis=0)]) for _, h in hulls])
    first = np.cumsum([0] + [len(hull) for _, hull in hulls]).astype(np.int32)
    if is_dim:
        dim = np.tile(np.array(DIM, np.uint8), (len(hulls), 1))
        return segments, first, dim, dim
    ids, example = np.unique(labels.instance, return_index=True)
    own = point_colors[example[np.searchsorted(ids, [i for i, _ in hulls])]]
    return segments, first, own, (0.45 * own + 0.55 * 255).astype(np.uint8)
