"""nuScenes' sensor frame (x right, y forward, z up), ours (x forward, y left), and the ego's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.rotations import rotation

NATIVE_T_SCAN = np.array(
    [[0.0, -1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)
"""Turns points of a Scan into nuScenes' sensor frame."""


def transform(translation: Sequence[float], turn: Sequence[float]) -> NDArray[np.float64]:
    """A (4, 4) transform from metres and a quaternion w x y z of any length."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation(np.asarray(turn, np.float64) / np.linalg.norm(turn))
    matrix[:3, 3] = translation
    return matrix


def quaternion(turn: NDArray[np.float64]) -> list[float]:
    """The unit quaternion w x y z, w >= 0, of a (3, 3) rotation (from its trace and diagonal)."""
    diagonal = np.diagonal(turn)
    signs = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    squares = (1 + signs @ diagonal) / 4  # of w, x, y, z
    i = int(np.argmax(squares))
    r = turn
    off = {
        (0, 1): r[2, 1] - r[1, 2],
        (0, 2): r[0, 2] - r[2, 0],
        (0, 3): r[1, 0] - r[0, 1],
        (1, 2): r[0, 1] + r[1, 0],
        (1, 3): r[0, 2] + r[2, 0],
        (2, 3): r[1, 2] + r[2, 1],
    }
    largest = float(np.sqrt(squares[i]))
    parts = [largest if k == i else off[min(i, k), max(i, k)] / (4 * largest) for k in range(4)]
    sign = -1.0 if parts[0] < 0 else 1.0
    return [float(sign * part) for part in parts]
