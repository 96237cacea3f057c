"""Weather and faults: what rain, fog, dirt or a broken beam make of a clean scan.

Simple models in the spirit of Robo3D (Kong et al., ICCV 2023), in three strengths; what they do to
single returns is meant to be right, not their exact number in any given rain.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.beams import bands_of_elevation, find_beams
from lidarpan.structures import FloatArray, InputError, Scan

STRENGTHS = (1, 2, 3)
_COMMON_BEAMS = 64  # bands where a scan does not tell its beams

Source = NDArray[np.int64]
"""(N',) the point of the clean scan that each point comes from; -1 for a return from nothing."""

Model = Callable[[Scan, int, np.random.Generator], tuple[Scan, Source]]


def corrupt(scan: Scan, name: str, strength: int, rng: np.random.Generator) -> tuple[Scan, Source]:
    """A scan under one kind of weather or fault.

    Args:
        scan: a clean one.
        name: one of CORRUPTIONS.
        strength: 1, 2 or 3.
        rng: source of randomness.

    Returns:
        The scan, and the clean point each of its points comes from: (N',) int64, -1 for a return
        from drops, fog or another sensor, which is of no class.

    Raises:
        InputError: there is no such name or strength.
    """
    if name not in CORRUPTIONS or strength not in STRENGTHS:
        raise InputError(
            f"wanted one of {', '.join(CORRUPTIONS)} in strength 1 to 3, got {name!r}, {strength}"
        )
    return CORRUPTIONS[name](scan, strength - 1, rng)


def rain(scan: Scan, k: int, rng: np.random.Generator) -> tuple[Scan, Source]:
    """Far returns are lost and fainter, ranges noisier; drops near the sensor return."""
    reach = _reach(scan)
    keep = rng.random(len(reach)) < np.exp(-(0.002, 0.005, 0.012)[k] * reach)
    wet = _along_rays(scan, reach + rng.normal(0, (0.01, 0.03, 0.06)[k], len(reach)))
    faint = scan.intensity * np.exp(-(0.004, 0.01, 0.02)[k] * reach).astype(np.float32)
    return _with_drops(_changed(scan, wet, faint), keep, (0.002, 0.006, 0.015)[k], 6.0, rng)


def snow(scan: Scan, k: int, rng: np.random.Generator) -> tuple[Scan, Source]:
    """As rain, with many more returns from flakes near the sensor."""
    reach = _reach(scan)
    keep = rng.random(len(reach)) < np.exp(-(0.002, 0.006, 0.015)[k] * reach)
    return _with_drops(scan, keep, (0.01, 0.03, 0.08)[k], 8.0, rng)


def fog(scan: Scan, k: int, rng: np.random.Generator) -> tuple[Scan, Source]:
    """Returns fade with the way there and back; some of the lost ones come from the fog itself.

    Strengths stand for a sight of 300, 150 and 60 metres (Koschmieder: 3.9 / extinction).
    """
    reach = _reach(scan)
    through = np.exp(-2 * 3.9 / (300, 150, 60)[k] * reach)
    keep = rng.random(len(reach)) < np.clip(4 * through, 0, 1)  # a sensor has power to spare
    near = rng.gamma(2.0, (6.0, 4.0, 2.5)[k], len(reach)) + 1.0
    scattered = ~keep & (rng.random(len(reach)) < 0.2) & (near < reach)
    points = _along_rays(scan, np.where(scattered, near, reach))
    dim = np.where(scattered, 0.02, scan.intensity * np.clip(through, 0, 1)).astype(np.float32)
    shown, source = _taken(_changed(scan, points, dim), keep | scattered)
    return shown, np.where(scattered[source], -1, source)


def wet_ground(scan: Scan, k: int, rng: np.random.Generator) -> tuple[Scan, Source]:
    """Water mirrors: the ground is dark, and lost where the beam grazes it."""
    reach = np.maximum(_reach(scan), 1e-3)
    low = scan.points[:, 2] < np.percentile(scan.points[:, 2], 30) + 0.3
    grazing = np.abs(scan.points[:, 2]) / reach < 0.15
    lost = low & (rng.random(len(reach)) < np.where(grazing, (0.2, 0.5, 0.85)[k], 0.05))
    dark = np.where(low, scan.intensity * (0.6, 0.35, 0.15)[k], scan.intensity)
    return _taken(_changed(scan, scan.points, dark.astype(np.float32)), ~lost)


def dirt(scan: Scan, k: int, rng: np.random.Generator) -> tuple[Scan, Source]:
    """Spots on the window: nothing returns through them."""
    azimuth, elevation = _angles(scan)
    keep = np.ones(scan.num_points, np.bool_)
    for _ in range((2, 5, 10)[k]):
        turn = (azimuth - rng.uniform(-np.pi, np.pi) + np.pi) % (2 * np.pi) - np.pi
        rise = elevation - rng.uniform(-0.4, 0.1)
        wide, high = np.radians(rng.uniform(4, 15)), np.radians(rng.uniform(3, 12))
        keep &= (turn / wide) ** 2 + (rise / high) ** 2 > 1
    return _taken(scan, keep)


def motion_blur(scan: Scan, k: int, rng: np.random.Generator) -> tuple[Scan, Source]:
    """The vehicle moves and turns during the sweep, and nobody corrects it."""
    azimuth, _ = _angles(scan)
    time_s = ((-azimuth / (2 * np.pi)) % 1.0 - 0.5) * 0.1
    speed, turning = (4.0, 10.0, 20.0)[k], rng.choice([-1, 1]) * (0.1, 0.3, 0.6)[k]
    cos, sin = np.cos(turning * time_s), np.sin(turning * time_s)
    x, y, z = scan.points.T
    moved = np.stack([cos * x - sin * y - speed * time_s, sin * x + cos * y, z], axis=1)
    shown = _changed(scan, moved.astype(np.float32), scan.intensity)
    return shown, np.arange(scan.num_points)


def dropped_beams(scan: Scan, k: int, rng: np.random.Generator) -> tuple[Scan, Source]:
    """Some beams are dead."""
    beam = find_beams(scan)
    beam = bands_of_elevation(scan, _COMMON_BEAMS) if beam is None else beam
    dead = rng.random(int(beam.max(initial=0)) + 1) < (0.25, 0.5, 0.7)[k]
    dead[rng.integers(len(dead))] = False
    return _taken(scan, ~dead[beam])


def cross_talk(scan: Scan, k: int, rng: np.random.Generator) -> tuple[Scan, Source]:
    """Returns of another sensor's light, at any range."""
    reach = _reach(scan)
    wrong = rng.random(len(reach)) < (0.003, 0.01, 0.03)[k]
    there = np.where(wrong, rng.uniform(1.0, 60.0, len(reach)), reach)
    shown = _changed(scan, _along_rays(scan, there), scan.intensity)
    return shown, np.where(wrong, -1, np.arange(len(reach)))


def wrong_echoes(scan: Scan, k: int, rng: np.random.Generator) -> tuple[Scan, Source]:
    """Some returns are lost where objects end, others lie behind what they hit."""
    reach = _reach(scan)
    wrong = rng.random(len(reach)) < (0.01, 0.04, 0.1)[k]
    behind = np.where(wrong, reach + rng.exponential(4.0, len(reach)) + 0.5, reach)
    keep = rng.random(len(reach)) > (0.03, 0.1, 0.25)[k]
    shown, source = _taken(_changed(scan, _along_rays(scan, behind), scan.intensity), keep)
    return shown, np.where(wrong[source], -1, source)


CORRUPTIONS: dict[str, Model] = {
    "rain": rain,
    "snow": snow,
    "fog": fog,
    "wet-ground": wet_ground,
    "dirt": dirt,
    "motion-blur": motion_blur,
    "dropped-beams": dropped_beams,
    "cross-talk": cross_talk,
    "wrong-echoes": wrong_echoes,
}
"""The models by name."""

LASTING = ("dirt", "dropped-beams")
"""Faults that are the same in every scan of a drive."""


def _reach(scan: Scan) -> NDArray[np.float64]:
    reach: NDArray[np.float64] = np.linalg.norm(scan.points.astype(np.float64), axis=1)
    return reach


def _angles(scan: Scan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Azimuth and elevation, radians."""
    x, y, z = scan.points.astype(np.float64).T
    return np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))


def _along_rays(scan: Scan, reach: NDArray[np.float64]) -> FloatArray:
    """The points at other ranges, (N, 3) float32; no nearer than half a metre."""
    old = np.maximum(_reach(scan), 1e-6)
    new = np.maximum(reach, np.minimum(old, 0.5))
    moved: FloatArray = (scan.points * (new / old)[:, None]).astype(np.float32)
    return moved


def _changed(scan: Scan, points: FloatArray, intensity: FloatArray) -> Scan:
    bright: FloatArray = np.clip(intensity, 0, 1).astype(np.float32)
    return Scan(points, bright, scan.time, scan.ring, scan.world_T_sensor, scan.path)


def _taken(scan: Scan, keep: NDArray[np.bool_]) -> tuple[Scan, Source]:
    return scan.take(keep), np.flatnonzero(keep).astype(np.int64)


def _with_drops(
    scan: Scan,
    keep: NDArray[np.bool_],
    share: float,
    mean_m: float,
    rng: np.random.Generator,
) -> tuple[Scan, Source]:
    """Lost returns go; a share of the others come from a drop before what they hit."""
    reach = _reach(scan)
    drop_m = rng.exponential(mean_m, len(reach)) + 1.0
    near = keep & (rng.random(len(reach)) < share) & (drop_m < reach)
    points = _along_rays(scan, np.where(near, drop_m, reach))
    dim = np.where(near, 0.05 * scan.intensity, scan.intensity).astype(np.float32)
    shown, source = _taken(_changed(scan, points, dim), keep)
    return shown, np.where(near[source], -1, source)
