"""One panel of a picture: coloured points, outlines, range rings, ego marker and labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lidarpan.classes import ClassTable
from lidarpan.draw.colors import PointColors
from lidarpan.draw.motion import Motion
from lidarpan.draw.outlines import hulls_in, outline_arrays
from lidarpan.draw.raster_kernel import shade_pixels, splat_points, stroke_circles, stroke_outlines
from lidarpan.draw.surface import ground_between
from lidarpan.draw.text import BACKGROUND, DIM, INK, Box, LabelPlacer, nice_step
from lidarpan.structures import FloatArray, InputError, PanopticLabels, Scan

DOT_M = 0.07  # radius of a point's dot at the sensor ...
DOT_GROWTH = 0.0022  # ... and what each metre of range adds, as the beams spread
SURFACE = 0.4  # share of a point's colour in the ground between the rings
PAD_M = 0.12  # between an object and its outline
MAX_FILLED_M = 22.0  # larger outlines stay empty: no object is that long
MAX_SURFACE_PX = 1000  # finer is not needed: the ground is filled with its own colour


@dataclass(frozen=True)
class BevView:
    """A square map around the sensor; forward is up, left is left.

    Attributes:
        size_px: edge of the map, pixels.
        range_m: from the sensor to the map's edge.

    Raises:
        InputError: the size is not in 64..8192 px or the range not in 0..10,000 m.
    """

    size_px: int
    range_m: float

    def __post_init__(self) -> None:
        if not 64 <= self.size_px <= 8192:
            raise InputError(f"size must be 64 to 8192 pixels, got {self.size_px}")
        if not 0 < self.range_m <= 10_000:
            raise InputError(f"range must be at most 10000 m and above 0 m, got {self.range_m:g}")

    @property
    def meters_per_pixel(self) -> float:
        """Edge of a pixel on the ground."""
        return 2 * self.range_m / self.size_px

    @property
    def font_px(self) -> int:
        """Font size that suits the map."""
        return int(np.clip(round(self.size_px / 72), 11, 40))

    @property
    def gap_px(self) -> int:
        """Between two maps."""
        return max(4, self.font_px // 2)

    def is_object_size(self, hull: FloatArray) -> bool:
        """Whether an outline in pixels is no larger than objects are."""
        return float(np.ptp(hull, axis=0).max()) * self.meters_per_pixel <= MAX_FILLED_M

    def to_pixels(self, points: FloatArray) -> FloatArray:
        """(N, 2+) metres to (N, 2) float32 column and row."""
        flipped = -points[:, 1::-1].astype(np.float32)
        pixels: FloatArray = (flipped / np.float32(self.meters_per_pixel)) + self.size_px / 2
        return pixels.astype(np.float32)


def bev_panel(
    scan: Scan,
    meaning: PointColors,
    labels: PanopticLabels | None,
    classes: ClassTable | None,
    view: BevView,
    mode: str,
    motions: Mapping[int, Motion],
) -> Image.Image:
    """Draw one map; outlines, motions (by id) and labels where the mode shows instances."""
    canvas = _dots(scan, meaning, view)
    step = nice_step(view.range_m / 3.5) if view.range_m >= 3.5 else view.range_m / 2
    radii_m = np.arange(step, view.range_m * np.sqrt(2), step, np.float32)
    line_px = max(1.0, view.size_px / 1100)
    center = (view.size_px / 2, view.size_px / 2)
    ring_px = radii_m / np.float32(view.meters_per_pixel)
    canvas = stroke_circles(canvas, center, ring_px, line_px, np.array(INK, np.uint8), 0.22)
    hulls: list[tuple[int, FloatArray]] = []
    if labels is not None and mode in ("panoptic", "instance", "error"):
        pad_px = 1 + PAD_M / view.meters_per_pixel
        hulls = hulls_in(view.to_pixels(scan.points), labels, view.size_px, pad_px)
        segments, first, own, light = outline_arrays(hulls, labels, meaning.colors, mode == "error")
        is_filled = [mode != "error" and view.is_object_size(hull) for _, hull in hulls]
        opacity = np.where(is_filled, 0.3, 0).astype(np.float32)
        canvas = stroke_outlines(canvas, segments, first, light, 1.2 * line_px, own, opacity)
    if labels is not None and motions and mode in ("panoptic", "instance"):
        canvas = _with_motions(canvas, motions, labels, meaning, view, 1.6 * line_px)
    image = Image.fromarray(canvas)
    placer = LabelPlacer(
        ImageDraw.Draw(image), (0, 0, view.size_px, view.size_px), view.font_px, []
    )
    _ego_marker(image, view, placer)
    _ring_texts(radii_m, view, placer)
    if labels is not None and classes is not None and mode in ("panoptic", "instance"):
        _instance_texts(hulls, labels, classes, view, placer)
    return image


def _with_motions(
    canvas: NDArray[np.uint8],
    motions: Mapping[int, Motion],
    labels: PanopticLabels,
    meaning: PointColors,
    view: BevView,
    line_px: float,
) -> NDArray[np.uint8]:
    """Trails and arrows in the colours of their objects."""
    segments, first, own = [], [0], []
    for instance, motion in motions.items():
        point = int((labels.instance == instance).argmax())
        for line in map(view.to_pixels, motion.lines()):
            segments.append(np.hstack([line[:-1], line[1:]]))
            first.append(first[-1] + len(segments[-1]))
            own.append(meaning.colors[point])
    if not segments:
        return canvas
    color = np.array(own, np.uint8)
    light = (0.45 * color + 0.55 * 255).astype(np.uint8)
    drawn: NDArray[np.uint8] = stroke_outlines(
        canvas, np.concatenate(segments).astype(np.float32), np.array(first, np.int32), light,
        line_px, color, np.zeros(len(color), np.float32),
    )  # fmt: skip
    return drawn


def _dots(scan: Scan, meaning: PointColors, view: BevView) -> NDArray[np.uint8]:
    factor = 2
    place = view.to_pixels(scan.points) * factor
    z = scan.points[:, 2]
    priority = z + np.where(meaning.on_top, np.float32(1000), np.float32(0))
    range_m = np.hypot(scan.points[:, 0], scan.points[:, 1])
    radius_m = DOT_M + DOT_GROWTH * range_m
    radius = np.maximum(radius_m / view.meters_per_pixel, 0.75).astype(np.float32) * factor
    radius[meaning.on_top] *= np.float32(meaning.emphasis)
    edge = view.size_px * factor
    column, row = np.ascontiguousarray(place.T)
    owner = splat_points(column, row, priority.astype(np.float32), radius, radius, edge, edge, True)
    background = np.array(BACKGROUND, np.uint8)
    dimmed = (SURFACE * meaning.colors + (1 - SURFACE) * background).astype(np.uint8)
    group = np.where(meaning.on_top, np.int32(-1), meaning.group)
    fine = -(-view.size_px // -(-view.size_px // MAX_SURFACE_PX))
    under = ground_between(scan.points, group, view.range_m, fine)
    image: NDArray[np.uint8] = shade_pixels(
        owner, meaning.colors, under, dimmed, background, factor
    )
    return image


def _ego_marker(image: Image.Image, view: BevView, placer: LabelPlacer) -> None:
    """A white arrow head that points forward."""
    half = max(1.1 / view.meters_per_pixel, view.font_px * 0.75)
    fine = 4
    edge = int(2 * half * fine) + fine
    mask = Image.new("L", (edge, edge), 0)
    corners = [(0.5, 0.02), (0.9, 0.95), (0.5, 0.74), (0.1, 0.95)]
    ImageDraw.Draw(mask).polygon([(x * edge, y * edge) for x, y in corners], fill=255)
    for grow, color in ((1.35, BACKGROUND), (1.0, INK)):
        size = max(3, round(edge / fine * grow))
        corner = round(view.size_px / 2 - size / 2)
        image.paste(color, (corner, corner), mask.resize((size, size), Image.Resampling.LANCZOS))
    middle = view.size_px / 2
    placer.taken.append((middle - half, middle - half, middle + half, middle + half))


def _ring_texts(radii_m: FloatArray, view: BevView, placer: LabelPlacer) -> None:
    """Metres of each ring, on the diagonal towards the front right."""
    for radius_m in radii_m:
        text = f"{radius_m:g} m"
        offset = radius_m / view.meters_per_pixel * np.sqrt(0.5)
        x = view.size_px / 2 + offset - placer.size * 1.2
        y = view.size_px / 2 - offset - placer.size * 0.6
        if x + placer.size * 3.5 < view.size_px and y > placer.size * 0.5:
            placer.write(text, float(x), float(y), DIM)


def _instance_texts(
    hulls: list[tuple[int, FloatArray]],
    labels: PanopticLabels,
    classes: ClassTable,
    view: BevView,
    placer: LabelPlacer,
) -> None:
    """Class and id beside each outline where there is room, largest objects first."""
    boxes: dict[int, Box] = {}
    for instance, hull in hulls:
        (left, top), (right, bottom) = hull.min(axis=0).tolist(), hull.max(axis=0).tolist()
        boxes[instance] = (left, top, right, bottom)
    placer.taken.extend(boxes[i] for i, hull in hulls if view.is_object_size(hull))
    for instance, _ in hulls:
        points = labels.semantic[labels.instance == instance]
        name = classes.names[int(np.bincount(points).argmax())].replace("_", " ")
        placer.place(f"{name} {instance}", boxes[instance])
