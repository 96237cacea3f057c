"""Frames of coordinates and the transforms between them over time, as /tf tells them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lidarpan.scans.rotations import rotation
from lidarpan.structures import InputError

Matrix = NDArray[np.float64]

REACH_NS = 200_000_000
"""A transform holds this long before its first and behind its last stamp, nanoseconds."""


def matrix_of(translation: ArrayLike, quaternion_xyzw: ArrayLike) -> Matrix:
    """The (4, 4) transform of a translation (3,) metres and a rotation (x, y, z, w).

    Raises:
        InputError: a number is not finite, or the quaternion is zero.
    """
    t = np.asarray(translation, np.float64)
    q = np.asarray(quaternion_xyzw, np.float64)
    norm = float(np.linalg.norm(q))
    if not (np.isfinite(t).all() and np.isfinite(norm)) or norm < 1e-6:
        raise InputError(
            f"wanted a rotation and a finite translation, got {q.tolist()}, {t.tolist()}"
        )
    x, y, z, w = q / norm
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation((w, x, y, z)), t
    return matrix


def interpolate(first: ArrayLike, second: ArrayLike, share: float) -> Matrix:
    """Between two poses (x, y, z, qx, qy, qz, qw): straight, turning evenly (slerp).

    Args:
        first: (7,) at share 0.
        second: (7,) at share 1.
        share: in [0, 1].
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    qa, qb = a[3:] / np.linalg.norm(a[3:]), b[3:] / np.linalg.norm(b[3:])
    cosine = float(qa @ qb)
    if cosine < 0:
        qb, cosine = -qb, -cosine
    angle = np.arccos(min(cosine, 1.0))
    if angle < 1e-6:
        turned = qa + share * (qb - qa)
    else:
        turned = (np.sin((1 - share) * angle) * qa + np.sin(share * angle) * qb) / np.sin(angle)
    return matrix_of(a[:3] + share * (b[:3] - a[:3]), turned)


@dataclass
class _Edge:
    """Where a frame is in its parent: once for all, or at stamps."""

    parent: str
    is_static: bool
    stamps: list[int] = field(default_factory=list)
    poses: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, stamp_ns: int, pose: tuple[float, ...]) -> None:
        if self.is_static:
            self.stamps, self.poses = [stamp_ns], [pose]
        elif not self.stamps or stamp_ns > self.stamps[-1]:
            self.stamps.append(stamp_ns)
            self.poses.append(pose)
        else:
            place = bisect_right(self.stamps, stamp_ns)
            if not place or self.stamps[place - 1] != stamp_ns:
                self.stamps.insert(place, stamp_ns)
                self.poses.insert(place, pose)

    def at(self, stamp_ns: int) -> Matrix | None:
        """parent_T_child, or None where no stamp is near."""
        if self.is_static:
            return interpolate(self.poses[0], self.poses[0], 0.0)
        place = bisect_right(self.stamps, stamp_ns)
        last = len(self.stamps) - 1
        if place == 0 or place > last:
            nearest = 0 if place == 0 else last
            if abs(self.stamps[nearest] - stamp_ns) > REACH_NS:
                return None
            return interpolate(self.poses[nearest], self.poses[nearest], 0.0)
        before, after = self.stamps[place - 1], self.stamps[place]
        share = (stamp_ns - before) / (after - before)
        return interpolate(self.poses[place - 1], self.poses[place], share)


class TransformTree:
    """Frames by name, each in at most one parent."""

    def __init__(self) -> None:
        self._edges: dict[str, _Edge] = {}

    def __contains__(self, frame: str) -> bool:
        """Whether the frame has a parent."""
        return frame in self._edges

    def add(
        self,
        parent: str,
        child: str,
        stamp_ns: int,
        pose: tuple[float, ...],
        *,
        is_static: bool = False,
    ) -> None:
        """Note where `child` is in `parent`: pose (x, y, z, qx, qy, qz, qw), metres.

        Raises:
            InputError: the numbers are no pose.
        """
        matrix_of(pose[:3], pose[3:])
        edge = self._edges.get(child)
        if edge is None or edge.parent != parent or (is_static and not edge.is_static):
            edge = self._edges[child] = _Edge(parent, is_static)
        edge.add(stamp_ns, pose)

    def adopt(self, other: TransformTree) -> None:
        """Take from another tree the frames whose parent is not known here."""
        for child, edge in other._edges.items():
            if child not in self._edges and child not in self.path(edge.parent):
                self._edges[child] = edge

    def children(self) -> list[str]:
        """The frames that move in their parent."""
        return [child for child, edge in self._edges.items() if not edge.is_static]

    def path(self, frame: str) -> list[str]:
        """The frame, its parent and so on up to the root."""
        path = [frame]
        while (edge := self._edges.get(path[-1])) is not None and edge.parent not in path:
            path.append(edge.parent)
        return path

    def world_of(self, frame: str) -> str | None:
        """The root above the frame where the way to it moves over time; None where none does."""
        path = self.path(frame)
        moves = any(not self._edges[child].is_static for child in path[:-1])
        return path[-1] if moves else None

    def lookup(self, target: str, source: str, stamp_ns: int) -> Matrix | None:
        """target_T_source at a time, (4, 4); None where they are not connected at that time."""
        return self.between(target, stamp_ns, source, stamp_ns)

    def between(self, target: str, target_ns: int, source: str, source_ns: int) -> Matrix | None:
        """target_T_source from a source at one time to a target at another, through their root."""
        if target == source and target_ns == source_ns:
            return np.eye(4)
        up, down = self.path(source), self.path(target)
        shared = [frame for frame in up if frame in down]
        if not shared:
            return None
        meeting = shared[0] if target_ns == source_ns else shared[-1]
        source_in = self._climb(up[: up.index(meeting)], source_ns)
        target_in = self._climb(down[: down.index(meeting)], target_ns)
        if source_in is None or target_in is None:
            return None
        result: Matrix = np.linalg.inv(target_in) @ source_in
        return result

    def _climb(self, frames: list[str], stamp_ns: int) -> Matrix | None:
        """Transform from the first frame into the parent of the last one."""
        total = np.eye(4)
        for frame in frames:
            step = self._edges[frame].at(stamp_ns)
            if step is None:
                return None
            total = step @ total
        return total
