"""Names of scan files that are times since 1970 -> seconds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_TIME = re.compile(r"(\d{10}(?:\.\d+)?|\d{13}|\d{16}|\d{19})(?:\.pcd)?\.\w+")
_PER_SECOND = {10: 1.0, 13: 1e3, 16: 1e6, 19: 1e9}
"""Digits of a whole number since 1970 -> how many make a second."""


def times_of_names(scans: Sequence[Path]) -> NDArray[np.float64] | None:
    """The times that all names are, (T,) seconds since 1970; None where one is none."""
    found = [_TIME.fullmatch(scan.name) for scan in scans]
    if None in found:
        return None
    words = [match[1] for match in found if match]
    return np.array([float(word) / _PER_SECOND[len(word.split(".")[0])] for word in words])
