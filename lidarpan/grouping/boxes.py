"""Surfaces from above -> upright boxes, with the side that the sensor cannot see inferred."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

_NEAREST_M = 0.05


@njit(cache=True, fastmath=True)
def axis_of(surface: Array, count: int, first_rad: float, last_rad: float, steps: int) -> float:
    """Angle in [first, last] under which the places lie closest to the edges of a box.

    The closeness criterion of Zhang et al., "Efficient L-shape fitting for vehicle detection using
    laser scanners" (IV 2017). surface (2, S) m of which count are used -> radians.
    """
    best, chosen = -1.0, first_rad
    stride = 1 + (count - 1) // 32
    for step in range(steps):
        angle = first_rad + (last_rad - first_rad) * step / max(steps - 1, 1)
        c, s = np.cos(angle), np.sin(angle)
        low_a = low_b = np.inf
        high_a = high_b = -np.inf
        for i in range(0, count, stride):
            a = c * surface[0, i] + s * surface[1, i]
            b = c * surface[1, i] - s * surface[0, i]
            low_a, high_a = min(low_a, a), max(high_a, a)
            low_b, high_b = min(low_b, b), max(high_b, b)
        score = 0.0
        for i in range(0, count, stride):
            a = c * surface[0, i] + s * surface[1, i]
            b = c * surface[1, i] - s * surface[0, i]
            near = min(a - low_a, high_a - a, b - low_b, high_b - b)
            score += 1.0 / max(near, _NEAREST_M)
        if score > best:
            best, chosen = score, angle
    return chosen


@njit(cache=True)
def spans(surface: Array, count: int, angle: float, out: Array) -> None:
    """Out (4,) receives low and high along the angle, low and high across it. surface (2, S)."""
    c, s = np.cos(angle), np.sin(angle)
    out[0] = out[2] = np.inf
    out[1] = out[3] = -np.inf
    for i in range(count):
        a = c * surface[0, i] + s * surface[1, i]
        b = c * surface[1, i] - s * surface[0, i]
        out[0], out[1] = min(out[0], a), max(out[1], a)
        out[2], out[3] = min(out[2], b), max(out[3], b)


@njit(cache=True)
def grown(low: float, high: float, wanted: float, eye: float, out: Array) -> None:
    """Out (2,) receives low and high with the far side moved until they are `wanted` apart.

    eye: where the sensor is on this axis; between low and high both sides move.
    """
    missing = max(wanted - (high - low), 0.0)
    share = 0.5
    if eye < low:
        share = 1.0
    elif eye > high:
        share = 0.0
    out[0], out[1] = low - (1.0 - share) * missing, high + share * missing


@njit(cache=True)
def fit_boxes(
    surface: Array, count: Array, yaw: Array, turn: Array, known: Array, typical: Array,
    speed: Array, eye: Array,
) -> Any:  # fmt: skip
    """Boxes of K objects, with their hidden sides.

    Args:
        surface: (K, 2, S) m in the world.
        count: (K,) places used of each.
        yaw: (K,) rad expected heading; nan where nothing is known.
        turn: (K,) rad that it may have turned since.
        known: (K, 2) m length and width seen so far, 0 for nothing.
        typical: (K, 2) m length and width of the class.
        speed: (K, 3) velocity x, y and its standard deviation, m/s.
        eye: (2,) the sensor's place.

    Returns:
        (K, 5) center x, y, length, width (m), heading (rad), and (K, 2) length and width seen.
    """
    boxes = np.empty((len(count), 5))
    seen = np.empty((len(count), 2))
    span, along, across = np.empty(4), np.empty(2), np.empty(2)
    for k in range(len(count)):
        n = count[k]
        fast = np.hypot(speed[k, 0], speed[k, 1])
        moves = fast > max(1.0, 3.0 * speed[k, 2])
        way = np.arctan2(speed[k, 1], speed[k, 0])
        if (moves and np.isnan(yaw[k])) or (moves and abs(wrapped(yaw[k] - way)) > 0.5):
            angle = axis_of(surface[k], n, way - 0.3, way + 0.3, 13)
        elif np.isnan(yaw[k]):
            angle = axis_of(surface[k], n, 0.0, 0.5 * np.pi, 31)
            spans(surface[k], n, angle, span)
            long = span[1] - span[0]
            wide = span[3] - span[2]
            across_is_long = wide > long
            if max(long, wide) < 1.35 * typical[k, 1]:  # an end, not a side
                across_is_long = long > wide if abs(long - wide) > 0.3 else across_is_long
            if across_is_long:
                angle += 0.5 * np.pi
        elif n >= 4:
            angle = axis_of(surface[k], n, yaw[k] - turn[k], yaw[k] + turn[k], 7)
        else:
            angle = yaw[k]
        spans(surface[k], n, angle, span)
        seen[k, 0] = max(known[k, 0], span[1] - span[0])
        seen[k, 1] = max(known[k, 1], span[3] - span[2])
        c, s = np.cos(angle), np.sin(angle)
        eye_along, eye_across = c * eye[0] + s * eye[1], c * eye[1] - s * eye[0]
        grown(span[0], span[1], max(seen[k, 0], typical[k, 0]), eye_along, along)
        grown(span[2], span[3], max(seen[k, 1], typical[k, 1]), eye_across, across)
        a, b = 0.5 * (along[0] + along[1]), 0.5 * (across[0] + across[1])
        boxes[k, 0], boxes[k, 1] = c * a - s * b, s * a + c * b
        boxes[k, 2], boxes[k, 3] = along[1] - along[0], across[1] - across[0]
        boxes[k, 4] = wrapped(angle)
    return boxes, seen


@njit(cache=True)
def wrapped(angle: float) -> float:
    """The angle in [-pi, pi)."""
    return (angle + np.pi) % (2.0 * np.pi) - np.pi
