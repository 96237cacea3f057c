"""What a label file says of each point: class and instance, and the number that holds both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.structures import FloatArray, InputError, IntArray, PanopticLabels

MAX_INSTANCE = 0xFFFF


@dataclass(frozen=True)
class PackedLabels:
    """A label file's content: what the benchmarks score.

    Attributes:
        semantic: (N,) uint8 train ids.
        packed: (N,) int64 labels as in the file: class and instance in one number.
        instance: (N,) int64 the instance part alone.
        score: (K + 1,) float32 confidence in [0, 1] of instance k at position k, None where the
            file carries none.
    """

    semantic: NDArray[np.uint8]
    packed: NDArray[np.int64]
    instance: NDArray[np.int64]
    score: FloatArray | None = None

    @classmethod
    def of(cls, labels: PanopticLabels, classes: ClassTable) -> PackedLabels:
        """Labels as a `.label` file packs them: raw class + instance << 16 on things.

        Raises:
            InputError: an instance id does not fit 16 bits.
        """
        ids = np.where(classes.is_thing[labels.semantic], labels.instance, 0).astype(np.int64)
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) <= MAX_INSTANCE:
            raise InputError(f"wanted instance ids 0..{MAX_INSTANCE}, got {ids.min()}..{ids.max()}")
        packed = classes.to_raw(labels.semantic).astype(np.int64) + (ids << 16)
        return cls(labels.semantic, packed, ids, labels.score)

    @property
    def num_points(self) -> int:
        """N."""
        return len(self.semantic)

    def ids(self, protocol: str) -> NDArray[np.int64]:
        """What tells segments of a class apart: the whole label, or for "upper16" its instance."""
        return self.instance if protocol == "upper16" else self.packed

    def labels(self, is_thing: NDArray[np.bool_]) -> PanopticLabels:
        """Instances of things with their ids within the class; stuff has none."""
        instance = np.where(is_thing[self.semantic], self.instance, 0).astype(np.int32)
        return PanopticLabels(self.semantic, instance)

    def unpack(self, classes: ClassTable) -> PanopticLabels:
        """Train ids and instances of things, numbered by their first point.

        Each packed value of a thing with an instance is one instance, so that equal ids of
        different classes stay apart.
        """
        has = classes.is_thing[self.semantic] & (self.instance > 0)
        return PanopticLabels(
            self.semantic, number_by_first_point(np.where(has, self.packed, 0)), self.score
        )


def number_by_first_point(key: NDArray[Any]) -> IntArray:
    """Number equal positive keys 1, 2, ... as they first occur; 0 stays 0. (N,) -> (N,)."""
    instance: IntArray = np.zeros(len(key), np.int32)
    positive = np.flatnonzero(key > 0)
    if not len(positive):
        return instance
    _, first, inverse = np.unique(key[positive], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)
    rank[np.argsort(first)] = np.arange(1, len(first) + 1)
    instance[positive] = rank[inverse]
    return instance
