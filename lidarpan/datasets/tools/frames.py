"""Boxes as labelling tools have them, scan by scan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import ClassTable
from lidarpan.datasets.boxes import wrapped
from lidarpan.structures import InputError
from lidarpan.text_trees import read_json_tree

Pose = NDArray[np.float64]


@dataclass(frozen=True)
class ToolBox:
    """An upright box around an object, in the frame of its scan: x forward, y left, z up.

    Attributes:
        id: of the object, over the drive.
        class_id: train id.
        center_m: x, y, z of the middle.
        size_m: length, width, height.
        yaw_rad: of the length about z from x.
        score: confidence in [0, 1], None where nobody said.
    """

    id: int
    class_id: int
    center_m: tuple[float, float, float]
    size_m: tuple[float, float, float]
    yaw_rad: float
    score: float | None = None

    def is_like(self, other: ToolBox, tolerance: float = 2e-3) -> bool:
        """Whether it is the same but for what a file rounds; half a turn of a box is none."""
        own = np.array([*self.center_m, *self.size_m])
        turn = (self.yaw_rad - other.yaw_rad + np.pi / 2) % np.pi - np.pi / 2
        return (
            self.class_id == other.class_id
            and bool(np.allclose(own, [*other.center_m, *other.size_m], rtol=0, atol=tolerance))
            and abs(turn) < tolerance
        )


@dataclass(frozen=True)
class ToolFrame:
    """A scan of a drive with its boxes.

    Attributes:
        name: of the scan file, without its suffix; unique in the drive.
        number: of the frame, as the drive counts.
        boxes: around its objects.
        time_s: of the scan.
        world_T_sensor: (4, 4) pose of the scan's frame, None where it is not known.
    """

    name: str
    number: int
    boxes: tuple[ToolBox, ...] = ()
    time_s: float = 0.0
    world_T_sensor: Pose | None = field(default=None, compare=False)


Boxes = dict[str, list[ToolBox]]
"""Name of a scan -> its boxes."""


class ToolFormat(Protocol):
    """A module of this room."""

    def write(
        self, folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable
    ) -> None:
        """Write the boxes of a drive below a folder."""
        ...

    def read(
        self, folder: Path, drive: str, frames: Sequence[ToolFrame], classes: ClassTable
    ) -> Boxes:
        """Read them again, those of scans that are there; InputError says what is wrong."""
        ...


def class_of(name: str, names: dict[str, int], file: Path) -> int:
    """The train id of a class as a tool calls it; InputError names the file and the classes."""
    if name not in names:
        raise InputError(f"{file}: wanted a class of {', '.join(names)}, got {name!r}")
    return names[name]


def thing_names(classes: ClassTable) -> dict[str, int]:
    """Name -> train id of the things."""
    return {classes.names[thing]: thing for thing in classes.things}


def read_tree(file: Path) -> Any:
    """What a tool's JSON file holds, None where there is no such file; InputError: damaged."""
    return read_json_tree(file) if file.is_file() else None


def numbers(values: Any, count: int, file: Path, what: str) -> list[float]:
    """Finite numbers as a tool wrote them; InputError names the file and what they are of."""
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError):
        found = []
    if len(found) != count or not np.isfinite(found).all():
        raise InputError(f"{file}: {what}: wanted {count} numbers, got {str(values)[:80]}")
    return found


def by_axis(values: Iterable[float], digits: int = 4) -> dict[str, float]:
    """x, y, z as tools write them, rounded."""
    return {axis: round(float(v), digits) for axis, v in zip("xyz", values, strict=True)}


def axes_of(place: Any, file: Path, what: str) -> list[float]:
    """x, y, z as `by_axis` wrote them; InputError names the file and what they are of."""
    if not isinstance(place, dict):
        raise InputError(f"{file}: {what}: wanted x, y and z, got {str(place)[:80]}")
    return numbers([place.get(axis) for axis in "xyz"], 3, file, what)


def rows_of(rows: Any, what: str) -> list[dict[str, Any]]:
    """A list of entries as a tool wrote it; InputError where it is another thing."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{what}: wanted a list of boxes, got another thing")
    return rows


def score_of(value: Any, file: Path, what: str) -> float | None:
    """A confidence as a tool wrote it, None where it wrote none; InputError: no number."""
    return None if value is None else numbers([value], 1, file, what)[0]


def id_of(word: Any, file: Path, what: str) -> int:
    """The id of an object as a tool wrote it, 0 for none; InputError: no whole number."""
    text = str(word or 0)
    if not text.isdecimal():
        raise InputError(f"{file}: {what}: wanted a number for its id, got {text!r}")
    return int(text)


def made(
    number: int,
    class_id: int,
    center: Sequence[float],
    size: Sequence[float],
    yaw: float,
    score: float | None,
) -> ToolBox:
    """A box of plain numbers."""
    x, y, z = center
    length, width, height = (abs(side) for side in size)
    return ToolBox(number, class_id, (x, y, z), (length, width, height), wrapped(yaw), score)
