"""The curves of `lidarpan bench` as a picture: two log-log panels, one line per stage."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lidarpan.draw.colors import Rgb
from lidarpan.draw.text import BACKGROUND, DIM, EDGE, INK, PAPER, font_of, text_width
from lidarpan.structures import InputError
from lidarpan.whole_file import whole_file

if TYPE_CHECKING:
    from PIL import ImageDraw

COLORS: dict[str, Rgb] = {
    "total": (236, 238, 242),
    "read": (120, 144, 166),
    "voxelize": (86, 180, 233),
    "network": (230, 159, 0),
    "grouping": (0, 158, 115),
    "fusion": (204, 121, 167),
    "write": (148, 103, 189),
}
WIDTH, HEIGHT, TEXT = 1500, 680, 20
Curve = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis from low to high over the pixels start to end."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = np.log(value / self.low) / np.log(self.high / self.low)
        return float(self.start + share * (self.end - self.start))

    def ticks(self) -> list[float]:
        """1, 2 and 5 times powers of ten inside; powers of ten alone where those are many."""
        powers = range(int(np.floor(np.log10(self.low))), int(np.ceil(np.log10(self.high))) + 1)
        factors = (1, 2, 5) if np.log10(self.high / self.low) < 2.5 else (1,)
        values = [factor * 10.0**power for power in powers for factor in factors]
        return [v for v in values if self.low * 0.999 <= v <= self.high * 1.001]


def check_png(path: Path) -> None:
    """InputError unless the path ends in .png and its folder can be written to."""
    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: curves are drawn as .png: choose such a name")
    with suppress(FileExistsError):
        path.parent.mkdir(parents=True)
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: cannot write in {path.parent}: choose another folder")


def save_curves(curves: Mapping[str, Curve], path: Path, title: str) -> None:
    """Draw what `measure_curves` gave as a PNG; the file is whole or absent.

    Args:
        curves: "points" and "voxel_size".
        path: where to.
        title: what was measured, one line.

    Raises:
        InputError: the file cannot be written.
    """
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(image)
    draw.text((24, 16), title, fill=INK, font=font_of(TEXT))
    values = [ms for curve in curves.values() for at in curve for ms in at["stages_ms"].values()]
    span = max(min(values), 0.1) * 0.8, max(values) * 1.25
    half = WIDTH / 2
    for left, curve, what, key in (
        (0.0, curves["points"], "points per scan", "num_points"),
        (half, curves["voxel_size"], "voxel edge, m", "voxel_m"),
    ):
        _panel(draw, (left + 90, 70, left + half - 24, HEIGHT - 130), curve, key, what, span)
    _legend(
        draw, HEIGHT - 44, [name for name in COLORS if name in curves["points"][0]["stages_ms"]]
    )
    with whole_file(path) as beside:
        image.save(beside, format="PNG", optimize=True)


def _panel(
    draw: ImageDraw.ImageDraw,
    box: tuple[float, float, float, float],
    curve: Curve,
    key: str,
    what: str,
    span: tuple[float, float],
) -> None:
    left, top, right, bottom = box
    places = [float(at[key]) for at in curve]
    across = _Axis(min(places) * 0.9, max(places) * 1.1, left, right)
    up = _Axis(*span, bottom, top)
    draw.rectangle(box, fill=PAPER, outline=EDGE)
    font = font_of(TEXT - 3)
    for value in up.ticks():
        y, text = up(value), f"{value:g}"
        draw.line((left, y, right, y), fill=EDGE)
        draw.text((left - 10 - text_width(text, TEXT - 3), y - TEXT * 0.55), text, DIM, font)
    for value in places:
        text = f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
        x = across(value)
        draw.line((x, top, x, bottom), fill=EDGE)
        draw.text((x - text_width(text, TEXT - 3) / 2, bottom + 8), text, DIM, font)
    middle = (left + right - text_width(what, TEXT)) / 2
    draw.text((middle, bottom + 36), what, INK, font_of(TEXT))
    draw.text((left + 8, top - TEXT * 1.4), "ms, median", DIM, font)
    for name, color in reversed(COLORS.items()):
        dots = [
            (across(float(at[key])), up(max(at["stages_ms"][name], span[0])))
            for at in curve
            if name in at["stages_ms"]
        ]
        for one, two in pairwise(dots):
            draw.line((*one, *two), fill=color, width=4 if name == "total" else 3)
        for x, y in dots:
            draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=color)


def _legend(draw: ImageDraw.ImageDraw, y: float, names: Sequence[str]) -> None:
    x = 90.0
    for name in names:
        draw.ellipse((x, y + 5, x + 14, y + 19), fill=COLORS[name])
        draw.text((x + 22, y), name, INK, font_of(TEXT))
        x += 60 + text_width(name, TEXT)
