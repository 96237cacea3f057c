"""Scans to time where there are none: a street of boxes of any number of points, in numpy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import Scan

HEIGHT_M = 1.73
"""The sensor above the ground."""
_SEED = 10_000  # of the first simulated town
_HIT_SHARE = 0.98  # of the rays that meet something, about
_MAX_RANGE_M = 100.0

Floats = NDArray[np.float32]


def street_scan(num_points: int, seed: int = 0) -> Scan:
    """A spinning sensor's scan of a street of boxes, the same bytes for the same numbers.

    64 beams from -24.8 to 2 degrees, as an HDL-64E; more points are more steps and, from 200,000
    on, more beams. Houses, hedges, cars, poles and people are boxes with noise on their surfaces:
    a load of the right kind, no place to learn from.

    Args:
        num_points: how many points, about.
        seed: of the street.
    """
    rng = np.random.default_rng([seed, 77])
    num_rays = int(num_points / _HIT_SHARE)
    num_beams = 64 if num_points < 200_000 else 128 if num_points < 600_000 else 256
    steps = max(num_rays // num_beams, 1)
    elevation = np.radians(np.linspace(-24.8, 2.0, num_beams))[:, None]
    azimuth = (np.arange(steps) / steps * 2 * np.pi)[None]
    directions = np.stack(
        np.broadcast_arrays(
            np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ), axis=-1,
    ).reshape(-1, 3).astype(np.float32)  # fmt: skip
    with np.errstate(divide="ignore"):
        inverse = np.ascontiguousarray(1 / directions.T)
    reach = np.where(inverse[2] < 0, -HEIGHT_M * inverse[2], np.inf).astype(np.float32)
    spread = np.full(len(reach), 0.015, np.float32)
    brightness = np.full(len(reach), 0.25, np.float32)
    for low, high, rough, bright in _boxes(rng):
        entry = _enter(inverse, low, high)
        nearer = entry < reach
        reach[nearer], spread[nearer], brightness[nearer] = entry[nearer], rough, bright
    hit = reach < _MAX_RANGE_M
    distance = reach[hit] + rng.standard_normal(hit.sum(), np.float32) * spread[hit]
    noise = rng.random(hit.sum(), np.float32) * np.float32(0.1)
    return Scan(directions[hit] * distance[:, None], brightness[hit] + noise)


def _boxes(rng: np.random.Generator) -> list[tuple[Floats, Floats, float, float]]:
    """(lower corner, upper corner, roughness in metres, intensity) of everything but the ground."""
    boxes = []

    def add(x: float, y: float, size: tuple[float, float, float], rough: float) -> None:
        half = np.array([size[0] / 2, size[1] / 2, 0])
        low = np.array([x, y, -HEIGHT_M]) - half
        high = np.array([x, y, size[2] - HEIGHT_M]) + half
        bright = float(rng.uniform(0.05, 0.8))
        boxes.append((low.astype(np.float32), high.astype(np.float32), rough, bright))

    for side in (-1, 1):
        for x in np.arange(-60, 60, 14):
            setback = rng.uniform(9, 14)
            add(x, side * (setback + 4), (rng.uniform(8, 12), 8, rng.uniform(5, 12)), 0.02)
            add(x, side * (setback - 1.5), (rng.uniform(4, 12), 1.2, rng.uniform(0.8, 3)), 0.25)
        for x in np.arange(-45, 45, 7.5):
            if rng.random() < 0.6:
                add(x, side * rng.uniform(4, 4.6), (4.3, 1.8, 1.5), 0.02)
            add(x + 3.5, side * 6.2, (0.3, 0.3, 5), 0.02)
            if rng.random() < 0.4:
                add(x + rng.uniform(-3, 3), side * 7, (0.5, 0.5, 1.75), 0.04)
    return boxes


def _enter(inverse: Floats, low: Floats, high: Floats) -> Floats:
    """Range at which rays from the origin enter a box, inf where they miss it. -> (R,).

    Args:
        inverse: (3, R) one over the rays' directions.
        low: (3,) metres.
        high: (3,) metres.
    """
    near = np.zeros(inverse.shape[1], np.float32)
    far = np.full(inverse.shape[1], np.inf, np.float32)
    for axis in range(3):
        first, last = low[axis] * inverse[axis], high[axis] * inverse[axis]
        np.maximum(near, np.minimum(first, last), out=near)
        np.minimum(far, np.maximum(first, last), out=far)
    near[(near > far) | (near <= 0)] = np.inf
    return near


def write_scans(folder: Path, num_scans: int = 4) -> tuple[list[Path], str]:
    """Write scans to time: simulated HDL-64E towns, or streets of boxes where open3d is missing.

    The simulator runs in a process of its own, so that its memory is not in what is measured.

    Returns:
        The files, and in words what they are.
    """
    code = "import sys; from lidarpan.bench.scans import _simulate; _simulate(*sys.argv[1:])"
    words = [sys.executable, "-W", "ignore", "-c", code, str(folder), str(num_scans)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return sorted(folder.glob("*.bin")), f"simulated hdl64e, seeds {_SEED} and up"
    reason = (done.stderr.strip().splitlines() or ["no word"])[-1]
    if not reason.startswith(("ImportError", "ModuleNotFoundError", "OSError")):
        raise RuntimeError(f"the simulator failed: {done.stderr}")
    paths = [write_street(folder, 120_000, seed) for seed in range(num_scans)]
    return paths, f"streets of boxes, as the simulator cannot run: {reason}"


def write_street(folder: Path, num_points: int, seed: int = 0) -> Path:
    """Write a `street_scan` as a KITTI binary."""
    path = folder / f"street-{num_points}-{seed}.bin"
    _write(path, street_scan(num_points, seed))
    return path


def _write(path: Path, scan: Scan) -> None:
    np.column_stack([scan.points, scan.intensity]).astype(np.float32).tofile(path)


def _simulate(folder: str, num_scans: str) -> None:
    from lidarpan.synthetic.sensors.presets import SENSORS
    from lidarpan.synthetic.simulate import simulate_scan

    for index in range(int(num_scans)):
        scan = simulate_scan(_SEED + index, SENSORS["hdl64e"]).scan
        _write(Path(folder) / f"{index:06d}.bin", scan)
