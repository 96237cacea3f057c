"""Which beam of a spinning sensor each point comes from, where the file does not say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import IntArray, Scan

_STARTS = 16  # azimuths at which a row may begin
_FEWEST_ROWS, _MOST_ROWS = 7, 260
_LEAST_STEP_DEG = 0.1  # between the elevations of neighbouring rows


def find_beams(scan: Scan) -> IntArray | None:
    """(N,) int32 number of each point's beam, in no order; None where nothing tells.

    From the ring where the scan has it, else from the order of its points where they lie beam
    by beam, each swept in one direction: a row ends where the azimuth falls back to its start.
    """
    if scan.ring is not None:
        return np.unique(scan.ring, return_inverse=True)[1].astype(np.int32)
    points = scan.points.astype(np.float64)
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    elevation = np.degrees(elevations(points))
    best: tuple[float, IntArray] | None = None
    for sign in (1.0, -1.0):
        for start in np.linspace(-np.pi, np.pi, _STARTS, endpoint=False):
            turned = (sign * azimuth - start) % (2 * np.pi)
            low, high = np.percentile(turned, (1, 99)) if len(turned) else (0.0, 0.0)
            back = np.diff(turned) < -0.5 * (high - low)
            forth = np.diff(turned) > 0.5 * (high - low)
            if not _FEWEST_ROWS <= back.sum() <= _MOST_ROWS or forth.sum() > 0.1 * back.sum():
                continue
            step = float(np.median(np.abs(np.diff(elevation)[back])))
            if best is None or step > best[0]:
                best = step, np.concatenate([[0], np.cumsum(back)]).astype(np.int32)
    return best[1] if best and best[0] > _LEAST_STEP_DEG else None


def bands_of_elevation(scan: Scan, num_beams: int) -> IntArray:
    """(N,) int32: as many bands as the sensor has beams, lowest first, with equally many points."""
    elevation = elevations(scan.points.astype(np.float64))
    edges = np.quantile(elevation, np.linspace(0, 1, num_beams + 1)[1:-1])
    return np.searchsorted(edges, elevation).astype(np.int32)


def elevations(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) -> (N,) radians above the horizon, seen from the origin."""
    angle: NDArray[np.float64] = np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1]))
    return angle
