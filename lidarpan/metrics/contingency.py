"""Two labelings of the same points -> their segments and how the segments overlap, without sorting.

The points are taken in short chunks, each through several small loops. A loop that looks up a
hash table does not also count: a counter that was just written holds up the next look-up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]
Array3 = tuple[Array, Array, Array]
Array4 = tuple[Array, Array, Array, Array]

CHUNK = 1024
_LOAD = 4  # index slots per row: few collisions, and still in the first cache
_MIX_FIRST = np.uint64(0xC2B2AE3D27D4EB4F)  # odd constants of xxHash and of the golden ratio
_MIX_SECOND = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)
_ONE = np.uint64(1)


@njit(cache=True, nogil=True)
def _slot(index: Array, rows: Array, first: int, second: int) -> np.uint64:
    """Slot of the row (first, second) in an open-addressing index, or the free one for it."""
    mask = np.uint64(index.size - 1)
    mixed = np.uint64(first) * _MIX_FIRST + np.uint64(second) * _MIX_SECOND
    slot = (mixed >> _SHIFT) & mask
    row = index[slot]
    while row >= 0 and (rows[row, 1] != second or rows[row, 0] != first):
        slot = (slot + _ONE) & mask
        row = index[slot]
    return slot


@njit(cache=True, nogil=True)
def _grown(rows: Array, num: int) -> tuple[Array, Array]:
    """A new index and rows with place for four times as many; the first num rows are kept."""
    larger = np.zeros((4 * len(rows), 3), np.int64)
    index = np.full(_LOAD * len(larger), -1, np.int32)
    for row in range(num):
        for column in range(3):
            larger[row, column] = rows[row, column]
        index[_slot(index, larger, rows[row, 0], rows[row, 1])] = row
    return index, larger


@njit(cache=True, nogil=True)
def _number(
    first: Array, second: Array, size: int, index: Array, rows: Array, num: int, number: Array
) -> int:
    """Row of each of the pairs (first, second), new ones appended; returns the number of rows."""
    for i in range(size):
        a = np.int64(first[i])
        b = np.int64(second[i])
        if i > 0 and a == first[i - 1] and b == second[i - 1]:
            number[i] = number[i - 1]
            continue
        slot = _slot(index, rows, a, b)
        row = index[slot]
        if row < 0:
            row = np.int32(num)
            index[slot] = row
            rows[row, 0] = a
            rows[row, 1] = b
            num += 1
        number[i] = row
    return num


@njit(cache=True, nogil=True)
def _is_mostly_runs(values: Array, start: int, stop: int) -> bool:
    """Whether more than half of the values equal the one before."""
    same = 0
    for i in range(start + 1, stop):
        same += int(values[i] == values[i - 1])
    return bool(2 * same > stop - start)


@njit(cache=True, nogil=True)
def _take(points: Array4, chunk: Array4, length: Array, start: int, stop: int) -> int:
    """Copy a chunk of points, neighbours with equal labels as one run; returns their number."""
    p, x, t, y = points
    merges = _is_mostly_runs(t, start, stop)
    num = 0
    i = start
    while i < stop:
        chunk[0][num] = p[i]
        chunk[1][num] = x[i]
        chunk[2][num] = t[i]
        chunk[3][num] = y[i]
        first = i
        i += 1
        while merges and i < stop and p[i] == p[first] and x[i] == x[first]:
            if t[i] != t[first] or y[i] != y[first]:
                break
            i += 1
        length[num] = i - first
        num += 1
    return num


@njit(cache=True, nogil=True)
def _count(rows: Array, number: Array, length: Array, size: int) -> None:
    """rows[number, 2] += length."""
    for i in range(size):
        rows[np.uint64(number[i]), 2] += length[i]


@njit(cache=True, nogil=True)
def _valid(t: Array, length: Array, ignored: Array, size: int, valid: Array) -> None:
    """The length where the true class is not ignored, else 0, as valid."""
    for i in range(size):
        valid[i] = length[i] * int(not ignored[np.uint64(t[i])])


@njit(cache=True, nogil=True)
def _same_class(
    p: Array, t: Array, a: Array, b: Array, valid: Array, size: int, kept: Array3
) -> int:
    """Segments a, b and valid length of the runs whose classes agree; returns their number."""
    num = 0
    for i in range(size):
        kept[0][num] = a[i]
        kept[1][num] = b[i]
        kept[2][num] = valid[i]
        num += int(p[i] == t[i] and valid[i] > 0)
    return num


@njit(cache=True, nogil=True)
def _confuse(confusion: Array, p: Array, t: Array, length: Array, size: int) -> bool:
    """confusion[p, t] += length; False, at once, where a class is out of range."""
    num_classes = np.uint64(len(confusion))
    for i in range(size):
        row, column = np.uint64(p[i]), np.uint64(t[i])  # a negative class becomes a huge one
        if row >= num_classes or column >= num_classes:
            return False
        confusion[row, column] += length[i]
    return True


@njit(cache=True, nogil=True)
def count_overlaps(
    pred_semantic: Array,
    pred_instance: Array,
    true_semantic: Array,
    true_instance: Array,
    ignored: Array,
) -> tuple[Array, Array, Array, Array]:
    """Segments of both labelings and their common points.

    A segment is the set of points of one class and one instance id. Points whose true class is
    ignored are in the confusion only.

    Args:
        pred_semantic: (N,) int64 predicted classes.
        pred_instance: (N,) int64 predicted ids, any value.
        true_semantic: (N,) int64 true classes.
        true_instance: (N,) int64 true ids, any value.
        ignored: (C,) bool, by class.

    Returns:
        confusion (C, C) int64 of points by predicted and true class; pred (P, 3) and true (T, 3)
        int64 rows of class, id, number of points, by first point; pair (Q, 3) int64 rows of pred
        row, true row, number of common points, for segments of the same class. The confusion is
        empty (0, 0) when a class is outside 0 ... C - 1.
    """
    points = (pred_semantic, pred_instance, true_semantic, true_instance)
    confusion = np.zeros((len(ignored), len(ignored)), np.int64)
    nothing = np.zeros((CHUNK // 4, 3), np.int64)
    num_pred = num_true = num_pair = np.int64(0)  # a bare 0 would be compiled for on its own
    pred_index, pred = _grown(nothing, num_pred)
    true_index, true = _grown(nothing, num_true)
    pair_index, pair = _grown(nothing, num_pair)
    p, x = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
    t, y = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
    length, valid = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
    kept = (np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64))
    a, b, c = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
    for start in range(0, len(true_semantic), CHUNK):
        size = _take(points, (p, x, t, y), length, start, min(start + CHUNK, len(true_semantic)))
        if not _confuse(confusion, p, t, length, size):
            return confusion[:0, :0], pred[:0], true[:0], pair[:0]
        if num_pred + CHUNK > len(pred):
            pred_index, pred = _grown(pred, num_pred)
        if num_true + CHUNK > len(true):
            true_index, true = _grown(true, num_true)
        if num_pair + CHUNK > len(pair):
            pair_index, pair = _grown(pair, num_pair)
        num_pred = _number(p, x, size, pred_index, pred, num_pred, a)
        num_true = _number(t, y, size, true_index, true, num_true, b)
        _valid(t, length, ignored, size, valid)
        _count(pred, a, valid, size)
        _count(true, b, valid, size)
        size = _same_class(p, t, a, b, valid, size, kept)
        num_pair = _number(kept[0], kept[1], size, pair_index, pair, num_pair, c)
        _count(pair, c, kept[2], size)
    return confusion, pred[:num_pred], true[:num_true], pair[:num_pair]
