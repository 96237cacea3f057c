"""A drive with poses to one map: what stands still is fused, what moves leaves its path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from lidarpan.classes import VOID, ClassTable
from lidarpan.draw import save_png, stack_panels
from lidarpan.draw.colors import PointColors, Rgb, class_colors, instance_shades
from lidarpan.draw.motion import Motion, trail_lines
from lidarpan.draw.outlines import convex_hull
from lidarpan.draw.raster_kernel import stroke_outlines
from lidarpan.draw.surface import flat_groups, ground_between
from lidarpan.draw.text import BACKGROUND, INK, Box, LabelPlacer, legend_strip
from lidarpan.draw.votes_kernel import close_holes, vote_cells
from lidarpan.structures import FloatArray, InputError, PanopticLabels, Scan
from lidarpan.tracking.history import steadily
from lidarpan.tracking.ways import smooth_way
from lidarpan.whole_file import whole_file

MIN_OBJECT_POINTS = 30
FILL = 0.3
SURFACE = 0.45  # share of its colour in ground between the rings


@dataclass(frozen=True)
class MapPicture:
    """A map and where it lies in the world.

    Attributes:
        image: RGB; the map's upper left pixel is the picture's, below it is the legend.
        meters_per_pixel: edge of a pixel.
        left_m: world x of the middle of the upper left pixel.
        top_m: world y of the middle of the upper left pixel.
    """

    image: Image.Image
    meters_per_pixel: float
    left_m: float
    top_m: float


@dataclass
class _Object:
    """One instance over the drive: votes for its class, its way, its points in the world.

    Attributes:
        votes: (C,) its points of each class.
        moves: whether it moved, in each scan.
        path: (2,) m, where it was seen in the world from where it began to move; times_s: when.
        tip: (2,) m, where the arrow at the end of the path points to; None where it stands there.
        fused: (n, 2) cells of all its points.
        latest: (n, 2) m, its points as it was seen last.
        count: of its points.
    """

    votes: NDArray[np.int64]
    moves: list[bool] = field(default_factory=list)
    path: list[FloatArray] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    tip: FloatArray | None = None
    fused: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    latest: FloatArray = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    count: int = 0

    @property
    def train_id(self) -> int:
        return int(self.votes.argmax())

    @property
    def is_moving(self) -> bool:
        return any(steadily(self.moves))

    def follow(self, motion: Motion | None, pose: NDArray[np.float64]) -> None:
        """Go on with its way: how it moves in the next scan, which is at a pose, if it does."""
        self.moves.append(motion is not None)
        if motion is not None:
            new = slice(-1 if self.path else 0, None)
            self.path += list(_in_world(motion.seen[new], pose))
            self.times_s += motion.times_s[new].tolist()
            (self.tip,) = _in_world(motion.tip[None], pose)
        else:
            self.tip = None

    def lines(self) -> list[FloatArray]:
        """Its path, and an arrow where it moves to the last. Each (n, 2) m."""
        way = smooth_way(np.array(self.path), np.array(self.times_s)).astype(np.float32)
        return trail_lines(way, way[-1] if self.tip is None else self.tip)


@dataclass(frozen=True)
class _Area:
    """The piece of the world that is drawn: lower corner, cell, (rows, columns), metres seen."""

    low: NDArray[np.float64]
    cell_m: float
    shape: tuple[int, int]
    range_m: float


class _Votes:
    """A majority vote in each cell."""

    def __init__(self, num_cells: int) -> None:
        self.winner = np.zeros(num_cells, np.uint8)
        self.lead = np.zeros(num_cells, np.int32)

    def add(self, area: _Area, world: NDArray[np.float64], semantic: NDArray[np.uint8]) -> None:
        """Let points at world places vote for their class."""
        rows, columns = area.shape
        column, up = ((world - area.low) / area.cell_m).astype(np.int32).T
        row = rows - 1 - up
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        cell = (row * columns + column)[inside].astype(np.int32)
        self.winner, self.lead = vote_cells(self.winner, self.lead, cell, semantic[inside])


def draw_map(
    frames: Iterable[tuple[Scan, PanopticLabels, Mapping[int, Motion]]],
    poses: NDArray[np.float64],
    classes: ClassTable,
    *,
    size_px: int = 2000,
    range_m: float = 40.0,
) -> MapPicture:
    """Draw a whole drive from above: world x to the right, world y up.

    Stuff is what most points of a cell say. Objects that move are drawn where they were seen last,
    with the path they took and an arrow to where they will be in a second; all others are fused.
    Memory grows with the area and the objects, not with the number of scans.

    Args:
        frames: scans with labels whose instance ids stay the same over the drive, and how the
            objects that move do, by id (see `motion.Follower`).
        poses: (T, 4, 4) world_T_sensor of each frame.
        classes: of the labels.
        size_px: longer edge of the map, pixels.
        range_m: points farther from the sensor are left out.

    Raises:
        InputError: poses of another shape, or another number of them than frames.
    """
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or not len(poses):
        raise InputError(f"wanted poses as (T, 4, 4) with T > 0, got {poses.shape}")
    way = poses[:, :2, 3]
    low, high = way.min(axis=0) - range_m, way.max(axis=0) + range_m
    cell_m = float((high - low).max() / size_px)
    columns, rows = (int(n) for n in np.ceil((high - low) / cell_m))
    area = _Area(low, cell_m, (rows, columns), range_m)
    seen, between, objects = _fuse(frames, poses, classes, area)
    origin = np.array([low[0], low[1] + rows * cell_m])
    table = class_colors(classes).astype(np.float32)
    table[VOID] = BACKGROUND
    dimmed = SURFACE * table + (1 - SURFACE) * np.array(BACKGROUND, np.float32)
    canvas = np.where((seen > 0)[..., None], table[seen], dimmed[between]).astype(np.uint8)
    image = _with_objects(canvas, objects, way, classes, origin, cell_m)
    present = [k for k in range(1, classes.num_classes) if (seen == k).any()]
    present += [one.train_id for one in objects.values()]
    meaning = _meaning(sorted(set(present)), list(objects.values()), classes)
    strip = legend_strip(columns, _font_px(size_px), [meaning], cell_m)
    sheet = stack_panels([image], [""], strip, None, _font_px(size_px), 0, is_row=True)
    half = cell_m / 2
    return MapPicture(sheet, cell_m, float(origin[0] + half), float(origin[1] - half))


def save_map(picture: MapPicture, path: Path | str) -> Path:
    """Write the map as PNG with a world file beside it (.pgw); returns the world file's path.

    Raises:
        InputError: the folder cannot be made or written to.
    """
    path = Path(path)
    size = picture.meters_per_pixel
    lines = (size, 0.0, 0.0, -size, picture.left_m, picture.top_m)
    world = path.with_suffix(".pgw")
    save_png(picture.image, path)
    with whole_file(world) as beside:
        beside.write_text("".join(f"{value:.10f}\n" for value in lines))
    return world


def _font_px(size_px: int) -> int:
    return int(np.clip(round(size_px / 80), 11, 40))


def _fuse(
    frames: Iterable[tuple[Scan, PanopticLabels, Mapping[int, Motion]]],
    poses: NDArray[np.float64],
    classes: ClassTable,
    area: _Area,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], dict[int, _Object]]:
    """(rows, columns) class hit in each cell, class between the rings, and objects seen well."""
    rows, columns = area.shape
    hit, between = (_Votes(rows * columns) for _ in range(2))
    objects: dict[int, _Object] = {}
    count = 0
    for count, (scan, labels, motions) in enumerate(frames, 1):
        if count > len(poses):
            break
        pose = poses[count - 1]
        world = (scan.points @ pose[:3, :3].T + pose[:3, 3])[:, :2]
        near = np.hypot(scan.points[:, 0], scan.points[:, 1]) <= area.range_m
        is_object = classes.is_thing[labels.semantic] & (labels.instance > 0)
        hit.add(area, world[near & ~is_object], labels.semantic[near & ~is_object])
        between.add(area, *_ground(scan, labels, classes, pose, area))
        own = np.flatnonzero(near & is_object)
        for instance in _add_objects(objects, world, labels, own, classes, area.cell_m):
            objects[instance].follow(motions.get(instance), pose)
    if count != len(poses):
        raise InputError(f"wanted as many poses as frames, got {len(poses)} for {count} or more")
    seen = close_holes(close_holes(hit.winner.reshape(rows, columns), 3), 4)
    ground = close_holes(close_holes(between.winner.reshape(rows, columns), 3), 3)
    return seen, ground, {i: one for i, one in objects.items() if one.count >= MIN_OBJECT_POINTS}


def _ground(
    scan: Scan,
    labels: PanopticLabels,
    classes: ClassTable,
    pose: NDArray[np.float64],
    area: _Area,
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """(M, 2) world places and (M,) classes of the ground between the rings of a scan."""
    edge = int(min(1200, np.ceil(2.4 * area.range_m / area.cell_m)))
    owner = ground_between(scan.points, flat_groups(labels, classes), area.range_m, edge)
    row, column = np.nonzero(owner >= 0)
    point = owner[row, column]
    ahead = (edge / 2 - np.stack([row, column], axis=1) - 0.5) * (2 * area.range_m / edge)
    place = np.column_stack([ahead, scan.points[point, 2]])
    return (place @ pose[:3, :3].T + pose[:3, 3])[:, :2], labels.semantic[point]


def _add_objects(
    objects: dict[int, _Object],
    world: NDArray[np.float64],
    labels: PanopticLabels,
    points: NDArray[np.int64],
    classes: ClassTable,
    cell_m: float,
) -> list[int]:
    """Add a scan's points (M,) of objects to these; the ids that are in it."""
    order = points[np.argsort(labels.instance[points], kind="stable")]
    ids, start = np.unique(labels.instance[order], return_index=True)
    present: list[int] = ids.tolist()
    for instance, own in zip(present, np.split(order, start[1:]), strict=True):
        one = objects.setdefault(instance, _Object(np.zeros(classes.num_classes, np.int64)))
        one.votes += np.bincount(labels.semantic[own], minlength=classes.num_classes)
        one.latest = world[own].astype(np.float32)
        cells = np.floor(world[own] / cell_m).astype(np.int64)
        one.fused = np.unique(np.concatenate([one.fused, cells]), axis=0)
        one.count += len(own)
    return present


def _in_world(places: FloatArray, pose: NDArray[np.float64]) -> FloatArray:
    """Places (n, 2) m in the plane of a sensor at a pose, from above in the world."""
    world: FloatArray = (places @ pose[:2, :2].T + pose[:2, 3]).astype(np.float32)
    return world


def _with_objects(
    canvas: NDArray[np.uint8],
    objects: dict[int, _Object],
    way: NDArray[np.float64],
    classes: ClassTable,
    origin: NDArray[np.float64],
    cell_m: float,
) -> Image.Image:
    """Paint objects, their outlines, paths and names, and the sensor's own way."""

    def pixels(world: FloatArray | NDArray[np.float64]) -> FloatArray:
        return ((world - origin) / cell_m * (1, -1)).astype(np.float32)

    lines: list[tuple[FloatArray, Rgb, float]] = []
    boxes: list[tuple[str, Box]] = []
    canvas = canvas.copy()
    for instance, one in sorted(objects.items(), key=lambda item: -item[1].count):
        base = classes.colors[one.train_id][None]
        shade = instance_shades(np.array([instance], np.int32), base)[0]
        fused = (one.fused + 0.5) * cell_m
        own = pixels(one.latest if one.is_moving else fused)
        column, row = own.astype(np.int32).T
        ok = (row >= 0) & (row < canvas.shape[0]) & (column >= 0) & (column < canvas.shape[1])
        canvas[row[ok], column[ok]] = shade
        red, green, blue = (int(value) for value in shade)
        hull = convex_hull(own)
        lines.append((np.vstack([hull, hull[:1]]), (red, green, blue), FILL))
        if one.is_moving:
            lines += [(pixels(line), (red, green, blue), 0.0) for line in one.lines()]
        (left, top), (right, bottom) = hull.min(axis=0).tolist(), hull.max(axis=0).tolist()
        name = classes.names[one.train_id].replace("_", " ")
        boxes.append((f"{name} {instance}", (left, top, right, bottom)))
    lines.append((pixels(way), INK, 0.0))
    image = Image.fromarray(_stroke(canvas, lines, max(1.2, max(canvas.shape) / 1100)))
    size = (0.0, 0.0, float(image.width), float(image.height))
    taken = [box for _, box in boxes]
    placer = LabelPlacer(ImageDraw.Draw(image), size, _font_px(max(canvas.shape)), taken)
    for text, box in boxes:
        placer.place(text, box)
    return image


def _stroke(
    canvas: NDArray[np.uint8], lines: list[tuple[FloatArray, Rgb, float]], width: float
) -> NDArray[np.uint8]:
    """Draw lines of connected points; those with an opacity are filled."""
    parts = [np.hstack([line[:-1], line[1:]]) for line, _, _ in lines]
    first = np.cumsum([0] + [len(part) for part in parts]).astype(np.int32)
    own = np.array([color for _, color, _ in lines], np.uint8)
    light = (0.45 * own + 0.55 * 255).astype(np.uint8)
    opacity = np.array([share for _, _, share in lines], np.float32)
    segments = np.concatenate(parts).astype(np.float32)
    image: NDArray[np.uint8] = stroke_outlines(canvas, segments, first, light, width, own, opacity)
    return image


def _meaning(present: list[int], objects: list[_Object], classes: ClassTable) -> PointColors:
    """Legend: classes with their numbers of objects, how many of them move, and the way."""
    table = class_colors(classes)
    entries: list[tuple[Rgb, str]] = []
    for train_id in sorted(present, key=lambda k: (k not in classes.things, k)):
        own = [one for one in objects if one.train_id == train_id]
        text = classes.names[train_id].replace("_", " ")
        if own:
            moving = sum(one.is_moving for one in own)
            text += f" ({len(own)}, {moving} moving)" if moving else f" ({len(own)})"
        red, green, blue = (int(value) for value in table[train_id])
        entries.append(((red, green, blue), text))
    entries.append((INK, "way of the sensor"))
    none = np.zeros(0, np.int32)
    return PointColors(np.zeros((0, 3), np.uint8), none > 0, none, entries)
