"""Random changes of a labelled training scan: pure functions of arrays and an rng.

How much is changed was chosen by hand on simulated towns; there is no ablation of each change.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lidarpan.config import AugmentConfig
from lidarpan.structures import BoolArray, FloatArray, IntArray, SemanticArray


@dataclass(frozen=True)
class Sample:
    """A labelled scan as plain arrays.

    Attributes:
        points: (N, 3) float32 metres.
        intensity: (N,) float32 in [0, 1].
        semantic: (N,) uint8 train ids, 0 = void.
        instance: (N,) int32, 0 = none.
        origin: (N,) int64 row of the scan that a point was read from, -1 = of another scan; or None
            where nobody asks.
    """

    points: FloatArray
    intensity: FloatArray
    semantic: SemanticArray
    instance: IntArray
    origin: NDArray[np.int64] | None = None

    def take(self, keep: BoolArray | NDArray[np.int64]) -> Sample:
        """The chosen points."""
        return Sample(
            self.points[keep],
            self.intensity[keep],
            self.semantic[keep],
            self.instance[keep],
            None if self.origin is None else self.origin[keep],
        )

    def without_labels(self) -> Sample:
        """The same with every point void."""
        nothing = np.zeros_like(self.semantic), np.zeros_like(self.instance)
        return replace(self, semantic=nothing[0], instance=nothing[1])

    def numbered(self) -> Sample:
        """The same, each point with its row as its origin."""
        return replace(self, origin=np.arange(len(self.points)))


def concatenate(first: Sample, second: Sample) -> Sample:
    """Both samples' points; the second's instances get ids above the first's, and no origin."""
    offset = np.int32(first.instance.max(initial=0))
    shifted = np.where(second.instance > 0, second.instance + offset, 0).astype(np.int32)
    return Sample(
        np.concatenate([first.points, second.points]),
        np.concatenate([first.intensity, second.intensity]),
        np.concatenate([first.semantic, second.semantic]),
        np.concatenate([first.instance, shifted]),
        None
        if first.origin is None
        else np.pad(first.origin, (0, len(shifted)), constant_values=-1),
    )


def flip(sample: Sample, rng: np.random.Generator) -> Sample:
    """Mirror left and right, and front and back, each with probability 1/2."""
    sign = np.array([*rng.choice([-1, 1], 2), 1], np.float32)
    return replace(sample, points=sample.points * sign)


def rotate(sample: Sample, rng: np.random.Generator, max_rad: float, tilt_rad: float) -> Sample:
    """Turn about z by up to +-max_rad, and tilt about x and y by about tilt_rad."""
    yaw = rng.uniform(-max_rad, max_rad)
    roll, pitch = rng.normal(0, tilt_rad, 2)
    c, s = np.cos(yaw), np.sin(yaw)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    small = np.array([[1, 0, pitch], [0, 1, -roll], [-pitch, roll, 1]])  # first order
    return replace(sample, points=(sample.points @ (small @ turn).T).astype(np.float32))


def scale(sample: Sample, rng: np.random.Generator, amount: float, shift_z_m: float) -> Sample:
    """Scale by 1 +- amount, shift up or down by about shift_z_m."""
    points = sample.points * np.float32(rng.uniform(1 - amount, 1 + amount))
    points[:, 2] += np.float32(rng.normal(0, shift_z_m))
    return replace(sample, points=points)


def jitter(sample: Sample, rng: np.random.Generator, sigma_m: float) -> Sample:
    """Move each point by normal noise of sigma_m per axis."""
    noise = rng.standard_normal(sample.points.shape, np.float32) * np.float32(sigma_m)
    return replace(sample, points=sample.points + noise)


def drop(sample: Sample, rng: np.random.Generator, max_share: float) -> Sample:
    """Leave out up to max_share of the points."""
    keep = rng.random(len(sample.points), np.float32) >= rng.uniform(0, max_share)
    return sample.take(keep)


def change_intensity(
    sample: Sample, rng: np.random.Generator, gain: float, drop_probability: float
) -> Sample:
    """Multiply all intensities by a log-normal gain, or set them to 0 as a sensor without any."""
    if rng.random() < drop_probability:
        return replace(sample, intensity=np.zeros_like(sample.intensity))
    factor = np.float32(np.exp(rng.normal(0, gain)))
    return replace(sample, intensity=np.clip(sample.intensity * factor, 0, 1))


def perturb(sample: Sample, rng: np.random.Generator, a: AugmentConfig) -> Sample:
    """What training does to every scan: drop, mirror, turn, scale, jitter, change brightness."""
    sample = drop(sample, rng, a.drop)
    if a.flip:
        sample = flip(sample, rng)
    sample = rotate(sample, rng, a.rotate_rad, a.tilt_rad)
    sample = scale(sample, rng, a.scale, a.shift_z_m)
    sample = jitter(sample, rng, a.jitter_m)
    return change_intensity(sample, rng, a.intensity_gain, a.intensity_drop)


# Chosen by hand on simulated towns, without an ablation, as the bands and sectors of the mixes.
_PASTE_CELL_M = 0.4
_PASTE_REACH_M = 80.0
_PASTE_TRIES = 8
_PASTE_LEAST_POINTS = 10


def paste_instances(
    sample: Sample, other: Sample, rng: np.random.Generator, count: int, ground: tuple[int, ...]
) -> Sample:
    """Copy up to `count` instances of another scan to where this scan has only ground.

    Each is turned about the sensor by a random angle (its range, and so its point density, stays)
    and set on the local ground; when anything but ground is within 0.4 m of it, other angles are
    tried. Rare classes are as likely as common ones. Points behind a pasted instance stay, as in
    Panoptic-PolarNet (Zhou et al., CVPR 2021, section 3.4).

    Args:
        sample: the scan to fill.
        other: the scan to copy from.
        rng: source of randomness.
        count: most instances to paste.
        ground: train ids of the ground classes.
    """
    ids, first, sizes = np.unique(other.instance, return_index=True, return_counts=True)
    usable = (ids > 0) & (sizes >= _PASTE_LEAST_POINTS)
    ids, semantic = ids[usable], other.semantic[first[usable]]
    if not len(ids):
        return sample
    chance = 1.0 / np.bincount(semantic, minlength=256)[semantic]
    chosen = rng.choice(ids, min(count, len(ids)), replace=False, p=chance / chance.sum())
    taken, floor = _obstacles_and_floor(sample, np.isin(sample.semantic, ground))
    for instance in chosen:
        piece = other.take(other.instance == instance)
        for angle in rng.uniform(-np.pi, np.pi, _PASTE_TRIES):
            c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
            points = piece.points @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
            cells = _paste_cells(points)
            below = floor[cells]
            if not taken[cells].any() and np.isfinite(below).any():
                points[:, 2] += np.float32(np.nanmedian(below)) - points[:, 2].min()
                sample = concatenate(sample, replace(piece, points=points))
                _take(taken, cells)
                break
    return sample


def _paste_cells(points: FloatArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    side = int(2 * _PASTE_REACH_M / _PASTE_CELL_M)
    cell = np.floor((points[:, :2] + _PASTE_REACH_M) / _PASTE_CELL_M).astype(np.int64)
    cell = np.clip(cell, 1, side - 2)
    return cell[:, 0], cell[:, 1]


def _obstacles_and_floor(
    sample: Sample, is_ground: BoolArray
) -> tuple[BoolArray, NDArray[np.float64]]:
    """Which cells are within one of something that is no ground, and the ground's mean height."""
    side = int(2 * _PASTE_REACH_M / _PASTE_CELL_M)
    taken = np.zeros((side, side), np.bool_)
    _take(taken, _paste_cells(sample.points[~is_ground]))
    x, y = _paste_cells(sample.points[is_ground])
    number = np.bincount(x * side + y, minlength=side * side)
    total = np.bincount(x * side + y, sample.points[is_ground, 2], minlength=side * side)
    floor = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    return taken, floor.reshape(side, side)


def _take(taken: BoolArray, cells: tuple[NDArray[np.int64], NDArray[np.int64]]) -> None:
    """Mark cells and their eight neighbours."""
    for dx in (-1, 0, 1):
        for dy in (-1, 0, 1):
            taken[cells[0] + dx, cells[1] + dy] = True


def laser_mix(sample: Sample, other: Sample, rng: np.random.Generator) -> Sample:
    """Alternate bands of inclination from both scans (Kong et al., LaserMix, CVPR 2023)."""
    edges = np.linspace(np.deg2rad(-25), np.deg2rad(3), int(rng.integers(3, 7)))

    def band(s: Sample) -> NDArray[np.int64]:
        inclination = np.arctan2(s.points[:, 2], np.hypot(s.points[:, 0], s.points[:, 1]))
        return np.digitize(inclination, edges)

    odd = int(rng.integers(2))
    return concatenate(sample.take(band(sample) % 2 == odd), other.take(band(other) % 2 != odd))


def mix3d(sample: Sample, other: Sample, rng: np.random.Generator) -> Sample:
    """Both scans in one place, the other one turned (Nekrasov et al., Mix3D, 3DV 2021)."""
    return concatenate(sample, rotate(other, rng, np.pi, 0.0))


def polar_mix(sample: Sample, other: Sample, rng: np.random.Generator) -> Sample:
    """Swap a sector of azimuth (Xiao et al., PolarMix, NeurIPS 2022, scene-level swapping)."""
    start, width = rng.uniform(-np.pi, np.pi), rng.uniform(np.pi / 3, np.pi)

    def inside(s: Sample) -> BoolArray:
        azimuth = np.arctan2(s.points[:, 1], s.points[:, 0])
        return (azimuth - start) % (2 * np.pi) < width

    return concatenate(sample.take(~inside(sample)), other.take(inside(other)))
