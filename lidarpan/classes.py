"""A dataset's classes: names, kinds, colours, the map from raw labels, and object sizes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import InputError, SemanticArray

VOID = 0


@dataclass(frozen=True)
class ClassTable:
    """What the label ids of one dataset mean. Train id 0 is void; C counts void.

    Attributes:
        name: the dataset, "semantickitti" or "nuscenes".
        names: C class names by train id; names[0] is "void".
        things: train ids of the classes with countable objects, ascending.
        stuff: train ids of the classes without, ascending.
        colors: (C, 3) uint8 RGB.
        raw_to_train: (R,) uint8 look-up from raw label to train id; raw labels >= R are errors.
        train_to_raw: (C,) int32, the raw label to write for each train id.
        raw_known: (R,) bool, whether the dataset defines the raw label.
        box_m: train id of each thing -> its typical (length, width, height), metres.
        min_points: segments below this size are not counted as errors by the benchmark.
        to_nuscenes: (C,) uint8 nearest nuScenes challenge class of each train id.
    """

    name: str
    names: tuple[str, ...]
    things: tuple[int, ...]
    stuff: tuple[int, ...]
    colors: NDArray[np.uint8]
    raw_to_train: NDArray[np.uint8]
    train_to_raw: NDArray[np.int32]
    raw_known: NDArray[np.bool_]
    box_m: dict[int, tuple[float, float, float]]
    min_points: int
    to_nuscenes: NDArray[np.uint8]

    @property
    def num_classes(self) -> int:
        """C, void included."""
        return len(self.names)

    @property
    def is_thing(self) -> NDArray[np.bool_]:
        """(C,) bool by train id."""
        mask = np.zeros(self.num_classes, np.bool_)
        mask[list(self.things)] = True
        return mask

    def id_of(self, name: str) -> int:
        """Train id of a class name; raises InputError that lists the names."""
        if name not in self.names:
            raise InputError(f"no class {name!r} in {self.name}: {', '.join(self.names)}")
        return self.names.index(name)

    def to_train(self, raw: NDArray[np.integer[Any]]) -> SemanticArray:
        """Map raw labels to train ids. (N,) -> (N,) uint8; InputError names unknown raw labels."""
        if raw.size:
            low, high = int(raw.min()), int(raw.max())
            if low < 0 or high >= len(self.raw_to_train) or not self.raw_known[raw].all():
                inside = (raw >= 0) & (raw < len(self.raw_to_train))
                known = inside & self.raw_known[np.where(inside, raw, 0)]
                unknown = np.unique(raw[~known])[:5].tolist()
                raise InputError(f"labels {unknown} are not {self.name} raw labels")
        train: SemanticArray = self.raw_to_train[raw]
        return train

    def to_raw(self, semantic: SemanticArray) -> NDArray[np.int32]:
        """Map train ids to the raw labels the benchmark expects. (N,) uint8 -> (N,) int32."""
        if semantic.size and int(semantic.max()) >= self.num_classes:
            raise InputError(
                f"train id {int(semantic.max())} is not below {self.num_classes}, as in {self.name}"
            )
        raw: NDArray[np.int32] = self.train_to_raw[semantic]
        return raw


@lru_cache(maxsize=8)
def load_class_table(name: str) -> ClassTable:
    """Read a shipped class table: "semantickitti" or "nuscenes". Raises InputError otherwise."""
    import yaml

    match name:
        case "semantickitti" | "nuscenes":
            text = resources.files("lidarpan").joinpath(f"class_tables/{name}.yaml").read_text()
        case _:
            raise InputError(f"no class table {name!r}: wanted semantickitti or nuscenes")
    table = yaml.safe_load(text)
    rows = table["classes"]
    num_raw = 1 + max(raw for row in rows for raw in row["raw"])
    raw_to_train = np.zeros(num_raw, np.uint8)
    raw_known = np.zeros(num_raw, np.bool_)
    for train_id, row in enumerate(rows):
        raw_to_train[row["raw"]] = train_id
        raw_known[row["raw"]] = True
    things = tuple(i for i, row in enumerate(rows) if row["kind"] == "thing")
    return ClassTable(
        name=table["name"],
        names=tuple(row["name"] for row in rows),
        things=things,
        stuff=tuple(i for i, row in enumerate(rows) if row["kind"] == "stuff"),
        colors=np.array([row["color"] for row in rows], np.uint8),
        raw_to_train=raw_to_train,
        train_to_raw=np.array([row["write"] for row in rows], np.int32),
        raw_known=raw_known,
        box_m={i: tuple(rows[i]["box_m"]) for i in things},
        min_points=table["min_points"],
        to_nuscenes=np.array([row["nuscenes"] for row in rows], np.uint8),
    )
