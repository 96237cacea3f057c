"""A class table -> what its classes can do: how fast, how suddenly, along which axis, how large."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.grouping.auto import bounds_of

LONG_M = 1.5  # longer things (vehicles, two-wheelers) go along their axis
WIDE_M = 1.5  # wider ones fill their box: no second one is within it
CREEP_M_S = 0.3  # what stands is seen to move no faster than this
REACH_TOP_S = 10.0  # a class accelerates so that it reaches its top speed in this time
LEAST_CHANGE_M_S2 = 1.5  # all that moves can start and stop like a walker
MOST_CHANGE_M_S2 = 3.0  # in traffic
OTHER_CLASS_COST = 1.5
OTHER_SIZE_COST = 2.0  # for each factor e between the areas of two classes


@dataclass(frozen=True)
class MotionFacts:
    """Motion limits and sizes of C classes.

    Attributes:
        limits: (C, 3) top speed m/s, usual acceleration m/s^2, typical length m.
        typical: (C, 2) typical length and width, m.
        height: (C,) typical height, m.
        loose: (C, 2) length and width that hold the largest of a class, m.
        has_axis: (C,) bool, whether it goes along its long side.
        is_wide: (C,) bool, whether a second one cannot be within its box.
        class_cost: (C, C) surprise of a track of one class that is seen as another; inf for stuff.
    """

    limits: NDArray[np.float64]
    typical: NDArray[np.float64]
    height: NDArray[np.float64]
    loose: NDArray[np.float64]
    has_axis: NDArray[np.bool_]
    is_wide: NDArray[np.bool_]
    class_cost: NDArray[np.float64]

    @classmethod
    def of(cls, classes: ClassTable) -> MotionFacts:
        """The facts of a class table."""
        every = range(classes.num_classes)
        box = np.array([classes.box_m.get(k, (1.0, 1.0, 1.0)) for k in every])
        fastest = np.array([classes.top_speed_m_s.get(k, 0.0) for k in every])
        change = np.clip(fastest / REACH_TOP_S, LEAST_CHANGE_M_S2, MOST_CHANGE_M_S2)
        change[fastest == 0] = CREEP_M_S / REACH_TOP_S
        area = np.log(box[:, 0] * box[:, 1])
        unlike = OTHER_CLASS_COST + OTHER_SIZE_COST * np.abs(area[:, None] - area)
        np.fill_diagonal(unlike, 0.0)
        unlike[:, ~classes.is_thing] = np.inf
        return cls(
            limits=np.stack([np.maximum(fastest, CREEP_M_S), change, box[:, 0]], axis=1),
            typical=np.ascontiguousarray(box[:, :2]),
            height=box[:, 2].copy(),
            loose=bounds_of(classes, 0.3, 0.3).loose,
            has_axis=(box[:, 0] >= LONG_M) & (fastest > 0),
            is_wide=box[:, 1] >= WIDE_M,
            class_cost=unlike,
        )
