"""How sure labels are, beside label files whose format has no room for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.scans.numpy_files import read_arrays, write_arrays
from lidarpan.structures import InputError, PanopticLabels

SUFFIX = ".scores.npz"


def write_scores(file: Path, labels: PanopticLabels) -> Path:
    """Write the scores of labels that have some, and the first point of each object, beside `file`.

    Formats number objects anew, but their points stay. The confidence of the points, where it is
    known, is written too, in steps of 1 / 255.
    """
    assert labels.score is not None
    ids, first = np.unique(labels.instance, return_index=True)
    path = file.with_name(file.name + SUFFIX)
    arrays = {"point": first[ids > 0], "score": labels.score[ids[ids > 0]]}
    if labels.confidence is not None:
        arrays["confidence"] = np.round(labels.confidence * 255).astype(np.uint8)
    write_arrays(path, **arrays)
    return path


def with_scores(labels: PanopticLabels, file: Path) -> PanopticLabels:
    """The labels of a file, with the scores that lie beside it where they have none themselves.

    Raises:
        InputError: the scores are damaged or of other labels.
    """
    path = file.with_name(file.name + SUFFIX)
    if labels.score is not None or not path.is_file():
        return labels
    found = read_arrays(path)
    point, score, sure = (found.get(name) for name in ("point", "score", "confidence"))
    if point is None or score is None or not _fit(labels, point, score, sure):
        raise InputError(f"{path}: wanted a point and a score in [0, 1] of each object: remove it")
    scores = np.ones(int(labels.instance.max(initial=0)) + 1, np.float32)
    scores[labels.instance[point]] = score
    confidence = labels.confidence if sure is None else sure.astype(np.float32) / 255
    return replace(labels, score=scores, confidence=confidence)


def _fit(
    labels: PanopticLabels, point: NDArray[Any], score: NDArray[Any], sure: NDArray[Any] | None
) -> bool:
    if sure is not None and (sure.shape != labels.semantic.shape or sure.dtype != np.uint8):
        return False
    if point.ndim != 1 or point.shape != score.shape or point.dtype.kind not in "iu":
        return False
    there = (point >= 0) & (point < labels.num_points)
    return bool((there & (score >= 0) & (score <= 1)).all())
