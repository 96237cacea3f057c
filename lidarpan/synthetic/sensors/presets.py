"""Sensors known by name: beam tables, steps and ranges.

The beams of HDL-32E, VLP-16, VLP-32C and VLS-128 are those of the calibrations in the library
velodyne-decoder (a test holds them). Those of Ouster are even over the nominal field of view; a
unit's own calibration may differ by 1.6 degrees. Those of Hesai, and all steps, ranges and noises,
were written down from general knowledge and are not checked against a manual. The HDL-64E is
KITTI's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lidarpan.synthetic.sensors.sensor import Sensor

Degrees = NDArray[np.float64]

_VLP32C = (
    *(-25, -15.639, -11.31, -8.843, -7.254, -6.148, -5.333, -4.667, -4, -3.667, -3.333, -3, -2.667),
    *(-2.333, -2, -1.667, -1.333, -1, -0.667, -0.333, 0, 0.333, 0.667, 1, 1.333, 1.667, 2.333),
    *(3.333, 4.667, 7, 10.333, 15),
)
_VLS128_EDGES = (
    *(-25, -19.582, -16.042, -13.565, -11.742, -10.346, -9.244, -8.352, -7.65, -7.15, -6.85),
    *(-6.65, 4.98, 5.18, 5.43, 5.73),
    *(6.08, 6.48, 6.98, 7.58, 8.43, 9.7, 11.75, 15),
)
_QT64_UPPER = (
    *(0.725, 2.175, 3.626, 5.079, 6.535, 7.994, 9.457, 10.925, 12.399, 13.88, 15.368, 16.865),
    *(18.372, 19.889, 21.42, 22.964, 24.517, 26.094, 27.69, 29.308, 30.95, 32.619, 34.32, 36.055),
    *(37.831, 39.653, 41.528, 43.465, 45.477, 47.577, 49.785, 52.121),
)
_PANDAR_EDGES = (-25, -19, *range(-14, -6), 3, 5, 8, 11, 15)


def _even(lowest_deg: float, highest_deg: float, count: int) -> Degrees:
    return np.linspace(lowest_deg, highest_deg, count)


def _sorted(*parts: tuple[float, ...] | Degrees) -> Degrees:
    return np.sort(np.concatenate([np.asarray(part, np.float64) for part in parts]))


ELEVATIONS_DEG: dict[str, Degrees] = {
    "hdl64e": _sorted(_even(-24.0, -8.5, 32), _even(-7.85, 2.5, 32)),
    "hdl32e": _even(-30.67, 10.67, 32),
    "vlp16": _even(-15, 15, 16),
    "vlp32c": _sorted(_VLP32C),
    "vls128": _sorted(_VLS128_EDGES, _even(-6.5, 4.83, 104)),
    "os0-32": _even(-45, 45, 32),
    "os0-64": _even(-45, 45, 64),
    "os0-128": _even(-45, 45, 128),
    "os1-32": _even(-22.5, 22.5, 32),
    "os1-64": _even(-22.5, 22.5, 64),
    "os1-128": _even(-22.5, 22.5, 128),
    "os2-32": _even(-11.25, 11.25, 32),
    "os2-64": _even(-11.25, 11.25, 64),
    "os2-128": _even(-11.25, 11.25, 128),
    "pandar40p": _sorted(_PANDAR_EDGES, _even(-6, 2, 25)),
    "pandar64": _sorted(_PANDAR_EDGES, _even(-6, 2, 49)),
    "pandar128": _sorted((-25, 15), _even(-24.5, -6.5, 37), _even(-6, 2, 65), _even(2.5, 14, 24)),
    "pandarxt32": _even(-16, 15, 32),
    "pandarqt64": _sorted(_QT64_UPPER, -np.array(_QT64_UPPER)),
}
"""Name -> (B,) float64 ascending beam angles above the horizon, degrees."""

# name -> azimuth steps of a turn at 10 Hz, nearest and farthest range (m), range noise (m)
_MEASURES: dict[str, tuple[int, float, float, float]] = {
    "vlp16": (1800, 0.5, 100, 0.015),
    "vlp32c": (1800, 1.0, 120, 0.015),
    "vls128": (1800, 0.5, 150, 0.015),
    "os0": (1024, 0.3, 50, 0.02),
    "os1": (1024, 0.3, 100, 0.015),
    "os2": (1024, 1.0, 150, 0.03),
    "pandar40p": (1800, 0.3, 120, 0.01),
    "pandar64": (1800, 0.3, 120, 0.01),
    "pandar128": (1800, 0.3, 120, 0.01),
    "pandarxt32": (2000, 0.05, 100, 0.005),
    "pandarqt64": (600, 0.1, 60, 0.01),
}


def _make(name: str) -> Sensor:
    steps, nearest, farthest, noise = _MEASURES[name if name in _MEASURES else name.split("-")[0]]
    elevations = np.radians(ELEVATIONS_DEG[name])
    return Sensor(
        name, elevations, steps, nearest, farthest, noise, height_m=1.8, beam_offset_m=0.01
    )


SENSORS: dict[str, Sensor] = {
    "hdl64e": Sensor(
        name="hdl64e",
        elevations_rad=np.radians(ELEVATIONS_DEG["hdl64e"]),
        azimuth_steps=2083,
        min_range_m=2.6,
        max_range_m=80.0,
        range_noise_m=0.009,
        height_m=1.73,
        blind=(
            (-186, -152, -19.2),
            (154, 186, -19.2),
            (-76, -59, -16.6),
            (-16, 16, -21.8),
            (-148, -122, -21.6),
            (120, 144, -21.6),
        ),
        empty_share=0.006,
        beam_offset_m=0.04,
    ),
    "hdl32e": Sensor(
        name="hdl32e",
        elevations_rad=np.radians(ELEVATIONS_DEG["hdl32e"]),
        azimuth_steps=1085,
        min_range_m=0.3,
        max_range_m=100.0,
        range_noise_m=0.006,
        height_m=1.84,
        sees_own_car=True,
        keeps_empty_rays=True,
        empty_share=0.01,
        beam_offset_m=0.012,
    ),
    **{name: _make(name) for name in ELEVATIONS_DEG if name not in ("hdl64e", "hdl32e")},
}
"""The sensors known by name; hdl64e is KITTI's as mounted there, hdl32e nuScenes'."""
