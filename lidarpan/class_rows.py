"""What stands in the YAML file of a class table, checked key by key."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from lidarpan.checked_yaml import Section, check_model
from lidarpan.errors import InputError

DEFAULT_BOX_M = (4.4, 1.8, 1.6)  # of a thing that the table gives none: a car's
WIDE_M = 1.5  # vehicles are wider, people and two-wheelers narrower
DEFAULT_SPEEDS_M_S = (40.0, 20.0, 4.0)  # of what is wide, of what is only long, of what is small
DEFAULT_MIN_POINTS = 50  # where the table does not say: SemanticKITTI's
MAX_RAW = 0xFFFF  # a `.label` file has 16 bits for the class
MAX_CLASSES = 255  # train ids are uint8

Coarse = Literal[
    "road", "sidewalk", "building", "pole", "vegetation", "person", "two-wheeler", "car", "truck",
    "bus",
]  # fmt: skip
"""The classes that all datasets of streets have in common."""
COARSE: tuple[str, ...] = get_args(Coarse)


class ClassRow(Section):
    """One class; only name, kind and raw must be said."""

    name: str = Field(min_length=1)
    kind: Literal["thing", "stuff", "void"]
    raw: tuple[NonNegativeInt, ...]  # labels in the files
    write: NonNegativeInt | None = None  # label to write; None: the first of raw
    color: tuple[int, int, int] | None = None  # red, green, blue 0..255; None: one of its own
    box_m: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None  # of a thing: l, w, h
    longest_m: PositiveFloat | None = None  # of a thing: with its boom or load; None: from its box
    top_speed_m_s: NonNegativeFloat | None = None  # of a thing; 0: it stands; None: from its box
    moving: NonNegativeInt | None = None  # of a thing: label to write while it moves; one of raw
    ground: bool = False  # of stuff: flat ground
    upright: bool | None = None  # of stuff: stands; None: where it is not ground
    protected_from: tuple[str, ...] | None = None  # of stuff: things; None: all where it is ground
    nuscenes: int = Field(0, ge=0, le=16)  # nearest nuScenes challenge class; 0: none
    coarse: Coarse | None = None  # of the common classes the one it belongs to; None: none
    street_share: PositiveFloat | None = (
        None  # of the labelled points of real streets; None: unknown
    )

    @property
    def written(self) -> int:
        """The raw label to write."""
        return self.raw[0] if self.write is None else self.write

    @property
    def stands(self) -> bool:
        """Whether it is upright stuff."""
        return not self.ground if self.upright is None else self.upright

    @property
    def typical_box_m(self) -> tuple[float, float, float]:
        """Length, width, height of a thing."""
        return self.box_m or DEFAULT_BOX_M

    @property
    def fastest_m_s(self) -> float:
        """Top speed of a thing; by its typical box where the table does not say."""
        if self.top_speed_m_s is not None:
            return self.top_speed_m_s
        length, width, _ = self.typical_box_m
        return DEFAULT_SPEEDS_M_S[0 if width >= WIDE_M else 1 if length >= WIDE_M else 2]

    @model_validator(mode="after")
    def _fits(self) -> ClassRow:
        if not self.raw and self.write is None:
            raise ValueError(f"class {self.name!r} wants a raw label")
        if max((*self.raw, self.write or 0)) > MAX_RAW:
            raise ValueError(f"class {self.name!r} wants raw labels 0..{MAX_RAW}")
        if self.color and not all(0 <= part <= 255 for part in self.color):
            raise ValueError(f"class {self.name!r} wants colours 0..255")
        of_stuff = (self.ground, self.upright is not None, self.protected_from is not None)
        if self.kind != "stuff" and any(of_stuff):
            raise ValueError(f"class {self.name!r}: only stuff is ground, upright or protected")
        of_thing = (self.box_m, self.longest_m, self.top_speed_m_s, self.moving)
        if self.kind != "thing" and any(value is not None for value in of_thing):
            raise ValueError(f"class {self.name!r}: only a thing has a box, a speed or moves")
        if self.moving is not None and self.moving not in self.raw:
            raise ValueError(f"class {self.name!r}: moving must be one of its raw labels")
        return self


class TableFile(Section):
    """A whole file."""

    name: str = Field(min_length=1)
    min_points: PositiveInt = DEFAULT_MIN_POINTS  # smaller segments are no errors
    classes: tuple[ClassRow, ...] = Field(min_length=1)


def parse_rows(tree: dict[str, Any], source: str) -> TableFile:
    """Check a class table; void comes first, and is added where no class is of that kind.

    All classes of kind void are one. Without any, void has the lowest
    raw label that no class has: 0 as a rule.

    Raises:
        InputError: something does not fit; `source` names the file.
    """
    table = check_model(TableFile, tree, source)
    voids = [row for row in table.classes if row.kind == "void"]
    rest = [row for row in table.classes if row.kind != "void"]
    if len(rest) > MAX_CLASSES:
        raise InputError(f"{source}: wanted up to {MAX_CLASSES} classes, got {len(rest)}")
    if not voids:
        taken = {label for row in rest for label in row.raw}
        free = next(label for label in range(len(taken) + 1) if label not in taken)
        voids = [ClassRow(name="void", kind="void", raw=(free,))]
    raw = tuple(label for row in voids for label in row.raw)
    void = voids[0].model_copy(update={"raw": raw, "name": "void"})
    return table.model_copy(update={"classes": (void, *rest)})
