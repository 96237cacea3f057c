"""A wholly labelled scan as somebody with little time would have labelled it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lidarpan.structures import BoolArray
from lidarpan.training.augment import Sample

Kind = Literal["points", "scribbles", "clicks", "objects"]

_SCRIBBLE_M = 3.0  # length of a stroke
_SCRIBBLE_WIDE_M = 0.15  # points this far beside it are taken


def keep_labels(sample: Sample, kind: Kind, share: float, rng: np.random.Generator) -> Sample:
    """Leave some of the labels and make the others void.

    Args:
        sample: with all labels.
        kind: "points": single points, by chance; "scribbles": strokes of 3 m within one object or
            surface, until the share of the points is reached; "clicks": one point of each object
            and of each stuff class, or of a share of these; "objects": all points of a share of the
            objects, and the stuff of as many 6 m patches.
        share: of the points or objects, in (0, 1].
        rng: source of randomness; the same for a scan whenever it is read.
    """
    match kind:
        case "points":
            keep = rng.random(len(sample.points)) < share
        case "scribbles":
            keep = _scribbles(sample, share, rng)
        case "clicks":
            keep = _clicks(sample, share, rng)
        case "objects":
            keep = _objects(sample, share, rng)
    return replace(
        sample,
        semantic=np.where(keep, sample.semantic, np.uint8(0)),
        instance=np.where(keep, sample.instance, np.int32(0)),
    )


def segment_of(sample: Sample) -> NDArray[np.int64]:
    """A number for each object and each stuff class, 0 for void. (N,)."""
    width = int(sample.instance.max(initial=0)) + 1
    key = sample.semantic.astype(np.int64) * width + sample.instance
    return np.where(sample.semantic > 0, key + 1, 0)


def _clicks(sample: Sample, share: float, rng: np.random.Generator) -> BoolArray:
    """The point nearest to the middle of each segment chosen."""
    keep = np.zeros(len(sample.points), np.bool_)
    segment = segment_of(sample)
    for one in np.unique(segment[segment > 0]):
        if rng.random() >= share:
            continue
        rows = np.flatnonzero(segment == one)
        if sample.instance[rows[0]] == 0:
            keep[rng.choice(rows)] = True
            continue
        points = sample.points[rows]
        keep[rows[np.linalg.norm(points - points.mean(axis=0), axis=1).argmin()]] = True
    return keep


def _scribbles(sample: Sample, share: float, rng: np.random.Generator) -> BoolArray:
    """Strokes within one segment each, from a random point in a random direction."""
    keep, segment = np.zeros(len(sample.points), np.bool_), segment_of(sample)
    usable = np.flatnonzero(segment > 0)
    if share >= 1 or not len(usable):
        return segment > 0
    tree, wanted = cKDTree(sample.points), share * len(usable)
    steps = np.arange(0, _SCRIBBLE_M, _SCRIBBLE_WIDE_M)[:, None]
    ids = rng.permutation(np.unique(segment[usable]))  # every segment in turn, large or small
    while keep.sum() < wanted:
        for one in ids:
            if keep.sum() >= wanted:
                break
            rows = np.flatnonzero(segment == one)
            angle = rng.uniform(-np.pi, np.pi)
            way = steps * np.array([np.cos(angle), np.sin(angle), 0.0])
            near = tree.query_ball_point(sample.points[rng.choice(rows)] + way, _SCRIBBLE_WIDE_M)
            touched = np.unique(np.concatenate([np.array(n, np.int64) for n in near]))
            keep[touched[segment[touched] == one]] = True
    return keep


def _objects(sample: Sample, share: float, rng: np.random.Generator) -> BoolArray:
    """Whole objects, and the stuff of whole patches, each with the chance of the share."""
    cell = np.floor(sample.points[:, :2] / 6.0).astype(np.int64)
    _, patch = np.unique(cell, axis=0, return_inverse=True)
    patch = patch.reshape(-1)
    chosen_patch = rng.random(int(patch.max(initial=0)) + 1) < share
    chosen_object = rng.random(int(sample.instance.max(initial=0)) + 1) < share
    is_object = sample.instance > 0
    return np.where(is_object, chosen_object[sample.instance], chosen_patch[patch])
