"""Instance ids of single scans -> ids that stay over a drive, by where the objects are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import IntArray, PanopticLabels, Scan

NEAR_M = 3.0  # the visible middle of an object at rest wanders less between two scans
GATE_M = 2.5  # from where an object is expected to where it is seen
MEMORY = 5  # scans that an object may be hidden for
STAYING = 0.75  # of the ids two scans share, if ids stay: fast objects move more than NEAR_M
NUM_PAIRS = 8
Frame = tuple[Scan, PanopticLabels]


@dataclass(frozen=True)
class _Seen:
    """The K objects of a scan: ids, classes, middles of their boxes in the world."""

    ids: IntArray
    classes: IntArray
    places: NDArray[np.float64]


@dataclass
class _Track:
    """An object seen before: its name, class, place, way per scan, and when that was."""

    name: int
    train_id: int
    place: NDArray[np.float64]
    step: NDArray[np.float64]
    frame: int


class ObjectLinker:
    """Gives an object the name it had before: the nearest of its class to where it should be now.

    Pairs are taken from the nearest on, up to GATE_M apart; an object is expected to go on as it
    went between the last two scans that showed it.
    """

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._frame = 0
        self._used = 0

    def rename(
        self, scan: Scan, labels: PanopticLabels, pose: NDArray[np.float64]
    ) -> PanopticLabels:
        """Labels of the next scan with names that stay; pose is its (4, 4) world_T_sensor."""
        seen = _objects(scan, labels, pose)
        self._frame += 1
        tracks = [t for t in self._tracks if self._frame - t.frame <= MEMORY]
        found: dict[int, _Track] = {}
        for k, track in _nearest_pairs(seen, tracks, self._frame):
            gap = self._frame - track.frame
            track.step = (seen.places[k] - track.place) / gap
            track.place, track.frame = seen.places[k], self._frame
            found[k] = track
        for k in range(len(seen.ids)):
            if k not in found:
                self._used += 1
                still = np.zeros(2)
                kind = int(seen.classes[k])
                found[k] = _Track(self._used, kind, seen.places[k], still, self._frame)
                tracks.append(found[k])
        self._tracks = tracks
        names = np.array([found[k].name for k in range(len(seen.ids))], np.int32)
        instance: IntArray = np.zeros(labels.num_points, np.int32)
        has = labels.instance > 0
        if len(names):
            instance[has] = names[np.searchsorted(seen.ids, labels.instance[has])]
        return PanopticLabels(labels.semantic, instance)


def ids_stay(read: Callable[[int], Frame], poses: NDArray[np.float64]) -> bool:
    """Whether instance ids name the same objects from scan to scan.

    Up to NUM_PAIRS pairs of neighbouring scans are compared: of the ids that both have, those of
    staying ids are of the same class and less than NEAR_M apart in the world.

    Args:
        read: scan number to scan and labels.
        poses: (T, 4, 4) world_T_sensor.
    """
    firsts = np.unique(np.linspace(0, len(poses) - 2, NUM_PAIRS).round().astype(int))
    near = shared = 0
    for i in firsts.tolist() if len(poses) > 1 else []:
        a, b = (_objects(*read(k), poses[k]) for k in (i, i + 1))
        _, in_a, in_b = np.intersect1d(a.ids, b.ids, return_indices=True)
        moved = np.linalg.norm(a.places[in_a] - b.places[in_b], axis=1)
        near += int(((moved < NEAR_M) & (a.classes[in_a] == b.classes[in_b])).sum())
        shared += len(in_a)
    return near >= STAYING * shared


def _objects(scan: Scan, labels: PanopticLabels, pose: NDArray[np.float64]) -> _Seen:
    has = np.flatnonzero(labels.instance > 0)
    order = has[np.argsort(labels.instance[has], kind="stable")]
    ids, start = np.unique(labels.instance[order], return_index=True)
    world = (scan.points[order] @ pose[:3, :3].T + pose[:3, 3])[:, :2]
    if not len(ids):
        return _Seen(ids, ids, np.zeros((0, 2)))
    low, high = (f.reduceat(world, start, axis=0) for f in (np.minimum, np.maximum))
    kinds = [
        int(np.bincount(part).argmax()) for part in np.split(labels.semantic[order], start)[1:]
    ]
    return _Seen(ids, np.array(kinds, np.int32), (low + high) / 2)


def _nearest_pairs(seen: _Seen, tracks: list[_Track], frame: int) -> list[tuple[int, _Track]]:
    """Objects and tracks that belong together, each at most once, nearest first."""
    if not tracks or not len(seen.ids):
        return []
    expected = np.array([t.place + t.step * (frame - t.frame) for t in tracks])
    kinds = np.array([t.train_id for t in tracks])
    away = np.linalg.norm(seen.places[:, None] - expected, axis=2)
    away[seen.classes[:, None] != kinds] = np.inf
    pairs: list[tuple[int, _Track]] = []
    rows, columns = np.nonzero(away <= GATE_M)
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    for j in np.argsort(away[rows, columns], kind="stable").tolist():
        row, column = int(rows[j]), int(columns[j])
        if row not in used_rows and column not in used_columns:
            pairs.append((row, tracks[column]))
            used_rows.add(row)
            used_columns.add(column)
    return pairs
