"""Numbers of a label file -> whole numbers in a range, or an error that names the first other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import InputError


def whole_numbers(values: NDArray[Any], low: int, high: int, what: str) -> NDArray[np.int64]:
    """The values as int64, checked before any narrower type could wrap them round.

    Args:
        values: (N,) integers, or floats without a fraction.
        low: the smallest that is allowed.
        high: the largest that is allowed.
        what: "FILE: labels" or the like, for errors.

    Raises:
        InputError: another shape or type, a fraction, or a value out of range: which and where.
    """
    if values.ndim != 1 or values.dtype.kind not in "uif":
        raise InputError(f"{what}: wanted (N,) whole numbers, got {values.shape} {values.dtype}")
    wrong = ~((values >= low) & (values <= high))
    if values.dtype.kind == "f":
        wrong |= values != np.floor(values)
    if wrong.any():
        i = int(wrong.argmax())
        raise InputError(
            f"{what}: wanted whole numbers {low}..{high}, got {values[i]} at point {i} "
            f"({int(wrong.sum())} such points of {len(values)})"
        )
    whole: NDArray[np.int64] = values.astype(np.int64)
    return whole
