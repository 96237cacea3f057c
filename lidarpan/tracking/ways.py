"""Places that a thing was seen at -> the way it went."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

CHANGE_M_S2 = 2.0  # usual change of velocity in a second
ROUNDS = 5  # of looking for places that are far off the way
EXACT_M = 0.02  # no place is known better
MAD_TO_SIGMA = 1.4826  # of a normal distribution


def smooth_way(
    places: NDArray[np.floating[Any]], times_s: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """The likeliest way through places that are known but roughly.

    The middle of what is seen of a thing wanders with the side that is seen, a metre and more far
    away. Velocities change by CHANGE_M_S2 in a second, and places are off by as much as they jump
    to and fro; this is the way of least squares of both (the smoother of Rauch, Tung and Striebel,
    1965, in one piece), with places far off it of little weight (Geman and McClure, 1987).

    places (n, 2) m, times_s (n,) ascending -> (n, 2) m.
    """
    from scipy.linalg import solveh_banded

    known: NDArray[np.float64] = np.asarray(places, np.float64)
    if len(known) < 4:
        return known.copy()
    step = np.diff(times_s)
    before, after = 1 / step[:-1], 1 / step[1:]
    bend = np.stack([before, -before - after, after])
    turn = bend * (2 / (step[:-1] + step[1:]))
    jumps = bend / np.linalg.norm(bend, axis=0)
    off = sum(jumps[k, :, None] * known[k : len(known) - 2 + k] for k in range(3))
    noise_m = max(EXACT_M, MAD_TO_SIGMA * float(np.median(np.abs(off))))
    bands = np.zeros((3, len(known)))
    for i in range(3):
        for j in range(i, 3):
            bands[2 - (j - i), j : len(known) - 2 + j] += turn[i] * turn[j] / CHANGE_M_S2**2
    way, weight = known, np.ones(len(known))
    for _ in range(ROUNDS):
        whole = bands.copy()
        whole[2] += weight / noise_m**2
        way = solveh_banded(whole, known * (weight / noise_m**2)[:, None])
        square = ((known - way) ** 2).sum(axis=1)
        weight = (1 / (1 + square / (3 * noise_m) ** 2)) ** 2
    return way
