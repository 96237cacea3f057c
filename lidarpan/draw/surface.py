"""The ground between the rings of a scan, where neighbouring beams hit the same flat class."""

from __future__ import annotations

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.draw.surface_kernel import close_columns, join_rings, polar_to_square
from lidarpan.structures import FloatArray, IntArray, PanopticLabels

NUM_COLUMNS, STEP_M = 900, 0.15  # polar grid
GAP = (2.5, 0.013, 10.0)  # rings joined: metres near the sensor, growth with range squared, most
MAX_SLOPE = 0.2
CLOSED_COLUMNS = 3  # shadows up to this wide are closed


def flat_groups(labels: PanopticLabels, classes: ClassTable) -> IntArray:
    """(N,) int32: the class of each point where it covers the ground, else -1."""
    table = np.full(classes.num_classes, -1, np.int32)
    table[list(classes.ground)] = classes.ground
    return table[labels.semantic]


def ground_between(points: FloatArray, group: IntArray, range_m: float, edge: int) -> IntArray:
    """Find the points whose ground fills the cells of a square map around the sensor.

    Args:
        points: (N, 3) metres.
        group: (N,) int32; only points of the same group that is not -1 share ground.
        range_m: from the sensor to the map's edge.
        edge: of the map, cells; forward is up, left is left.

    Returns:
        (edge, edge) int32 index of a point, -1 for none.
    """
    x, y, z = np.ascontiguousarray(points.T)
    distance = np.hypot(x, y)
    azimuth = np.arctan2(y, x) * np.float32(NUM_COLUMNS / (2 * np.pi))
    column = np.floor(azimuth).astype(np.int32) % NUM_COLUMNS
    order = np.argsort(np.minimum(distance * 100, 65535).astype(np.uint16), kind="stable")
    order = order[np.argsort(column[order].astype(np.uint16), kind="stable")].astype(np.int32)
    shape = (NUM_COLUMNS, int(np.ceil(range_m * np.sqrt(2) / STEP_M)) + 1)
    grid = join_rings(order, column, distance, z, group, shape, STEP_M, GAP, MAX_SLOPE)
    grid = close_columns(grid, group, CLOSED_COLUMNS)
    cells: IntArray = polar_to_square(grid, STEP_M, edge, 2 * range_m / edge)
    return cells
