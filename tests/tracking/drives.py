"""Small drives with true identities: rays of a flat scanner against upright boxes."""

from dataclasses import dataclass

import numpy as np

HEIGHTS_M = (0.4, 0.9, 1.4, 2.4)
NUM_RAYS = 1200


@dataclass(frozen=True)
class Body:
    """An upright box: number, train id, middle x y, length, width, height (m), heading (rad)."""

    number: int
    train_id: int
    x: float
    y: float
    length: float
    width: float
    height: float
    yaw: float = 0.0


def car(number, x, y, yaw=0.0):
    return Body(number, 1, x, y, 4.4, 1.8, 1.6, yaw)


def bus(number, x, y, yaw=0.0):
    return Body(number, 5, x, y, 11.0, 2.6, 3.2, yaw)


def person(number, x, y):
    return Body(number, 6, x, y, 0.4, 0.4, 1.75)


def distances(bodies, eye, angles):
    """Range of each ray to each body, inf where it misses. (B, R)."""
    result = np.full((len(bodies), len(angles)), np.inf)
    for b, body in enumerate(bodies):
        c, s = np.cos(body.yaw), np.sin(body.yaw)
        dx, dy = eye[0] - body.x, eye[1] - body.y
        origin = np.array([c * dx + s * dy, c * dy - s * dx])
        way = np.stack([np.cos(angles - body.yaw), np.sin(angles - body.yaw)])
        half = np.array([body.length / 2, body.width / 2])
        with np.errstate(divide="ignore"):
            a = (-half[:, None] - origin[:, None]) / way
            z = (half[:, None] - origin[:, None]) / way
        enter, leave = np.minimum(a, z).max(axis=0), np.maximum(a, z).min(axis=0)
        hit = (enter < leave) & (enter > 0.5)
        result[b, hit] = enter[hit]
    return result


def look(bodies, pose, rng, noise_m=0.02):
    """What a scanner at a pose sees of bodies: points in its frame, train id, number of each."""
    angles = np.linspace(-np.pi, np.pi, NUM_RAYS, endpoint=False) + rng.uniform(0, 0.003)
    ranges = distances(bodies, pose[:2, 3], angles)
    points, kinds, numbers = [], [], []
    for height in HEIGHTS_M:
        tall = np.array([body.height > height for body in bodies])
        seen = np.where(tall[:, None], ranges, np.inf)
        nearest = seen.argmin(axis=0)
        best = seen.min(axis=0)
        hit = np.flatnonzero(best < 80)
        away = best[hit] + rng.normal(0, noise_m, len(hit))
        at = pose[:2, 3] + away[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])[hit]
        points.append(np.column_stack([at, np.full(len(hit), height)]))
        kinds.append([bodies[b].train_id for b in nearest[hit]])
        numbers.append([bodies[b].number for b in nearest[hit]])
    world = np.concatenate(points)
    local = (world - pose[:3, 3]) @ pose[:3, :3]
    return (
        local.astype(np.float32),
        np.concatenate(kinds).astype(np.uint8),
        np.concatenate(numbers).astype(np.int32),
    )


def at(x, y, yaw=0.0):
    """A pose on the ground."""
    pose = np.eye(4)
    c, s = np.cos(yaw), np.sin(yaw)
    pose[:2, :2], pose[:2, 3] = [[c, -s], [s, c]], (x, y)
    return pose
