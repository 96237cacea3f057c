"""What is remembered of each track, as arrays."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from lidarpan.grouping.surfaces import SURFACE_CELLS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass
class TrackStore:
    """T tracks in the order of their birth; S places of a surface, C classes.

    Attributes:
        id: (T,) lasting id.
        mass: (T, C) evidence for each class, as `class_evidence` gives it, of all scans.
        class_id: (T,) the class with most evidence.
        shape: (T, 2, S) m, known surface where it was seen last; num_shape (T,) places used.
        stamp: (T, S) s, when each place was seen.
        last: (T, 2, S) m, the surface as it was seen last; num_last (T,).
        center: (T, 2) m, middle of that, radius (T,) m half its diagonal.
        motion: (T, 6) velocity x, y m/s, its variance, `association`'s UNKNOWN, MOVING or RESTING,
            axis x, y or (0, 0).
        wander: (T, 2) m, from where it is likely to be to where it was seen last.
        doubt: (T, 2) m^2 and m^2/s: variance of its place, covariance of place and velocity.
        box: (T, 7) x, y, z, length, width, height, heading; extent_z (T, 2) m.
        dims: (T, 3) length, width and height seen so far, m.
        born_at: (T, 2) m, middle of what was seen of it first.
        born_s: (T,) s; seen_s (T,) s when it was seen last.
        scans: (T,) in how many it was seen; company (T,) in how many with another one beside it.
        score: (T,) sum of the scores of its views.
        is_buried: (T,) bool, whether it was never seen but buried in other things.
        gone: (T,) scans in a row that looked through the place where it stood.
    """

    id: Ints
    mass: Floats
    class_id: Ints
    shape: Floats
    num_shape: Ints
    stamp: Floats
    last: Floats
    num_last: Ints
    center: Floats
    radius: Floats
    motion: Floats
    wander: Floats
    doubt: Floats
    box: Floats
    dims: Floats
    born_at: Floats
    born_s: Floats
    seen_s: Floats
    scans: Ints
    company: Ints
    score: Floats
    is_buried: NDArray[np.bool_]
    gone: Ints

    @classmethod
    def empty(cls, num_classes: int, num_tracks: int = 0) -> TrackStore:
        """A store of tracks about which nothing is known."""
        t, s = num_tracks, SURFACE_CELLS

        def floats(*shape: int) -> Floats:
            return np.zeros((t, *shape))

        def ints() -> Ints:
            return np.zeros(t, np.int64)

        return cls(
            ints(), floats(num_classes), ints(), floats(2, s), ints(), floats(s), floats(2, s),
            ints(), floats(2), floats(), floats(6), floats(2), floats(2), floats(7), floats(3),
            floats(2), floats(), floats(), ints(), ints(), floats(), np.zeros(t, np.bool_), ints(),
        )  # fmt: skip

    @property
    def num_tracks(self) -> int:
        """T."""
        return len(self.id)

    @property
    def speed(self) -> Floats:
        """(T,) m/s."""
        return np.hypot(self.motion[:, 0], self.motion[:, 1])

    def keep(self, chosen: NDArray[np.bool_]) -> None:
        """Forget all tracks but the chosen. (T,) bool."""
        if not chosen.all():
            for field in fields(self):
                setattr(self, field.name, getattr(self, field.name)[chosen])

    def add(self, other: TrackStore) -> None:
        """Append the tracks of another store."""
        if other.num_tracks:
            for field in fields(self):
                both = (getattr(self, field.name), getattr(other, field.name))
                setattr(self, field.name, np.concatenate(both))
