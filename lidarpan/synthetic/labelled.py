"""What the dataset writers take: scans with labels, and boxes around objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lidarpan.structures import IntArray, Scan


class LabelledScan(Protocol):
    """A scan with raw labels and instance ids that stay over its sequence."""

    @property
    def scan(self) -> Scan:
        """The scan; its world_T_sensor is wanted."""
        ...

    @property
    def instance(self) -> IntArray:
        """(N,) ids of objects, 0 = none."""
        ...

    @property
    def time_s(self) -> float:
        """Time since the start of the sequence, seconds."""
        ...

    def raw(self, dataset: str) -> IntArray:
        """(N,) raw labels of the named dataset."""
        ...


class Box(Protocol):
    """An upright box around an object in the world frame."""

    @property
    def instance(self) -> int:
        """The object's id, as in its points' labels."""
        ...

    @property
    def center(self) -> tuple[float, float, float]:
        """Its middle, metres."""
        ...

    @property
    def size_m(self) -> tuple[float, float, float]:
        """Length, width, height."""
        ...

    @property
    def yaw_rad(self) -> float:
        """Heading."""
        ...

    @property
    def velocity(self) -> tuple[float, float]:
        """Along x and y, metres per second."""
        ...


class BoxedScan(LabelledScan, Protocol):
    """A labelled scan and the boxes of the objects around; its scan's ring is wanted too."""

    @property
    def boxes(self) -> Sequence[Box]:
        """The boxes; those of objects without points are left out."""
        ...
