"""A stable sort of whole numbers by their digits: linear in how many there are."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

_BITS = 11
_DIGITS = 1 << _BITS


@njit(cache=True, nogil=True)
def stable_order(keys: NDArray[np.uint32]) -> NDArray[np.int32]:
    """Rows in ascending order of their keys, rows of equal keys as they come. (N,) -> (N,).

    Digits of eleven bits from the lowest on, each by counting; one that is the same in all keys
    costs nothing.
    """
    num, passes = len(keys), 3
    counts = np.zeros((passes, _DIGITS), np.int64)
    for key in keys:
        for digit in range(passes):
            counts[digit, (key >> np.uint32(_BITS * digit)) & np.uint32(_DIGITS - 1)] += 1
    order, other = np.arange(num).astype(np.int32), np.empty(num, np.int32)
    for digit in range(passes):
        if counts[digit].max() == num:
            continue
        begin = 0
        for value in range(_DIGITS):
            begin, counts[digit, value] = begin + counts[digit, value], begin
        for row in order:
            value = (keys[row] >> np.uint32(_BITS * digit)) & np.uint32(_DIGITS - 1)
            other[counts[digit, value]] = row
            counts[digit, value] += 1
        order, other = other, order
    return order
