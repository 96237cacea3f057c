"""Arrays of a network's classes -> train ids, whatever the network counts from.

A network's classes may be the dataset's raw labels ("raw"), train ids with 0 or 255 for void
("train"; without a 0 also -1 or -100), or those counted from the first real class on ("train0"),
with -1, -100, 255 or the number after the last class for void. Which of them it is follows from the
values where only one fits, else from how much of a street each class covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.whole_numbers import whole_numbers
from lidarpan.structures import InputError, SemanticArray

CONVENTIONS = ("raw", "train", "train0")
"""The conventions, as users name them."""

_IGNORED = (-1, -100, 255)
_MARGIN = 0.2
_MIN_POINTS = 1000
_RARE = 1e-3
_LEAST_FIT = -3.5
"""Real streets of four sensors have -1.8 to -2.3, those with classes shifted by one -4 or less."""


def class_ids(array: NDArray[Any], what: str, classes: ClassTable) -> NDArray[np.int64]:
    """One class per point as the file counts them: (N,), (N, 1), or scores of classes.

    Args:
        array: whole numbers, or an (N, classes) array of scores, of which the highest wins.
        what: "FILE" or the like, for errors.
        classes: how many classes there may be.

    Raises:
        InputError: another shape, fractions, or numbers that no label has.
    """
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    num_outputs = (classes.num_classes, classes.num_classes - 1)
    if array.ndim == 2 and array.dtype.kind in "fiub" and array.shape[1] in num_outputs:
        if not np.isfinite(array).all():
            raise InputError(f"{what}: wanted finite scores of classes, got NaN or infinite ones")
        best: NDArray[np.int64] = array.argmax(axis=1).astype(np.int64)
        return best
    if array.ndim == 2 and array.dtype.kind == "f" and array.shape[0] in num_outputs:
        raise InputError(f"{what}: wanted (N, classes) scores, got {array.shape}: transpose them")
    if array.dtype.kind == "f" and array.ndim == 1 and (array != np.floor(array)).any():
        part = array[array != np.floor(array)][0]
        raise InputError(
            f"{what}: wanted a class for each point, got fractions such as {part:.3g}: "
            "of scores take the argmax"
        )
    return whole_numbers(array, min(_IGNORED), 0xFFFF, what)


def choose_convention(arrays: Sequence[NDArray[np.int64]], classes: ClassTable, what: str) -> str:
    """Which convention some files of one network follow.

    Args:
        arrays: (N,) classes of each file.
        classes: the dataset's.
        what: where they come from, for errors.

    Raises:
        InputError: none fits, several fit equally well, or the one that fits gives a thing class a
            third of all points, or classes that no street has.
    """
    pooled = np.concatenate(arrays) if arrays else np.zeros(0, np.int64)
    fitting = {}
    for convention in CONVENTIONS:
        try:
            fitting[convention] = to_train_ids(pooled, convention, classes)
        except InputError:
            continue
    if not fitting:
        found = np.unique(pooled)
        raise InputError(
            f"{what}: wanted {classes.name} raw labels or train ids up to "
            f"{classes.num_classes - 1}, got {found[0]}..{found[-1]}, {len(found)} of them"
        )
    if len(pooled) < _MIN_POINTS or classes.street_share is None:
        return "train" if "train" in fitting else next(iter(fitting))
    fit = {name: _street_fit(ids, classes) for name, ids in fitting.items()}
    best = max(fit, key=lambda name: fit[name])
    close = [name for name in fit if name != best and fit[name] > fit[best] - _MARGIN]
    if any((fitting[name] != fitting[best]).any() for name in close):
        raise InputError(
            f"{what}: the classes could be {' or '.join([best, *close])}: say which with --ids"
        )
    _refuse_implausible(fitting[best], classes, what, best)
    return best


def to_train_ids(ids: NDArray[np.int64], convention: str, classes: ClassTable) -> SemanticArray:
    """Classes counted as a convention says -> train ids. (N,) -> (N,) uint8.

    Raises:
        InputError: no such convention, or a number that it does not have.
    """
    match convention:
        case "raw":
            return classes.to_train(ids)
        case "train":
            void = _IGNORED if not (ids == 0).any() else (255,)
            known = np.where(np.isin(ids, void), 0, ids)
            return whole_numbers(known, 0, classes.num_classes - 1, "train ids").astype(np.uint8)
        case "train0":
            highest = classes.num_classes - 1
            shifted = np.where(np.isin(ids, (*_IGNORED, highest)), -1, ids) + 1
            return whole_numbers(shifted, 0, highest, "train ids counted from 0, plus 1").astype(
                np.uint8
            )
        case _:
            raise InputError(f"--ids: wanted {', '.join(CONVENTIONS)}, got {convention!r}")


def _street_fit(ids: SemanticArray, classes: ClassTable) -> float:
    """Mean log likelihood of the classes of the points in a street; void counts as rare."""
    assert classes.street_share is not None
    likely = np.log(np.maximum(classes.street_share, _RARE))
    counts = np.bincount(ids, minlength=classes.num_classes)
    return float((counts * likely).sum() / max(counts.sum(), 1))


def _refuse_implausible(ids: SemanticArray, classes: ClassTable, what: str, best: str) -> None:
    share = np.bincount(ids, minlength=classes.num_classes) / len(ids)
    thing = max(classes.things, key=lambda c: share[c])
    known = ids[ids > 0]
    is_street = 2 * len(known) < len(ids) or _street_fit(known, classes) > _LEAST_FIT
    if share[thing] > 1 / 3 or not is_street:
        shown = thing if share[thing] > 1 / 3 else int(share[1:].argmax()) + 1
        why = "" if is_street else ", and the others as in no street"
        raise InputError(
            f"{what}: read as {best} ids, {share[shown]:.0%} of the points would be "
            f"{classes.names[shown]}{why}: say with --ids what the numbers are "
            f"({', '.join(CONVENTIONS)}), or map them to these"
        )
