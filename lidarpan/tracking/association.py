"""Tracks and the objects of a scan -> what it costs to take one for the other.

The cost is a sum of surprises: what the surfaces leave unexplained once the track is moved onto the
object (`registration`), how much more or less is seen of it than before, how unlikely that move is
for what is known of the track's motion and its class, and how unlike the classes are. So a part of
a thing, such as a mirror, does not change names with the whole. Of several moves that a pair
allows (as expected, at rest, middle onto middle) the cheapest counts.

Where both surfaces are small parts of what their class is, they may be different parts: the move
between them then says little of the object's, and costs little.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lidarpan.tracking.registration import register, unexplained, unexplained_by_box

Array = NDArray[Any]

TOLERANCE_M = 0.3  # distance at which a place is half explained
MISFIT_WEIGHT = 8.0
SIZE_WEIGHT = 0.5  # of a factor e between how many places are seen of a thing in two scans
SHARP_WEIGHT = 16.0  # of a misfit where moves of one pair are compared
LONG_M = 4.0  # on longer sides a move shows at the ends alone, which are a smaller share
MOVE_NOISE_M = 0.12  # of a registration
REST_M = 0.25  # an object at rest is found within this of where it was
START_COST = 1.5  # surprise of a new track that moves at all
ALONG_SLACK = 0.15  # vehicles go along their axis, give or take this share
CHANGE_COST = 4.0  # surprise of a known motion that is forgotten
HIDDEN_SHARE = 0.25  # of what both views lack of the class's length: how far apart they may be
NEW_COST = 0.6  # surprise of an object that is seen a second time; less for older ones
UNSEEN_COST = 1.5  # surprise of a side that does not show how the track moved
TELLING = 8.0  # places more than one that halve the doubt who it is
TOLD = 0.5  # with less doubt a surface tells by itself that a thing rests
EXPLAINED_WELL = 0.15  # nothing else is tried where this little is left
SURE_COST = 2.5  # and the move is as likely as this
FAR = 1e9
ONCE_LASTS_S = 1.0  # what was seen once and not for longer is looked for only where it was,
THERE_M = 2.0  # that is, no farther away
RESTS_ON = 0.2  # of its acceleration is what a thing at rest is thought to have
NO_SIDE_M = 1e3
UNKNOWN, MOVING, RESTING = 0.0, 1.0, 2.0


@njit(cache=True)
def unknown_motion_cost(
    ux: float, uy: float, dt: float, slack: float, top: float, along_x: float, along_y: float,
    doubt: float,
) -> float:  # fmt: skip
    """Surprise of a move u in dt seconds of a track whose motion is unknown.

    slack: m that views may be apart; top: m/s; along: unit vector of the axis it goes along, (0, 0)
    where it may go anywhere; doubt: as `spread_cost` takes it.
    """
    square = ux * ux + uy * uy
    apart = REST_M * REST_M + slack * slack
    rest = 0.5 * square / apart + spread_cost(apart, doubt)
    speed = np.sqrt(square) / dt
    usual = 0.4 * top * dt + slack
    cost = START_COST
    if speed > top:
        cost += 0.5 * ((speed - top) * dt / (REST_M + slack)) ** 2 + 3.0
    else:
        cost += 0.5 * (speed / (0.4 * top)) ** 2
    if along_x != 0.0 or along_y != 0.0:
        across = REST_M + slack + ALONG_SLACK * np.sqrt(square)
        if speed <= top:
            cost += 0.5 * ((ux * along_y - uy * along_x) / across) ** 2
        cost += spread_cost(usual * across, doubt)
    else:
        cost += spread_cost(usual * usual, doubt)
    return min(rest, cost)


@njit(cache=True)
def spread_cost(square_m: float, doubt: float) -> float:
    """Surprise of finding an object somewhere in a wide place rather than a new one. m^2.

    doubt in [0, 1] says how little the surfaces say of who it is: 1 for a single place, which fits
    any other.
    """
    return doubt * np.log(1.0 + square_m / (REST_M * REST_M))


@njit(cache=True)
def known_motion_cost(
    ux: float, uy: float, dt: float, slack: float, vx: float, vy: float, variance: float,
    acceleration: float, doubt: float,
) -> float:  # fmt: skip
    """Surprise of a move u in dt seconds of a track with a velocity: Student's t, 3 degrees."""
    dx, dy = ux - vx * dt, uy - vy * dt
    spread = MOVE_NOISE_M**2 + slack * slack + variance * dt * dt
    spread += (0.5 * acceleration * dt * dt) ** 2
    return 2.5 * np.log(1.0 + (dx * dx + dy * dy) / (3.0 * spread)) + spread_cost(spread, doubt)


@njit(cache=True)
def motion_cost(
    ux: float, uy: float, dt: float, slack: float, motion: Array, wander: Array, top: float,
    acceleration: float, doubt: float,
) -> float:  # fmt: skip
    """Surprise of a move. motion: vx, vy, variance, UNKNOWN, MOVING or RESTING, axis x, axis y."""
    unknown = unknown_motion_cost(ux, uy, dt, slack, top, motion[4], motion[5], doubt)
    if motion[3] == UNKNOWN:
        return unknown
    wx, wy = ux + wander[0], uy + wander[1]
    known = known_motion_cost(
        wx, wy, dt, slack, motion[0], motion[1], motion[2], acceleration, doubt
    )
    if np.hypot(ux, uy) > top * dt + REST_M + slack:
        known += 6.0
    if motion[3] == RESTING:  # what rests is likely to rest on, however long it was hidden
        apart = REST_M * REST_M + slack * slack
        rest = 0.5 * (wx * wx + wy * wy) / apart + spread_cost(apart, doubt)
        known = min(rest, known + START_COST)
    return min(known, CHANGE_COST + unknown)


@njit(cache=True)
def pair_costs(
    shape: Array, num_shape: Array, last: Array, num_last: Array, center: Array, radius: Array,
    box: Array, motion: Array, wander: Array, since_s: Array, num_seen_scans: Array, kind: Array,
    seen: Array, num_seen: Array, seen_center: Array, seen_radius: Array, seen_kind: Array,
    limits: Array, is_wide: Array, class_cost: Array, most: float,
) -> Any:  # fmt: skip
    """Cost and move of every pair of T tracks and K objects; FAR where it is above `most`.

    Args:
        shape: (T, 2, S) m, what is known of each track's surface.
        num_shape: (T,) places used of it.
        last: (T, 2, S) m, what was seen of it last.
        num_last: (T,) places used of that.
        center: (T, 2) m, middle of that.
        radius: (T,) m, half its diagonal.
        box: (T, 7) x, y, z, length, width, height, heading; believed of what is wide.
        motion: (T, 6) as `motion_cost` takes it.
        wander: (T, 2) m, from where it is likely to be to where it was seen last.
        since_s: (T,) s since then.
        num_seen_scans: (T,) scans it was seen in.
        kind: (T,) classes.
        seen: (K, 2, S) m, surfaces of the objects.
        num_seen: (K,) places used.
        seen_center: (K, 2) m.
        seen_radius: (K,) m.
        seen_kind: (K,) classes.
        limits: (C, 3) top speed m/s, acceleration m/s^2, length m.
        is_wide: (C,) bool.
        class_cost: (C, C) surprise of a track of one class that is seen as another.
        most: the highest cost of a pair.

    Returns:
        cost (T, K), move (T, K, 2) m, and (T, K, 2) in [0, 1] what the track leaves unexplained of
        the object and the object of the track.
    """
    num_tracks, num_objects = len(kind), len(seen_kind)
    cost = np.full((num_tracks, num_objects), FAR)
    left = np.ones((num_tracks, num_objects, 2))
    moves = np.zeros((num_tracks, num_objects, 2))
    u, start, sides = np.empty(2), np.empty((3, 2)), np.empty(6)
    for t in range(num_tracks):
        dt = since_s[t]
        top, acceleration, length = limits[kind[t]]
        if motion[t, 3] == RESTING:
            acceleration *= RESTS_ON
        px, py = motion[t, 0] * dt - wander[t, 0], motion[t, 1] * dt - wander[t, 1]
        reach = top * dt
        if motion[t, 3] != UNKNOWN:
            known = np.sqrt(motion[t, 2]) * dt + 0.5 * acceleration * dt * dt
            reach = min(reach, 3.0 * known + 1.5)
        age_cost = NEW_COST / num_seen_scans[t]
        is_lost = motion[t, 3] == UNKNOWN and dt > ONCE_LASTS_S
        sides[:2], sides[2:4] = box[t, :2], -NO_SIDE_M
        if is_wide[kind[t]]:
            sides[2:4] = 0.5 * box[t, 3:5]
        sides[4], sides[5] = np.cos(box[t, 6]), np.sin(box[t, 6])
        for k in range(num_objects):
            strange = class_cost[kind[t], seen_kind[k]]
            if strange >= most:
                continue
            dx, dy = seen_center[k, 0] - center[t, 0], seen_center[k, 1] - center[t, 1]
            away, at_rest = (dx - px) ** 2 + (dy - py) ** 2, dx * dx + dy * dy
            both = 0.5 * (radius[t] + seen_radius[k])
            slack = HIDDEN_SHARE * max(length - 2.0 * max(radius[t], seen_radius[k]), 0.0)
            if min(away, at_rest) > (reach + both + 2.0 * slack + 0.5) ** 2:
                continue
            away, at_rest = np.sqrt(away), np.sqrt(at_rest)
            doubt = 1.0 / (1.0 + (min(num_last[t], num_seen[k]) - 1.0) / TELLING)
            start[0, 0], start[0, 1] = px, py
            tries = 1
            if away > 0.3 + 0.1 * both:
                start[tries, 0], start[tries, 1] = dx, dy
                tries += 1
            if abs(px) + abs(py) > 0.3 and at_rest < both + 0.5:
                start[tries, 0], start[tries, 1] = 0.0, 0.0
                tries += 1
            best, left_over = np.inf, 1.0
            for i in range(tries + 1):
                if left_over < EXPLAINED_WELL and cost[t, k] < SURE_COST:
                    break
                if i == tries:  # as expected: what is seen may be another side than before
                    is_known = motion[t, 3] != RESTING or doubt < TOLD
                    if left_over < EXPLAINED_WELL and is_known:
                        break
                    u[0], u[1] = px, py
                else:
                    register(
                        last[t], num_last[t], seen[k], num_seen[k], start[i, 0], start[i, 1],
                        4, TOLERANCE_M, u,
                    )  # fmt: skip
                value = strange + age_cost
                if i == tries and motion[t, 3] != RESTING:
                    value += UNSEEN_COST
                value += motion_cost(
                    u[0], u[1], dt, slack, motion[t], wander[t], top, acceleration, doubt
                )
                if value >= most:
                    continue
                a = unexplained_by_box(
                    seen[k], num_seen[k], shape[t], num_shape[t], -u[0], -u[1], TOLERANCE_M, sides
                )
                b = unexplained(last[t], num_last[t], seen[k], num_seen[k], u[0], u[1], TOLERANCE_M)
                # a part is seen of a whole, or a whole after a part
                unlike = 0.7 * min(a, b) + 0.3 * max(a, b)
                left_over = min(left_over, unlike)
                sharp = value + SHARP_WEIGHT * max(1.0, 2.0 * both / LONG_M) * unlike
                size = abs(np.log(num_last[t] / num_seen[k]))
                value += MISFIT_WEIGHT * unlike + SIZE_WEIGHT * size
                if value < most and sharp < best:
                    best = sharp
                    cost[t, k], left[t, k, 0], left[t, k, 1] = value, a, b
                    moves[t, k, 0], moves[t, k, 1] = u[0], u[1]
            if is_lost and np.hypot(moves[t, k, 0], moves[t, k, 1]) > THERE_M:
                cost[t, k] = FAR
    return cost, moves, left
