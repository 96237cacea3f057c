"""Name what is wrong at each point of a prediction: missed, invented, merged, split and so on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import VOID, ClassTable
from lidarpan.structures import InputError, PanopticLabels, SemanticArray

ERROR_KINDS = ("ignored", "right", "missed", "invented", "wrong class", "merged", "split")
IGNORED, RIGHT, MISSED, INVENTED, WRONG_CLASS, MERGED, SPLIT = range(len(ERROR_KINDS))


def _main_partner(
    own: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each point, the `other` segment that shares most points with its `own` segment."""
    owns, own_index = np.unique(own, return_inverse=True)
    others, other_index = np.unique(other, return_inverse=True)
    shared = np.zeros((len(owns), len(others)), np.int64)
    np.add.at(shared, (own_index, other_index), 1)
    return others[shared.argmax(axis=1)][own_index], others[other_index]


def error_kinds(
    labels: PanopticLabels, truth: PanopticLabels, classes: ClassTable
) -> SemanticArray:
    """Compare a prediction with the truth, point by point.

    In order: void in the truth is ignored; an object's point predicted as stuff or void is missed;
    stuff predicted as an object is invented; another class is a wrong class. What is left of the
    things has the right class: a point is merged when its predicted segment consists mainly of
    another true object, split when its true object lies mainly in another predicted segment.

    Args:
        labels: N points.
        truth: N points.
        classes: both label sets use its train ids.

    Returns:
        (N,) uint8 index into ERROR_KINDS.

    Raises:
        InputError: the two have different numbers of points.
    """
    if labels.num_points != truth.num_points:
        raise InputError(
            f"prediction and truth must label the same scan, got {labels.num_points} and "
            f"{truth.num_points} points"
        )
    is_thing = classes.is_thing
    true_thing, own_thing = is_thing[truth.semantic], is_thing[labels.semantic]
    kinds = np.full(truth.num_points, RIGHT, np.uint8)
    kinds[truth.semantic != labels.semantic] = WRONG_CLASS
    kinds[~true_thing & own_thing] = INVENTED
    kinds[true_thing & ~own_thing] = MISSED
    kinds[truth.semantic == VOID] = IGNORED

    both = np.flatnonzero(true_thing & (truth.semantic == labels.semantic))
    if both.size:
        offset = truth.semantic[both].astype(np.int64) << 32
        true_id, own_id = offset + truth.instance[both], offset + labels.instance[both]
        main_truth, _ = _main_partner(own_id, true_id)
        main_own, _ = _main_partner(true_id, own_id)
        kinds[both[main_own != own_id]] = SPLIT
        kinds[both[main_truth != true_id]] = MERGED
    return kinds
