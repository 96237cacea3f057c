"""Points in a world's or a map's frame, or in another unit -> metres around their sensor.

Where one return of a sensor lies far behind the one before it, both lie on nearly one ray: the
lines through all such pairs meet where the sensor stands. Where they meet far from the origin, the
points are counted from somewhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.inspection import fit_ground

_NEAR_M = 15.0
_JUMP_M = (2.0, 60.0)
_PASSING_M, _AWAY_M = 1.0, 4.0
_MEETING = 0.15
_MIN_LINES = 100
_MIN_POINTS = 200
_MIN_AWAY_M = 2.0
_FAR_M = 200.0
_MAX_TILT_RAD = np.radians(6.0)
_LEAST_M, _METRES_M = 2.0, 1000.0
_SCENE_M, _SENSOR_M = (5.0, 400.0), (0.8, 4.0)
"""How far a street scan reaches, and how high its sensor stands: what a unit must make of it."""

Points = NDArray[Any]
"""(N, 3) float32 or float64, metres."""


@dataclass(frozen=True)
class Seat:
    """Where the sensor stands among points that are counted from elsewhere.

    Attributes:
        shift_m: (3,) to subtract from the points.
        said: what was found, a sentence.
    """

    shift_m: NDArray[np.float64]
    said: str


@dataclass(frozen=True)
class Unit:
    """What coordinates count.

    Attributes:
        name: plural.
        metres: that one has.
        said: what was found, a sentence.
    """

    name: str
    metres: float
    said: str = ""


_UNITS = (
    Unit("millimetres", 1e-3), Unit("centimetres", 1e-2), Unit("inches", 0.0254),
    Unit("kilometres", 1e3),
)  # fmt: skip


def find_unit(points: Points) -> Unit | None:
    """The unit other than a metre that makes a street around its sensor of points, or None.

    Only what reaches too far or not far enough to count in metres is judged: a scan in feet looks
    like one in metres from a sensor three times as high.

    Args:
        points: finite points, x forward, y left, z up, around their sensor or anything else.
    """
    if not len(points):
        return None
    some = points[:: (len(points) // 20_000) | 1].astype(np.float64)
    for place in (np.zeros(3), np.median(some, axis=0)):
        reach = float(np.percentile(np.linalg.norm(some - place, axis=1), 98))
        if _LEAST_M <= reach <= _METRES_M:
            return None
        near = [unit for unit in _UNITS if _SCENE_M[0] < reach * unit.metres < _SCENE_M[1]]
        fitting = [unit for unit in near if _is_street(points * unit.metres, bool(place.any()))]
        if fitting:
            first, *others = fitting
            more = [f" ({o.name} fit, too: for those multiply by {o.metres:g})" for o in others]
            said = f"coordinates in {first.name}: taken times {first.metres:g}{''.join(more)}"
            return Unit(first.name, first.metres, said)
    return None


def _is_street(points: Points, is_elsewhere: bool) -> bool:
    """Whether points are a street as seen from the origin, or from where their rays meet."""
    height_m = sum(_SENSOR_M) / 2
    if is_elsewhere:
        seat = _where_rays_meet(points, _rays(points), height_m)
        if seat is None:
            return False
        points = points - seat.shift_m
    ground = fit_ground(points)
    return ground is not None and _SENSOR_M[0] < -ground[2] < _SENSOR_M[1]


def find_polar(points: Points) -> str | None:
    """What the coordinates are that are ranges and angles, in words; None for x y z.

    One of them goes all round, one is an elevation, one is never negative, and together they make
    a street around its sensor.

    Args:
        points: finite points.
    """
    some = points[:: (len(points) // 20_000) | 1].astype(np.float64)
    if len(some) < _MIN_POINTS:
        return None
    low, high = some.min(axis=0), some.max(axis=0)
    for unit, half in (("radians", np.pi), ("degrees", 180.0)):
        goes_round = (np.abs(high - low - 2 * half) < 0.01 * half) & (
            (np.abs(low) < 0.01 * half) | (np.abs(low + half) < 0.01 * half)
        )
        rises = (low >= -half / 2) & (high <= half / 2)
        for reach, azimuth, elevation in permutations(range(3)):
            if goes_round[azimuth] and rises[elevation] and low[reach] >= 0:
                r = some[:, reach]
                a, e = some[:, [azimuth, elevation]].T * (np.pi / half)
                flat = r * np.cos(e)
                xyz = np.stack([flat * np.cos(a), flat * np.sin(a), r * np.sin(e)], axis=1)
                if _is_street(xyz, is_elsewhere=False):
                    return f"ranges, azimuths and elevations in {unit}"
    return None


def find_seat(points: Points, expected_height_m: float) -> Seat | None:
    """Find the sensor in points of a world's frame; None where it stands at the origin.

    Args:
        points: finite points.
        expected_height_m: how high above the ground to place it.
    """
    if len(points) < _MIN_POINTS:
        return None
    lines = _rays(points)
    if len(lines) >= _MIN_LINES and _share_through(lines, np.zeros(2)) > _MEETING:
        return None
    some = points[:: (len(points) // 20_000) | 1].astype(np.float64)
    return _where_rays_meet(some, lines, expected_height_m) or _far_middle(some, expected_height_m)


def _where_rays_meet(points: Points, lines: NDArray[np.float64], height_m: float) -> Seat | None:
    """The place away from the origin where rays meet, None where they do not."""
    if len(lines) < _MIN_LINES:
        return None
    place = _meeting_point(lines)
    there, here = _share_through(lines, place), _share_through(lines, np.zeros(2))
    if np.hypot(*place) <= _MIN_AWAY_M or there <= max(_MEETING, 3 * here):
        return None
    return _seat(points, place, height_m, "where its rays meet")


def is_in_world(points: Points, world_T_sensor: NDArray[np.float64]) -> bool:
    """Whether points are in the world's frame, not in the sensor's already.

    Args:
        points: (N, 3), of which NaN and infinite ones are not judged.
        world_T_sensor: (4, 4) pose that a file states of its sensor.
    """
    place, turn = world_T_sensor[:3, 3], world_T_sensor[:3, :3]
    some = points[:: (len(points) // 20_000) | 1].astype(np.float64)
    some = some[np.isfinite(some).all(axis=1)]
    if np.linalg.norm(place[:2]) > _MIN_AWAY_M:
        return _share_near(some, place[:2]) > 2 * _share_near(some, np.zeros(2))
    return bool(_tilt(some) > _MAX_TILT_RAD > _tilt((some - place) @ turn))


def turns_upright_over(points: Points, world_T_sensor: NDArray[np.float64]) -> bool:
    """Whether points of the world's frame are upright and a pose would tip them over."""
    place, turn = world_T_sensor[:3, 3], world_T_sensor[:3, :3]
    some = points[:: (len(points) // 20_000) | 1].astype(np.float64) - place
    return bool(_tilt(some) < _MAX_TILT_RAD < _tilt(some @ turn))


def coarse_step_m(points: Points) -> float:
    """The gap between two float32 numbers where most points are, 0 for float64."""
    if points.dtype != np.float32 or not len(points):
        return 0.0
    some = points[:: (len(points) // 20_000) | 1, :2]
    return float(np.spacing(np.quantile(np.abs(some), 0.9, method="higher")))


def _share_near(points: Points, place: NDArray[np.float64]) -> float:
    return float(np.mean(np.hypot(*(points[:, :2] - place).T) < _NEAR_M))


def _rays(points: Points) -> NDArray[np.float64]:
    """Lines through neighbours far apart: (L, 5) of a, b, c with a x + b y = c, and their middle.

    (a, b) has length 1.
    """
    step = max(1, len(points) // 50_000)
    first = points[:-1:step, :2].astype(np.float64)
    along = points[1::step, :2].astype(np.float64)[: len(first)] - first
    length = np.hypot(along[:, 0], along[:, 1])
    far = np.flatnonzero((length > _JUMP_M[0]) & (length < _JUMP_M[1]))
    far = far[:: (len(far) // 4_000) | 1]
    normal = np.stack([-along[far, 1], along[far, 0]], axis=1) / length[far, None]
    middle = first[far] + along[far] / 2
    return np.column_stack([normal, (normal * first[far]).sum(axis=1), middle])


def _share_through(lines: NDArray[np.float64], place: NDArray[np.float64]) -> float:
    """How many of the lines come from well away and pass within a metre of a place, as a share."""
    is_near = np.abs(lines[:, :2] @ place - lines[:, 2]) < _PASSING_M
    is_away = np.hypot(*(lines[:, 3:] - place).T) > _AWAY_M
    return float(np.mean(is_near & is_away))


def _meeting_point(lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where most lines meet: the crossing of two that most others pass, then least squares."""
    half = len(lines) // 2
    crossings = []
    for shift in range(1, 9):  # each line with some others, the same ones each time
        one, other = lines, np.roll(lines, shift * half // 9 + 1, axis=0)
        pair = np.stack([one[:, :2], other[:, :2]], axis=1)
        steep = np.abs(np.linalg.det(pair)) > 0.3
        right = np.stack([one[steep, 2], other[steep, 2]], axis=1)[..., None]
        crossings.append(np.linalg.solve(pair[steep], right)[..., 0])
    found = np.concatenate(crossings)
    cell = np.floor(found / _PASSING_M).astype(np.int64)
    cells, count = np.unique(cell, axis=0, return_counts=True)
    tried = (cells[np.argsort(-count, kind="stable")[:20]] + 0.5) * _PASSING_M
    place = max(tried, key=lambda at: _share_through(lines, at)) if len(tried) else np.zeros(2)
    for reach in (2.0, 1.0, 0.5, 0.5):
        near = np.abs(lines[:, :2] @ place - lines[:, 2]) < reach
        place = np.linalg.lstsq(lines[near, :2], lines[near, 2], rcond=None)[0]
    result: NDArray[np.float64] = place
    return result


def _seat(points: Points, place: NDArray[np.float64], height_m: float, what: str) -> Seat:
    plane = fit_ground(points - np.array([*place, 0.0]))
    ground = float(np.percentile(points[:, 2], 5)) if plane is None else plane[2]
    is_level = abs(ground + height_m) < 1.0
    shift = np.array([*place, 0.0 if is_level else ground + height_m])
    x, y, z = -shift
    said = f"coordinates of a map or a world: moved by ({x:.0f}, {y:.0f}, {z:.1f}) m to {what}"
    return Seat(shift, said)


def _far_middle(points: Points, height_m: float) -> Seat | None:
    """The middle of points that are all far from the origin."""
    middle = np.median(points, axis=0)
    spread = float(np.percentile(np.abs(points[:, :2] - middle[:2]), 90))
    if np.abs(middle).max() < max(_FAR_M, 5 * spread):
        return None
    return _seat(points, middle[:2].round(), height_m, "their middle")


def _tilt(points: Points) -> float:
    ground = fit_ground(points.astype(np.float32))
    return float(np.pi if ground is None else np.arctan(np.hypot(ground[0], ground[1])))
