"""Semantic classes and instance ids into one panoptic answer, by five named rules.

1. Majority: an instance takes the thing class with the largest sum of probabilities over its
   points, times the instance's own probability of the class where it has one; without
   probabilities, the most frequent thing class.
2. Instance priority: an instance takes its points from stuff and void, unless the pair (its class,
   the point's class) is protected.
3. Confidence: a point claimed by several instances goes to the one with the higher score.
4. Tiny or unsure segments: an instance below `min_segment_points` or `min_score` is dissolved.
5. No thing without an instance: a thing point that belongs to none becomes the best stuff class of
   its probabilities, or void without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.grouping.claims import settle_claims, tempered, vote, write_labels
from lidarpan.structures import (
    BoolArray,
    FloatArray,
    InputError,
    IntArray,
    PanopticLabels,
    SemanticArray,
)


def protect(classes: ClassTable, pairs: Iterable[tuple[str, str]] | None = None) -> BoolArray:
    """Table of what a thing may not take: [thing, stuff] is True where protected. -> (C, C) bool.

    pairs: (thing name, stuff name) each; None takes what the class table says.
    """
    if pairs is None:
        return classes.protected
    table = np.zeros((classes.num_classes, classes.num_classes), np.bool_)
    for thing_name, stuff_name in pairs:
        thing, stuff = classes.id_of(thing_name), classes.id_of(stuff_name)
        if thing not in classes.things or stuff not in classes.stuff:
            raise InputError(
                f"protected pairs are (thing, stuff), got ({thing_name!r}, {stuff_name!r})"
            )
        table[thing, stuff] = True
    return table


def merge_semantic_and_instance(
    semantic: SemanticArray,
    instance: IntArray,
    softmax: FloatArray | None,
    classes: ClassTable,
    *,
    min_segment_points: int = 1,
    min_score: float = 0.0,
    score_map: Sequence[tuple[float, float]] = (),
    protected: Iterable[tuple[str, str]] | None = None,
    center_score: FloatArray | None = None,
    claim_softmax: FloatArray | None = None,
) -> PanopticLabels:
    """Decide class and instance of every point, by the rules in the module's docstring.

    Args:
        semantic: (N,) uint8 train ids.
        instance: (N,) int32 ids, 0 = none; or (N, M) with up to M claims on each point.
        softmax: (N, C) float32 class probabilities, or None.
        classes: the class table.
        min_segment_points: instances with fewer points are dissolved.
        min_score: instances of a lower score, after score_map, claim nothing.
        score_map: (score, share of objects of this score that are right), ascending in both: scores
            are mapped by these points and the straight lines between them. Empty leaves them.
        protected: (thing name, stuff name) pairs the thing may not take from the stuff; None
            takes what the class table says: ground from all things, as a rule.
        center_score: (K + 1,) float32 confidence of instance id k at position k, or None; an
            instance's score is this times the mean probability of its class over its points.
        claim_softmax: (K + 1, C) float32 class probabilities of instance id k at row k, or None.

    Returns:
        Labels with instances numbered by first point, and their scores in [0, 1].

    Raises:
        InputError: a shape or dtype is wrong, an id is negative, or a pair is not (thing, stuff).
    """
    claims = check_fusion(semantic, instance, softmax, classes)
    table = protect(classes, protected)
    is_thing, is_stuff = classes.is_thing, np.isin(np.arange(classes.num_classes), classes.stuff)
    known = np.zeros((0, classes.num_classes), np.float32) if softmax is None else softmax
    for name, rows in (("center_score", center_score), ("claim_softmax", claim_softmax)):
        check_rows(name, rows, claims)
    claims, ids = compact_ids(claims)
    num_ids = len(ids)
    center = np.ones(num_ids, np.float32) if center_score is None else center_score[ids]

    votes = vote(semantic, claims, known, is_thing, num_ids)
    if claim_softmax is not None:
        votes[:, :-1] *= claim_softmax[ids]
    class_of = votes[:, :-1].argmax(axis=1).astype(np.uint8)
    best = votes[np.arange(num_ids), class_of]
    class_of[best <= 0] = 0
    score = (best / np.maximum(votes[:, -1], 1) * center).clip(0, 1).astype(np.float32)
    judged = map_scores(score, score_map)
    class_of[judged < min_score] = 0

    winner = settle_claims(semantic, claims, class_of, score, table)
    out_semantic, out_instance, old_id = write_labels(
        semantic, winner, class_of, known, is_thing, is_stuff, min_segment_points
    )
    judged[0] = 0
    return PanopticLabels(out_semantic, out_instance, judged[old_id], classes)


def map_scores(score: FloatArray, score_map: Sequence[tuple[float, float]]) -> FloatArray:
    """Scores on the broken line through the points of the map. (K,) -> (K,) float32.

    Raises:
        InputError: the points do not ascend, or leave [0, 1].
    """
    if not len(score_map):
        return score
    knots = np.array(score_map, np.float64)
    rises = (np.diff(knots[:, 0]) > 0).all() and (np.diff(knots[:, 1]) >= 0).all()
    if not rises or knots.min() < 0 or knots.max() > 1:
        raise InputError(
            f"score_map must be (score, share right) pairs in [0, 1] that ascend, got {score_map}"
        )
    return np.interp(score, knots[:, 0], knots[:, 1]).astype(np.float32)


def with_confidence(
    labels: PanopticLabels,
    softmax: FloatArray,
    *,
    temperature: float = 1.0,
    min_confidence: float = 0.0,
) -> PanopticLabels:
    """The labels with the confidence of each point; points that lack it are void.

    Args:
        labels: of N points.
        softmax: (N, C) float32 class probabilities.
        temperature: T of the confidence p ** (1 / T) / sum_c p_c ** (1 / T), which leaves the
            order of the classes as it is (Guo et al., On calibration of modern neural networks,
            ICML 2017).
        min_confidence: points below it become void, their objects smaller or gone.

    Raises:
        InputError: the temperature is not positive, or the least confidence no share.
    """
    if not temperature > 0 or not 0 <= min_confidence <= 1:
        raise InputError(
            "wanted a temperature above 0 and a least confidence from 0 to 1, got "
            f"{temperature} and {min_confidence}"
        )
    confidence = tempered(softmax, labels.semantic, float(temperature))
    if not min_confidence:
        return replace(labels, confidence=confidence)
    sure = confidence >= min_confidence
    return replace(
        labels,
        semantic=np.where(sure, labels.semantic, np.uint8(0)),
        instance=np.where(sure, labels.instance, np.int32(0)),
        confidence=np.where(sure, confidence, np.float32(0)),
    )


def keep_confident(labels: PanopticLabels, min_score: float) -> PanopticLabels:
    """The labels with every instance of a lower score turned to void; they must have scores.

    Instances keep their ids. `merge_semantic_and_instance` knows the probabilities of the points
    and gives them back to stuff instead.

    Raises:
        InputError: the labels have no scores, or `min_score` is no share.
    """
    if not 0 <= min_score <= 1:
        raise InputError(f"min_score: wanted 0 to 1, got {min_score}")
    if not min_score:
        return labels
    score = labels.score
    if score is None or len(score) <= int(labels.instance.max(initial=0)):
        raise InputError(
            "a least score wants labels with scores: predict with --format npz, or leave it out"
        )
    drop = (labels.instance > 0) & (score[labels.instance] < min_score)
    return replace(
        labels,
        semantic=np.where(drop, np.uint8(0), labels.semantic),
        instance=np.where(drop, np.int32(0), labels.instance),
    )


def keep_classes(labels: PanopticLabels, train_ids: Sequence[int]) -> PanopticLabels:
    """The labels with every class but some turned to void; instances keep their ids."""
    keep = np.zeros(256, np.bool_)
    keep[list(train_ids)] = True
    kept = keep[labels.semantic]
    return replace(
        labels,
        semantic=np.where(kept, labels.semantic, np.uint8(0)),
        instance=np.where(kept, labels.instance, np.int32(0)),
    )


def check_fusion(
    semantic: SemanticArray, instance: IntArray, softmax: FloatArray | None, classes: ClassTable
) -> IntArray:
    """The claims (N, M) int32, after every input was looked at; raises InputError."""
    n = len(semantic)
    if semantic.shape != (n,) or semantic.dtype != np.uint8:
        raise InputError(f"semantic must be (N,) uint8, got {semantic.shape} {semantic.dtype}")
    if n and int(semantic.max()) >= classes.num_classes:
        raise InputError(
            f"semantic holds train id {semantic.max()}, {classes.name} has "
            f"0..{classes.num_classes - 1}: map raw labels with ClassTable.to_train"
        )
    if len(instance) != n or instance.ndim not in (1, 2) or instance.dtype.kind not in "iu":
        raise InputError(
            f"instance must be ({n},) or ({n}, M) int32, got {instance.shape} {instance.dtype}"
        )
    if softmax is not None and (
        softmax.shape != (n, classes.num_classes) or softmax.dtype != np.float32
    ):
        raise InputError(
            f"softmax must be ({n}, {classes.num_classes}) float32, "
            f"got {softmax.shape} {softmax.dtype}"
        )
    if instance.size and int(instance.min()) < 0:
        raise InputError(f"instance ids must be 0 (none) or positive, got {instance.min()}")
    return instance.reshape(n, -1) if n else np.zeros((0, 1), np.int32)


def check_rows(name: str, rows: FloatArray | None, claims: IntArray) -> None:
    """Raise InputError where there is not a row for every instance id, 0 included."""
    highest = int(claims.max()) if claims.size else 0
    if rows is not None and len(rows) <= highest:
        raise InputError(f"{name} must have one value for each id 0..{highest}, got {len(rows)}")


def compact_ids(claims: IntArray) -> tuple[IntArray, NDArray[np.int64]]:
    """Claims with ids that index an array, and which id stands at each of its places, 0 first."""
    highest = int(claims.max()) if claims.size else 0
    if highest <= 65536 + 2 * claims.size:
        return claims, np.arange(highest + 1)
    ids, place = np.unique(np.append(claims, 0), return_inverse=True)  # far apart: own places
    return place[:-1].reshape(claims.shape).astype(np.int32), ids.astype(np.int64)
