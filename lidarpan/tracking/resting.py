"""Things at rest over a whole drive -> the name that most scans give to the place they fill.

Two things at rest never fill one place, so a place has one name, whatever single scans took it for:
far things in a row, seen in some scans and hidden in others, are taken for their neighbours at
times, and what is a neighbour's by mistake is outvoted by the scans that saw both. Every scan is
then answered anew by one assignment, and the places are counted again, until nothing changes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix

CELL_M = 0.3
ROUNDS = 10
BEFORE = 0.05  # that the name an object had is worth more than another one
ELSEWHERE = 0.25  # of how well a view fits best, at least, to be something else
_STEPS = np.array([(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)])
_WEIGHTS = np.array([1.0, 2.0, 1.0])[_STEPS + 1].prod(axis=1) / 16.0

Ints = NDArray[np.int64]


def name_by_place(places: NDArray[np.float64], start: Ints, name: Ints, scan: Ints) -> Ints:
    """Names of M views of things at rest, one for each place and different within a scan.

    Args:
        places: (n, 2) m, world places of the views' surfaces, view by view.
        start: (M + 1,) where each view's places begin.
        name: (M,) names as the tracker gave them, from 0 on.
        scan: (M,) numbers of the scans, ascending.

    Returns:
        (M,) names, none that was not there before.
    """
    if not len(name):
        return name
    fills = _cells(places, start)
    names, now = np.unique(name, return_inverse=True)
    blocks = np.split(np.arange(len(name)), np.flatnonzero(np.diff(scan)) + 1)
    for _ in range(ROUNDS):
        chosen = csr_matrix((np.ones(len(now)), (np.arange(len(now)), now)), (len(now), len(names)))
        votes = csr_matrix(fills.T @ chosen)
        votes.data /= np.repeat(np.asarray(votes.sum(axis=1)).ravel(), np.diff(votes.indptr))
        fit = csr_matrix(fills @ votes + chosen.multiply(BEFORE * fills.sum(axis=1)))
        after = np.concatenate([_assign(fit[views]) for views in blocks])
        if np.array_equal(after, now):
            break
        now = after
    result: Ints = names[now]
    return result


def _assign(fit: csr_matrix) -> Ints:
    """The best name for each view of a scan. (m,).

    A view that fits only where another one fits better is a piece of that one, and shares its name.
    """
    table = fit.tocoo()
    columns, at = np.unique(table.col, return_inverse=True)
    dense = np.zeros((fit.shape[0], len(columns)))
    dense[table.row, at] = table.data
    rows, best = linear_sum_assignment(dense, maximize=True)
    after = dense.argmax(axis=1)
    fits = dense[rows, best] >= ELSEWHERE * dense[rows].max(axis=1)
    after[rows[fits]] = best[fits]
    result: Ints = columns[after]
    return result


def _cells(places: NDArray[np.float64], start: Ints) -> csr_matrix:
    """(M, cells) how much of each view lies in each cell, spread over the cells around."""
    cell = np.floor(places / CELL_M).astype(np.int64)
    around = (cell[:, None] + _STEPS).reshape(-1, 2)
    _, column = np.unique(around, axis=0, return_inverse=True)
    view = np.repeat(np.arange(len(start) - 1), np.diff(start))
    weight = np.tile(_WEIGHTS, len(cell))
    rows = np.repeat(view, len(_STEPS))
    return csr_matrix((weight, (rows, column.ravel())), (len(start) - 1, int(column.max()) + 1))
