"""The two records that flow through lidarpan: a LiDAR scan and its panoptic labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.errors import InputError as InputError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]
SemanticArray = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]


def _check(name: str, array: object, shape: str, dtype: type, ok: bool) -> None:
    if not isinstance(array, np.ndarray):
        raise InputError(
            f"{name} must be a {shape} {np.dtype(dtype)} array, got {type(array).__name__}"
        )
    if not ok or array.dtype != dtype:
        raise InputError(
            f"{name} must be {shape} {np.dtype(dtype)}, got {array.shape} {array.dtype}"
        )


@dataclass(frozen=True)
class Scan:
    """One LiDAR sweep in the sensor frame: x forward, y left, z up.

    Attributes:
        points: (N, 3) float32, metres, finite.
        intensity: (N,) float32, in [0, 1]; zeros where the sensor gives none.
        time: (N,) float32 seconds relative to the scan's stamp, or None.
        ring: (N,) int32 beam number, lowest beam 0, or None.
        world_T_sensor: (4, 4) float64 pose of the sensor in the world, or None.

    Raises:
        InputError: a field has another shape or dtype than stated, or points are not finite.
    """

    points: FloatArray
    intensity: FloatArray
    time: FloatArray | None = None
    ring: IntArray | None = None
    world_T_sensor: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        points = self.points
        n = len(points) if isinstance(points, np.ndarray) and points.ndim else 0
        is_rows = isinstance(points, np.ndarray) and points.ndim == 2 and points.shape[1] == 3
        _check("Scan.points", points, "(N, 3)", np.float32, is_rows)
        if not np.isfinite(points).all():
            bad = int((~np.isfinite(points).all(axis=1)).sum())
            raise InputError(
                f"Scan.points must be finite, got {bad} of {n} with NaN or inf: drop them first"
            )
        optional = (("time", self.time, np.float32), ("ring", self.ring, np.int32))
        for name, array, dtype in (("intensity", self.intensity, np.float32), *optional):
            if array is not None or name == "intensity":
                ok = isinstance(array, np.ndarray) and array.shape == (n,)
                _check(f"Scan.{name}", array, f"({n},)", dtype, ok)
        if self.world_T_sensor is not None:
            ok = self.world_T_sensor.shape == (4, 4)
            _check("Scan.world_T_sensor", self.world_T_sensor, "(4, 4)", np.float64, ok)

    @property
    def num_points(self) -> int:
        """N."""
        return len(self.points)


@dataclass(frozen=True)
class PanopticLabels:
    """What every point of a scan is, and which object it belongs to.

    Attributes:
        semantic: (N,) uint8 train ids of a ClassTable, 0 = void.
        instance: (N,) int32, 0 = no instance, else unique within the scan over all classes.
        score: (K + 1,) float32 confidence in [0, 1] of instance id k at position k, or None.

    Raises:
        InputError: a field has another shape or dtype than stated.
    """

    semantic: SemanticArray
    instance: IntArray
    score: FloatArray | None = None

    def __post_init__(self) -> None:
        ok = isinstance(self.semantic, np.ndarray) and self.semantic.ndim == 1
        _check("PanopticLabels.semantic", self.semantic, "(N,)", np.uint8, ok)
        n = len(self.semantic)
        ok = isinstance(self.instance, np.ndarray) and self.instance.shape == (n,)
        _check("PanopticLabels.instance", self.instance, f"({n},)", np.int32, ok)
        if self.score is not None:
            ok = isinstance(self.score, np.ndarray) and self.score.ndim == 1
            _check("PanopticLabels.score", self.score, "(K + 1,)", np.float32, ok)

    @property
    def num_points(self) -> int:
        """N."""
        return len(self.semantic)
