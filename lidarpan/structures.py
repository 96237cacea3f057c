"""The two records that flow through lidarpan: a LiDAR scan and its panoptic labels."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.errors import InputError as InputError

if TYPE_CHECKING:
    from pathlib import Path

    from lidarpan.classes import ClassTable
    from lidarpan.grouping.objects import PanopticObject

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]
SemanticArray = NDArray[np.uint8]
BoolArray = NDArray[np.bool_]


_MAX_COORDINATE_M = 1e5
"""Beyond it float32 keeps less than a centimetre."""


def _check(name: str, array: object, shape: str, dtype: type, ok: bool) -> None:
    if not isinstance(array, np.ndarray):
        raise InputError(
            f"{name} must be a {shape} {np.dtype(dtype)} array, got {type(array).__name__}"
        )
    if not ok or array.dtype != dtype:
        raise InputError(
            f"{name} must be {shape} {np.dtype(dtype)}, got {array.shape} {array.dtype}"
        )


def _floats(name: str, array: Any, limit: float = np.inf) -> Any:
    """An array of numbers as float32; anything else as it came, for `_check` to complain of."""
    is_other = isinstance(array, np.ndarray) and array.dtype.kind in "fiu"
    if not is_other or array.dtype == np.float32:
        return array
    largest = float(np.abs(array).max(initial=0, where=np.isfinite(array)))
    if largest > limit:
        raise InputError(
            f"{name}: {array.dtype} coordinates up to {largest:.0f} m lose their millimetres in "
            "float32: subtract the sensor's place first"
        )
    return array.astype(np.float32)


def _whole(name: str, array: Any, dtype: type) -> Any:
    """An array of whole numbers in the wanted type; InputError where one does not fit into it."""
    is_other = isinstance(array, np.ndarray) and array.dtype.kind in "iu" and array.dtype != dtype
    if not is_other:
        return array
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    limits: Any = np.iinfo(dtype)
    if low < limits.min or high > limits.max:
        raise InputError(
            f"{name}: wanted {limits.min}..{limits.max}, got {low}..{high}: "
            "map raw labels with ClassTable.to_train"
        )
    return array.astype(dtype)


@dataclass(frozen=True)
class Scan:
    """One LiDAR sweep in the sensor frame: x forward, y left, z up.

    Other types of numbers are converted where nothing is lost.

    Attributes:
        points: (N, 3) float32, metres, finite.
        intensity: (N,) float32, in [0, 1]; zeros where the sensor gives none, or None is given.
        time: (N,) float32 seconds relative to the scan's stamp, or None.
        ring: (N,) int32 beam number, lowest beam 0, or None.
        world_T_sensor: (4, 4) float64 pose of the sensor in the world, or None.
        path: the file that it was read from, or None.

    Raises:
        InputError: a field has another shape or type than stated, or points are not finite.
    """

    points: FloatArray
    intensity: FloatArray = None  # type: ignore[assignment]  # __post_init__ puts zeros
    time: FloatArray | None = None
    ring: IntArray | None = None
    world_T_sensor: NDArray[np.float64] | None = None
    path: Path | None = None

    def __post_init__(self) -> None:
        points = _floats("Scan.points", self.points, _MAX_COORDINATE_M)
        object.__setattr__(self, "points", points)
        if getattr(self, "intensity", None) is None:
            object.__setattr__(self, "intensity", np.zeros(len(points), np.float32))
        for name in ("intensity", "time"):
            object.__setattr__(self, name, _floats(f"Scan.{name}", getattr(self, name)))
        object.__setattr__(self, "ring", _whole("Scan.ring", self.ring, np.int32))
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

    def take(self, keep: BoolArray) -> Scan:
        """The points where `keep`, (N,) bool, is true."""
        return replace(
            self,
            points=self.points[keep],
            intensity=self.intensity[keep],
            time=None if self.time is None else self.time[keep],
            ring=None if self.ring is None else self.ring[keep],
        )

    def raised(self, shift_m: float) -> Scan:
        """The scan with every point `shift_m` metres higher; itself for 0."""
        return (
            replace(self, points=self.points + np.array([0, 0, shift_m], np.float32))
            if shift_m
            else self
        )


@dataclass(frozen=True)
class PanopticLabels:
    """What every point of a scan is, and which object it belongs to.

    Attributes:
        semantic: (N,) uint8 train ids of a ClassTable, 0 = void.
        instance: (N,) int32, 0 = no instance, else unique within the scan over all classes.
        score: (K + 1,) float32 confidence in [0, 1] of instance id k at position k, or None.
        classes: what the train ids mean, or None where nobody said.
        confidence: (N,) float32 probability in [0, 1] that a point's class is right, 0 where it is
            void, or None where nobody said.

    Raises:
        InputError: a field has another shape or type than stated.
    """

    semantic: SemanticArray
    instance: IntArray
    score: FloatArray | None = None
    classes: ClassTable | None = field(default=None, repr=False, compare=False)
    confidence: FloatArray | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "semantic", _whole("PanopticLabels.semantic", self.semantic, np.uint8)
        )
        object.__setattr__(
            self, "instance", _whole("PanopticLabels.instance", self.instance, np.int32)
        )
        object.__setattr__(self, "score", _floats("PanopticLabels.score", self.score))
        ok = isinstance(self.semantic, np.ndarray) and self.semantic.ndim == 1
        _check("PanopticLabels.semantic", self.semantic, "(N,)", np.uint8, ok)
        n = len(self.semantic)
        ok = isinstance(self.instance, np.ndarray) and self.instance.shape == (n,)
        _check("PanopticLabels.instance", self.instance, f"({n},)", np.int32, ok)
        if self.score is not None:
            ok = isinstance(self.score, np.ndarray) and self.score.ndim == 1
            _check("PanopticLabels.score", self.score, "(K + 1,)", np.float32, ok)
        object.__setattr__(
            self, "confidence", _floats("PanopticLabels.confidence", self.confidence)
        )
        if self.confidence is not None:
            ok = isinstance(self.confidence, np.ndarray) and self.confidence.shape == (n,)
            _check("PanopticLabels.confidence", self.confidence, "(N,)", np.float32, ok)

    @property
    def num_points(self) -> int:
        """N."""
        return len(self.semantic)

    def take(self, keep: BoolArray) -> PanopticLabels:
        """Labels of the points where `keep`, (N,) bool, is true; ids and their scores stay."""
        confidence = None if self.confidence is None else self.confidence[keep]
        semantic, instance = self.semantic[keep], self.instance[keep]
        return replace(self, semantic=semantic, instance=instance, confidence=confidence)

    @classmethod
    def all_void(cls, num_points: int, classes: ClassTable | None = None) -> PanopticLabels:
        """Labels that say nothing."""
        void = np.zeros(num_points, np.uint8)
        return cls(void, np.zeros(num_points, np.int32), classes=classes)

    def spread_over(self, valid: BoolArray) -> PanopticLabels:
        """Labels of the N usable points as labels of all M points they were chosen from.

        Args:
            valid: (M,) bool, N of them true, in the labels' order; the rest becomes void.
        """
        if valid.all():
            return self
        semantic, instance = np.zeros(len(valid), np.uint8), np.zeros(len(valid), np.int32)
        semantic[valid], instance[valid] = self.semantic, self.instance
        confidence = self.confidence
        if confidence is not None:
            spread = np.zeros(len(valid), np.float32)
            spread[valid] = confidence
            confidence = spread
        return replace(self, semantic=semantic, instance=instance, confidence=confidence)

    def objects(self, scan: Scan, classes: ClassTable | None = None) -> list[PanopticObject]:
        """What and where each object is, by its id.

        Args:
            scan: that the labels belong to.
            classes: of the labels, where they do not say it themselves.

        Raises:
            InputError: the labels do not fit the scan, or nobody says what the classes are.
        """
        from lidarpan.grouping.objects import find_objects

        return find_objects(scan, self, classes)
