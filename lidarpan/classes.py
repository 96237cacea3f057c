"""A dataset's classes: names, kinds, colours, the map from raw labels, and object sizes.

A table is a YAML file, shipped or one's own; docs/datasets.md says what may stand in it.
"""

from __future__ import annotations

import colorsys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lidarpan.structures import BoolArray, InputError, SemanticArray

if TYPE_CHECKING:
    from lidarpan.class_rows import ClassRow

VOID = 0
_CHECKED_AT_ONCE = 1 << 20
DEFAULT_TABLE = "semantickitti"
"""Whose classes labels are taken for where nobody says."""


@dataclass(frozen=True)
class ClassTable:
    """What the label ids of one dataset mean. Train id 0 is void; C counts void.

    Attributes:
        name: of the dataset.
        names: C class names by train id; names[0] is "void".
        things: train ids of the classes with countable objects, ascending.
        stuff: train ids of the classes without, ascending.
        colors: (C, 3) uint8 RGB.
        raw_to_train: (R,) uint8 look-up from raw label to train id; raw labels >= R are errors.
        train_to_raw: (C,) int32, the raw label to write for each train id.
        raw_known: (R,) bool, whether the dataset defines the raw label.
        ground: train ids of the stuff that is flat ground, ascending.
        upright: train ids of the stuff that stands (walls, poles, plants), ascending.
        protected: (C, C) bool, [thing, stuff] is True where the thing may not take points of the
            stuff.
        box_m: train id of each thing -> its typical (length, width, height), metres.
        min_points: segments below this size are not counted as errors by the benchmark.
        to_nuscenes: (C,) uint8 nearest nuScenes challenge class of each train id.
        street_share: (C,) float64 share of each class among the labelled points of real streets,
            0 for void; None where the table does not say.
        longest_m: train id of a thing -> its length with boom or load, metres, where it is given:
            gaps up to that length may be hidden parts of one object.
        top_speed_m_s: train id of each thing -> how fast it goes at most, 0 where it stands.
        moving: train id of a thing -> the raw label to write while it moves, where there is one.
        to_coarse: (C,) uint8 place of each class among the common ones (`class_rows.COARSE`, from
            1), 0 for none; empty where nobody said.
    """

    name: str
    names: tuple[str, ...]
    things: tuple[int, ...]
    stuff: tuple[int, ...]
    colors: NDArray[np.uint8]
    raw_to_train: NDArray[np.uint8]
    train_to_raw: NDArray[np.int32]
    raw_known: NDArray[np.bool_]
    ground: tuple[int, ...]
    upright: tuple[int, ...]
    protected: BoolArray
    box_m: dict[int, tuple[float, float, float]]
    min_points: int
    to_nuscenes: NDArray[np.uint8]
    street_share: NDArray[np.float64] | None = None
    longest_m: dict[int, float] = field(default_factory=dict)
    top_speed_m_s: dict[int, float] = field(default_factory=dict)
    moving: dict[int, int] = field(default_factory=dict)
    to_coarse: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))

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

    def ids_of(self, names: Iterable[str]) -> tuple[int, ...]:
        """Train ids of class names; raises InputError that lists the names."""
        return tuple(self.id_of(name.strip()) for name in names)

    def to_train(self, raw: NDArray[np.integer[Any]]) -> SemanticArray:
        """Map raw labels to train ids. (N,) -> (N,) uint8; InputError names unknown raw labels."""
        for start in range(0, raw.size, _CHECKED_AT_ONCE):  # the first wrong ones end it
            self._check_raw(raw.reshape(-1)[start : start + _CHECKED_AT_ONCE])
        train: SemanticArray = self.raw_to_train[raw]
        return train

    def _check_raw(self, raw: NDArray[np.integer[Any]]) -> None:
        low, high = int(raw.min()), int(raw.max())
        if low < 0 or high >= len(self.raw_to_train) or not self.raw_known[raw].all():
            inside = (raw >= 0) & (raw < len(self.raw_to_train))
            known = inside & self.raw_known[np.where(inside, raw, 0)]
            unknown = np.unique(raw[~known])[:5].tolist()
            raise InputError(f"labels {unknown} are not {self.name} raw labels")

    def to_raw(self, semantic: SemanticArray) -> NDArray[np.int32]:
        """Map train ids to the raw labels the benchmark expects. (N,) uint8 -> (N,) int32."""
        if semantic.size and int(semantic.max()) >= self.num_classes:
            raise InputError(
                f"train id {int(semantic.max())} is not below {self.num_classes}, as in {self.name}"
            )
        raw: NDArray[np.int32] = self.train_to_raw[semantic]
        return raw

    @classmethod
    def from_name(cls, name: str) -> ClassTable:
        """A shipped table by its name; raises InputError that lists them."""
        return load_class_table(name)

    @classmethod
    def from_yaml(cls, path: str | Path) -> ClassTable:
        """Read one's own class table; see docs/datasets.md.

        Raises:
            InputError: no such file, or something in it does not fit.
        """
        from lidarpan.checked_yaml import read_yaml

        path = Path(path)
        tree = read_yaml(path, "the class table")
        return cls.from_tree({"name": path.stem, **tree}, str(path))

    @classmethod
    def from_tree(cls, tree: dict[str, Any], source: str) -> ClassTable:
        """A class table from what a YAML file of one holds; `source` names it in errors.

        Raises:
            InputError: a key is unknown or missing, a value does not fit, two classes share a name
                or a raw label, or a name stands for no class.
        """
        from lidarpan.class_rows import COARSE, parse_rows

        table = parse_rows(tree, source)
        rows = table.classes
        names = [row.name for row in rows]
        raw = [label for row in rows for label in row.raw]
        for what, values in (("name", names), ("raw label", raw)):
            twice = [value for value, count in Counter(values).items() if count > 1]
            if twice:
                raise InputError(f"{source}: two classes have the {what} {twice[0]!r}")
        raw_to_train = np.zeros(1 + max(raw, default=0), np.uint8)
        raw_known = np.zeros(len(raw_to_train), np.bool_)
        for train_id, row in enumerate(rows):
            raw_to_train[list(row.raw)] = train_id
            raw_known[list(row.raw)] = True
        things = tuple(i for i, row in enumerate(rows) if row.kind == "thing")
        stuff = tuple(i for i, row in enumerate(rows) if row.kind == "stuff")
        return cls(
            name=table.name,
            names=tuple(names),
            things=things,
            stuff=stuff,
            colors=np.array([row.color or _color(i) for i, row in enumerate(rows)], np.uint8),
            raw_to_train=raw_to_train,
            train_to_raw=np.array([row.written for row in rows], np.int32),
            raw_known=raw_known,
            ground=tuple(i for i in stuff if rows[i].ground),
            upright=tuple(i for i in stuff if rows[i].stands),
            protected=_protected(rows, things, source),
            box_m={i: rows[i].typical_box_m for i in things},
            min_points=table.min_points,
            to_nuscenes=np.array([row.nuscenes for row in rows], np.uint8),
            street_share=_street_share(rows),
            longest_m={i: longest for i in things if (longest := rows[i].longest_m)},
            top_speed_m_s={i: rows[i].fastest_m_s for i in things},
            moving={i: row.moving for i, row in enumerate(rows) if row.moving is not None},
            to_coarse=np.array(
                [1 + COARSE.index(row.coarse) if row.coarse else 0 for row in rows], np.uint8
            ),
        )

    def to_tree(self) -> dict[str, Any]:
        """What `from_tree` makes an equal table of: plain values, every field said."""
        from lidarpan.class_rows import COARSE

        rows = []
        for i, name in enumerate(self.names):
            row: dict[str, Any] = {"name": name, "kind": "void"}
            row["color"] = self.colors[i].tolist()
            row["raw"] = np.flatnonzero(self.raw_known & (self.raw_to_train == i)).tolist()
            row |= dict(write=int(self.train_to_raw[i]), nuscenes=int(self.to_nuscenes[i]))
            if len(self.to_coarse) and self.to_coarse[i]:
                row["coarse"] = COARSE[self.to_coarse[i] - 1]
            if self.street_share is not None and i:
                row["street_share"] = float(self.street_share[i])
            if i in self.things:
                row |= {"kind": "thing", "box_m": list(self.box_m[i])}
                row["top_speed_m_s"] = self.top_speed_m_s[i]
                if i in self.longest_m:
                    row["longest_m"] = self.longest_m[i]
                if i in self.moving:
                    row["moving"] = self.moving[i]
            elif i in self.stuff:
                taken = np.flatnonzero(self.protected[:, i])
                row |= {"kind": "stuff", "ground": i in self.ground, "upright": i in self.upright}
                row["protected_from"] = [self.names[thing] for thing in taken]
            rows.append(row)
        return {"name": self.name, "min_points": self.min_points, "classes": rows}


def table_names() -> tuple[str, ...]:
    """The names of the shipped class tables."""
    folder = resources.files("lidarpan").joinpath("class_tables")
    return tuple(sorted(Path(file.name).stem for file in folder.iterdir()))


def load_class_table(name: str | Path) -> ClassTable:
    """Read a class table: a shipped one by its name, or one's own `.yaml` file.

    Raises:
        InputError: no such table, or something in it does not fit.
    """
    if str(name).endswith((".yaml", ".yml")):
        return ClassTable.from_yaml(name)
    if name not in table_names():
        raise InputError(f"no class table {name!r}: wanted {', '.join(table_names())} or FILE.yaml")
    return _shipped(str(name))


@lru_cache(maxsize=16)
def _shipped(name: str) -> ClassTable:
    return ClassTable.from_yaml(
        str(resources.files("lidarpan").joinpath(f"class_tables/{name}.yaml"))
    )


def _street_share(rows: tuple[ClassRow, ...]) -> NDArray[np.float64] | None:
    """Shares that sum to 1 over the classes that are not void; None where one has none."""
    shares = [row.street_share for row in rows[1:]]
    known = [share for share in shares if share is not None]
    if not known or len(known) < len(shares):
        return None
    total = sum(known)
    total = 1.0 if abs(total - 1) < 1e-9 else total  # those of `to_tree` come back as they were
    return np.array([0.0, *(share / total for share in known)])


def _color(i: int) -> tuple[int, ...]:
    """A colour for a class without one: hues a golden angle apart; void is black."""
    rgb = colorsys.hsv_to_rgb(i * 0.6180339887 % 1, 0.75, 0.9) if i else (0, 0, 0)
    return tuple(round(255 * part) for part in rgb)


def _protected(rows: tuple[ClassRow, ...], things: tuple[int, ...], source: str) -> BoolArray:
    """(C, C) bool, [thing, stuff]: what the rows say, ground from every thing where they do not."""
    table = np.zeros((len(rows), len(rows)), np.bool_)
    for i, row in enumerate(rows):
        if row.protected_from is None:
            table[list(things), i] = row.ground
            continue
        for name in row.protected_from:
            thing = next((t for t in things if rows[t].name == name), None)
            if thing is None:
                raise InputError(
                    f"{source}: {row.name} is protected_from {name!r}, which is no thing: wanted "
                    f"some of {', '.join(rows[t].name for t in things) or 'none'}"
                )
            table[thing, i] = True
    return table
