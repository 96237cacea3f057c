"""Neighbour tables against look-ups in a dict, one voxel and one place at a time."""

import itertools

import numpy as np
import pytest

from lidarpan.export.tables import build_tables, table_names

SHAPE = (9, 14, 6)  # not square, and no whole number of halvings


def random_cells(seed, count):
    flat = np.random.default_rng(seed).choice(np.prod(SHAPE), count, replace=False)
    return np.stack(np.unravel_index(np.sort(flat), SHAPE), axis=1).astype(np.int32)


def twin(cells, num_levels):
    levels = [[tuple(c) for c in cells.tolist()]]
    for _ in range(num_levels - 1):
        levels.append(sorted({(x // 2, y // 2, z // 2) for x, y, z in levels[-1]}))
    row = [{cell: i for i, cell in enumerate(level)} for level in levels]
    columns = sorted({cell[:2] for cell in levels[1]})
    column = {cell: i for i, cell in enumerate(columns)}
    cube = list(itertools.product((-1, 0, 1), repeat=3))
    eight = list(itertools.product((0, 1), repeat=3))
    plane = list(itertools.product(range(-2, 3), repeat=2))
    found = {}
    for k, level in enumerate(levels):
        found[f"neighbours_{k}"] = [
            [row[k].get((x + i, y + j, z + h), len(level)) for i, j, h in cube] for x, y, z in level
        ]
    for k in range(num_levels - 1):
        found[f"down_{k}"] = [
            [row[k].get((2 * x + i, 2 * y + j, 2 * z + h), len(levels[k])) for i, j, h in eight]
            for x, y, z in levels[k + 1]
        ]
        found[f"up_{k}"] = [
            8 * row[k + 1][x // 2, y // 2, z // 2] + 4 * (x % 2) + 2 * (y % 2) + z % 2
            for x, y, z in levels[k]
        ]
    found["column_neighbours"] = [
        [column.get((x + i, y + j), len(columns)) for i, j in plane] for x, y in columns
    ]
    found["voxel_to_column"] = [column[x // 2, y // 2] for x, y, _ in levels[0]]
    found["coarse_to_column"] = [column[x, y] for x, y, _ in levels[1]]
    return found, columns


@pytest.mark.parametrize(("count", "num_levels"), [(200, 4), (1, 3), (30, 2)])
def test_tables_hold_what_a_look_up_finds(count, num_levels):
    cells = random_cells(count, count)
    *tables, columns = build_tables(cells, SHAPE, num_levels)
    wanted, wanted_columns = twin(cells, num_levels)
    names = table_names(num_levels)
    assert len(names) == len(tables)
    assert set(names) == set(wanted)
    for name, table in zip(names, tables, strict=True):
        assert table.dtype == np.int32
        np.testing.assert_array_equal(table, wanted[name], err_msg=name)
    np.testing.assert_array_equal(columns, wanted_columns)
