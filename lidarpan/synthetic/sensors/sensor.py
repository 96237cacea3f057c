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
        range_noise_m: standard deviation of a range about what its beam measures.
        height_m: mounting height above the ground.
        azimuth_noise_rad: standard deviation of a ray's azimuth.
        blind: sectors hidden by the own car: (from degrees, to degrees of azimuth, all beams
            below this elevation in degrees).
        sees_own_car: whether returns from the own car are in the scan (kind void).
        keeps_empty_rays: whether a ray that returns nothing is stored all the same, as a point
            of kind void within 0.6 m of the sensor.
        empty_share: share of rays that return nothing from any surface.
        sector_rad: azimuths that are in the scan, from and to; None is the whole turn.
        tilt_rad: how the beams are turned in the scan's frame, about x and about y.
        range_law: exponent of the range, over 10 m, that intensities are multiplied by.
        beam_gain: by how much the beams' gains in intensity differ from 1 at most.
        beam_offset_m: standard deviation of how far off the beams measure, each by a constant: what
            a calibration leaves.
        also: further sensors at the same place, merged into the scan.
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
    sector_rad: tuple[float, float] | None = None
    tilt_rad: tuple[float, float] = (0.0, 0.0)
    range_law: float = 0.0
    beam_gain: float = 0.08
    beam_offset_m: float = 0.0
    also: tuple[Sensor, ...] = ()

    @property
    def num_beams(self) -> int:
        """Beams, those of merged sensors too."""
        return len(self.elevations_rad) + sum(other.num_beams for other in self.also)

    @property
    def num_rays(self) -> int:
        """Beams times azimuth steps of a whole turn."""
        own = len(self.elevations_rad) * self.azimuth_steps
        return own + sum(other.num_rays for other in self.also)

    def beam_offsets_m(self, seed: int) -> FloatArray:
        """How far off each beam measures, the same for the same seed. -> (num_beams,) metres."""
        rng = np.random.default_rng([seed, 15])
        own = rng.normal(0, self.beam_offset_m, len(self.elevations_rad)).astype(np.float32)
        others = [other.beam_offsets_m(seed + 1 + k) for k, other in enumerate(self.also)]
        return np.concatenate([own, *others])

    def rays(self, rng: np.random.Generator) -> tuple[FloatArray, IntArray, FloatArray]:
        """Unit directions (R, 3) in the sensor frame, ring (R,) and turn fraction in [-0.5, 0.5).

        The sensor turns clockwise seen from above, and the turn is centred on straight ahead;
        blind sectors are left out. Merged sensors come after the first, their rings after its.
        """
        found = [self._own_rays(rng)]
        first_ring = len(self.elevations_rad)
        for other in self.also:
            directions, ring, turn = other.rays(rng)
            found.append((directions, ring + np.int32(first_ring), turn))
            first_ring += other.num_beams
        directions, ring, turn = (np.concatenate(part) for part in zip(*found, strict=True))
        return directions, ring, turn

    def _own_rays(self, rng: np.random.Generator) -> tuple[FloatArray, IntArray, FloatArray]:
        num_beams, steps = len(self.elevations_rad), self.azimuth_steps
        fraction = (np.arange(steps) + rng.random()) / steps - 0.5
        azimuth = np.repeat(-2 * np.pi * fraction, num_beams)
        azimuth = azimuth + rng.normal(0, self.azimuth_noise_rad, steps * num_beams)
        elevation = np.tile(self.elevations_rad, steps)
        ring = np.tile(np.arange(num_beams, dtype=np.int32), steps)
        keep = ~self._hidden(azimuth, elevation, rng)
        if self.sector_rad is not None:
            start, stop = self.sector_rad
            keep &= (azimuth - start) % (2 * np.pi) < stop - start
        azimuth, elevation = azimuth[keep], elevation[keep]
        flat = np.cos(elevation)
        directions = np.stack(
            [flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=1
        )
        turn = np.repeat(fraction, num_beams)[keep]
        if any(self.tilt_rad):
            directions = directions @ _turned(*self.tilt_rad).T
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


def _turned(roll_rad: float, pitch_rad: float) -> NDArray[np.float64]:
    """(3, 3): a turn about x, then about y."""
    cr, sr, cp, sp = np.cos(roll_rad), np.sin(roll_rad), np.cos(pitch_rad), np.sin(pitch_rad)
    roll = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    turn: NDArray[np.float64] = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]]) @ roll
    return turn


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
    if num_beams < 1 or highest_deg < lowest_deg:
        raise InputError(
            f"wanted at least one beam and lowest <= highest, got {num_beams} beams, "
            f"{lowest_deg}..{highest_deg} degrees"
        )
    elevations = np.radians(np.linspace(lowest_deg, highest_deg, num_beams))
    sensor = Sensor(
        name, elevations, azimuth_steps, min_range_m, max_range_m, range_noise_m, height_m
    )
    return check_sensor(sensor)


def check_sensor(sensor: Sensor, source: str = "") -> Sensor:
    """The sensor itself; InputError, beginning with `source`, where its numbers make no sensor."""
    beams, steps = np.degrees(sensor.elevations_rad), sensor.azimuth_steps
    if not len(beams) or steps < 1 or np.abs(beams).max() > 90 or (np.diff(beams) < 0).any():
        raise InputError(
            f"{source}wanted at least one azimuth step and one beam, angles ascending within "
            f"-90..90 degrees, got {steps} steps, {len(beams)} beams"
        )
    nearest, farthest = sensor.min_range_m, sensor.max_range_m
    if not 0 <= nearest < farthest or sensor.height_m <= 0 or sensor.range_noise_m < 0:
        raise InputError(
            f"{source}wanted 0 <= min range < max range, height > 0 and noise >= 0 in metres, got "
            f"{nearest}, {farthest}, {sensor.height_m}, {sensor.range_noise_m}"
        )
    if sensor.sector_rad is not None:
        start, stop = np.degrees(sensor.sector_rad)
        if not 0 < stop - start <= 360:
            raise InputError(
                f"{source}wanted a sector of more than 0 and at most 360 degrees, got "
                f"{start:g}..{stop:g}"
            )
    return sensor
