"""A labelled scan as a poorer sensor would have taken it: fewer beams, azimuths or metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import BoolArray, FloatArray
from lidarpan.training.augment import Sample


def thin(sample: Sample, rng: np.random.Generator) -> Sample:
    """As one of seven poorer sensors would have taken it.

    Beams left out, azimuths left out, both, far points lost, a sector only, a sector of fewer beams
    and azimuths (twice as often as each of the others), or a short range.

    The sensor is at (0, 0, 0). Beams and azimuths are bands of angles, as the beams of an unknown
    sensor are not known.
    """
    match int(rng.integers(8)):
        case 0:
            keep = some_beams(sample, rng)
        case 1:
            keep = some_azimuths(sample, rng)
        case 2:
            keep = some_beams(sample, rng) & some_azimuths(sample, rng)
        case 3:
            keep = near_ones(sample, rng)
        case 4:
            keep = a_sector(sample, rng)
        case 5 | 6:
            keep = a_sector(sample, rng) & some_beams(sample, rng) & some_azimuths(sample, rng)
        case _:
            keep = _range_m(sample) < rng.uniform(25, 60)
    return sample.take(keep) if keep.sum() > 1000 else sample


def some_beams(sample: Sample, rng: np.random.Generator) -> BoolArray:
    """Every second to fourth band of inclination, or a random share of the bands. (N,)."""
    band = _bands(_inclination(sample), np.radians(np.exp(rng.uniform(np.log(0.3), 0.3))), rng)
    return _some(band, rng)


def some_azimuths(sample: Sample, rng: np.random.Generator) -> BoolArray:
    """Every second to fourth band of azimuth, or a random share of the bands. (N,)."""
    azimuth = np.arctan2(sample.points[:, 1], sample.points[:, 0])
    return _some(_bands(azimuth, np.radians(rng.uniform(0.15, 0.4)), rng), rng)


def near_ones(sample: Sample, rng: np.random.Generator) -> BoolArray:
    """A point is kept with probability 1 / (1 + (range / R) ** 2), R = 10 to 50 m. (N,)."""
    reach = rng.uniform(10, 50)
    return rng.random(len(sample.points)) < 1 / (1 + (_range_m(sample) / reach) ** 2)


def a_sector(sample: Sample, rng: np.random.Generator) -> BoolArray:
    """35 to 200 degrees of azimuth, narrow ones more often. (N,)."""
    start, width = rng.uniform(-np.pi, np.pi), np.radians(np.exp(rng.uniform(*np.log([35, 200]))))
    azimuth = np.arctan2(sample.points[:, 1], sample.points[:, 0])
    inside: BoolArray = (azimuth - start) % (2 * np.pi) < width
    return inside


def _some(band: NDArray[np.int64], rng: np.random.Generator) -> BoolArray:
    """Bands by number, or by chance, from 0. (N,) -> (N,)."""
    if rng.random() < 0.7:
        every = int(rng.integers(2, 5))
        regular: BoolArray = band % every == int(rng.integers(every))
        return regular
    chosen: BoolArray = rng.random(int(band.max(initial=0)) + 1) < rng.uniform(0.25, 0.8)
    return chosen[band]


def bands_of_inclination(
    sample: Sample, width_rad: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Number of the band of inclination that each point lies in, from 0. (N,)."""
    return _bands(_inclination(sample), width_rad, rng)


def _bands(angle: FloatArray, width_rad: float, rng: np.random.Generator) -> NDArray[np.int64]:
    band = np.floor(angle / width_rad + rng.random()).astype(np.int64)
    return np.asarray(band - band.min(initial=0))


def _inclination(sample: Sample) -> FloatArray:
    x, y, z = sample.points.T
    inclination: FloatArray = np.arctan2(z, np.hypot(x, y))
    return inclination


def _range_m(sample: Sample) -> FloatArray:
    range_m: FloatArray = np.linalg.norm(sample.points, axis=1)
    return range_m
