"""Things at rest over a whole drive -> the name that most scans give to the place they fill.

Two things at rest never fill one place, so a place has one name, whatever single scans took it for:
far things in a row, seen in some scans and hidden in others, are taken for their neighbours at
times, and what is a neighbour's by mistake is outvoted by the scans that saw both. Every scan is
then answered anew by one assignment, and the places are counted again, until nothing changes.

Each class has names of its own. A network calls parts of one thing by two classes, and then its
place is claimed twice: which of the claims is right is no matter of names.

In the end every point asks its place: what grouping took for one thing in a scan and the others saw
apart is cut there, and what it left without a name has that of its place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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

_HALF = 1 << 26  # cells to each side of the origin that have keys of their own

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PlaceNames:
    """The name that most scans give to each of n cells of the world, for each class by itself.

    Attributes:
        key: (n,) of the cells and classes, ascending.
        name: (n,) that most scans give.
        share: (n,) in [0, 1] of what was said of the cell and class.
    """

    key: Ints
    name: Ints
    share: NDArray[np.float64]

    def at(self, places: NDArray[np.floating[Any]], kind: Ints) -> tuple[Ints, NDArray[np.float64]]:
        """Name and share at each world place (N, 2) m of what is of the class kind (N,).

        0 and 0.0 where nothing of it ever rested.
        """
        key = _key_of(np.floor(places / CELL_M).astype(np.int64), kind)
        if not len(self.key):
            return np.zeros(len(key), np.int64), np.zeros(len(key))
        row = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        known = self.key[row] == key
        return np.where(known, self.name[row], 0), np.where(known, self.share[row], 0.0)


def name_by_place(
    places: NDArray[np.float64], start: Ints, name: Ints, kind: Ints, scan: Ints
) -> tuple[Ints, PlaceNames]:
    """Names of M views of things at rest, one for each place and different within a scan.

    Args:
        places: (n, 2) m, world places of the views' surfaces, view by view.
        start: (M + 1,) where each view's places begin.
        name: (M,) names as the tracker gave them, from 0 on.
        kind: (M,) classes, below 256; a view takes no name of another class.
        scan: (M,) numbers of the scans, ascending.

    Returns:
        (M,) names, none that was not there before, and those of the places.
    """
    if not len(name):
        none = np.zeros(0, np.int64)
        return name, PlaceNames(none, none, np.zeros(0))
    fills, keys = _cells(places, start, kind)
    names, now = np.unique(name, return_inverse=True)
    blocks = np.split(np.arange(len(name)), np.flatnonzero(np.diff(scan)) + 1)
    for _ in range(ROUNDS):
        chosen, votes = _votes(fills, now, len(names))
        fit = csr_matrix(fills @ votes + chosen.multiply(BEFORE * fills.sum(axis=1)))
        after = np.concatenate([_assign(fit[views]) for views in blocks])
        if np.array_equal(after, now):
            break
        now = after
    _, votes = _votes(fills, now, len(names))
    most = np.asarray(votes.argmax(axis=1)).ravel()
    share = np.asarray(votes.max(axis=1).todense()).ravel()
    return names[now], PlaceNames(keys, names[most], share)


def _votes(fills: csr_matrix, now: Ints, count: int) -> tuple[csr_matrix, csr_matrix]:
    """(M, count) the name of each view, and (cells, count) the shares of names in each cell."""
    chosen = csr_matrix((np.ones(len(now)), (np.arange(len(now)), now)), (len(now), count))
    votes = csr_matrix(fills.T @ chosen)
    votes.data /= np.repeat(np.asarray(votes.sum(axis=1)).ravel(), np.diff(votes.indptr))
    return chosen, votes


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


def _cells(places: NDArray[np.float64], start: Ints, kind: Ints) -> tuple[csr_matrix, Ints]:
    """(M, cells) how much of each view lies in each cell, spread over the cells around; their keys.

    Each class has cells of its own. Keys are ascending.
    """
    cell = np.floor(places / CELL_M).astype(np.int64)
    view = np.repeat(np.arange(len(start) - 1), np.diff(start))
    key = _key_of(cell[:, None] + _STEPS, kind[view][:, None])
    keys, column = np.unique(key.ravel(), return_inverse=True)
    weight = np.tile(_WEIGHTS, len(cell))
    rows = np.repeat(view, len(_STEPS))
    return csr_matrix((weight, (rows, column.ravel())), (len(start) - 1, len(keys))), keys


def _key_of(cell: Ints, kind: Ints) -> Ints:
    """(..., 2) numbers of cells and (...) classes -> (...) one number for each."""
    row = kind * (2 * _HALF) + cell[..., 0] + _HALF
    key: Ints = row * (2 * _HALF) + cell[..., 1] + _HALF
    return key
