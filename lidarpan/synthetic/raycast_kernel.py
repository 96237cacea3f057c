"""Rays meet triangles without open3d: boxes around boxes of triangles along a Morton curve.

The tree is implicit: node i has the children 2 i and 2 i + 1, the last level are the leaves, each
LEAF triangles that lie next to each other on the curve (Lauterbach et al., "Fast BVH construction
on GPUs", Eurographics 2009, without its splits). Triangles are met from both sides (Möller and
Trumbore, "Fast, minimum storage ray-triangle intersection", 1997).
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from lidarpan.structures import FloatArray, IntArray

LEAF = 4
_BITS = 10  # of a Morton code, per axis


def build_tree(corners: FloatArray) -> tuple[IntArray, FloatArray]:
    """Order triangles along a curve and put boxes around them.

    Args:
        corners: (T, 3, 3) float32 metres, T > 0.

    Returns:
        (leaves * LEAF,) int32 triangles by leaf, -1 where a leaf has fewer, and (2 * leaves, 2, 3)
        float32 lower and upper corners of the nodes' boxes; row 0 is not used.
    """
    low, high = corners.min(axis=1), corners.max(axis=1)
    middle = (low + high) / 2
    extent = np.maximum(np.ptp(middle, axis=0), 1e-6)
    cell = ((middle - middle.min(axis=0)) / extent * (2**_BITS - 1)).astype(np.int64)
    code = np.zeros(len(corners), np.int64)
    for bit in range(_BITS):
        for axis in range(3):
            code |= ((cell[:, axis] >> bit) & 1) << (3 * bit + axis)
    order = np.argsort(code, kind="stable")
    leaves = 1 << max(0, int(np.ceil(np.log2(len(corners) / LEAF))))
    triangles = np.full(leaves * LEAF, -1, np.int32)
    triangles[: len(order)] = order
    boxes = np.empty((2 * leaves, 2, 3), np.float32)
    boxes[:, 0], boxes[:, 1] = np.inf, -np.inf
    filled = -(-len(order) // LEAF)
    start = np.arange(0, len(order), LEAF)
    boxes[leaves : leaves + filled, 0] = np.minimum.reduceat(low[order], start)
    boxes[leaves : leaves + filled, 1] = np.maximum.reduceat(high[order], start)
    first = leaves // 2
    while first:
        children = boxes[2 * first : 4 * first].reshape(first, 2, 2, 3)
        boxes[first : 2 * first, 0] = children[:, :, 0].min(axis=1)
        boxes[first : 2 * first, 1] = children[:, :, 1].max(axis=1)
        first //= 2
    return triangles, boxes


@njit(cache=True, error_model="numpy")
def _entry(box: FloatArray, origin: FloatArray, inverse: NDArray[np.float64], best: float) -> float:
    """Where a ray enters a box, inf where it misses it or only beyond `best`."""
    near, far = 0.0, best
    for axis in range(3):
        a = (box[0, axis] - origin[axis]) * inverse[axis]
        b = (box[1, axis] - origin[axis]) * inverse[axis]
        near, far = max(near, min(a, b)), min(far, max(a, b))
    return near if near <= far else np.inf


@njit(cache=True, error_model="numpy")
def _meet(corner: FloatArray, origin: FloatArray, way: FloatArray) -> float:
    """Range at which a ray meets a triangle, inf where it does not."""
    e = np.empty((2, 3), np.float64)
    s = np.empty(3, np.float64)
    for axis in range(3):
        e[0, axis] = np.float64(corner[1, axis]) - corner[0, axis]
        e[1, axis] = np.float64(corner[2, axis]) - corner[0, axis]
        s[axis] = np.float64(origin[axis]) - corner[0, axis]
    px = way[1] * e[1, 2] - way[2] * e[1, 1]
    py = way[2] * e[1, 0] - way[0] * e[1, 2]
    pz = way[0] * e[1, 1] - way[1] * e[1, 0]
    det = e[0, 0] * px + e[0, 1] * py + e[0, 2] * pz
    if det == 0:
        return np.inf
    u = (s[0] * px + s[1] * py + s[2] * pz) / det
    qx = s[1] * e[0, 2] - s[2] * e[0, 1]
    qy = s[2] * e[0, 0] - s[0] * e[0, 2]
    qz = s[0] * e[0, 1] - s[1] * e[0, 0]
    v = (way[0] * qx + way[1] * qy + way[2] * qz) / det
    t = (e[1, 0] * qx + e[1, 1] * qy + e[1, 2] * qz) / det
    return t if u >= 0 and v >= 0 and u + v <= 1 and t >= 0 else np.inf


@njit(cache=True, parallel=True, error_model="numpy")
def cast_rays(
    corners: FloatArray,
    triangles: IntArray,
    boxes: FloatArray,
    origins: FloatArray,
    directions: FloatArray,
) -> tuple[FloatArray, IntArray]:
    """The first triangle of each ray.

    Args:
        corners: (T, 3, 3) float32 metres.
        triangles: of `build_tree`.
        boxes: of `build_tree`.
        origins: (R, 3) float32 metres.
        directions: (R, 3) float32.

    Returns:
        (R,) float32 ranges in lengths of the directions, inf for none, and (R,) int32 triangles,
        -1 for none.
    """
    count, leaves = len(origins), len(boxes) // 2
    ranges, hit = np.full(count, np.inf, np.float32), np.full(count, -1, np.int32)
    for ray in prange(count):
        origin, way = origins[ray], directions[ray]
        inverse = np.empty(3, np.float64)
        for axis in range(3):
            inverse[axis] = 1.0 / (way[axis] if way[axis] != 0 else 1e-30)
        waiting = np.empty(64, np.int64)
        waiting[0] = 1
        depth, best, nearest = 1, np.inf, -1
        while depth:
            depth -= 1
            node = waiting[depth]
            if node >= leaves:
                for triangle in triangles[(node - leaves) * LEAF : (node - leaves + 1) * LEAF]:
                    if triangle >= 0:
                        t = _meet(corners[triangle], origin, way)
                        if t < best:
                            best, nearest = t, triangle
                continue
            left = _entry(boxes[2 * node], origin, inverse, best)
            right = _entry(boxes[2 * node + 1], origin, inverse, best)
            for child, t in (
                (2 * node + (left <= right), max(left, right)),  # the nearer one is taken first
                (2 * node + (left > right), min(left, right)),
            ):
                if t < np.inf:
                    waiting[depth] = child
                    depth += 1
        ranges[ray], hit[ray] = best, nearest
    return ranges, hit
