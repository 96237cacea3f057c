"""What a simulated surface is (its kind) and what it is made of (its material).

A kind is finer than the classes of either dataset and maps to the raw labels of both, so one town
can be written in either layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import InputError
from lidarpan.synthetic.tables import read_table


@dataclass(frozen=True)
class Kind:
    """One kind of surface and its raw labels.

    Attributes:
        name: snake_case name, unique.
        semantickitti: raw SemanticKITTI label when at rest.
        semantickitti_moving: raw SemanticKITTI label while moving.
        nuscenes: index of the nuScenes general class (0-31).
        variants: how many shapes of it one town has; 0 for what is no countable object.
        held_out_slenderness: objects whose length over height lies in this span are kept for tests.
        held_out_height_m: of a kind without such a span, those whose height lies in this one.
    """

    name: str
    semantickitti: int
    semantickitti_moving: int
    nuscenes: int
    variants: int = 0
    held_out_slenderness: tuple[float, float] | None = None
    held_out_height_m: tuple[float, float] | None = None

    @property
    def has_instances(self) -> bool:
        """Whether surfaces of this kind belong to countable objects."""
        return self.variants > 0


def _kind(name: str, semantickitti: int, moving: int | None = None, **row: Any) -> Kind:
    return Kind(name, semantickitti, semantickitti if moving is None else moving, **row)


KINDS = tuple(_kind(name, **row) for name, row in read_table("kinds").items())

KIND: dict[str, int] = {kind.name: index for index, kind in enumerate(KINDS)}
"""Name -> index into KINDS."""

MATERIALS = tuple(read_table("materials"))

MATERIAL: dict[str, int] = {name: index for index, name in enumerate(MATERIALS)}
"""Name -> index into MATERIALS."""


def raw_labels(dataset: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Raw label of each kind at rest and moving, for a dataset that Kind has a field of."""
    if not hasattr(KINDS[0], dataset):
        raise InputError(f"no raw labels for {dataset!r}: wanted semantickitti or nuscenes")
    rest = [getattr(kind, dataset) for kind in KINDS]
    moving = [getattr(kind, f"{dataset}_moving", getattr(kind, dataset)) for kind in KINDS]
    return np.array(rest, np.int32), np.array(moving, np.int32)
