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
        keep = ~self._hidden(azimuth, elevation)
        azimuth, elevation = azimuth[keep], elevation[keep]
        flat = np.cos(elevation)
        directions = np.stack(
            [flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=1
        )
        turn = np.repeat(fraction, num_beams)[keep]
        return directions.astype(np.float32), ring[keep], turn.astype(np.float32)

    def _hidden(
        self, azimuth: NDArray[np.float64], elevation: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        degrees, height = np.degrees(azimuth), np.degrees(elevation)
        hidden = np.zeros(len(azimuth), np.bool_)
        for start, stop, below in self.blind:
            hidden |= (degrees >= start) & (degrees < stop) & (height < below)
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
    return np.radians(np.r_[np.linspace(-24.0, -8.5, 32), np.linspace(-7.85, 2.5, 32)])


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
            (-180, -156, -19.7),
            (158, 180, -19.7),
            (-73, -62, -17.2),
            (-12, 12, -22.2),
            (-146, -125, -22.2),
            (124, 141, -22.2),
        ),
        empty_share=0.012,
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
        empty_share=0.01,
    ),
}
"""The sensors known by name: KITTI's 64 beams and nuScenes' 32."""
