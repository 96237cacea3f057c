"""Pictures: every mode draws, places and colours are right, files are whole or absent."""

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.draw import draw_panoptic, draw_range_view, save_png
from lidarpan.draw.colors import (
    ERROR_COLORS,
    MODES,
    VOID_COLOR,
    PointColors,
    instance_shades,
)
from lidarpan.draw.outlines import convex_hull
from lidarpan.draw.panels import BevView
from lidarpan.draw.raster_kernel import shade_pixels, splat_points, stroke_circles, stroke_outlines
from lidarpan.draw.surface_kernel import close_columns, join_rings, polar_to_square
from lidarpan.draw.text import LabelPlacer, _merged_entries, nice_step
from lidarpan.metrics.errors import KINDS, POINT_KINDS, point_errors
from lidarpan.structures import InputError, PanopticLabels, Scan

CLASSES = load_class_table("semantickitti")
CAR, ROAD, BUILDING = (CLASSES.id_of(name) for name in ("car", "road", "building"))


def scan_of(points):
    points = np.asarray(points, np.float32).reshape(-1, 3)
    return Scan(points, np.linspace(0, 1, len(points), dtype=np.float32))


def patch(x, y, z):
    return [[x + i * 0.1, y + j * 0.1, z] for i in range(-2, 3) for j in range(-2, 3)]


def labels_of(semantic, instance=None):
    semantic = np.asarray(semantic, np.uint8)
    instance = np.zeros(len(semantic)) if instance is None else instance
    return PanopticLabels(semantic, np.asarray(instance, np.int32))


@pytest.fixture
def street():
    rng = np.random.default_rng(0)
    road = np.c_[rng.uniform(-45, 45, 3000), rng.uniform(-4, 4, 3000), np.full(3000, -1.7)]
    cars = [
        np.c_[rng.uniform(x, x + 4, 80), rng.uniform(y, y + 1.8, 80), rng.uniform(-1.6, 0, 80)]
        for x, y in ((8, 1), (8, -6), (-20, 2))
    ]
    wall = np.c_[rng.uniform(-40, 40, 900), np.full(900, 12.0), rng.uniform(-1.7, 4, 900)]
    scan = scan_of(np.concatenate([road, *cars, wall]))
    instance = np.repeat([0, 1, 2, 3, 0], [3000, 80, 80, 80, 900])
    return scan, labels_of(np.repeat([ROAD, CAR, BUILDING], [3000, 240, 900]), instance)


def colors_of(image):
    return {tuple(rgb) for rgb in np.asarray(image).reshape(-1, 3).tolist()}


@pytest.mark.parametrize("size_px", [64, 333, 600])
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_draws_at_every_size(street, mode, size_px):
    scan, labels = street
    image = draw_panoptic(scan, labels, CLASSES, truth=labels, mode=mode, size_px=size_px)
    panels = 1 if mode in ("error", "height", "intensity") else 2
    assert image.mode == "RGB"
    assert panels * size_px <= image.width <= panels * size_px + 10
    assert image.height > size_px


def test_same_input_same_bytes(street, tmp_path):
    for name in ("a.png", "b.png"):
        save_png(draw_panoptic(*street, CLASSES, size_px=200), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_forward_is_up_and_left_is_left():
    scan = scan_of(patch(20, 10, 0))
    image = draw_panoptic(scan, labels_of([BUILDING] * 25), CLASSES, mode="semantic", size_px=500)
    yellow = np.argwhere((np.asarray(image)[:500] == CLASSES.colors[BUILDING]).all(axis=2))
    row, column = yellow.mean(axis=0)
    assert row == pytest.approx(150, abs=2)
    assert column == pytest.approx(200, abs=2)


def test_stuff_has_the_datasets_colours_and_objects_their_own(street):
    scan, labels = street
    colors = colors_of(draw_panoptic(scan, labels, CLASSES, size_px=600))
    assert tuple(CLASSES.colors[ROAD]) in colors
    assert tuple(CLASSES.colors[BUILDING]) in colors
    base = np.repeat(CLASSES.colors[CAR][None], 3, axis=0)
    shades = instance_shades(np.array([1, 2, 3], np.int32), base)
    assert len(np.unique(shades, axis=0)) == 3
    assert {tuple(shade) for shade in shades.tolist()} <= colors


def test_a_shade_depends_on_the_id_alone():
    base = np.repeat(CLASSES.colors[CAR][None], 2, axis=0)
    both = instance_shades(np.array([7, 9], np.int32), base)
    assert (both[1:] == instance_shades(np.array([9], np.int32), base[:1])).all()


def test_objects_lie_over_what_is_higher():
    scan = scan_of(np.concatenate([patch(15, 0, -1), patch(15, 0, 3)]))
    labels = labels_of([CAR] * 25 + [BUILDING] * 25)
    image = np.asarray(draw_panoptic(scan, labels, CLASSES, mode="semantic", size_px=500))
    assert tuple(image[175, 250]) == tuple(CLASSES.colors[CAR])


def test_ground_is_closed_between_rings_but_not_behind_walls():
    angle = np.linspace(-np.pi, np.pi, 1800, endpoint=False)
    rings = [np.c_[r * np.cos(angle), r * np.sin(angle), np.full(1800, -1.7)] for r in (18, 22)]
    wall = np.c_[20 * np.cos(angle), 20 * np.sin(angle), np.full(1800, 1.0)][:900]
    labels = labels_of(np.repeat([ROAD, BUILDING], [3600, 900]))
    scan = scan_of(np.concatenate([*rings, wall]))
    image = np.asarray(draw_panoptic(scan, labels, CLASSES, mode="semantic", size_px=500))
    road = CLASSES.colors[ROAD].astype(float)
    between_left, between_right = image[250, 250 - 105], image[250, 250 + 105]
    assert between_left[0] == pytest.approx(0.4 * road[0] + 0.6 * 17, abs=12)
    assert between_right[0] < 30


def test_error_kinds_name_each_mistake():
    cases = {
        "right": ((ROAD, 0), (ROAD, 0)),
        "ignored": ((CAR, 9), (0, 0)),
        "missed": ((ROAD, 0), (CAR, 1)),
        "invented": ((CAR, 8), (ROAD, 0)),
        "wrong class": ((BUILDING, 0), (ROAD, 0)),
    }
    own = labels_of([o[0] for o, _ in cases.values()], [o[1] for o, _ in cases.values()])
    true = labels_of([t[0] for _, t in cases.values()], [t[1] for _, t in cases.values()])
    assert [POINT_KINDS[k] for k in point_errors(own, true, CLASSES)] == list(cases)


def test_merged_and_split_objects():
    true = labels_of([CAR] * 12, [1] * 5 + [2] * 3 + [3] * 4)
    own = labels_of([CAR] * 12, [7] * 8 + [8] * 3 + [9])
    names = [POINT_KINDS[k] for k in point_errors(own, true, CLASSES)]
    assert names == ["right"] * 5 + ["merged"] * 3 + ["right"] * 3 + ["split"]


def test_renaming_instances_changes_no_error(street):
    _, labels = street
    renamed = labels_of(labels.semantic, np.array([0, 50, 4, 11])[labels.instance])
    kinds = point_errors(renamed, labels, CLASSES)
    assert (kinds == POINT_KINDS.index("right")).all()
    assert set(ERROR_COLORS) == set(POINT_KINDS) == {"ignored", "right", *KINDS} - {"bad boundary"}


def test_range_view_faces_forward():
    scan = scan_of([[10, 0, 0], [0, 10, 0], [0, -10, 0]])
    labels = labels_of([BUILDING, ROAD, CAR])
    image = np.asarray(draw_range_view(scan, labels, CLASSES, mode="semantic", size_px=400))
    for train_id, share in ((BUILDING, 0.5), (ROAD, 0.25), (CAR, 0.75)):
        found = np.argwhere((image[:20] == CLASSES.colors[train_id]).all(axis=2))
        assert np.median(found[:, 1]) == pytest.approx(400 * share, abs=4)


def test_empty_scan_draws():
    empty = scan_of(np.zeros((0, 3)))
    for mode in MODES:
        truth = labels_of([])
        image = draw_panoptic(empty, labels_of([]), CLASSES, truth=truth, mode=mode, size_px=100)
        panels = 1 if mode in ("height", "intensity", "error") else 2
        assert image.width >= 100 * panels
    assert draw_range_view(empty, labels_of([]), CLASSES, size_px=100).width == 100


def test_void_is_grey():
    scan = scan_of([[10, 10, 0]] * 3)
    assert VOID_COLOR in colors_of(draw_panoptic(scan, labels_of([0] * 3), CLASSES, size_px=200))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "panoptics"}, "no drawing mode 'panoptics'.*panoptic, semantic"),
        ({"mode": "error"}, "needs the truth"),
        ({"labels": None}, "needs labels.*height or intensity"),
        ({"labels": labels_of([1, 2])}, "got 2 labels for 4140 points"),
        ({"size_px": 10}, "64 to 8192 pixels, got 10"),
        ({"range_m": 0.0}, "above 0 m, got 0"),
        ({"truth": labels_of([1, 2]), "mode": "error"}, "same scan, got 4140 and 2"),
    ],
)
def test_bad_input_is_explained(street, arguments, message):
    scan, labels = street
    given = {"labels": labels, "classes": CLASSES, **arguments}
    with pytest.raises(InputError, match=message):
        draw_panoptic(scan, **given)


def test_png_is_whole_or_absent(street, tmp_path):
    from PIL import Image

    image = draw_panoptic(*street, CLASSES, size_px=100)
    save_png(image, tmp_path / "map.png")
    assert (np.asarray(Image.open(tmp_path / "map.png")) == np.asarray(image)).all()
    save_png(image, tmp_path / "new" / "map.png")
    assert (tmp_path / "new" / "map.png").is_file()
    (tmp_path / "taken").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        save_png(image, tmp_path / "taken")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.png", "new", "taken"]


def test_splat_equals_the_obvious_loop():
    rng = np.random.default_rng(1)
    n, rows, columns = 40, 17, 23
    u, v = rng.uniform(-3, 26, n).astype(np.float32), rng.uniform(-3, 20, n).astype(np.float32)
    z, a = rng.integers(0, 5, n).astype(np.float32), rng.uniform(0.4, 4, n).astype(np.float32)
    b = rng.uniform(0.4, 3, n).astype(np.float32)
    for is_round in (True, False):
        expected = np.full((rows, columns), -1)
        for r in range(rows):
            for c in range(columns):
                dx, dy = (c + 0.5 - u) / a, (r + 0.5 - v) / b
                near = dx**2 + dy**2 <= 1 if is_round else (abs(dx) <= 1) & (abs(dy) <= 1)
                near |= (np.floor(u) == c) & (np.floor(v) == r)
                if near.any():
                    expected[r, c] = min(np.flatnonzero(near), key=lambda i: (-z[i], i))
        assert (splat_points(u, v, z, a, b, rows, columns, is_round) == expected).all()


def test_shading_takes_the_mean_and_fills_with_the_surface():
    owner = np.array([[0, -1, -1, -1], [0, 1, -1, -1]], np.int32)
    colors = np.array([[200, 0, 0], [0, 100, 0]], np.uint8)
    under = np.array([[-1, 1]], np.int32)
    image = shade_pixels(owner, colors, under, colors // 2, np.array([8, 8, 8], np.uint8), 2)
    assert image.tolist() == [[[102, 27, 2], [0, 50, 0]]]


def test_strokes_leave_the_picture_alone_and_hit_the_line():
    image = np.zeros((40, 30, 3), np.uint8)
    square = np.array([[5, 5, 25, 5], [25, 5, 25, 35], [25, 35, 5, 35], [5, 35, 5, 5]], np.float32)
    white = np.full((1, 3), 255, np.uint8)
    half = np.array([0.5], np.float32)
    first = np.array([0, 4], np.int32)
    out = stroke_outlines(image, square, first, white, 2.0, white, half)
    assert not image.any()
    assert (out[[4, 5, 20, 20], [15, 15, 4, 25]] == 255).all()
    assert (out[10:30, 10:20] == 128).all()
    assert not out[:3].any()
    ring = stroke_circles(image, (15.0, 20.0), np.array([8], np.float32), 2.0, white[0], 1.0)
    r, c = np.indices((40, 30)) + 0.5
    distance = abs(np.hypot(c - 15, r - 20) - 8)
    assert (ring[distance < 0.5] == 255).all()
    assert not ring[distance > 1.5].any()


def test_rings_join_only_like_ground():
    range_m = np.array([10, 12, 14, 16, 40], np.float32)
    column = np.zeros(5, np.int32)
    group = np.array([3, 3, 5, 3, 3], np.int32)
    order = np.arange(5, dtype=np.int32)
    height = np.zeros(5, np.float32)
    grid = join_rings(order, column, range_m, height, group, (4, 100), 0.5, (2.5, 0, 9.0), 0.2)
    assert grid[0, 20:25].tolist() == [0, 0, 1, 1, 1]
    assert (grid >= 0).sum() == 5
    steep = np.array([0, 2, 0, 0, 0], np.float32)
    grid = join_rings(order, column, range_m, steep, group, (4, 100), 0.5, (2.5, 0, 9.0), 0.2)
    assert (grid < 0).all()


def test_narrow_gaps_between_columns_close():
    grid = np.full((8, 2), -1, np.int32)
    grid[[1, 4], 0] = [0, 1]
    grid[[1, 3], 1] = [0, 2]
    closed = close_columns(grid, np.array([7, 7, 8], np.int32), 2)
    assert closed[:, 0].tolist() == [-1, 0, 0, 1, 1, -1, -1, -1]
    assert closed[:, 1].tolist() == [-1, 0, -1, 2, -1, -1, -1, -1]


def test_polar_look_up_agrees_with_the_view():
    grid = np.arange(360 * 20, dtype=np.int32).reshape(360, 20)
    square = polar_to_square(grid, 0.5, 40, 0.5)
    view = BevView(64, 10.0)
    pixel = view.to_pixels(np.array([[9.9, 0, 0]], np.float32))[0]
    assert pixel == pytest.approx([32, 0.32], abs=1e-4)
    azimuth, step = divmod(int(square[5, 10]), 20)
    x, y = (20 - 5.5) * 0.5, (20 - 10.5) * 0.5
    assert azimuth == int(np.degrees(np.arctan2(y, x)))
    assert step == int(np.hypot(x, y) / 0.5)
    assert square[0, 0] == -1


def test_hull_holds_all_points():
    rng = np.random.default_rng(3)
    for count in (1, 2, 3, 50):
        points = rng.integers(0, 9, (count, 2)).astype(np.float32)
        hull = convex_hull(points)
        assert {tuple(p) for p in hull.tolist()} <= {tuple(p) for p in points.tolist()}
        if len(hull) < 3:
            continue
        edge = np.roll(hull, -1, axis=0) - hull
        side = points[:, None] - hull
        assert (edge[:, 0] * side[..., 1] - edge[:, 1] * side[..., 0] >= 0).all()


def test_labels_never_overlap():
    from PIL import Image, ImageDraw

    placer = LabelPlacer(ImageDraw.Draw(Image.new("RGB", (300, 300))), (0, 0, 300, 300), 12, [])
    rng = np.random.default_rng(4)
    placed = 0
    for x, y in rng.uniform(0, 300, (200, 2)):
        placed += placer.place("car 12", (x, y, x + 20, y + 10))
    boxes = placer.taken
    assert placed == len(boxes) > 10
    for i, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0
        assert top >= 0
        assert right <= 300
        assert bottom <= 300
        for other in boxes[:i]:
            assert left > other[2] or right < other[0] or top > other[3] or bottom < other[1]


@pytest.mark.parametrize(("length", "step"), [(14.3, 10), (20, 20), (0.7, 0.5), (4.9, 2), (5, 5)])
def test_nice_step(length, step):
    assert nice_step(length) == pytest.approx(step)


@pytest.mark.data
def test_real_scan_draws(real_data):
    folder = real_data / "semantickitti" / "sequences" / "00"
    rows = np.fromfile(folder / "velodyne" / "000000.bin", np.float32).reshape(-1, 4)
    packed = np.fromfile(folder / "labels" / "000000.label", np.uint32)
    semantic = CLASSES.to_train((packed & 0xFFFF).astype(np.int64))
    instance = np.where(CLASSES.is_thing[semantic], packed >> 16, 0).astype(np.int32)
    scan = Scan(rows[:, :3].copy(), rows[:, 3].copy())
    image = draw_panoptic(scan, PanopticLabels(semantic, instance), CLASSES, size_px=600)
    assert tuple(CLASSES.colors[ROAD]) in colors_of(image)


def test_legend_of_two_panels_lists_classes_in_their_order():
    table = [((k, k, k), name) for k, name in enumerate(("car", "bus", "road", "wall", "void"))]
    order = [color for color, _ in table]

    def panel(*chosen):
        none = np.zeros(0, np.int32)
        entries = [(table[k][0], f"{table[k][1]} ({k + 3})") for k in chosen]
        return PointColors(np.zeros((0, 3), np.uint8), none > 0, none, entries)

    assert _merged_entries([panel(0, 2, 4), panel(0, 1, 3)], order) == table
    assert _merged_entries([panel(1)], order) == [(table[1][0], "bus (4)")]
