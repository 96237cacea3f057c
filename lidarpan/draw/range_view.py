"""One panel of a range view: the scan as its sensor sees it, azimuth by elevation."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from lidarpan.classes import ClassTable
from lidarpan.draw.colors import PointColors
from lidarpan.draw.raster_kernel import shade_pixels, splat_points
from lidarpan.draw.text import BACKGROUND, LabelPlacer, text_width
from lidarpan.structures import FloatArray, PanopticLabels, Scan

FINE = 2  # fine pixels per pixel, for smooth edges
STRETCH = 2.2  # pixels per radian upwards over those sideways: beams lie wider apart than columns
BLIND_M = 2.5  # the vehicle's own roof does not set the height of the picture


def range_panel(
    scan: Scan,
    meaning: PointColors,
    labels: PanopticLabels | None,
    classes: ClassTable | None,
    width_px: int,
    font_px: int,
) -> Image.Image:
    """Draw one range view; the nearest point is on top, large objects are named."""
    x, y, z = scan.points.T
    distance = np.linalg.norm(scan.points, axis=1)
    elevation = np.arctan2(z, np.hypot(x, y))
    low, high = _elevation_limits(elevation[distance > BLIND_M])
    height_px = max(32, round(width_px * (high - low) / (2 * np.pi) * STRETCH))
    column = ((0.5 - np.arctan2(y, x) / (2 * np.pi)) * width_px).astype(np.float32)
    row = ((high - elevation) / (high - low) * height_px).astype(np.float32)
    columns = 5.8 * np.sqrt(max(scan.num_points, 1000))  # 2,050 for 64 beams, 1,080 for 32
    rows = max(scan.num_points, 1000) / columns
    half = (FINE * max(0.5, 0.6 * width_px / columns), FINE * max(0.5, 0.62 * height_px / rows))
    owner = splat_points(
        FINE * column,
        FINE * row,
        (-distance).astype(np.float32),
        np.full(scan.num_points, half[0], np.float32),
        np.full(scan.num_points, half[1], np.float32),
        height_px * FINE,
        width_px * FINE,
        False,
    )
    nothing = np.full((1, 1), -1, np.int32)
    background = np.array(BACKGROUND, np.uint8)
    image = Image.fromarray(
        shade_pixels(owner, meaning.colors, nothing, meaning.colors, background, FINE)
    )
    if labels is not None and classes is not None:
        bounds = (0.0, 0.0, float(width_px), float(height_px))
        placer = LabelPlacer(ImageDraw.Draw(image), bounds, font_px, [])
        _name_objects(column, row, labels, classes, placer)
    return image


def _elevation_limits(elevation: FloatArray) -> tuple[float, float]:
    """Lowest and highest elevation to show, radians."""
    if not elevation.size:
        return -0.5, 0.1
    low, high = (float(value) for value in np.percentile(elevation, [0.1, 99.9]))
    margin = 0.03 * max(high - low, 0.05)
    return low - margin, high + margin


def _name_objects(
    column: FloatArray,
    row: FloatArray,
    labels: PanopticLabels,
    classes: ClassTable,
    placer: LabelPlacer,
) -> None:
    """Class and id above each object that is wide enough to carry its name, largest first."""
    ids, count = np.unique(labels.instance[labels.instance > 0], return_counts=True)
    for instance in ids[np.argsort(-count, kind="stable")]:
        own = np.flatnonzero(labels.instance == instance)
        left, right = np.percentile(column[own], [2, 98])
        top = float(np.percentile(row[own], 2))
        if not 1.5 * placer.size < right - left < placer.bounds[2] / 3:
            continue
        name = classes.names[int(np.bincount(labels.semantic[own]).argmax())].replace("_", " ")
        text = f"{name} {instance}"
        room = text_width(text, placer.size) / 2 + placer.size
        middle = float(np.clip((left + right) / 2, room, max(room, placer.bounds[2] - room)))
        top = max(top, placer.size * 2.0)  # over an object that reaches the upper edge
        placer.place(text, (middle, top, middle, top), is_above=True)
