"""The known ways to group thing points, a function each; `lidarpan.grouping` chooses among them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.grouping.cells import assign_cells, number_by_first
from lidarpan.grouping.centers import count_peaks, find_peaks, nearest_center, shift_means
from lidarpan.grouping.components import dbscan_components, grid_components, radius_components
from lidarpan.grouping.split import split_oversized
from lidarpan.structures import FloatArray, InputError, IntArray, SemanticArray
from lidarpan.voxels.grid import Grid


def per_class(classes: ClassTable, axis: int) -> NDArray[np.float64]:
    """(C,) metres: each thing's box along one axis (0 length, 1 width, 2 height), else 0."""
    sizes = np.zeros(classes.num_classes, np.float64)
    for train_id, box in classes.box_m.items():
        sizes[train_id] = box[axis]
    return sizes


def same_for_all(classes: ClassTable, value: float) -> NDArray[np.float64]:
    """(C,): the value for things, 0 for the rest."""
    if not value > 0:
        raise InputError(f"a distance must be positive metres, got {value}")
    return np.where(classes.is_thing, float(value), 0.0)


def group_by_graph(
    points: FloatArray, semantic: SemanticArray, classes: ClassTable, scale: float = 1.0
) -> IntArray:
    """Components of points of a class closer than `scale` times its box's short side.

    The graph of Sautier et al., "Is clustering enough for LiDAR instance segmentation?" (3DV 2026),
    with every edge below the threshold instead of those to k nearest neighbours.
    """
    ids: IntArray = radius_components(points, semantic, per_class(classes, 1) * scale)
    return ids


def group_by_split_graph(
    points: FloatArray,
    semantic: SemanticArray,
    classes: ClassTable,
    scale: float = 1.0,
    slack: float = 1.3,
    finest_m: float = 0.01,
) -> IntArray:
    """As `group_by_graph`; a component larger than `slack` times its box is cut by bisection.

    The split of Sautier et al. (3DV 2026), generalised to cuts into more than two parts.
    """
    ids = group_by_graph(points, semantic, classes, scale)
    length, width = per_class(classes, 0), per_class(classes, 1)
    cut: IntArray = split_oversized(
        points, ids, semantic, width * scale, length * slack, width * slack, finest_m
    )
    return cut


def group_by_grid(
    points: FloatArray, semantic: SemanticArray, classes: ClassTable, cell_m: float = 0.3
) -> IntArray:
    """Components of a class's occupied BEV cells, 8 neighbours."""
    ids: IntArray = grid_components(points, semantic, same_for_all(classes, cell_m))
    return ids


def group_by_dbscan(
    points: FloatArray,
    semantic: SemanticArray,
    classes: ClassTable,
    eps_m: float = 0.5,
    min_points: int = 1,
) -> IntArray:
    """DBSCAN per class in BEV (Ester et al. 1996); noise keeps 0."""
    radius = same_for_all(classes, eps_m)
    ids: IntArray
    if min_points <= 1:
        ids = radius_components(points, semantic, radius)
    else:
        ids = dbscan_components(points, semantic, radius, min_points)
    return ids


def group_by_centers(
    shifted: FloatArray,
    semantic: SemanticArray,
    classes: ClassTable,
    heatmap: FloatArray,
    grid: Grid,
    threshold: float = 0.1,
    reach_cells: int = 2,
    radius_scale: float = 1.0,
) -> IntArray:
    """Shifted points to the nearest heatmap peak within their box's half diagonal.

    Panoptic-PolarNet (Zhou et al. 2021, section 3.3): a cell is a center when it exceeds the
    threshold and all cells within `reach_cells`. Points with no center in reach keep 0.
    """
    cells = find_peaks(np.ascontiguousarray(heatmap, np.float32), threshold, reach_cells)
    corner, cell = np.array(grid.min_m[:2]), np.array(grid.cell_m[:2])
    radius = radius_scale * np.hypot(per_class(classes, 0), per_class(classes, 1)) / 2
    return numbered(nearest_center(shifted, semantic, corner + (cells + 0.5) * cell, radius))


def group_by_histogram(
    shifted: FloatArray,
    semantic: SemanticArray,
    classes: ClassTable,
    cell_m: float = 0.2,
    reach_cells: int = 2,
    min_points: int = 1,
    radius_scale: float = 1.0,
) -> IntArray:
    """Shifted points to the nearest peak of their own histogram over BEV cells.

    The pseudo heatmap of Panoptic-PHNet (Li et al. 2022, section 3.3).
    """
    side = same_for_all(classes, cell_m)
    centers = count_peaks(shifted, semantic, side, reach_cells, min_points)
    radius = radius_scale * np.hypot(per_class(classes, 0), per_class(classes, 1)) / 2
    return numbered(nearest_center(shifted, semantic, centers, radius))


def numbered(group: IntArray) -> IntArray:
    """Group indices (-1 = none) to ids 1, 2, ... in order of first points, 0 = none."""
    count = int(group.max()) + 1 if len(group) else 0
    ids: IntArray = number_by_first(group, np.arange(count, dtype=np.int32))
    return ids


def group_by_mean_shift(
    shifted: FloatArray,
    semantic: SemanticArray,
    classes: ClassTable,
    bandwidth_scale: float = 0.5,
    iterations: int = 4,
    cell_m: float = 0.1,
    join_m: float = 0.65,
) -> IntArray:
    """Flat-kernel mean shift from one seed per small cell, converged seeds closer than join_m one.

    The iteration of DS-Net (Hong et al. 2021, section 3.3) with one bandwidth per class, a share of
    its box's short side, in place of learned weights of fixed bandwidths.
    """
    point_to_cell, cells, _, _ = assign_cells(shifted, semantic, same_for_all(classes, cell_m))
    seen = point_to_cell >= 0
    member, count = point_to_cell[seen], len(cells)
    weight = np.bincount(member, minlength=count).astype(np.float64)
    sums = [np.bincount(member, shifted[seen, axis], count) / weight for axis in (0, 1)]
    middle = np.stack(sums, axis=1)
    label = cells[:, 0].astype(np.uint8)
    seeds = middle
    for _ in range(iterations):
        seeds = shift_means(seeds, label, middle, weight, bandwidth_scale * per_class(classes, 1))
    merged = radius_components(seeds, label, same_for_all(classes, join_m))
    group = np.full(len(shifted), -1, np.int32)
    group[seen] = merged[member] - 1
    return numbered(group)
