"""The box of space a network looks at, cut into cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.structures import BoolArray, FloatArray, InputError, IntArray


@dataclass(frozen=True)
class Grid:
    """An axis-aligned box of equal cells; ranges are half-open, a point's cell is the floor.

    Attributes:
        min_m: (x, y, z) of the box's lower corner, inclusive, metres in the sensor frame.
        max_m: (x, y, z) of the upper corner, exclusive.
        cell_m: (x, y, z) edge lengths of one cell.

    Raises:
        InputError: an upper bound is not above its lower bound, or a cell is not positive, or the
            box is not a whole number of cells.
    """

    min_m: tuple[float, float, float]
    max_m: tuple[float, float, float]
    cell_m: tuple[float, float, float]

    def __post_init__(self) -> None:
        for axis, low, high, cell in zip("xyz", self.min_m, self.max_m, self.cell_m, strict=True):
            if not low < high or not cell > 0:
                raise InputError(
                    f"grid {axis}: wanted min < max and cell > 0, got [{low}, {high}) by {cell} m"
                )
            count = (high - low) / cell
            if abs(count - round(count)) > 1e-3:
                raise InputError(
                    f"grid {axis}: [{low}, {high}) m must be a whole number of {cell} m cells, "
                    f"got {count:.3f}"
                )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of cells (X, Y, Z)."""
        x, y, z = (
            round((high - low) / cell)
            for low, high, cell in zip(self.min_m, self.max_m, self.cell_m, strict=True)
        )
        return x, y, z

    def cell_of(self, points: FloatArray) -> IntArray:
        """Cell (floor) of each point, also outside the box. (N, 3) m -> (N, 3) int32."""
        low = np.asarray(self.min_m, np.float32)
        cells: IntArray = np.floor((points - low) / np.asarray(self.cell_m, np.float32)).astype(
            np.int32
        )
        return cells

    def contains(self, points: FloatArray) -> BoolArray:
        """Whether each point's cell lies in the box. (N, 3) m -> (N,) bool."""
        cells = self.cell_of(points)
        inside: BoolArray = ((cells >= 0) & (cells < np.asarray(self.shape, np.int32))).all(axis=1)
        return inside

    def center_of(self, cells: IntArray) -> FloatArray:
        """Middle of each cell. (V, 3) int -> (V, 3) float32 metres."""
        centers: FloatArray = (
            (cells.astype(np.float32) + np.float32(0.5)) * np.asarray(self.cell_m, np.float32)
            + np.asarray(self.min_m, np.float32)
        ).astype(np.float32)
        return centers

    def coarser(self, stride: tuple[int, int, int]) -> Grid:
        """The same lower corner with cells `stride` times as large, extended to whole cells."""
        cell = [c * s for c, s in zip(self.cell_m, stride, strict=True)]
        count = [-(-n // s) for n, s in zip(self.shape, stride, strict=True)]
        high = [m + c * n for m, c, n in zip(self.min_m, cell, count, strict=True)]
        return Grid(self.min_m, (high[0], high[1], high[2]), (cell[0], cell[1], cell[2]))

    def part(self, low: tuple[int, int, int], high: tuple[int, int, int]) -> Grid:
        """The cells from `low` on and before `high`, counted from 0 again."""

        def corner(at: tuple[int, int, int]) -> tuple[float, float, float]:
            x, y, z = (m + c * i for m, c, i in zip(self.min_m, self.cell_m, at, strict=True))
            return x, y, z

        return Grid(corner(low), corner(high), self.cell_m)

    def zoomed(self, factor: float) -> Grid:
        """As many cells, `factor` times as large, of a box grown about the sensor."""

        def times(lengths: tuple[float, float, float]) -> tuple[float, float, float]:
            return lengths[0] * factor, lengths[1] * factor, lengths[2] * factor

        return Grid(times(self.min_m), times(self.max_m), times(self.cell_m))

    def __str__(self) -> str:
        ranges = (
            f"{axis}[{low:g}, {high:g})"
            for axis, low, high in zip("xyz", self.min_m, self.max_m, strict=True)
        )
        return " ".join(ranges) + " m"
