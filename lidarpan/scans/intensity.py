"""Named columns -> which of them is the intensity, and what to divide it by."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import BoolArray, FloatArray

_CALIBRATED = ("reflectivity", "reflectivities", "reflectance", "refl", "albedo")
_BRIGHTNESS = (
    "intensity", "intensities", "i", "remission", "remissions", "strength", "brightness",
)  # fmt: skip
_COUNTS = ("signal", "amplitude")
_UNNAMED = ("scalarfield",)  # CloudCompare's name of a column that nobody named
_TIERS = (_CALIBRATED, _BRIGHTNESS, _COUNTS, _UNNAMED)
_ABOUT = frozenset([
    "valid", "flag", "flags", "mask", "is", "has", "std", "stddev", "sigma", "var", "variance",
    "noise", "error", "id", "class", "label",
])  # fmt: skip
"""Words of columns that say something about an intensity and hold none."""

_MIN_VALUES = 200
_BULK = 0.95
_SPREAD_BULK = 0.4
"""The 0.95 quantile of the intensities of a street: KITTI .5, nuScenes .3, PandaSet .2."""

_FAINT, _BRIGHT = 1 / 16, 16.0
_MANY_BELOW = 0.01


@dataclass(frozen=True)
class IntensityScale:
    """What intensities are divided by.

    Attributes:
        divisor: of the column's values.
        said: why, in words; "" where it is one of the usual 1, 255 and 65535.
        zero: the value that is as dark as 0, subtracted before.
    """

    divisor: float
    said: str = ""
    zero: float = 0.0


BYTES = IntensityScale(255.0)


def find_intensity(columns: Mapping[str, NDArray[np.generic]]) -> str | None:
    """The name of the column that holds the intensity, None where none does.

    A calibrated reflectivity is taken before an intensity, that before counts of photons, and among
    those the shortest name, so that "intensity" is taken before "intensity_raw"; a column that
    holds one value only is passed over.

    Args:
        columns: (M,) columns by their names as in the file.
    """
    plain = {name: _plain(name) for name in sorted(columns, key=lambda name: len(_plain(name)))}
    plain = {name: words for name, words in plain.items() if not _ABOUT & {*words}}
    for tier in _TIERS:
        for wanted in tier:
            named = [
                name
                for name, words in plain.items()
                if (wanted in words or (len(wanted) > 4 and wanted in "".join(words)))
                and columns[name].dtype.kind in "iufb"
                and _varies(columns[name])
            ]
            if named and not (tier is _UNNAMED and len(named) > 1):
                return named[0]
    return None


def choose_scale(values: Iterable[NDArray[np.generic]]) -> IntensityScale:
    """What to divide the intensities of some scans of one sensor by, so that they fill [0, 1].

    Decided by the 0.95 quantile (a few returns that are far brighter do not count) and by whether
    the values are whole numbers: fractions up to 1 are taken as they are, numbers up to 255 are
    bytes, numbers that fill 16 bits are divided by 65535, and any others by their spread. Numbers
    of which many are below zero, such as decibels, are counted from the lowest on; one value below
    zero marks what is not known.

    Args:
        values: (M,) intensities of each scan.
    """
    parts = [_finite(_unsigned(part)) for part in values]
    pooled = np.concatenate(parts) if parts else np.zeros(0)
    below = pooled[pooled < 0]
    if len(below) > _MANY_BELOW * len(pooled) >= _MANY_BELOW * _MIN_VALUES and np.ptp(below) > 0:
        zero, bulk = (float(np.quantile(pooled, q)) for q in (0.001, _BULK))
        divisor = (bulk - zero) / _SPREAD_BULK
        said = f"{100 * len(below) / len(pooled):.0f} % of the values lie below 0: counted from "
        said += f"{zero:.3g} on and divided by {divisor:.3g}, their spread"
        return IntensityScale(divisor, said, zero)
    pooled = pooled[pooled > 0]
    if len(pooled) < _MIN_VALUES:
        high = float(pooled.max(initial=0.0))
        return IntensityScale(next((s for s in (1.0, 255.0, 65535.0) if high <= s * 1.001), high))
    bulk, top = (float(np.quantile(pooled, q, method="higher")) for q in (_BULK, 0.999))
    is_whole = bool(np.mean(pooled == np.round(pooled)) > 0.99)
    if is_whole and 1 < top <= 255:
        return IntensityScale(255.0)
    if is_whole and _is_widened_bytes(pooled):
        return IntensityScale(65535.0)
    if _FAINT <= bulk <= 1.001:
        return IntensityScale(1.0)
    if _BRIGHT <= bulk <= 255 * 1.001:
        return IntensityScale(255.0)
    if 65535 / 8 <= bulk <= 65535 * 1.001:
        return IntensityScale(65535.0)
    divisor = bulk / _SPREAD_BULK
    return IntensityScale(
        divisor, f"95 % of the values lie below {bulk:.3g}: divided by {divisor:.3g}, their spread"
    )


def bytes_or_fractions(values: NDArray[np.generic]) -> IntensityScale:
    """The scale of intensities that should be bytes, such as nuScenes', but may be fractions."""
    own = choose_scale([thinned(values)])
    return own if contradicts(BYTES, own) and own.divisor == 1 else BYTES


def common_scale(scans: Sequence[NDArray[np.generic]]) -> IntensityScale:
    """What to divide the intensities of some scans by: what most of them want, else all together.

    Args:
        scans: (M,) intensities of each.
    """
    (scale, count), *_ = Counter(choose_scale([values]) for values in scans).most_common()
    return scale if 2 * count > len(scans) else choose_scale(scans)


def scaled(values: NDArray[np.generic], scale: IntensityScale) -> tuple[FloatArray, int]:
    """Intensities in [0, 1] and how many were clipped; NaN and infinity become 0. (M,) -> (M,)."""
    numbers = _unsigned(values).astype(np.float64) - scale.zero
    numbers = np.nan_to_num(numbers, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    divided = numbers / scale.divisor if scale.divisor > 0 else numbers
    num_clipped = int(np.count_nonzero((divided > 1.001) | (divided < 0)))
    return np.clip(divided, 0.0, 1.0).astype(np.float32), num_clipped


def contradicts(scale: IntensityScale, own: IntensityScale) -> bool:
    """Whether a scan's own values are of another kind than the scale of its folder."""
    usual = (1.0, 255.0, 65535.0)
    both = scale.divisor in usual and own.divisor in usual
    return both and scale.divisor != own.divisor


def thinned(values: NDArray[np.generic], valid: BoolArray | None = None) -> NDArray[np.generic]:
    """Some 5,000 of a scan's values; every odd-th, so that no beam is left out."""
    chosen = values if valid is None else values[valid]
    return chosen[:: (len(chosen) // 5_000) | 1]


def _plain(name: str) -> list[str]:
    """Words of a column's name: "scalar_Laser-Intensity" -> laser, intensity."""
    low = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    words = [word for word in re.split(r"[^a-z0-9]+", low) if word]
    is_unnamed = re.search(r"scalar[ _]field[ _#]*\d*$", low) is not None
    return ["scalarfield"] if is_unnamed else words[words[:1] == ["scalar"] :]


def _varies(column: NDArray[np.generic]) -> bool:
    finite = _finite(column)
    return len(finite) > 0 and (len(finite) < _MIN_VALUES or bool((finite != finite[0]).any()))


def _unsigned(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Bytes that a file calls signed, as ROS messages do, as they were written."""
    return values.astype(np.uint8) if values.dtype == np.int8 else values


def _finite(values: NDArray[np.generic]) -> NDArray[np.float64]:
    numbers = values.astype(np.float64)
    finite: NDArray[np.float64] = numbers[np.isfinite(numbers)]
    return finite


def _is_widened_bytes(values: NDArray[np.float64]) -> bool:
    """Whether 16-bit numbers are bytes times 256 or 257, as LAS files have them."""
    return any(bool((values % factor == 0).all()) for factor in (256, 257))
