"""Scans of turned, tilted or hanging sensors -> x forward, y left, z up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.fields import LoadedScan
from lidarpan.scans.inspection import TURNED, Remark, inspect_scan
from lidarpan.structures import InputError, Scan

AXES = ("x", "-x", "y", "-y", "z", "-z")
MIN_TURN_RAD = np.radians(8.0)
"""A ground that is tilted less is taken for a slope, and left as it is."""

_REACH_M = 20.0
_CELL_M = 0.5
_MIN_PLACES = 100
_COARSE_SLAB_M, _SLAB_M = 1.0, 0.4
_CANDIDATES = 40
_SECTORS = 16
_HEIGHT_M = (-8.0, 1.0)  # of the ground over the origin: it may lie at the sensor's foot
_MIN_SCORE = 0.1
_CLEARLY = 1.5

Rotation = NDArray[np.float64]
"""(3, 3): a column of coordinates in the file to one with x forward, y left, z up."""


@dataclass(frozen=True)
class Turn:
    """How a scan was turned.

    Attributes:
        rotation: see Rotation.
        said: what was found, a sentence; empty where the caller asked for it.
    """

    rotation: Rotation
    said: str = ""

    def of(self, scan: Scan) -> Scan:
        """The turned scan; its pose goes along."""
        points = np.ascontiguousarray(scan.points @ self.rotation.T, np.float32)
        pose = scan.world_T_sensor
        if pose is not None:
            back = np.eye(4)
            back[:3, :3] = self.rotation.T
            pose = pose @ back
        return replace(scan, points=points, world_T_sensor=pose)


def turn_to(up: str, forward: str) -> Turn:
    """The turn for a sensor whose axes point where the names say: "x", "-x", ... "-z".

    Raises:
        InputError: no such axes, or two along one line.
    """
    for what, axis in (("up", up), ("forward", forward)):
        if axis not in AXES:
            raise InputError(f"{what}: wanted one of {', '.join(AXES)}, got {axis!r}")
    if up.lstrip("-") == forward.lstrip("-"):
        raise InputError(f"up and forward lie on one line: {up} and {forward}: turn one of them")
    z, x = _unit(up), _unit(forward)
    return Turn(np.stack([x, np.cross(z, x), z]))


def level_turn(scan: Scan) -> Turn | None:
    """The turn that lays the scan's own ground flat below the sensor; x stays ahead.

    The ground is the slab, among those across all directions, that holds most places all around the
    sensor's foot with hardly any below it; its plane is then fitted. What x points to over the
    ground stays ahead; where x points up or down, what z points to. A turn that is a turn from axis
    to axis but for 8 degrees is taken for one: the rest is the slope of the street.

    Returns:
        The turn; None where the ground lies flat already (to 8 degrees), or none is clear.
    """
    normal = ground_normal(scan)
    if normal is None or normal[2] > np.cos(MIN_TURN_RAD):
        return None
    degrees = np.degrees(np.arccos(np.clip(normal[2], -1, 1)))
    how = "hangs upside down" if degrees > 170 else f"is turned by {degrees:.0f} degrees"
    return Turn(_along_axes(_upright(normal)), f"the sensor {how}: levelled by its own ground")


def levelled(loaded: LoadedScan, expected_height_m: float) -> tuple[LoadedScan, Turn | None]:
    """A scan that looks turned, turned by its own ground, and how; any other as it is."""
    looks_turned = any(getattr(said, "kind", "") in TURNED for said in loaded.warnings)
    turn = level_turn(loaded.scan) if looks_turned else None
    return (loaded, None) if turn is None else (turned(loaded, turn, expected_height_m), turn)


def turned(loaded: LoadedScan, turn: Turn, expected_height_m: float) -> LoadedScan:
    """A scan turned, with what is said of it then."""
    scan = turn.of(loaded.scan)
    before = [said for said in loaded.warnings if not isinstance(said, Remark)]
    said = [turn.said] if turn.said else []
    warnings = (*before, *said, *inspect_scan(scan, expected_height_m))
    return replace(loaded, scan=scan, warnings=warnings)


def ground_normal(scan: Scan) -> NDArray[np.float64] | None:
    """Unit vector away from the ground, in the scan's axes; None where no ground is clear."""
    places = _places(scan)
    if len(places) < _MIN_PLACES:
        return None
    directions = _directions()
    coarse = np.array([_groundness(places, n, _COARSE_SLAB_M) for n in directions])
    best, best_score = None, _MIN_SCORE
    for k in np.argsort(-coarse, kind="stable")[:_CANDIDATES]:
        normal = _refined(places, directions[k])
        if normal is None:
            continue
        score = _groundness(places, normal, _SLAB_M)
        if normal[2] < 0.5:
            score /= _CLEARLY  # what is said to be up is believed unless the rest is clear
        if score > best_score:
            best, best_score = normal, score
    return best


def _places(scan: Scan) -> NDArray[np.float64]:
    """One point of each occupied cell around the sensor, so that near points count no more."""
    distance = np.linalg.norm(scan.points, axis=1)
    near = scan.points[(distance > 1.5) & (distance < _REACH_M)].astype(np.float64)
    cell = np.floor((near + _REACH_M) / _CELL_M).astype(np.int64)
    _, first = np.unique(cell @ [1, 1000, 1_000_000], return_index=True)
    places: NDArray[np.float64] = near[first]
    return places


@lru_cache(maxsize=1)
def _directions() -> NDArray[np.float64]:
    """Unit vectors over the sphere, some 5 degrees apart (a Fibonacci lattice)."""
    k = np.arange(1600) + 0.5
    z, turn = 1 - 2 * k / len(k), np.pi * (1 + 5**0.5) * k
    r = np.sqrt(1 - z**2)
    directions: NDArray[np.float64] = np.stack([r * np.cos(turn), r * np.sin(turn), z], axis=1)
    return directions


def _densest(height: NDArray[np.float64], slab_m: float) -> tuple[float, int]:
    """Lower edge of the slab that holds most heights, and how many it holds."""
    low, high = _HEIGHT_M
    inside = height[(height > low) & (height < high)]
    if not len(inside):
        return low, 0
    counts = np.bincount(((inside - low) / (slab_m / 2)).astype(np.int64), minlength=2)
    slabs = counts[:-1] + counts[1:]
    first = int(slabs.argmax())
    return low + first * slab_m / 2, int(slabs[first])


def _groundness(places: NDArray[np.float64], normal: NDArray[np.float64], slab_m: float) -> float:
    """How much the densest slab across a direction looks like the ground, 0 to 1.

    Share of the places in it, times the share of sectors around the sensor's foot that it fills,
    less what lies below it.
    """
    height = places @ normal
    low, count = _densest(height, slab_m)
    share = count / len(places)
    below = float(np.mean(height < low - slab_m / 2))
    if share < _MIN_SCORE / 2 or below > 0.25:
        return 0.0
    is_slab = (height >= low) & (height < low + slab_m)
    return share * (1 - 4 * below) * _coverage(places[is_slab], normal)


def _coverage(slab: NDArray[np.float64], normal: NDArray[np.float64]) -> float:
    """Share of the sectors around the sensor's foot that hold their part of a slab's places."""
    side = np.cross(normal, [1.0, 0, 0] if abs(normal[0]) < 0.7 else [0, 1.0, 0])
    side /= np.linalg.norm(side)
    angle = np.arctan2(slab @ np.cross(normal, side), slab @ side)
    sector = np.floor((angle / (2 * np.pi) + 0.5) * _SECTORS).astype(np.int64) % _SECTORS
    counts = np.bincount(sector, minlength=_SECTORS)
    return float(np.mean(counts > 0.15 * len(slab) / _SECTORS))


def _refined(
    places: NDArray[np.float64], normal: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """The normal of the plane fitted to the densest slab across a direction, in five rounds."""
    low, _ = _densest(places @ normal, _COARSE_SLAB_M)
    level = low + _COARSE_SLAB_M / 2
    for tolerance_m in (0.6, 0.4, 0.3, 0.2, 0.2):
        own = places[np.abs(places @ normal - level) < tolerance_m]
        if len(own) < 20:
            return None
        middle = own.mean(axis=0)
        across = np.linalg.eigh(np.cov((own - middle).T))[1][:, 0]
        normal = across if across @ normal > 0 else -across
        level = middle @ normal
    return normal


def _upright(normal: NDArray[np.float64]) -> Rotation:
    """Lay a unit vector along z up; x keeps its direction over the ground, or z takes its place."""
    for ahead in (np.array([1.0, 0, 0]), np.array([0, 0, -np.sign(normal[0])])):
        flat = ahead - (ahead @ normal) * normal
        if np.linalg.norm(flat) > 0.4:
            break
    x = flat / np.linalg.norm(flat)
    return np.stack([x, np.cross(normal, x), normal])


def _along_axes(rotation: Rotation) -> Rotation:
    """The turn from axis to axis that is nearest, if it is near; else the rotation itself."""
    straight = np.round(rotation)
    is_turn = np.array_equal(straight @ straight.T, np.eye(3)) and np.linalg.det(straight) > 0
    angle = np.arccos(np.clip((np.trace(rotation @ straight.T) - 1) / 2, -1, 1))
    return straight if is_turn and angle < MIN_TURN_RAD else rotation


def _unit(axis: str) -> NDArray[np.float64]:
    vector = np.zeros(3)
    vector["xyz".index(axis[-1])] = -1.0 if axis.startswith("-") else 1.0
    return vector
