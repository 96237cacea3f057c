"""Two labelings of one scan -> how well the borders between segments agree, seen from above."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.metrics.matching import CountArray, LabelArray
from lidarpan.structures import BoolArray, FloatArray


@dataclass(frozen=True)
class BoundaryCounts:
    """Border cells of both labelings and how many of them lie near one of the other.

    Attributes:
        pred: border cells of the prediction.
        pred_near: those with a true border cell within one cell.
        true: border cells of the truth.
        true_near: those with a predicted border cell within one cell.
    """

    pred: int = 0
    pred_near: int = 0
    true: int = 0
    true_near: int = 0

    def __add__(self, other: BoundaryCounts) -> BoundaryCounts:
        """The cells of both."""
        return BoundaryCounts(
            self.pred + other.pred,
            self.pred_near + other.pred_near,
            self.true + other.true,
            self.true_near + other.true_near,
        )

    @property
    def f_score(self) -> float:
        """Harmonic mean of the shares that lie near; nan without any border."""
        if not self.pred and not self.true:
            return float("nan")
        precision = self.pred_near / max(self.pred, 1)
        recall = self.true_near / max(self.true, 1)
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def count_boundaries(
    points: FloatArray,
    pred_segment: LabelArray,
    true_segment: LabelArray,
    valid: BoolArray,
    cell_m: float = 0.2,
    range_m: float = 50.0,
) -> BoundaryCounts:
    """Count border cells of both labelings on a square grid seen from above.

    A cell has the segment that most of its valid points have, ties to the lower number. It is a
    border cell where one of its four neighbours has another segment (Csurka et al., What is a good
    evaluation measure for semantic segmentation?, BMVC 2013, with a tolerance of one cell).

    Args:
        points: (N, 2 or 3) metres, sensor frame.
        pred_segment: (N,) a number for each predicted segment.
        true_segment: (N,) a number for each true segment.
        valid: (N,) points to look at: those with a true class.
        cell_m: edge of a cell.
        range_m: half the edge of the grid.
    """
    inside = valid & (np.abs(points[:, :2]) < range_m).all(axis=1)
    size = 2 * int(np.ceil(range_m / cell_m))
    cells = np.clip(np.floor((points[inside, :2] + range_m) / cell_m).astype(np.int64), 0, size - 1)
    cell = cells[:, 0] * size + cells[:, 1]
    pred = _borders(_majority(cell, pred_segment[inside], size))
    true = _borders(_majority(cell, true_segment[inside], size))
    return BoundaryCounts(
        int(pred.sum()),
        int((pred & _widened(true)).sum()),
        int(true.sum()),
        int((true & _widened(pred)).sum()),
    )


def _majority(cell: CountArray, segment: LabelArray, size: int) -> NDArray[np.int64]:
    """(size, size) 1 + number of the most frequent segment of each cell, 0 in empty ones."""
    _, number = np.unique(segment, return_inverse=True)
    factor = int(number.max(initial=0)) + 1
    key, count = np.unique(cell * factor + number, return_counts=True)
    order = np.lexsort((-key, count))  # the last of a cell's is its most frequent, lowest segment
    grid = np.zeros(size * size, np.int64)
    grid[key[order] // factor] = key[order] % factor + 1
    return grid.reshape(size, size)


def _borders(grid: NDArray[np.int64]) -> BoolArray:
    border = np.zeros(grid.shape, np.bool_)
    down = (grid[1:] != grid[:-1]) & (grid[1:] > 0) & (grid[:-1] > 0)
    right = (grid[:, 1:] != grid[:, :-1]) & (grid[:, 1:] > 0) & (grid[:, :-1] > 0)
    border[1:] |= down
    border[:-1] |= down
    border[:, 1:] |= right
    border[:, :-1] |= right
    return border


def _widened(cells: BoolArray) -> BoolArray:
    """The cells and their eight neighbours."""
    padded = np.pad(cells, 1)
    rows = padded[:-2] | padded[1:-1] | padded[2:]
    wide: BoolArray = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return wide
