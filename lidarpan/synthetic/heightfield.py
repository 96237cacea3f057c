"""Rays meet a height field: the ground of a town, one height per cell."""

from __future__ import annotations

import numpy as np
from numba import njit

from lidarpan.structures import FloatArray


@njit(cache=True)
def cast_heightfield(
    origin: FloatArray,
    directions: FloatArray,
    limit_m: FloatArray,
    height: FloatArray,
    tile_max: FloatArray,
    corner_x: float,
    corner_y: float,
    cell_m: float,
    tile: int,
) -> FloatArray:
    """Distance along each ray to the first cell whose height is at or above the ray.

    Tiles of tile x tile cells are skipped while the ray stays above their highest cell; inside a
    tile the ray is sampled every cell and the last step is halved six times.

    Args:
        origin: (3,) float32, metres, above the field.
        directions: (R, 3) float32 unit vectors.
        limit_m: (R,) float32, where to stop on each ray.
        height: (X, Y) float32 metres, cells of cell_m metres from the corner on.
        tile_max: (X // tile, Y // tile) float32, highest cell of each tile.
        corner_x: x of the outer corner of cell (0, 0), metres.
        corner_y: y of it.
        cell_m: side of a cell, metres.
        tile: cells along a tile's side; divides X and Y.

    Returns:
        (R,) float32 metres, inf where the ray meets nothing before its limit or leaves the field.
    """
    num_rays = len(directions)
    found = np.full(num_rays, np.inf, np.float32)
    num_x, num_y = tile_max.shape
    side = cell_m * tile
    for ray in range(num_rays):
        dx, dy, dz = directions[ray, 0], directions[ray, 1], directions[ray, 2]
        flat = np.sqrt(dx * dx + dy * dy)
        if flat < 1e-6:
            continue
        step = cell_m / flat
        limit = limit_m[ray]
        t = 0.0
        while t < limit:
            x, y = origin[0] + t * dx - corner_x, origin[1] + t * dy - corner_y
            i, j = int(np.floor(x / side)), int(np.floor(y / side))
            if i < 0 or j < 0 or i >= num_x or j >= num_y:
                break
            leave = limit
            if dx > 1e-9:
                leave = min(leave, t + ((i + 1) * side - x) / dx)
            elif dx < -1e-9:
                leave = min(leave, t + (i * side - x) / dx)
            if dy > 1e-9:
                leave = min(leave, t + ((j + 1) * side - y) / dy)
            elif dy < -1e-9:
                leave = min(leave, t + (j * side - y) / dy)
            lowest = origin[2] + dz * (leave if dz < 0 else t)
            if lowest <= tile_max[i, j]:
                hit = _search(
                    origin, dx, dy, dz, t, leave, step, height, corner_x, corner_y, cell_m
                )
                if hit >= 0:
                    found[ray] = hit
                    break
            t = leave + 1e-4
    return found


@njit(cache=True)
def _search(
    origin: FloatArray,
    dx: float,
    dy: float,
    dz: float,
    start: float,
    stop: float,
    step: float,
    height: FloatArray,
    corner_x: float,
    corner_y: float,
    cell_m: float,
) -> float:
    """First place between start and stop (metres along the ray) below the field, else -1."""
    above = start
    t = start
    while True:
        i = int((origin[0] + t * dx - corner_x) / cell_m)
        j = int((origin[1] + t * dy - corner_y) / cell_m)
        i = min(max(i, 0), height.shape[0] - 1)
        j = min(max(j, 0), height.shape[1] - 1)
        if origin[2] + t * dz <= height[i, j]:
            below = t
            for _ in range(6):
                middle = 0.5 * (above + below)
                i = min(
                    max(int((origin[0] + middle * dx - corner_x) / cell_m), 0), height.shape[0] - 1
                )
                j = min(
                    max(int((origin[1] + middle * dy - corner_y) / cell_m), 0), height.shape[1] - 1
                )
                if origin[2] + middle * dz <= height[i, j]:
                    below = middle
                else:
                    above = middle
            return below
        if t >= stop:
            return -1.0
        above = t
        t = min(t + step, stop)
