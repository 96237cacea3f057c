"""Whether a scan is like those that weights were trained on, by what the network sees of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import FloatArray, InputError
from lidarpan.voxels.features import NUM_FEATURES

QUANTILES = (0.1, 0.5, 0.9)
_FIRST = 3  # the offsets within a voxel say nothing of a scene
_WORDS = (
    "heights", "ranges", "brightness", "points per voxel", "roughness", "heights over the ground",
    "heights over the ground", "brightness of the ground", "roughness of the ground",
    "unevenness of the ground",
)  # fmt: skip
_MARGIN = 1.25
_LEAST_DEVIATION = 0.02


def summary_of(features: FloatArray) -> NDArray[np.float64]:
    """What is told of a scan: quantiles of each feature over its voxels. (V, F) -> (S,)."""
    found = np.quantile(features[:, _FIRST:], QUANTILES, axis=0)
    summary: NDArray[np.float64] = found.T.reshape(-1).astype(np.float64)
    return summary


@dataclass(frozen=True)
class Likeness:
    """Summaries of the scans that weights were trained on, as a normal distribution.

    Attributes:
        mean: (S,) of `summary_of`.
        deviation: (S,) standard deviation.
        limit: root mean square of the deviations beyond which a scan is unlike them.
    """

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    limit: float

    @classmethod
    def of(cls, summaries: Iterable[NDArray[np.float64]]) -> Likeness:
        """From the summaries of some hundred scans; 0.5 % of them may lie beyond the limit.

        Raises:
            InputError: fewer than ten scans.
        """
        rows = np.stack(list(summaries) or [np.zeros(1)])
        if len(rows) < 10:
            raise InputError(f"wanted ten scans or more to know their like, got {len(rows)}")
        deviation = np.maximum(rows.std(axis=0), _LEAST_DEVIATION)
        one = cls(rows.mean(axis=0), deviation, np.inf)
        apart = [one.distance(row) for row in rows]
        return cls(one.mean, deviation, _MARGIN * float(np.quantile(apart, 0.995)))

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Likeness | None:
        """The entry `statistics` of a weights file's header; None where it has none that fits."""
        entry = header.get("statistics")
        if not isinstance(entry, Mapping):
            return None
        size = len(QUANTILES) * (NUM_FEATURES - _FIRST)
        try:
            mean, deviation = (np.array(entry[k], np.float64) for k in ("mean", "deviation"))
            limit = float(entry["limit"])
        except (KeyError, TypeError, ValueError):
            return None
        fits = mean.shape == deviation.shape == (size,) and bool((deviation > 0).all())
        return cls(mean, deviation, limit) if fits and np.isfinite(mean).all() else None

    def to_header(self) -> dict[str, Any]:
        """The entry `statistics` of a weights file's header."""
        return {
            "mean": self.mean.round(4).tolist(),
            "deviation": self.deviation.round(4).tolist(),
            "limit": round(self.limit, 3),
        }

    def distance(self, summary: NDArray[np.float64]) -> float:
        """Root mean square of the summary's deviations from the mean, in standard deviations."""
        return float(np.sqrt(np.mean(self._off(summary) ** 2)))

    def remark(self, features: FloatArray) -> str | None:
        """Says that a scan is unlike those trained on, and in what most; None for its like."""
        if len(features) < 100:
            return None
        summary = summary_of(features)
        if self.distance(summary) <= self.limit:
            return None
        off = np.abs(self._off(summary)).reshape(-1, len(QUANTILES)).max(axis=1)
        return (
            "unlike anything that the weights were trained on, most of all in "
            f"{_WORDS[int(off.argmax())]}: look twice at its labels"
        )

    def _off(self, summary: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((summary - self.mean) / self.deviation).clip(-10, 10)
