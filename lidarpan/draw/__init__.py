"""A scan and its labels to a picture: seen from above, or as the sensor sees it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw

from lidarpan.classes import ClassTable
from lidarpan.draw.colors import PointColors, color_points, legend_order
from lidarpan.draw.motion import Motion
from lidarpan.draw.panels import BevView, bev_panel
from lidarpan.draw.range_view import range_panel
from lidarpan.draw.text import DIM, INK, PAPER, font_of, legend_strip, text_width
from lidarpan.structures import PanopticLabels, Scan
from lidarpan.whole_file import whole_file


def draw_panoptic(
    scan: Scan,
    labels: PanopticLabels | None = None,
    classes: ClassTable | None = None,
    *,
    truth: PanopticLabels | None = None,
    mode: str = "panoptic",
    size_px: int = 1000,
    range_m: float = 50.0,
    title: str | None = None,
    motions: Mapping[int, Motion] | None = None,
) -> Image.Image:
    """Draw a scan from above: forward is up, left is left, objects lie over everything else.

    Args:
        scan: N points.
        labels: N predicted labels; not needed for height and intensity.
        classes: of the labels.
        truth: N true labels: drawn beside the prediction, or compared with it in mode "error".
        mode: "panoptic", "semantic", "instance", "height", "intensity" or "error".
        size_px: edge of one map in pixels; heading and legend come on top of that.
        range_m: from the sensor to the map's edge.
        title: a line above the map.
        motions: trails and arrows of the labels' objects, by id (see `motion.Follower`).

    Returns:
        An RGB picture.

    Raises:
        InputError: unknown mode, labels that do not fit the scan, or a size that is no size.
    """
    view = BevView(size_px, range_m)
    panels = _panels(scan, labels, classes, truth, mode)
    images = [
        bev_panel(
            scan, part, which, classes, view, mode, motions if which is labels and motions else {}
        )
        for _, part, which in panels
    ]
    headings = [name for name, _, _ in panels]
    meaning = [part for _, part, _ in panels]
    legend = legend_strip(
        sum(image.width for image in images) + view.gap_px * (len(images) - 1),
        view.font_px,
        meaning,
        view.meters_per_pixel,
        legend_order(classes),
    )
    return stack_panels(images, headings, legend, title, view.font_px, view.gap_px, is_row=True)


def draw_range_view(
    scan: Scan,
    labels: PanopticLabels | None = None,
    classes: ClassTable | None = None,
    *,
    truth: PanopticLabels | None = None,
    mode: str = "panoptic",
    size_px: int = 2000,
    title: str | None = None,
) -> Image.Image:
    """Draw a scan as its sensor sees it: forward in the middle, left to the left, up is up.

    Args:
        scan: N points.
        labels: N predicted labels; not needed for height and intensity.
        classes: of the labels.
        truth: N true labels: drawn below the prediction, or compared with it in mode "error".
        mode: as in `draw_panoptic`.
        size_px: width in pixels; the whole turn of 360 degrees.
        title: a line above the picture.

    Returns:
        An RGB picture.

    Raises:
        InputError: as in `draw_panoptic`.
    """
    font_px = BevView(max(64, round(size_px * 0.8)), 1.0).font_px
    panels = _panels(scan, labels, classes, truth, mode)
    shown = classes if mode in ("panoptic", "instance") else None
    images = [range_panel(scan, p, which, shown, size_px, font_px) for _, p, which in panels]
    legend = legend_strip(
        size_px, font_px, [part for _, part, _ in panels], None, legend_order(classes)
    )
    return stack_panels(
        images, [name for name, _, _ in panels], legend, title, font_px, 0, is_row=False
    )


def save_png(image: Image.Image, path: Path | str) -> None:
    """Write a picture as a PNG file, whole or not at all.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=2)
    with whole_file(Path(path)) as beside:
        beside.write_bytes(buffer.getvalue())


def _panels(
    scan: Scan,
    labels: PanopticLabels | None,
    classes: ClassTable | None,
    truth: PanopticLabels | None,
    mode: str,
) -> list[tuple[str, PointColors, PanopticLabels | None]]:
    """Heading, colours and labels of each panel."""
    own = color_points(scan, labels, classes, truth, mode)
    if mode == "error":
        return [("prediction against truth; outlines are the true objects", own, truth)]
    if truth is None or mode in ("height", "intensity"):
        return [("", own, labels)]
    return [
        ("prediction", own, labels),
        ("truth", color_points(scan, truth, classes, None, mode), truth),
    ]


def stack_panels(
    images: list[Image.Image],
    headings: list[str],
    legend: Image.Image,
    title: str | None,
    font_px: int,
    gap_px: int,
    is_row: bool,
) -> Image.Image:
    """Put panels side by side or one below the other, with headings, title and legend."""
    width = legend.width
    title_px = round(font_px * 2.4) if title else 0
    heading_px = round(font_px * 1.9) if any(headings) else 0
    if is_row:
        places = [(i * (image.width + gap_px), title_px) for i, image in enumerate(images)]
        body = heading_px + images[0].height
    else:
        places = [(0, title_px + i * (heading_px + im.height)) for i, im in enumerate(images)]
        body = sum(heading_px + image.height for image in images)
    sheet = Image.new("RGB", (width, title_px + body + legend.height), PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        large = round(font_px * 1.25)
        draw.text((font_px * 0.9, font_px * 0.5), _fitted(title, large, width), INK, font_of(large))
    for image, heading, (x, y) in zip(images, headings, places, strict=True):
        if heading:
            draw.text((x + font_px * 0.9, y + font_px * 0.25), heading, DIM, font_of(font_px))
        sheet.paste(image, (x, y + heading_px))
    sheet.paste(legend, (0, title_px + body))
    return sheet


def _fitted(text: str, size: int, width: int) -> str:
    """Cut a text that is too long for the picture, with an ellipsis."""
    room = width - 2 * size
    if text_width(text, size) <= room:
        return text
    while text and text_width(text + "...", size) > room:
        text = text[:-1]
    return text + "..."
