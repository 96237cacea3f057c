"""Voxels of a scan -> the neighbour tables that the exported network takes as inputs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lidarpan.model.network import BEV_STRIDE
from lidarpan.model.sparse import neighbours
from lidarpan.structures import IntArray

Shape = tuple[int, int, int]
Longs = NDArray[np.int64]
CUBE, PLANE, HALVING = (3, 3, 3), (5, 5, 1), (2, 2, 2)
"""Kernels of the voxel blocks, of the bird's-eye-view blocks, and between levels."""


def table_names(num_levels: int) -> list[str]:
    """Names of the tables in the order in which `build_tables` gives them.

    Level l has V_l voxels, 2 ** l times as wide as those of the grid; there are M columns.

    - neighbours_l (V_l, 27): rows under a 3 x 3 x 3 kernel, V_l where there is none.
    - down_l (V_{l+1}, 8): rows of level l in each voxel of level l + 1, V_l where there is none.
    - up_l (V_l,): 8 * row of the voxel of level l + 1 around it, plus its place inside.
    - column_neighbours (M, 25): rows under a 5 x 5 kernel, M where there is none.
    - voxel_to_column (V_0,) and coarse_to_column (V_1,): rows of the columns.

    Kernel places count in x, y, z order, z fastest. All are int32.
    """
    levels, steps = range(num_levels), range(num_levels - 1)
    return [
        *(f"neighbours_{level}" for level in levels),
        *(f"down_{level}" for level in steps),
        *(f"up_{level}" for level in steps),
        "column_neighbours",
        "voxel_to_column",
        "coarse_to_column",
    ]


def build_tables(cells: IntArray, shape: Shape, num_levels: int) -> list[IntArray]:
    """The tables that `table_names` names, and behind them the columns [x, y], (M, 2) int32.

    Args:
        cells: (V, 3) int32 voxels [x, y, z], ascending, at least one.
        shape: cells (X, Y, Z) of the grid.
        num_levels: of the U-Net.
    """
    grids = [(np.pad(cells, ((0, 0), (1, 0))), np.asarray(shape, np.int64))]
    steps = []
    for _ in range(num_levels - 1):
        fine, size = grids[-1]
        coarse_size = -(-size // 2)
        coarse = neighbours.strided_cells(fine, coarse_size, 1, *_walk(HALVING, 2))
        steps.append(_rows_under(fine, coarse, HALVING, 2))
        grids.append((coarse, coarse_size))
    cubes = [_rows_under(cells, cells, CUBE, 1) for cells, _ in grids]
    turned = [_turn(down, len(grids[level][0])) for level, down in enumerate(steps)]
    coarse, size = grids[1]
    columns, coarse_to_column, lookup = _columns(coarse, size)
    flat = np.pad(columns, ((0, 0), (1, 1)))
    planes = _rows_under(flat, flat, PLANE, 1)
    fine = cells[:, :2] // BEV_STRIDE
    return [
        *cubes,
        *steps,
        *turned,
        planes,
        lookup[fine[:, 0], fine[:, 1]],
        coarse_to_column,
        columns,
    ]


def _walk(kernel: Shape, stride: int) -> tuple[Longs, Longs, Longs]:
    """Kernel, stride and padding; at stride 1 the kernel's middle lies on the voxel."""
    edges = np.asarray(kernel, np.int64)
    return edges, np.full(3, stride), edges // 2 if stride == 1 else np.zeros(3, np.int64)


def _rows_under(source: IntArray, target: IntArray, kernel: Shape, stride: int) -> IntArray:
    """Row of the source voxel under each place of the kernel, else their number. -> (W, K)."""
    columns = neighbours.column_starts(source, 1)
    pair_in, pair_out, blocks = neighbours.list_pairs(
        source, *columns, target, *_walk(kernel, stride)
    )
    table = np.full((len(target), int(np.prod(kernel))), len(source), np.int32)
    for starts_of_block in blocks:
        begin, end = starts_of_block[0], starts_of_block[-1]
        place = np.repeat(np.arange(table.shape[1]), np.diff(starts_of_block))
        table[pair_out[begin:end], place] = pair_in[begin:end]
    return table


def _turn(down: IntArray, num_fine: int) -> IntArray:
    """Where each finer voxel lies in its coarser one: 8 * row + place. (W, 8) -> (V,)."""
    place = np.flatnonzero(down.ravel() < num_fine).astype(np.int32)
    up = np.empty(num_fine, np.int32)
    up[down.ravel()[place]] = place
    return up


def _columns(coarse: IntArray, size: Longs) -> tuple[IntArray, IntArray, IntArray]:
    """Columns [x, y] (M, 2), that of each coarse voxel (V,), and by cell (X, Y), -1 = none."""
    lookup = np.full(size[:2], -1, np.int32)
    lookup[coarse[:, 1], coarse[:, 2]] = 0
    columns = np.argwhere(lookup == 0).astype(np.int32)
    lookup[columns[:, 0], columns[:, 1]] = np.arange(len(columns), dtype=np.int32)
    return columns, lookup[coarse[:, 1], coarse[:, 2]], lookup
