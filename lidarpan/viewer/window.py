"""Scans and labels in an open3d window, for those who have a display."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.draw.colors import color_points
from lidarpan.draw.text import BACKGROUND, EDGE, INK
from lidarpan.optional import need
from lidarpan.structures import InputError, PanopticLabels, Scan
from lidarpan.viewer import instance_rows
from lidarpan.viewer.display import INSTEAD, need_display

if TYPE_CHECKING:
    from lidarpan.viewer.server import Frame

_LOG = logging.getLogger("lidarpan")
KEYS = (
    "keys: N next scan, B back, M colour mode, T from above, R start view, + - point size, Q quit"
)
NAME_M = 1.2  # height of the letters
# Names face a viewer behind and above the sensor: their right is -y, their top leans forward.
LEANING = np.array([[0.0, 0.7, -0.714], [-1.0, 0.0, 0.0], [0.0, 0.714, 0.7]])
RING_M, NUM_RINGS = 10.0, 8
MAX_OUTLINE_M = 25.0
SIZE_PX = (1280, 800)


def show_window(
    names: Sequence[str],
    load: Callable[[int], Frame],
    classes: ClassTable | None = None,
    *,
    mode: str = "panoptic",
) -> None:
    """Show scans in an open3d window until it is closed.

    Args:
        names: of each scan.
        load: scan number to scan, labels and truth.
        classes: of the labels; None shows height and intensity only.
        mode: how the points are coloured at first, see `draw_panoptic`; height without labels.

    Raises:
        InputError: no scan, no display, or labels that do not fit their scan or the mode.
    """
    if not names:
        raise InputError("a window needs at least one scan, got none")
    need_display()
    window = Window(names, load, classes, mode)
    window.run()


def window_shapes(
    scan: Scan,
    labels: PanopticLabels | None,
    classes: ClassTable | None,
    truth: PanopticLabels | None,
    mode: str,
) -> list[Any]:
    """What a window shows: coloured points, lines (rings, outlines) and names over the objects.

    Returns:
        An open3d PointCloud, a LineSet, and a TriangleMesh of the names where there are any.

    Raises:
        InputError: as `color_points`.
    """
    open3d = need("open3d", "open3d", "a window")
    colors = color_points(scan, labels, classes, truth, mode).colors
    points = open3d.geometry.PointCloud(open3d.utility.Vector3dVector(scan.points.astype(float)))
    points.colors = open3d.utility.Vector3dVector(colors / 255.0)
    ground = float(np.percentile(scan.points[:, 2], 5)) if scan.num_points else 0.0
    lines = _Lines()
    for radius in RING_M * np.arange(1, NUM_RINGS + 1):
        angle = np.linspace(0, 2 * np.pi, 129)
        ring = np.column_stack([np.cos(angle), np.sin(angle)]) * radius
        lines.add(np.column_stack([ring, np.full(len(ring), ground)]), EDGE)
    arrow = [(1.6, 0, 0), (-1.1, 0.9, 0), (-0.6, 0, 0), (-1.1, -0.9, 0), (1.6, 0, 0)]
    lines.add(np.array(arrow), INK)
    names = open3d.geometry.TriangleMesh()
    if labels is not None and classes is not None and mode in ("panoptic", "instance"):
        for row in instance_rows(scan, labels, classes):
            _add_object(row, classes.names[row["class"]], mode, lines, names)
    shapes = [points, lines.shape()]
    return [*shapes, names] if len(names.triangles) else shapes


def _add_object(row: dict[str, Any], kind: str, mode: str, lines: _Lines, names: Any) -> None:
    """The prism around an object, and its class and id over it."""
    color = row["hue" if mode == "instance" else "shade"]
    if max(row["size"]) <= MAX_OUTLINE_M and len(row["hull"]) > 2:
        hull = np.array([*row["hull"], row["hull"][0]])
        for z in (row["low"], row["high"]):
            lines.add(np.column_stack([hull, np.full(len(hull), z)]), color)
        for x, y in row["hull"]:
            lines.add(np.array([(x, y, row["low"]), (x, y, row["high"])]), color)
    open3d = need("open3d", "open3d", "a window")
    text = open3d.t.geometry.TriangleMesh.create_text(
        f"{kind.replace('_', ' ')} {row['id']}", depth=0.0
    ).to_legacy()
    low, high = text.get_min_bound(), text.get_max_bound()
    text.scale(NAME_M / max(float(high[1] - low[1]), 1e-6), np.zeros(3))
    text.rotate(LEANING, np.zeros(3))
    low, high = text.get_min_bound(), text.get_max_bound()
    foot = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    text.translate(np.array([*row["center"][:2], row["high"] + 0.3]) - foot)
    text.paint_uniform_color(0.3 * np.array(color) / 255 + 0.7)
    names += text


class _Lines:
    """Line strips gathered into one LineSet."""

    def __init__(self) -> None:
        self._points: list[Any] = []
        self._segments: list[Any] = []
        self._colors: list[Any] = []
        self._count = 0

    def add(self, strip: Any, color: Sequence[int]) -> None:
        """Connect (K, 3) places in order."""
        start = np.arange(self._count, self._count + len(strip) - 1)
        self._points.append(strip)
        self._segments.append(np.column_stack([start, start + 1]))
        self._colors.append(np.tile(np.array(color) / 255, (len(start), 1)))
        self._count += len(strip)

    def shape(self) -> Any:
        """The lines as an open3d LineSet."""
        open3d = need("open3d", "open3d", "a window")
        lines = open3d.geometry.LineSet()
        lines.points = open3d.utility.Vector3dVector(np.concatenate(self._points))
        lines.lines = open3d.utility.Vector2iVector(np.concatenate(self._segments))
        lines.colors = open3d.utility.Vector3dVector(np.concatenate(self._colors))
        return lines


class Window:
    """An open window; `run` shows it until it is closed."""

    def __init__(
        self,
        names: Sequence[str],
        load: Callable[[int], Frame],
        classes: ClassTable | None,
        mode: str,
    ) -> None:
        open3d = need("open3d", "open3d", "a window")
        self._names, self._load, self._classes = names, load, classes
        self._index, self._frame = 0, load(0)
        self._mode = mode if self._frame[1] is not None or mode == "intensity" else "height"
        shapes = window_shapes(*self._arguments())
        self.view = open3d.visualization.VisualizerWithKeyCallback()
        if not self.view.create_window(f"lidarpan: {names[0]}", *SIZE_PX):
            raise InputError(f"no window: OpenGL does not start on this display: {INSTEAD}")
        options = self.view.get_render_option()
        options.background_color = np.array(BACKGROUND) / 255
        options.point_size = 2.0
        options.light_on = False
        options.mesh_show_back_face = True
        self._show(shapes, is_first=True)
        self._look(from_above=False)
        for key, action in {
            "N": lambda: self._go(1),
            "B": lambda: self._go(-1),
            "M": self._next_mode,
            "T": lambda: self._look(from_above=True),
            "R": lambda: self._look(from_above=False),
        }.items():
            self.view.register_key_callback(ord(key), _callback(action))

    def run(self) -> None:
        """Show the window until it is closed."""
        self.view.run()
        self.view.destroy_window()

    def _arguments(self) -> tuple[Any, ...]:
        scan, labels, truth = self._frame
        return scan, labels, self._classes, truth, self._mode

    def _show(self, shapes: list[Any], is_first: bool = False) -> None:
        if not is_first:
            self.view.clear_geometries()
        for shape in shapes:
            self.view.add_geometry(shape, reset_bounding_box=is_first)

    def _look(self, from_above: bool) -> None:
        control = self.view.get_view_control()
        control.set_lookat([0.0, 0.0, 0.0] if from_above else [7.0, 0.0, -1.0])
        control.set_front([0.0, 0.0, 1.0] if from_above else [-0.81, 0.0, 0.58])
        control.set_up([1.0, 0.0, 0.0] if from_above else [0.0, 0.0, 1.0])
        control.set_zoom(0.35 if from_above else 0.16)

    def _go(self, step: int) -> None:
        wanted = self._index + step
        if 0 <= wanted < len(self._names):
            self._index, self._frame = wanted, self._load(wanted)
            _LOG.info("%s (%d of %d)", self._names[wanted], wanted + 1, len(self._names))
            self._show(window_shapes(*self._arguments()))

    def _next_mode(self) -> None:
        _, labels, truth = self._frame
        modes = ["height", "intensity"]
        if labels is not None and self._classes is not None:
            modes = ["panoptic", "semantic", "instance", *modes, *(["error"] if truth else [])]
        place = modes.index(self._mode) if self._mode in modes else -1
        self._mode = modes[(place + 1) % len(modes)]
        _LOG.info("colours: %s", self._mode)
        self._show(window_shapes(*self._arguments()))


def _callback(action: Callable[[], None]) -> Callable[[Any], bool]:
    """What open3d calls on a key: the visualizer in, whether to draw anew out."""

    def run(view: Any) -> bool:
        action()
        return True

    return run
