"""What the network says of the BEV cells, as a map."""

import numpy as np

from lidarpan.model.outputs import bev_heatmap
from lidarpan.voxels.grid import Grid

GRID = Grid((-9.0, -6.0, -3.0), (9.0, 6.0, 3.0), (0.15, 0.15, 0.15))


def test_the_map_is_that_of_the_whole_grid_where_cells_are_occupied():
    rng = np.random.default_rng(0)
    columns = np.unique(rng.integers((10, 5), (50, 30), (200, 2)), axis=0)
    probability = rng.random(len(columns), np.float32)
    heatmap, cells = bev_heatmap(columns, probability, GRID)
    whole = GRID.coarser((2, 2, 40))
    assert heatmap.shape == cells.shape[:2] < whole.shape[:2]
    for x, y in np.ndindex(heatmap.shape):
        middle = cells.center_of(np.array([[x, y, 0]]))
        at = whole.cell_of(middle)[0, :2]
        here = (columns == at).all(axis=1)
        assert heatmap[x, y] == (probability[here][0] if here.any() else 0)
