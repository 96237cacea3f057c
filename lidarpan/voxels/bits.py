"""Sets of whole numbers as bits: which are in them, and how many are smaller."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Ints = NDArray[np.int32]

_ONE = np.uint64(1)
_PAIRS = np.uint64(0x5555555555555555)
_FOURS = np.uint64(0x3333333333333333)
_EIGHTS = np.uint64(0x0F0F0F0F0F0F0F0F)


@njit(cache=True, nogil=True, inline="always")
def _count_bits(word: np.uint64) -> int:
    """Number of ones: sums of neighbouring 2, 4 and 8 bits, then of the eight bytes."""
    word = word - ((word >> np.uint64(1)) & _PAIRS)
    word = (word & _FOURS) + ((word >> np.uint64(2)) & _FOURS)
    word = (word + (word >> np.uint64(4))) & _EIGHTS
    word = word + (word >> np.uint64(8))
    word = word + (word >> np.uint64(16))
    word = word + (word >> np.uint64(32))
    return np.int64(word & np.uint64(0x7F))  # type: ignore[return-value]


@njit(cache=True, nogil=True, inline="always")
def set_bit(bits: Words, place: int) -> None:
    """Put a number into the set."""
    bits[place >> 6] |= _ONE << np.uint64(place & 63)


@njit(cache=True, nogil=True, inline="always")
def rank_of(bits: Words, before: Ints, place: int) -> int:
    """How many numbers of the set are smaller, from what `count_before` says."""
    below = bits[place >> 6] & ((_ONE << np.uint64(place & 63)) - _ONE)
    return before[place >> 6] + _count_bits(below)


@njit(cache=True, nogil=True)
def count_before(bits: Words) -> Ints:
    """Numbers of the set before each word, and all of them. (W,) uint64 -> (W + 1,) int32."""
    before = np.empty(len(bits) + 1, np.int32)
    count = 0
    for word in range(len(bits)):
        before[word] = count
        if bits[word]:
            count += _count_bits(bits[word])
    before[len(bits)] = count
    return before
