"""Scans of an unknown sensor -> a Sensor that gives scans like them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from lidarpan.scans.beams import bands_of_elevation, elevations, find_beams
from lidarpan.structures import InputError, IntArray, Scan
from lidarpan.synthetic.sensors.sensor import Sensor

_FAR_M = 8.0  # beams of one sensor start some centimetres apart: near points blur their angles
_FEWEST_POINTS = 500
_SECTOR_GAP_RAD = np.radians(30)
USUAL_NOISE_M = 0.015  # where nothing tells
_COMMON_BEAMS = (16, 32, 40, 64, 128)


def estimate_sensor(scans: Sequence[Scan], height_m: float) -> Sensor:
    """Beam table, azimuth step, ranges and field of view of the sensor of some scans.

    Beams are taken from the rings, else from the order of the points; where neither tells, their
    number is that of a common sensor and each has as many points as the others.

    Args:
        scans: of one sensor, x forward, y left, z up.
        height_m: of the sensor above the ground.

    Raises:
        InputError: too few points to see a beam.
    """
    whole = max(scans, key=lambda scan: scan.num_points)
    points = whole.points.astype(np.float64)
    reach = _reach(whole)
    if len(points) < _FEWEST_POINTS or not (reach > _FAR_M).any():
        raise InputError(
            f"wanted a scan of {_FEWEST_POINTS} points or more, some beyond {_FAR_M:g} m, to tell "
            f"the sensor by, got {len(points)} points"
        )
    beam = find_beams(whole)
    step_rad = _azimuth_step(points, beam)
    noise_m = USUAL_NOISE_M if beam is None else range_noise(points, beam, step_rad)
    if beam is None:
        per_step = len(points) * step_rad / (2 * np.pi)
        beam = bands_of_elevation(whole, min(_COMMON_BEAMS, key=lambda n: abs(n - per_step)))
    angle = elevations(points)
    far = reach > _FAR_M
    table = [
        float(np.median(angle[chosen & far] if (chosen & far).any() else angle[chosen]))
        for chosen in (beam == b for b in range(int(beam.max()) + 1))
        if chosen.any()
    ]
    return Sensor(
        name="estimated",
        elevations_rad=np.sort(np.array(table)),
        azimuth_steps=max(16, round(2 * np.pi / step_rad)),
        min_range_m=min(float(np.percentile(_reach(scan), 0.2)) for scan in scans),
        max_range_m=float(np.clip(np.percentile(reach, 99.95), 20, 250)),
        range_noise_m=noise_m,
        height_m=height_m,
        blind=_unseen(np.arctan2(points[:, 1], points[:, 0])),
    )


def _reach(scan: Scan) -> NDArray[np.float64]:
    """(N,) ranges, metres."""
    reach: NDArray[np.float64] = np.linalg.norm(scan.points.astype(np.float64), axis=1)
    return reach


def _azimuth_step(points: NDArray[np.float64], beam: IntArray | None) -> float:
    """The usual step between neighbouring returns of a beam, radians; 0.2 degrees where unknown."""
    if beam is None:
        return float(np.radians(0.2))
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    order = np.lexsort((azimuth, beam))
    same = np.diff(beam[order]) == 0
    steps = np.diff(azimuth[order])[same]
    steps = steps[steps > np.radians(0.02)]
    return float(np.median(steps)) if len(steps) else float(np.radians(0.2))


def range_noise(points: NDArray[np.float64], beam: IntArray, step_rad: float) -> float:
    """Standard deviation of a range about a smooth surface, metres.

    From the fourth differences of the ranges along each beam, whose variance is 70 times that of
    the ranges. Most surfaces are no smooth ones, so that the first decile of their sizes counts.

    Args:
        points: (N, 3) metres, from the sensor.
        beam: (N,) of each.
        step_rad: between neighbouring rays of a beam.

    Returns:
        0.002 to 0.05; USUAL_NOISE_M where too few points lie side by side.
    """
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    order = np.lexsort((azimuth, beam))
    is_next = (np.diff(beam[order]) == 0) & (np.diff(azimuth[order]) < 1.6 * step_rad)
    five = np.logical_and.reduce([is_next[k : len(is_next) - 3 + k] for k in range(4)])
    reach = np.linalg.norm(points[order], axis=1)
    fourth = np.abs(np.diff(reach, 4))[five]
    if len(fourth) < _FEWEST_POINTS:
        return USUAL_NOISE_M
    spread = float(np.quantile(fourth, 0.1)) / norm.ppf(0.55)
    return float(np.clip(spread / np.sqrt(70), 0.002, 0.05))


def _unseen(azimuth: NDArray[np.float64]) -> tuple[tuple[float, float, float], ...]:
    """The sector without any point, where it is wide, as `Sensor.blind` wants it."""
    there = np.sort(azimuth)
    gaps = np.diff(np.append(there, there[0] + 2 * np.pi))
    widest = int(gaps.argmax())
    if gaps[widest] < _SECTOR_GAP_RAD:
        return ()
    begin, end = np.degrees(there[widest]), np.degrees(there[widest] + gaps[widest])
    turns = ((float(begin + shift), float(end + shift), 91.0) for shift in (-360, 0))
    return tuple(part for part in turns if part[1] > -180 and part[0] < 180)
