"""Spinning LiDAR sensors: where their rays go and how well they measure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import FloatArray, InputError, IntArray


@dataclass(frozen=True)
class Sensor:
    """A spinning LiDAR.

    Attributes:
        name: what it is called.
        elevations_rad: (B,) float64 ascending beam angles above the horizon.
        azimuth_steps: rays of each beam in one turn.
        min_range_m: nearer returns are not reported.
        max_range_m: farther surfaces give no return.
        range_noise_m: standard deviation of a range.
        height_m: mounting height above the ground.
        azimuth_noise_rad: standard deviation of a ray's azimuth.
        blind: sectors hidden by the own car: (from degrees, to degrees of azimuth, all beams
            below this elevation in degrees).
        sees_own_car: whether returns from the own car are in the scan (kind void).
        keeps_empty_rays: whether a ray that returns nothing is stored all the same, as a point
            of kind void within 0.6 m of the sensor.
        empty_share: share of rays that return nothing from any surface.
    """

    name: str
    elevations_rad: NDArray[np.float64]
    azimuth_steps: int
    min_range_m: float
    max_range_m: float
    range_noise_m: float
    height_m: float
    azimuth_noise_rad: float = 2e-4
    blind: tuple[tuple[float, float, float], ...] = ()
    sees_own_car: bool = False
    keeps_empty_rays: bool = False
    empty_share: float = 0.01

    @property
    def num_rays(self) -> int:
        """Beams times azimuth steps."""
        return len(self.elevations_rad) * self.azimuth_steps

    def rays(self, rng: np.random.Generator) -> tuple[FloatArray, IntArray, FloatArray]:
        """Unit directions (R, 3) in the sensor frame, ring (R,) and turn fraction in [-0.5, 0.5).

        The sensor turns clockwise seen from above, and the turn is centred on straight ahead;
        blind sectors are left out.
        """
        num_beams, steps = len(self.elevations_rad), self.azimuth_steps
        fraction = (np.arange(steps) + rng.random()) / steps - 0.5
        azimuth = np.repeat(-2 * np.pi * fraction, num_beams)
        azimuth = azimuth + rng.normal(0, self.azimuth_noise_rad, steps * num_beams)
        elevation = np.tile(self.elevations_rad, steps)
        ring = np.tile(np.arange(num_beams, dtype=np.int32), steps)
        keep = ~self._hidden(azimuth, elevation, rng)
        azimuth, elevation = azimuth[keep], elevation[keep]
        flat = np.cos(elevation)
        directions = np.stack(
            [flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=1
        )
        turn = np.repeat(fraction, num_beams)[keep]
        return directions.astype(np.float32), ring[keep], turn.astype(np.float32)

    def _hidden(
        self,
        azimuth: NDArray[np.float64],
        elevation: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> NDArray[np.bool_]:
        """Which rays the own car stops; the edges of the blind sectors differ from turn to turn."""
        degrees, height = np.degrees(azimuth), np.degrees(elevation)
        hidden = np.zeros(len(azimuth), np.bool_)
        for start, stop, below in self.blind:
            start, stop = start + rng.normal(0, 1.5), stop + rng.normal(0, 1.5)
            inside = np.minimum(degrees - start, stop - degrees)
            depth = np.clip(inside / (0.3 * (stop - start)), 0, 1)  # slanting flanks
            limit = below + rng.normal(0, 0.4) - 3.0 * (1 - depth)
            hidden |= (inside > 0) & (height < limit)
        return hidden


def make_sensor(
    name: str = "custom",
    *,
    num_beams: int = 64,
    lowest_deg: float = -25.0,
    highest_deg: float = 15.0,
    azimuth_steps: int = 1024,
    min_range_m: float = 1.0,
    max_range_m: float = 80.0,
    range_noise_m: float = 0.02,
    height_m: float = 1.8,
) -> Sensor:
    """A sensor with evenly spaced beams, angles in degrees above the horizon.

    Raises:
        InputError: a number makes no sensor.
    """
    if num_beams < 1 or azimuth_steps < 1 or highest_deg < lowest_deg:
        raise InputError(
            f"wanted at least one beam and one azimuth step and lowest <= highest, got {num_beams} "
            f"beams, {azimuth_steps} steps, {lowest_deg}..{highest_deg} degrees"
        )
    if not 0 <= min_range_m < max_range_m or height_m <= 0 or range_noise_m < 0:
        raise InputError(
            f"wanted 0 <= min range < max range, height > 0 and noise >= 0 in metres, got "
            f"{min_range_m}, {max_range_m}, {height_m}, {range_noise_m}"
        )
    elevations = np.radians(np.linspace(lowest_deg, highest_deg, num_beams))
    return Sensor(
        name, elevations, azimuth_steps, min_range_m, max_range_m, range_noise_m, height_m
    )


def _two_block_elevations() -> NDArray[np.float64]:
    """HDL-64E: 32 lower beams about 0.5 degrees apart, 32 upper ones about a third."""
    degrees = np.r_[np.linspace(-24.0, -8.5, 32), np.linspace(-7.85, 2.5, 32)]
    elevations: NDArray[np.float64] = np.radians(degrees)
    return elevations


SENSORS: dict[str, Sensor] = {
    "hdl64e": Sensor(
        name="hdl64e",
        elevations_rad=_two_block_elevations(),
        azimuth_steps=2083,
        min_range_m=2.6,
        max_range_m=80.0,
        range_noise_m=0.012,
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
    ),
    "hdl32e": Sensor(
        name="hdl32e",
        elevations_rad=np.radians(np.linspace(-30.67, 10.67, 32)),
        azimuth_steps=1085,
        min_range_m=0.3,
        max_range_m=100.0,
        range_noise_m=0.015,
        height_m=1.84,
        sees_own_car=True,
        keeps_empty_rays=True,
        empty_share=0.01,
    ),
}
"""The sensors known by name: KITTI's 64 beams and nuScenes' 32."""
