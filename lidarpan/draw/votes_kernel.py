"""Many scans to one map: the class most points of a cell agree on, and small holes closed."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.structures import IntArray, SemanticArray


@njit(cache=True)
def vote_cells(
    winner: SemanticArray, lead: IntArray, cell: IntArray, semantic: SemanticArray
) -> tuple[SemanticArray, IntArray]:
    """Let points vote for the class of their cell, by Boyer and Moore's majority vote (1991).

    A class that more than half of all points of a cell have wins, in whatever order they come; one
    class and one number per cell are all that is kept.

    Args:
        winner: (M,) uint8 class in the lead; 0 for none.
        lead: (M,) int32 votes it is ahead.
        cell: (N,) int32 in [0, M).
        semantic: (N,) uint8; void does not vote.

    Returns:
        (M,) winner and (M,) lead after the votes.
    """
    new_winner, new_lead = winner.copy(), lead.copy()
    for i in range(len(cell)):
        own, at = semantic[i], cell[i]
        if own == 0:
            continue
        if new_lead[at] == 0:
            new_winner[at], new_lead[at] = own, 1
        elif new_winner[at] == own:
            new_lead[at] += 1
        else:
            new_lead[at] -= 1
    return new_winner, new_lead


@njit(cache=True)
def close_holes(classes: NDArray[np.uint8], min_votes: int) -> NDArray[np.uint8]:
    """Give an empty cell the class that at least min_votes of its 8 neighbours have.

    Args:
        classes: (H, W) uint8, 0 for empty.
        min_votes: neighbours that must agree; ties go to the lower class.

    Returns:
        (H, W) uint8.
    """
    out = classes.copy()
    num_rows, num_columns = classes.shape
    votes = np.zeros(256, np.int32)
    for r in range(num_rows):
        for c in range(num_columns):
            if classes[r, c] != 0:
                continue
            best = 0
            r0, r1 = max(0, r - 1), min(num_rows, r + 2)
            c0, c1 = max(0, c - 1), min(num_columns, c + 2)
            for i in range(r0, r1):
                for j in range(c0, c1):
                    votes[classes[i, j]] += 1
            for i in range(r0, r1):
                for j in range(c0, c1):
                    own = classes[i, j]
                    ahead = votes[own] > votes[best] or (votes[own] == votes[best] and own < best)
                    if own != 0 and votes[own] >= min_votes and (best == 0 or ahead):
                        best = own
            for i in range(r0, r1):
                for j in range(c0, c1):
                    votes[classes[i, j]] = 0
            out[r, c] = best
    return out
