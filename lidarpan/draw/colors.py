"""What colour each point gets, and the legend that says what the colours mean."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lidarpan.classes import VOID, ClassTable
from lidarpan.draw.surface import flat_groups
from lidarpan.metrics.errors import IGNORED, POINT_KINDS, RIGHT, point_errors
from lidarpan.structures import FloatArray, InputError, IntArray, PanopticLabels, Scan

Colors = NDArray[np.uint8]
Rgb = tuple[int, int, int]

MODES = ("panoptic", "semantic", "instance", "height", "intensity", "error")
VOID_COLOR: Rgb = (92, 96, 104)
STUFF_GREY: Rgb = (104, 108, 116)
# Okabe and Ito, "Color Universal Design" (2008): told apart with every kind of colour blindness.
ERROR_COLORS: dict[str, Rgb] = {
    "ignored": (58, 61, 68),
    "right": (128, 133, 142),
    "missed": (213, 94, 0),
    "invented": (86, 180, 233),
    "wrong class": (240, 228, 66),
    "merged": (204, 121, 167),
    "split": (0, 158, 115),
}
# The viridis map by Smith and van der Walt (2015), ten stops; even in lightness.
_VIRIDIS = np.array(
    [
        [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137],
        [53, 183, 121], [110, 206, 88], [181, 222, 43], [253, 231, 37], [255, 250, 190],
    ],
    np.float32,
)  # fmt: skip
_GOLDEN = 0.6180339887


@dataclass(frozen=True)
class PointColors:
    """The colours of a scan's points, and what they mean.

    Attributes:
        colors: (N, 3) uint8.
        on_top: (N,) bool, points drawn over all others.
        group: (N,) int32, points that may belong to one surface share a number.
        entries: (colour, text) of each class or kind that is present.
        emphasis: how much larger the points on top are drawn.
        ramp: (low, high, unit) of a colour scale, or None.
    """

    colors: Colors
    on_top: NDArray[np.bool_]
    group: IntArray
    entries: list[tuple[Rgb, str]] = field(default_factory=list)
    ramp: tuple[float, float, str] | None = None
    emphasis: float = 1.0


def ramp_colors(share: FloatArray) -> Colors:
    """Colour scale from dark to light, even in lightness. (N,) in [0, 1] -> (N, 3) uint8."""
    place = np.clip(share, 0, 1) * (len(_VIRIDIS) - 1)
    stops = np.arange(len(_VIRIDIS))
    channels = [np.interp(place, stops, _VIRIDIS[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def _turn(hue: FloatArray, saturation: FloatArray, value: FloatArray) -> Colors:
    """HSV in [0, 1] to RGB. Three (K,) -> (K, 3) uint8."""
    wheel = np.abs((hue[:, None] * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    rgb = value[:, None] * (1 - saturation[:, None] * (1 - np.clip(wheel, 0, 1)))
    colors: Colors = (rgb * 255).round().astype(np.uint8)
    return colors


def _hsv(colors: Colors) -> FloatArray:
    """RGB to HSV in [0, 1]. (K, 3) uint8 -> (K, 3) float32."""
    rgb = colors.astype(np.float32) / 255
    value = rgb.max(axis=1)
    spread = value - rgb.min(axis=1)
    safe = np.where(spread > 0, spread, 1)
    red, green, blue = rgb.T
    hue = np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4)
    hue = np.where(value == red, (green - blue) / safe, hue) / 6 % 1
    saturation = spread / np.where(value > 0, value, 1)
    hsv: FloatArray = np.stack([hue * (spread > 0), saturation, value], axis=1).astype(np.float32)
    return hsv


def instance_shades(ids: NDArray[np.int32], base: Colors) -> Colors:
    """A shade of its own for each instance, near its class's colour; the same id, the same shade.

    Args:
        ids: (K,) int32 instance ids.
        base: (K, 3) uint8 class colour of each.

    Returns:
        (K, 3) uint8.
    """
    hue, saturation, value = _hsv(base).T
    step = ids * _GOLDEN % 1 - 0.5
    other = ids * (_GOLDEN**2 * 2.236) % 1 - 0.5
    light = np.clip(value, 0.62, 1) * (1 + 0.32 * (step - 0.3))
    return _turn(
        (hue + 0.07 * other) % 1,
        np.clip(saturation * (1 - 0.7 * step), 0, 1),
        np.clip(light, 0.45, 1),
    )


def instance_hues(ids: NDArray[np.int32]) -> Colors:
    """Bright colours over the whole wheel, by instance id. (K,) int32 -> (K, 3) uint8."""
    step = ids * _GOLDEN % 1
    level = ids * (_GOLDEN**2 * 2.236) % 1
    return _turn(step.astype(np.float32), 0.45 + 0.5 * level, 1 - 0.25 * (1 - level))


def class_colors(classes: ClassTable) -> Colors:
    """The dataset's colours with a grey for void. -> (C, 3) uint8."""
    colors = classes.colors.copy()
    colors[VOID] = VOID_COLOR
    return colors


def _per_instance(labels: PanopticLabels, table: Colors, own_hues: bool) -> Colors:
    """Colours of all points of things: by instance where they have one, else by class."""
    rgb = table[labels.semantic]
    has = np.flatnonzero(labels.instance > 0)
    ids, first, index = np.unique(labels.instance[has], return_index=True, return_inverse=True)
    base = table[labels.semantic[has[first]]]
    shades = instance_hues(ids) if own_hues else instance_shades(ids, base)
    rgb[has] = shades[index]
    return rgb


def legend_order(classes: ClassTable | None) -> list[Rgb]:
    """Colours of all classes as legends list them: things, stuff, void."""
    if classes is None:
        return []
    rows = class_colors(classes)[[*classes.things, *classes.stuff, VOID]].tolist()
    return [(red, green, blue) for red, green, blue in rows]


def class_entries(labels: PanopticLabels, classes: ClassTable) -> list[tuple[Rgb, str]]:
    """Legend of the classes present: things with their number of objects, then stuff, then void."""
    table = class_colors(classes)
    present = np.bincount(labels.semantic, minlength=classes.num_classes) > 0
    entries = []
    for train_id in (*classes.things, *classes.stuff, VOID):
        if not present[train_id]:
            continue
        text = classes.names[train_id].replace("_", " ")
        if train_id in classes.things:
            ids = np.unique(labels.instance[labels.semantic == train_id])
            count = int((ids > 0).sum())
            text += f" ({count})" if count else ""
        red, green, blue = (int(value) for value in table[train_id])
        entries.append(((red, green, blue), text))
    return entries


def _measured(scan: Scan, mode: str, group: IntArray | None) -> PointColors:
    """Height, or intensity on a square-root scale; ground is closed where labels tell it."""
    if mode == "height":
        values, unit, bottom, top = scan.points[:, 2], "m above the sensor", 1, 98
    else:
        values, unit, bottom, top = scan.intensity, "intensity (square-root scale)", 0, 99
    low, high = np.percentile(values, [bottom, top]) if len(values) else (0.0, 1.0)
    share = np.clip((values - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    if mode == "intensity":
        share = np.sqrt(share)
    none = np.full(len(values), -1, np.int32)
    ramp = (float(low), float(high), unit)
    return PointColors(ramp_colors(share), none > 0, none if group is None else group, [], ramp)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%" if share >= 0.001 else "< 0.1%"


def _error_colors(
    labels: PanopticLabels, truth: PanopticLabels, classes: ClassTable
) -> PointColors:
    kinds = point_errors(labels, truth, classes)
    table = np.array([ERROR_COLORS[kind] for kind in POINT_KINDS], np.uint8)
    share = np.bincount(kinds, minlength=len(POINT_KINDS)) / max(1, len(kinds))
    entries = [
        (ERROR_COLORS[kind], f"{kind} {_percent(share[index])}")
        for index, kind in enumerate(POINT_KINDS)
        if share[index] > 0
    ]
    on_top = (kinds != RIGHT) & (kinds != IGNORED)
    group = flat_groups(truth, classes)
    group[labels.semantic != truth.semantic] = -1
    return PointColors(table[kinds], on_top, group, entries, emphasis=1.4)


def color_points(
    scan: Scan,
    labels: PanopticLabels | None,
    classes: ClassTable | None,
    truth: PanopticLabels | None,
    mode: str,
) -> PointColors:
    """Colour the points of a scan in one of MODES.

    Raises:
        InputError: the mode is unknown, needs labels or truth that are not given, or the labels
            have another number of points than the scan.
    """
    if mode not in MODES:
        raise InputError(f"no drawing mode {mode!r}: wanted one of {', '.join(MODES)}")
    if labels is not None and labels.num_points != scan.num_points:
        raise InputError(
            f"labels must fit the scan, got {labels.num_points} labels for {scan.num_points} points"
        )
    if mode in ("height", "intensity"):
        group = flat_groups(labels, classes) if labels and classes else None
        return _measured(scan, mode, group)
    if labels is None or classes is None:
        raise InputError(f"mode {mode} needs labels and their class table: use height or intensity")
    if labels.num_points and int(labels.semantic.max()) >= classes.num_classes:
        raise InputError(
            f"train ids must be below {classes.num_classes} ({classes.name}), "
            f"got {int(labels.semantic.max())}"
        )
    if mode == "error":
        if truth is None:
            raise InputError("mode error needs the truth to compare with")
        return _error_colors(labels, truth, classes)
    table = class_colors(classes)
    on_top = classes.is_thing[labels.semantic]
    group = flat_groups(labels, classes)
    if mode == "instance":
        table[~classes.is_thing] = STUFF_GREY
        table[VOID] = ERROR_COLORS["ignored"]
        entries = [(STUFF_GREY, "no instance")]
        return PointColors(_per_instance(labels, table, True), on_top, group, entries)
    is_panoptic = mode == "panoptic"
    rgb = _per_instance(labels, table, False) if is_panoptic else table[labels.semantic]
    return PointColors(rgb, on_top, group, class_entries(labels, classes))
