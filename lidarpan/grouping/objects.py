"""Panoptic labels of a scan -> a list of objects: class, score, box with heading, points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lidarpan.classes import DEFAULT_TABLE, ClassTable
from lidarpan.grouping.boxes import fit_boxes
from lidarpan.grouping.surfaces import class_votes, gather_objects, object_surfaces
from lidarpan.structures import InputError, PanopticLabels, Scan


@dataclass(frozen=True)
class PanopticObject:
    """One object of a scan, in its frame.

    Attributes:
        id: the instance id in the labels.
        class_name: what it is.
        class_id: the train id of that.
        score: confidence in [0, 1], or None where the labels have none.
        num_points: how many points it has.
        distance_m: from the sensor to its nearest point.
        center_m: x, y, z of the box's middle.
        size_m: length, width, height of the box; the sides that the sensor cannot see are taken
            from the class's typical size.
        yaw_rad: of the length about z from x forward, in [-pi, pi). A single scan does not tell
            front from back, so it is known up to half a turn.
        seen_m: length, width, height that the points span.
    """

    id: int
    class_name: str
    class_id: int
    score: float | None
    num_points: int
    distance_m: float
    center_m: tuple[float, float, float]
    size_m: tuple[float, float, float]
    yaw_rad: float
    seen_m: tuple[float, float, float]


def classes_of(labels: PanopticLabels, classes: ClassTable | None) -> ClassTable:
    """The class table of labels: their own, or the given one where they have none.

    Raises:
        InputError: neither, or two that differ.
    """
    if labels.classes is None and classes is None:
        raise InputError(
            "nobody says what the labels' classes are: give a class table, such as "
            f"ClassTable.from_name({DEFAULT_TABLE!r})"
        )
    if labels.classes is None or classes is None:
        known = labels.classes or classes
        assert known is not None
        return known
    if labels.classes.names != classes.names:
        raise InputError(
            f"the labels are in the classes of {labels.classes.name}, got those of "
            f"{classes.name}: leave the class table out"
        )
    return labels.classes


def find_objects(
    scan: Scan, labels: PanopticLabels, classes: ClassTable | None = None
) -> list[PanopticObject]:
    """The objects of a scan, by their ids.

    An object's class is the one most of its points have; its box is fitted to its points from
    above (L-shape fit by closeness, Zhang et al., IV 2017).

    Raises:
        InputError: the labels do not fit the scan, or nobody says what their classes are.
    """
    table = classes_of(labels, classes)
    if labels.num_points != scan.num_points:
        raise InputError(
            f"wanted labels of the scan's {scan.num_points} points, got {labels.num_points}"
        )
    ids = np.unique(labels.instance)
    ids = ids[ids > 0]
    if not len(ids):
        return []
    place = np.searchsorted(ids, labels.instance).astype(np.int32)
    place[labels.instance <= 0] = len(ids)
    lookup = np.append(np.arange(len(ids)), -1)
    class_id = class_votes(labels.semantic, place, lookup, len(ids), table.num_classes).argmax(
        axis=1
    )
    order, start = gather_objects(place, lookup, len(ids))
    own = scan.points[order].astype(np.float64)
    surface, count, extent = object_surfaces(own, start)
    unknown = np.full(len(ids), np.nan)
    none = np.zeros((len(ids), 2))
    typical = np.array([table.box_m.get(int(c), (0.0, 0.0, 0.0))[:2] for c in class_id])
    still = np.tile([0.0, 0.0, np.inf], (len(ids), 1))
    boxes, seen = fit_boxes(
        surface, count, unknown, np.zeros(len(ids)), none, typical, still, np.zeros(2)
    )
    nearest = np.minimum.reduceat(np.linalg.norm(own, axis=1), start[:-1])
    found = []
    for k, (x, y, length, width, yaw) in enumerate(boxes.tolist()):
        low, high = extent[k, 4:].tolist()
        found.append(
            PanopticObject(
                id=int(ids[k]),
                class_name=table.names[class_id[k]],
                class_id=int(class_id[k]),
                score=_score_of(labels, int(ids[k])),
                num_points=int(start[k + 1] - start[k]),
                distance_m=float(nearest[k]),
                center_m=(x, y, (low + high) / 2),
                size_m=(length, width, high - low),
                yaw_rad=yaw,
                seen_m=(float(seen[k, 0]), float(seen[k, 1]), high - low),
            )
        )
    return found


def _score_of(labels: PanopticLabels, instance: int) -> float | None:
    score = labels.score
    return float(score[instance]) if score is not None and instance < len(score) else None
