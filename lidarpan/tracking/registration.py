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
def unexplained(a: Array, na: int, b: Array, nb: int, ux: float, uy: float, c_m: float) -> float:
    """Share of surface a, moved by u, that surface b does not explain. a, b (2, S) -> [0, 1]."""
    total = 0.0
    ax, ay, bx, by = a[0], a[1], b[0], b[1]
    for i in range(na):
        x, y = ax[i] + ux, ay[i] + uy
        best = np.inf
        for j in range(nb):
            dx, dy = bx[j] - x, by[j] - y
            best = min(best, dx * dx + dy * dy)
        total += best / (best + c_m * c_m)
    return total / na


@njit(cache=True, fastmath=True)
def unexplained_by_box(
    a: Array, na: int, b: Array, nb: int, ux: float, uy: float, c_m: float, box: Array
) -> float:
    """As `unexplained`, where a place within a box is also known, up to BOX_DOUBT_M.

    box: x, y, half length, half width in metres, cosine and sine of its heading.
    """
    total = 0.0
    ax, ay, bx, by = a[0], a[1], b[0], b[1]
    for i in range(na):
        x, y = ax[i] + ux, ay[i] + uy
        best = np.inf
        for j in range(nb):
            dx, dy = bx[j] - x, by[j] - y
            best = min(best, dx * dx + dy * dy)
        dx, dy = x - box[0], y - box[1]
        along = max(abs(box[4] * dx + box[5] * dy) - box[2], 0.0)
        across = max(abs(box[4] * dy - box[5] * dx) - box[3], 0.0)
        best = min(best, along * along + across * across + BOX_DOUBT_M * BOX_DOUBT_M)
        total += best / (best + c_m * c_m)
    return total / na


@njit(cache=True, fastmath=True)
def icp_step(
    a: Array, na: int, b: Array, nb: int, ux: float, uy: float, c_m: float, move: Array
) -> float:
    """One step: move (2,) receives how u changes so that a moved by u comes nearer to b.

    -> the sum of the weights, for the surfaces as they were.
    """
    sum_w = sum_x = sum_y = 0.0
    c2 = c_m * c_m
    ax, ay, bx, by = a[0], a[1], b[0], b[1]
    for i in range(na):
        x, y = ax[i] + ux, ay[i] + uy
        best, near_x, near_y = np.inf, 0.0, 0.0
        for j in range(nb):
            dx, dy = bx[j] - x, by[j] - y
            d = dx * dx + dy * dy
            if d < best:
                best, near_x, near_y = d, dx, dy
        w = c2 * c2 / ((best + c2) * (best + c2))
        sum_w += w
        sum_x += w * near_x
        sum_y += w * near_y
    move[0], move[1] = sum_x / sum_w, sum_y / sum_w
    return sum_w


@njit(cache=True)
def register(
    a: Array, na: int, b: Array, nb: int, ux: float, uy: float, steps: int, c_m: float, u: Array
) -> None:
    """Write to u (2,) the move of surface a onto b found by `steps` steps from (ux, uy).

    The steps begin three times as tolerant as they end. Places of a that find b and places of b
    that find a weigh alike, so that neither a part nor a whole pulls the other.
    """
    move = np.empty(2, np.float64)
    back = np.empty(2, np.float64)
    u[0], u[1] = ux, uy
    for step in range(steps):
        c = c_m * (1.0 + 2.0 * (steps - 1 - step) / max(steps - 1, 1))
        w = icp_step(a, na, b, nb, u[0], u[1], c, move) / na
        v = icp_step(b, nb, a, na, -u[0], -u[1], c, back) / nb
        u[0] += (w * w * move[0] - v * v * back[0]) / (w * w + v * v)
        u[1] += (w * w * move[1] - v * v * back[1]) / (w * w + v * v)
        if abs(move[0]) + abs(move[1]) + abs(back[0]) + abs(back[1]) < CONVERGED_M:
            break
