"""Writing on pictures: text with a halo, labels that do not overlap, legends, scale bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lidarpan.draw.colors import PointColors, Rgb, ramp_colors

BACKGROUND: Rgb = (17, 19, 24)
PAPER: Rgb = (24, 27, 33)
INK: Rgb = (236, 238, 242)
DIM: Rgb = (160, 166, 176)
EDGE: Rgb = (96, 101, 111)
Box = tuple[float, float, float, float]


@lru_cache(maxsize=32)
def font_of(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font that comes with Pillow, at a size in pixels."""
    return ImageFont.load_default(size)


def text_width(text: str, size: int) -> float:
    """Width of a line of text, pixels."""
    return float(font_of(size).getlength(text))


def nice_step(length: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above a length."""
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(power * k for k in (1, 2, 5) if power * k <= length * (1 + 1e-9)))


@dataclass
class LabelPlacer:
    """Puts short texts on a panel where they do not cover each other.

    Attributes:
        draw: where to write.
        bounds: (left, top, right, bottom) that no text leaves, pixels.
        size: of the font, pixels.
        taken: boxes already in use.
    """

    draw: ImageDraw.ImageDraw
    bounds: Box
    size: int
    taken: list[Box]

    def place(self, text: str, around: Box, is_above: bool = False) -> bool:
        """Write beside a box: right of it, else left, above, below. False where none is free.

        Args:
            text: one short line.
            around: (left, top, right, bottom), pixels.
            is_above: try only above.
        """
        width, height = text_width(text, self.size), self.size * 1.15
        left, top, right, bottom = around
        middle_x, middle_y, gap = (left + right) / 2, (top + bottom) / 2, self.size * 0.4
        places = [
            (right + gap, middle_y - height / 2),
            (left - gap - width, middle_y - height / 2),
            (middle_x - width / 2, top - gap - height),
            (middle_x - width / 2, bottom + gap),
        ]
        for x, y in places[2:3] if is_above else places:
            box = (x, y, x + width, y + height)
            if self._is_free(box):
                self.write(text, x, y)
                return True
        return False

    def write(self, text: str, x: float, y: float, color: Rgb = INK) -> None:
        """Write at a place whatever lies there, and keep it free from now on."""
        x, y = round(x), round(y)  # on whole pixels the spaces between letters stay even
        halo = max(1, round(self.size / 9))
        font = font_of(self.size)
        self.draw.text(
            (x, y), text, fill=color, font=font, stroke_width=halo, stroke_fill=BACKGROUND
        )
        width, height = text_width(text, self.size), self.size * 1.15
        self.taken.append((x, y, x + width, y + height))

    def _is_free(self, box: Box) -> bool:
        pad = self.size * 0.15
        if box[0] < self.bounds[0] + pad or box[2] > self.bounds[2] - pad:
            return False
        if box[1] < self.bounds[1] + pad or box[3] > self.bounds[3] - pad:
            return False
        return all(
            box[2] + pad < other[0]
            or other[2] + pad < box[0]
            or box[3] + pad < other[1]
            or other[3] + pad < box[1]
            for other in self.taken
        )


def legend_strip(
    width: int,
    size: int,
    meaning: Sequence[PointColors],
    meters_per_pixel: float | None,
    order: Sequence[Rgb] = (),
) -> Image.Image:
    """Draw the strip below a map: what the colours mean, then the scale bar.

    Args:
        width: of the strip, pixels.
        size: of the font, pixels.
        meaning: of each panel; equal entries appear once.
        meters_per_pixel: for the scale bar; None leaves it out.
        order: of the entries of several panels, by colour.
    """
    entries = _merged_entries(meaning, order)
    ramp = next((part.ramp for part in meaning if part.ramp), None)
    pad, line = round(size * 0.9), round(size * 1.75)
    room = width - 2 * pad
    widest = max((text_width(text, size) for _, text in entries), default=0.0)
    per_line = max(1, int((room + pad) // (widest + 1.5 * size + pad)))
    column = room / per_line
    lines = -(-len(entries) // per_line) + (1 if ramp else 0)
    bar_m = nice_step(width * 0.2 * meters_per_pixel) if meters_per_pixel else 0.0
    bar_width = bar_m / meters_per_pixel + 4.5 * size if meters_per_pixel else 0.0
    last_width = (len(entries) - 1) % per_line * column + widest + 3 * size if entries else 0.0
    if ramp:
        last_width = size * 42.0
    lines += int(bar_width > 0 and last_width + bar_width > room)
    image = Image.new("RGB", (width, pad + lines * line + pad // 2), PAPER)
    draw = ImageDraw.Draw(image)
    for index, (color, text) in enumerate(entries):
        x, y = pad + index % per_line * column, pad * 0.75 + index // per_line * line
        box = (x, y + size * 0.1, x + size, y + size * 1.1)
        draw.rounded_rectangle(box, max(2, size // 5), fill=color, outline=EDGE)
        draw.text((round(x + size * 1.45), round(y)), text, fill=INK, font=font_of(size))
    if ramp:
        _ramp_bar(image, draw, pad, pad * 0.75, width - pad, size, ramp)
    if meters_per_pixel:
        _scale_bar(
            draw, width - pad, pad * 0.75 + (lines - 1) * line, bar_m, meters_per_pixel, size
        )
    return image


def _merged_entries(meaning: Sequence[PointColors], order: Sequence[Rgb]) -> list[tuple[Rgb, str]]:
    """Entries of all panels; with more than one in order, without the counts, which differ."""
    if len(meaning) == 1:
        return meaning[0].entries
    every = [entry for part in meaning for entry in part.entries]
    merged = {(color, text.split(" (")[0]): None for color, text in every}
    rank = {color: k for k, color in reversed(list(enumerate(order)))}
    return sorted(merged, key=lambda entry: rank.get(entry[0], len(order)))


def _scale_bar(
    draw: ImageDraw.ImageDraw,
    right: float,
    top: float,
    length_m: float,
    meters_per_pixel: float,
    size: int,
) -> None:
    """A bar of exactly length_m, its text to the left, ending at `right`."""
    length, text = round(length_m / meters_per_pixel), f"{length_m:g} m"
    x, y = round(right) - length, round(top + size * 0.62)
    thick, tick = max(2, size // 7), max(3, size // 3)
    draw.rectangle((x, y - thick // 2, x + length - 1, y - thick // 2 + thick - 1), fill=INK)
    for end in (x, x + length - thick):
        draw.rectangle((end, y - tick, end + thick - 1, y + tick), fill=INK)
    start = round(x - size * 0.7 - text_width(text, size))
    draw.text((start, round(top)), text, fill=INK, font=font_of(size))


def _ramp_bar(
    image: Image.Image,
    draw: ImageDraw.ImageDraw,
    left: float,
    top: float,
    right: float,
    size: int,
    ramp: tuple[float, float, str],
) -> None:
    low, high, unit = ramp
    first, last = f"{low:.1f}", f"{high:.1f} {unit}"
    font, gap = font_of(size), size * 0.6
    x, top = round(left + text_width(first, size) + gap), round(top)
    length = int(min(right - x - gap - text_width(last, size), size * 22))
    draw.text((round(left), top), first, fill=INK, font=font)
    if length > 0:
        row = ramp_colors(np.linspace(0, 1, length, dtype=np.float32))
        strip = Image.fromarray(np.repeat(row[None], size, axis=0))
        image.paste(strip, (round(x), round(top + size * 0.1)))
        draw.text((round(x + length + gap), top), last, fill=INK, font=font)
