import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lidarpan.structures import InputError
from lidarpan.voxels.grid import Grid

GRID = Grid((-1.0, 2.0, -4.0), (5.0, 4.0, -1.0), (0.5, 0.25, 1.0))  # off-centre, not square


def test_shape_and_half_open_range():
    assert GRID.shape == (12, 8, 3)
    points = np.array([[-1, 2, -4], [5, 3, -2], [4.99, 3.99, -1.01], [-1.01, 3, -2]], np.float32)
    assert GRID.contains(points).tolist() == [True, False, True, False]
    assert GRID.cell_of(points)[2].tolist() == [11, 7, 2]


@given(st.integers(0, 11), st.integers(0, 7), st.integers(0, 2))
def test_center_lies_in_its_cell(x, y, z):
    cell = np.array([[x, y, z]], np.int32)
    assert (GRID.cell_of(GRID.center_of(cell)) == cell).all()


def test_coarser_covers_the_fine_grid():
    coarse = GRID.coarser((5, 3, 3))
    assert coarse.shape == (3, 3, 1)
    assert coarse.min_m == GRID.min_m
    assert all(c >= f - 1e-6 for c, f in zip(coarse.max_m, GRID.max_m, strict=True))


@pytest.mark.parametrize(
    ("low", "high", "cell", "words"),
    [((0, 0, 0), (1, 0, 1), (1, 1, 1), "grid y"), ((0, 0, 0), (1, 1, 1), (1, 1, 0.3), "whole")],
)
def test_bad_grids(low, high, cell, words):
    with pytest.raises(InputError, match=words):
        Grid(low, high, cell)
