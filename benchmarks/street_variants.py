"""The same scan as another sensor would give it: fainter, brighter, without intensity, thinner."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.beams import bands_of_elevation, find_beams
from lidarpan.structures import BoolArray, InputError, IntArray, Scan


@dataclass(frozen=True)
class Variant:
    """A change of a scan.

    Attributes:
        name: what `--variants` calls it.
        gain: factor of the intensity, cut at 1.
        num_beams: keep about this many beams, evenly chosen; None keeps all.
        azimuth_stride: keep every n-th return of each beam.
    """

    name: str
    gain: float = 1.0
    num_beams: int | None = None
    azimuth_stride: int = 1

    def apply(self, scan: Scan, num_beams: int) -> tuple[Scan, BoolArray] | None:
        """The changed scan and which points it kept; None where the sensor has no more beams."""
        keep = np.ones(scan.num_points, np.bool_)
        if self.num_beams or self.azimuth_stride > 1:
            beam = beams(scan, num_beams)
            count = int(beam.max()) + 1
            if self.num_beams:
                if num_beams <= self.num_beams:
                    return None
                step = beam.astype(np.int64) * self.num_beams
                keep &= step // count != (step - self.num_beams) // count
            if self.azimuth_stride > 1:
                keep &= _nth_return(scan, beam) % self.azimuth_stride == 0
        bright = np.clip(scan.intensity * np.float32(self.gain), 0, 1)
        return replace(scan, intensity=bright).take(keep), keep


VARIANTS = (
    Variant("as-is"),
    Variant("no-intensity", gain=0.0),
    Variant("intensity-x0.5", gain=0.5),
    Variant("intensity-x1.5", gain=1.5),
    Variant("32-beams", num_beams=32),
    Variant("16-beams", num_beams=16),
    Variant("half-azimuths", azimuth_stride=2),
)


def choose_variants(names: str) -> tuple[Variant, ...]:
    """Variants by comma-separated names, or "all"; InputError lists the names."""
    if names == "all":
        return VARIANTS
    known = {variant.name: variant for variant in VARIANTS}
    wanted = names.split(",")
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InputError(f"no variant {unknown[0]!r}: wanted all or some of {','.join(known)}")
    return tuple(known[name] for name in wanted)


def beams(scan: Scan, num_beams: int) -> IntArray:
    """(N,) int32 beam of each point, or its band of elevation where nothing tells the beams."""
    found = find_beams(scan)
    return bands_of_elevation(scan, num_beams) if found is None else found


def _nth_return(scan: Scan, beam: IntArray) -> NDArray[np.int64]:
    """(N,) place of each return in its beam, counted by azimuth."""
    azimuth = np.arctan2(scan.points[:, 1], scan.points[:, 0])
    order = np.lexsort((azimuth, beam))
    first = np.flatnonzero(np.r_[True, np.diff(beam[order]) > 0])
    place = np.empty(len(beam), np.int64)
    place[order] = np.arange(len(beam)) - np.repeat(first, np.diff(np.r_[first, len(beam)]))
    return place
