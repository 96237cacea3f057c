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
def _with_room(index: Array, rows: Array, num: int) -> tuple[Array, Array]:
    """The index and rows, four times as large where another chunk might not fit."""
    if num + CHUNK <= len(rows):
        return index, rows
    larger = np.zeros((4 * len(rows), 3), np.int64)
    larger[:num] = rows[:num]
    index = np.full(_LOAD * len(larger), -1, np.int32)
    for row in range(num):
        index[_slot(index, larger, larger[row, 0], larger[row, 1])] = row
    return index, larger


@njit(cache=True, nogil=True)
def _number(first: Array, second: Array, index: Array, rows: Array, num: int, number: Array) -> int:
    """Row of each pair (first, second), new pairs appended; returns the number of rows."""
    for i in range(len(first)):
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
def _mostly_runs(values: Array) -> bool:
    """Whether more than half of the values equal the one before."""
    same = 0
    for i in range(1, len(values)):
        same += int(values[i] == values[i - 1])
    return bool(2 * same > len(values))


@njit(cache=True, nogil=True)
def _merge_runs(p: Array, x: Array, t: Array, y: Array, runs: Array, length: Array) -> int:
    """Neighbours with equal labels become one row of runs (p, x, t, y); returns their number."""
    num = 0
    i = 0
    while i < len(p):
        start = i
        while i < len(p) and p[i] == p[start] and x[i] == x[start]:
            if t[i] != t[start] or y[i] != y[start]:
                break
            i += 1
        runs[0, num] = p[start]
        runs[1, num] = x[start]
        runs[2, num] = t[start]
        runs[3, num] = y[start]
        length[num] = i - start
        num += 1
    return num


@njit(cache=True, nogil=True)
def _count(rows: Array, number: Array, length: Array) -> None:
    """rows[number, 2] += length."""
    for i in range(len(number)):
        rows[np.uint64(number[i]), 2] += length[i]


@njit(cache=True, nogil=True)
def _count_valid(rows: Array, number: Array, length: Array, t: Array, ignored: Array) -> None:
    """rows[number, 2] += length, where the true class t is not ignored."""
    for i in range(len(number)):
        if not ignored[t[i]]:
            rows[np.uint64(number[i]), 2] += length[i]


@njit(cache=True, nogil=True)
def _same_class(
    p: Array, a: Array, t: Array, b: Array, length: Array, ignored: Array, kept: Array
) -> int:
    """The segments a, b and lengths of runs whose two classes agree -> rows of kept."""
    num = 0
    for i in range(len(p)):
        kept[0, num] = a[i]
        kept[1, num] = b[i]
        kept[2, num] = length[i]
        num += int(p[i] == t[i] and not ignored[t[i]])
    return num


@njit(cache=True, nogil=True)
def _outside(classes: Array, num_classes: int) -> bool:
    """Whether a class is not in 0 ... num_classes - 1."""
    outside = False
    for value in classes:
        outside |= value < 0 or value >= num_classes
    return outside


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
    num_classes = len(ignored)
    confusion = np.zeros((num_classes, num_classes), np.int64)
    pred = np.zeros((2 * CHUNK, 3), np.int64)
    true = np.zeros((2 * CHUNK, 3), np.int64)
    pair = np.zeros((2 * CHUNK, 3), np.int64)
    pred_index = np.full(_LOAD * len(pred), -1, np.int32)
    true_index = np.full(_LOAD * len(true), -1, np.int32)
    pair_index = np.full(_LOAD * len(pair), -1, np.int32)
    runs = np.empty((4, CHUNK), np.int64)
    kept = np.empty((3, CHUNK), np.int64)
    number = np.empty((3, CHUNK), np.int32)
    length = np.empty(CHUNK, np.int64)
    ones = np.ones(CHUNK, np.int64)
    num_pred, num_true, num_pair = 0, 0, 0
    for start in range(0, len(true_semantic), CHUNK):
        p = pred_semantic[start : start + CHUNK]
        x = pred_instance[start : start + CHUNK]
        t = true_semantic[start : start + CHUNK]
        y = true_instance[start : start + CHUNK]
        if _outside(p, num_classes) or _outside(t, num_classes):
            return confusion[:0, :0], pred[:0], true[:0], pair[:0]
        n = ones[: len(p)]
        if _mostly_runs(t):
            num = _merge_runs(p, x, t, y, runs, length)
            p, x, t, y = runs[0, :num], runs[1, :num], runs[2, :num], runs[3, :num]
            n = length[:num]
        a, b, c = number[0, : len(p)], number[1, : len(p)], number[2]
        pred_index, pred = _with_room(pred_index, pred, num_pred)
        true_index, true = _with_room(true_index, true, num_true)
        pair_index, pair = _with_room(pair_index, pair, num_pair)
        num_pred = _number(p, x, pred_index, pred, num_pred, a)
        num_true = _number(t, y, true_index, true, num_true, b)
        for i in range(len(p)):
            confusion[np.uint64(p[i]), np.uint64(t[i])] += n[i]
        _count_valid(pred, a, n, t, ignored)
        _count_valid(true, b, n, t, ignored)
        num = _same_class(p, a, t, b, n, ignored, kept)
        num_pair = _number(kept[0, :num], kept[1, :num], pair_index, pair, num_pair, c)
        _count(pair, c[:num], kept[2, :num])
    return confusion, pred[:num_pred], true[:num_true], pair[:num_pair]
