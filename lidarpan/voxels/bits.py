"""Cells of a grid as bits: which are occupied, and how many come before each."""

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


@njit(cache=True, nogil=True)
def rank_cells(
    column: NDArray[np.int64], height: Ints, num_columns: int, size_z: int
) -> tuple[Ints, int]:
    """Row of each cell among the distinct ones, ascending in (column, height), and their number.

    Every column has a bit, and every occupied one a bit per height, in words of 64. A cell's row is
    the number of bits before its own: those of earlier words, summed once, and those below it in
    its word. Linear in the cells and, in bits, in the columns.

    Args:
        column: (M,) in [0, num_columns), or -1 = no cell.
        height: (M,) in [0, size_z).
        num_columns: of the grid.
        size_z: heights of a column.

    Returns:
        (M,) int32 rows, -1 = no cell, and the number of distinct cells.
    """
    room = (size_z + 63) // 64 * 64  # bits of a column
    column_bits = np.zeros((num_columns + 63) // 64, np.uint64)
    for c in column:
        if c >= 0:
            set_bit(column_bits, c)
    columns_before = count_before(column_bits)
    bits = np.zeros(columns_before[-1] * room // 64, np.uint64)
    place = np.full(len(column), -1, np.int64)
    for i in range(len(column)):
        if column[i] >= 0:
            place[i] = rank_of(column_bits, columns_before, column[i]) * room + height[i]
            set_bit(bits, place[i])
    before = count_before(bits)
    rows = np.full(len(column), -1, np.int32)
    for i in range(len(column)):
        if place[i] >= 0:
            rows[i] = rank_of(bits, before, place[i])
    return rows, before[-1]
