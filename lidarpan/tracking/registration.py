"""Two surfaces from above -> how well one moved onto the other fits, and the move that fits best.

What a surface leaves unexplained is the mean of d^2 / (d^2 + c^2) over its places, with d the
distance to the nearest place of the other (Geman and McClure, 1987): 0 where all lies on the
other, 1 where nothing does, whatever the number of places. The move is found by iterated closest
points with the weights that belong to this measure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

CONVERGED_M = 0.03  # less is below the noise of the points
BOX_DOUBT_M = 0.15  # the sides of a box that are not seen are known this well


@njit(cache=True, fastmath=True)
def squares(ax: Array, ay: Array, na: int, bx: Array, by: Array, nb: int) -> Array:
    """Squared distance of each place of a to the nearest of b. (na,) m^2.

    Two rows take turns: what is read and written in one loop is written under a mask, which some
    processors do slowly.
    """
    before, after = np.full(na, np.inf), np.empty(na)
    for j in range(nb):
        x, y = bx[j], by[j]
        for i in range(na):
            dx, dy = x - ax[i], y - ay[i]
            d = dx * dx + dy * dy
            known = before[i]
            after[i] = d if d < known else known
        before, after = after, before
    return before


@njit(cache=True, fastmath=True)
def unexplained(a: Array, na: int, b: Array, nb: int, ux: float, uy: float, c_m: float) -> float:
    """Share of surface a, moved by u, that surface b does not explain. a, b (2, S) -> [0, 1]."""
    total = 0.0
    for square in squares(a[0, :na] + ux, a[1, :na] + uy, na, b[0], b[1], nb):
        total += square / (square + c_m * c_m)
    return total / na


@njit(cache=True, fastmath=True)
def unexplained_by_box(
    a: Array, na: int, b: Array, nb: int, ux: float, uy: float, c_m: float, box: Array
) -> float:
    """As `unexplained`, where a place within a box is also known, up to BOX_DOUBT_M.

    box: x, y, half length, half width in metres, cosine and sine of its heading.
    """
    total = 0.0
    ax, ay = a[0, :na] + ux, a[1, :na] + uy
    square = squares(ax, ay, na, b[0], b[1], nb)
    for i in range(na):
        dx, dy = ax[i] - box[0], ay[i] - box[1]
        along = max(abs(box[4] * dx + box[5] * dy) - box[2], 0.0)
        across = max(abs(box[4] * dy - box[5] * dx) - box[3], 0.0)
        best = min(square[i], along * along + across * across + BOX_DOUBT_M * BOX_DOUBT_M)
        total += best / (best + c_m * c_m)
    return total / na


@njit(cache=True, fastmath=True)
def icp_step(a: Array, na: int, b: Array, nb: int, c_m: float, room: Array, move: Array) -> float:
    """One step: move (2,) receives how a must move to come nearer to b.

    a, b (2, S) float32, room (4, S) float32 -> the sum of the weights. All is float32, also the
    numbers of the nearest: eight lanes of a processor then take eight places at once; rows take
    turns as in `squares`.
    """
    ax, ay, bx, by = a[0], a[1], b[0], b[1]
    square, which, next_square, next_which = room[0], room[1], room[2], room[3]
    for i in range(na):
        square[i] = np.float32(np.inf)
    for j in range(nb):
        x, y, number = bx[j], by[j], np.float32(j)
        for i in range(na):
            dx, dy = x - ax[i], y - ay[i]
            d = dx * dx + dy * dy
            before, known = square[i], which[i]
            next_square[i] = d if d < before else before
            next_which[i] = number if d < before else known
        square, next_square = next_square, square
        which, next_which = next_which, which
    sum_w = sum_x = sum_y = np.float32(0.0)
    c2 = np.float32(c_m * c_m)
    for i in range(na):
        j = int(which[i])
        w = c2 / (square[i] + c2)
        w *= w
        sum_w += w
        sum_x += w * (bx[j] - ax[i])
        sum_y += w * (by[j] - ay[i])
    move[0], move[1] = sum_x / sum_w, sum_y / sum_w
    return float(sum_w)


@njit(cache=True)
def register(
    a: Array, na: int, b: Array, nb: int, ux: float, uy: float, steps: int, c_m: float, u: Array
) -> None:
    """Write to u (2,) the move of surface a onto b found by `steps` steps from (ux, uy).

    The steps begin three times as tolerant as they end. Places of a that find b and places of b
    that find a weigh alike, so that neither a part nor a whole pulls the other.
    """
    move, back = np.empty(2), np.empty(2)
    moved, fixed = np.empty((2, na), np.float32), np.empty((2, nb), np.float32)
    room = np.zeros((4, max(na, nb)), np.float32)
    x, y = b[0, 0], b[1, 0]  # near the places: float32 keeps a tenth of a millimetre there
    for j in range(nb):
        fixed[0, j], fixed[1, j] = b[0, j] - x, b[1, j] - y
    u[0], u[1] = ux, uy
    for step in range(steps):
        c = c_m * (1.0 + 2.0 * (steps - 1 - step) / max(steps - 1, 1))
        for i in range(na):
            moved[0, i], moved[1, i] = a[0, i] + u[0] - x, a[1, i] + u[1] - y
        w = icp_step(moved, na, fixed, nb, c, room, move) / na
        v = icp_step(fixed, nb, moved, na, c, room, back) / nb
        u[0] += (w * w * move[0] - v * v * back[0]) / (w * w + v * v)
        u[1] += (w * w * move[1] - v * v * back[1]) / (w * w + v * v)
        if abs(move[0]) + abs(move[1]) + abs(back[0]) + abs(back[1]) < CONVERGED_M:
            break
