"""Votes, claims and rewriting of labels: the loops of `lidarpan.grouping.fusion`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True)
def vote(semantic: Array, claims: Array, softmax: Array, is_thing: Array, num_ids: int) -> Array:
    """Sum of the thing probabilities of each instance's points, and their number.

    semantic (N,) uint8, claims (N, M) int32 ids (0 = none), softmax (N, C) float32 or (0, C) for
    one vote per point's own class, is_thing (C,) -> (num_ids, C + 1) float64; the last column
    counts points. Row 0 stays 0.
    """
    num_classes = len(is_thing)
    votes = np.zeros((num_ids, num_classes + 1), np.float64)
    weighted = len(softmax) > 0
    for i in range(len(claims)):
        for m in range(claims.shape[1]):
            k = claims[i, m]
            if k == 0:
                continue
            votes[k, num_classes] += 1.0
            if weighted:
                for c in range(num_classes):
                    if is_thing[c]:
                        votes[k, c] += softmax[i, c]
            elif is_thing[semantic[i]]:
                votes[k, semantic[i]] += 1.0
    return votes


@njit(cache=True)
def settle_claims(
    semantic: Array, claims: Array, class_of: Array, score: Array, protected: Array
) -> Array:
    """The one instance each point belongs to: of its claims the most confident that may have it.

    claims (N, M) int32, class_of (K,) uint8 (0 = not an object), score (K,) float32, protected
    (C, C) bool: [thing, class] a thing may not take -> (N,) int32, 0 = none; ties: the lower id.
    """
    winner = np.zeros(len(claims), np.int32)
    for i in range(len(claims)):
        for m in range(claims.shape[1]):
            k = claims[i, m]
            if k == 0 or class_of[k] == 0 or protected[class_of[k], semantic[i]]:
                continue
            best = winner[i]
            if best == 0 or score[k] > score[best] or (score[k] == score[best] and k < best):
                winner[i] = k
    return winner


@njit(cache=True)
def best_stuff(probability: Array, is_stuff: Array) -> int:
    """The stuff class of highest probability; 0 (void) when all are 0. (C,), (C,) bool."""
    best = 0
    for c in range(len(is_stuff)):
        if (
            is_stuff[c]
            and probability[c] > 0.0
            and (best == 0 or probability[c] > probability[best])
        ):
            best = c
    return best


@njit(cache=True)
def write_labels(
    semantic: Array,
    winner: Array,
    class_of: Array,
    softmax: Array,
    is_thing: Array,
    is_stuff: Array,
    least: int,
) -> tuple[Array, Array, Array]:
    """Final labels: instances below `least` points dissolve, the rest are numbered by first point.

    Args:
        semantic: (N,) uint8.
        winner: (N,) int32 instance of each point, 0 = none.
        class_of: (K,) uint8 class of each instance.
        softmax: (N, C) float32, or (0, C).
        is_thing: (C,) bool.
        is_stuff: (C,) bool.
        least: points an instance needs.

    Returns:
        semantic (N,) uint8, instance (N,) int32, old id of each new id (K' + 1,) int32.
    """
    size = np.zeros(len(class_of), np.int32)
    for i in range(len(winner)):
        size[winner[i]] += 1
    new_id = np.zeros(len(class_of), np.int32)
    old_id = np.zeros(len(class_of), np.int32)
    count = 0
    out_semantic = semantic.copy()
    out_instance = np.zeros(len(semantic), np.int32)
    for i in range(len(semantic)):
        k = winner[i]
        if k > 0 and size[k] >= least:
            if new_id[k] == 0:
                count += 1
                new_id[k] = count
                old_id[count] = k
            out_semantic[i] = class_of[k]
            out_instance[i] = new_id[k]
        elif is_thing[semantic[i]]:
            out_semantic[i] = best_stuff(softmax[i], is_stuff) if len(softmax) > 0 else 0
    return out_semantic, out_instance, old_id[: count + 1]


@njit(cache=True)
def tempered(softmax: Array, semantic: Array, temperature: float) -> Array:
    """P ** (1 / T) of each point's class, over the sum of that of all classes.

    softmax (N, C) float32, semantic (N,) uint8 -> (N,) float32; 0 where the class is void.
    """
    power = np.float32(1.0 / temperature)
    out, total = np.zeros(len(semantic), np.float32), np.float32(0)
    for i in range(len(semantic)):
        own = softmax[i, semantic[i]]
        if power == 1.0:
            out[i] = own if semantic[i] > 0 else np.float32(0)
            continue
        c = 0  # neighbours in a scan are often of one voxel
        while i > 0 and c < softmax.shape[1] and softmax[i, c] == softmax[i - 1, c]:
            c += 1
        if c < softmax.shape[1]:
            total = np.float32(1e-12)
            for c in range(softmax.shape[1]):
                if softmax[i, c] > np.float32(1e-7):
                    total += softmax[i, c] ** power
        if semantic[i] > 0 and own > 0:
            out[i] = own**power / total
    return out
