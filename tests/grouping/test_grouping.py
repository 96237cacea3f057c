"""Grouping: every method against an obvious twin, and the properties all of them keep."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist

from lidarpan.classes import load_class_table
from lidarpan.grouping import METHODS, group_points
from lidarpan.structures import InputError
from lidarpan.voxels.grid import Grid

KITTI = load_class_table("semantickitti")
CAR, PERSON, TRUCK = (KITTI.id_of(name) for name in ("car", "person", "truck"))
ROAD, BUILDING = KITTI.id_of("road"), KITTI.id_of("building")
WITHOUT_OFFSETS = ("auto", "graph", "graph-split", "grid", "dbscan", "mean-shift")


def group(points, semantic, method="auto", **kwargs):
    points = np.asarray(points, np.float32).reshape(-1, 3)
    if method in ("center-offset", "pseudo-heatmap"):
        kwargs.setdefault("offsets", np.zeros((len(points), 2), np.float32))
    if method == "center-offset":
        kwargs.setdefault("heatmap", np.ones((8, 6), np.float32))
        kwargs.setdefault("grid", Grid((-40, -30, -3), (40, 30, 3), (10, 10, 1)))
    return group_points(points, np.asarray(semantic, np.uint8), KITTI, method, **kwargs)


def partition(ids):
    """Which points are together, whatever their numbers: index of the first point of each set."""
    first = {}
    return [first.setdefault(k, i) if k else -1 for i, k in enumerate(ids.tolist())]


def car(x, y, yaw=0.0, n=300, seed=0):
    """Points on two sides of a car, as a sensor sees it."""
    rng = np.random.default_rng(seed)
    t, long_side = rng.uniform(-0.5, 0.5, n), rng.random(n) < 0.7
    xy = np.where(
        long_side[:, None],
        np.stack([4.2 * t, np.full(n, -0.85)], 1),
        np.stack([np.full(n, -2.1), 1.7 * t], 1),
    )
    c, s = np.cos(yaw), np.sin(yaw)
    xy = xy @ np.array([[c, s], [-s, c]]) + (x, y)
    return np.column_stack([xy, rng.uniform(-1.6, -0.2, n)]).astype(np.float32)


def street(seed=0):
    """Cars 0.6 m apart, two people, a truck: points, semantics and true objects."""
    rng = np.random.default_rng(seed)
    parts = [car(8 + 2.3 * k, 6.0, np.pi / 2, seed=k) for k in range(4)]
    parts += [car(-12 + 5.0 * k, -5.0, 0.0, seed=9 + k) for k in range(3)]
    parts += [rng.normal((5.0, y, -0.9), (0.12, 0.12, 0.4), (80, 3)) for y in (-8.0, -9.1)]
    truck = car(-15.0, 9.0, 0.3, 500, seed=20)
    parts.append((truck - truck.mean(0)) * (1.8, 1.4, 1.5) + truck.mean(0))
    semantic = [*[CAR] * 7, PERSON, PERSON, TRUCK]
    sizes = [len(part) for part in parts]
    points = np.concatenate(parts).astype(np.float32)
    return points, np.repeat(semantic, sizes).astype(np.uint8), np.repeat(np.arange(10), sizes)


# ---- against obvious twins


def twin_graph(points, semantic, radius):
    """Components of the full distance matrix."""
    xy = points[:, :2].astype(np.float64)
    linked = (cdist(xy, xy) < radius[semantic]) & (semantic[:, None] == semantic)
    linked &= KITTI.is_thing[semantic]
    np.fill_diagonal(linked, True)
    ids = connected_components(linked)[1] + 1
    return np.where(KITTI.is_thing[semantic], ids, 0)


def random_scene(seed, n, spread):
    rng = np.random.default_rng(seed)
    points = rng.normal(0, spread, (n, 3)).astype(np.float32)
    return points, rng.choice([0, CAR, PERSON, TRUCK, ROAD], n).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 150), st.sampled_from([0.3, 3.0, 12.0]))
def test_graph_links_all_points_nearer_than_the_short_side(seed, n, spread):
    points, semantic = random_scene(seed, n, spread)
    width = np.zeros(KITTI.num_classes)
    for c in KITTI.things:
        width[c] = KITTI.box_m[c][1]
    expected = twin_graph(points, semantic, width)
    assert partition(group(points, semantic, "graph")) == partition(expected)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 120), st.sampled_from([1, 2, 4]))
def test_dbscan_equals_scikit_learn_on_core_points_and_noise(seed, n, least):
    from sklearn.cluster import DBSCAN

    points, semantic = random_scene(seed, n, 1.5)
    ids = group(points, semantic, "dbscan", eps_m=0.5, min_points=least)
    for c in (CAR, PERSON, TRUCK):
        of_class = semantic == c
        if of_class.any():
            model = DBSCAN(eps=0.5, min_samples=least).fit(points[of_class, :2].astype(float))
            core = model.core_sample_indices_
            assert partition(ids[of_class][core]) == partition(model.labels_[core] + 1)
            assert ((ids[of_class] == 0) == (model.labels_ < 0)).all()
    assert (ids[~KITTI.is_thing[semantic]] == 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 120))
def test_grid_joins_touching_cells(seed, n):
    points, semantic = random_scene(seed, n, 1.5)
    cells = np.floor(points[:, :2] / 0.3)
    touching = (np.abs(cells[:, None] - cells).max(axis=2) <= 1) & (semantic[:, None] == semantic)
    expected = connected_components(touching)[1] + 1
    expected[~KITTI.is_thing[semantic]] = 0
    ids = group(points, semantic, "grid", cell_m=0.3)
    assert partition(ids) == partition(expected)


def test_centers_take_the_points_shifted_nearest_to_them():
    grid = Grid((-10, -5, -3), (10, 5, 3), (0.5, 0.5, 1))
    heatmap = np.zeros((40, 20), np.float32)
    heatmap[10, 4], heatmap[10, 5], heatmap[30, 15], heatmap[0, 0] = 0.9, 0.7, 0.8, 0.05
    first, second = grid.center_of(np.array([[10, 4, 0], [30, 15, 0]], np.int32))[:, :2]
    points = np.array([[-6, -4, 0], [-4, -2, 0], [6, 3, 0], [-9.8, -4.8, 0], [6, 3, 0]], np.float32)
    offsets = np.array([first, first, second, [-9.8, -4.8], second]) - points[:, :2]
    semantic = [CAR, CAR, CAR, PERSON, ROAD]
    ids = group(
        points,
        semantic,
        "center-offset",
        offsets=offsets.astype(np.float32),
        heatmap=heatmap,
        grid=grid,
    )
    # the weaker neighbour and the peak below the threshold are no centers; the person is too far
    assert ids.tolist() == [1, 1, 2, 0, 0]


@pytest.mark.parametrize("method", ["pseudo-heatmap", "mean-shift"])
def test_true_offsets_make_shifted_methods_perfect(method):
    points, semantic, truth = street()
    centers = np.stack([points[truth == k, :2].mean(0) for k in range(10)])
    offsets = (centers[truth] - points[:, :2]).astype(np.float32)
    ids = group(points, semantic, method, offsets=offsets)
    assert partition(ids) == partition(truth + 1)


def test_graph_split_cuts_what_one_box_cannot_hold():
    points = np.concatenate([car(0, 0), car(5.2, 0, seed=1), car(10.4, 0, seed=2)])
    semantic = np.full(len(points), CAR, np.uint8)
    assert group(points, semantic, "graph").max() == 1
    assert partition(group(points, semantic, "graph-split")) == partition(np.repeat([1, 2, 3], 300))


# ---- what auto adds


def test_auto_separates_a_crowded_street():
    points, semantic, truth = street()
    assert partition(group(points, semantic)) == partition(truth + 1)


def test_auto_joins_what_an_occluder_cut():
    points = car(0, 8.0)
    points = points[np.abs(points[:, 0]) > 0.6]  # a pole hides 1.2 m of the side
    assert group(points, np.full(len(points), CAR)).max() == 1


def test_auto_unites_an_object_whose_semantics_doubt():
    points = car(0, 8.0)
    semantic = np.where(points[:, 0] > 1.2, TRUCK, CAR)
    assert (group(points, semantic) == 1).all()


@pytest.mark.parametrize(("sure", "objects"), [(0.55, 1), (0.98, 2)])
def test_auto_unites_equal_halves_only_where_the_softmax_doubts(sure, objects):
    points = car(0, 8.0)
    semantic = np.where(points[:, 0] > np.median(points[:, 0]), TRUCK, CAR)
    softmax = np.zeros((len(points), KITTI.num_classes), np.float32)
    softmax[np.arange(len(points)), semantic] = sure
    softmax[np.arange(len(points)), np.where(semantic == CAR, TRUCK, CAR)] = 1 - sure
    assert group(points, semantic, softmax=softmax).max() == objects


def test_auto_believes_the_softmax_about_the_larger_part():
    points = car(0, 8.0)
    semantic = np.where(points[:, 0] > 1.2, TRUCK, CAR)
    softmax = np.full((len(points), KITTI.num_classes), 0.01, np.float32)
    softmax[:, CAR] = 0.9
    assert (group(points, semantic, softmax=softmax) == 1).all()


def test_auto_heeds_offsets_that_agree_and_ignores_those_that_say_nothing():
    fronts = [car(2.6 * k, 8.0, np.pi / 2, 400, seed=k) for k in range(2)]
    fronts = [front[front[:, 1] < 6.4] for front in fronts]  # only the fronts of two cars are seen
    points = np.concatenate(fronts)
    truth = np.repeat([0, 1], [len(front) for front in fronts])
    semantic = np.full(len(points), CAR, np.uint8)
    assert group(points, semantic).max() == 1  # one box holds both: nothing else is known
    centers = np.array([[0, 8.0], [2.6, 8.0]])
    offsets = (centers[truth] - points[:, :2]).astype(np.float32)
    assert partition(group(points, semantic, offsets=offsets)) == partition(truth + 1)
    noise = np.random.default_rng(0).normal(0, 2, offsets.shape).astype(np.float32)
    assert group(points, semantic, offsets=noise).max() == 1


def test_auto_rejects_a_speck_in_a_wall_but_keeps_a_car_before_it():
    rng = np.random.default_rng(0)
    wall = np.column_stack([rng.uniform(-8, 8, 9000), np.full(9000, 7.0), rng.uniform(-2, 4, 9000)])
    speck = np.linalg.norm(wall - (3.0, 7.0, 0.5), axis=1) < 0.5
    parked = car(-3.0, 5.5)
    points = np.concatenate([wall, parked])
    semantic = np.append(np.where(speck, CAR, BUILDING), np.full(len(parked), CAR))
    ids = group(points, semantic)
    assert (ids[: len(wall)] == 0).all()
    assert (ids[len(wall) :] == 1).all()
    assert (group(points, semantic, reject=False)[: len(wall)][speck] > 0).all()


def test_auto_keeps_a_car_on_which_single_points_are_wrong():
    parked = car(0, 8.0)
    wrong = np.random.default_rng(0).random(len(parked)) < 0.12
    ids = group(parked, np.where(wrong, BUILDING, CAR))
    assert (ids == ~wrong).all()


# ---- never worse than nothing


@pytest.mark.parametrize("method", METHODS)
def test_ids_are_dense_numbered_by_first_point_and_never_on_stuff(method):
    points, semantic, _ = street()
    semantic = semantic.copy()
    semantic[::7], semantic[3::11] = ROAD, 0
    ids = group(points, semantic, method)
    assert ids.dtype == np.int32
    assert (ids[~KITTI.is_thing[semantic]] == 0).all()
    seen = list(dict.fromkeys(ids[ids > 0].tolist()))
    assert seen == list(range(1, len(seen) + 1))
    assert (group(points, semantic, method) == ids).all()


@pytest.mark.parametrize("method", WITHOUT_OFFSETS)
def test_order_of_points_does_not_matter(method):
    points, semantic, _ = street()
    order = np.random.default_rng(1).permutation(len(points))
    shuffled = group(points[order], semantic[order], method)
    back = np.empty_like(shuffled)
    back[order] = shuffled
    assert partition(back) == partition(group(points, semantic, method))


@pytest.mark.parametrize("method", ["auto", "graph", "graph-split", "dbscan"])
@pytest.mark.parametrize("yaw", [0.3, 1.2, np.pi / 2, 2.7])
def test_rotation_does_not_matter(method, yaw):
    points, semantic, _ = street()
    c, s = np.cos(yaw), np.sin(yaw)
    turned = points.astype(np.float64) @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
    ids = group(turned, semantic, method)
    assert partition(ids) == partition(group(points, semantic, method))


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([CAR, PERSON, TRUCK]),
    st.floats(0, 2 * np.pi),
    st.floats(0.05, 3.0),
    st.integers(0, 99),
)
def test_objects_further_apart_than_their_box_are_never_joined(c, angle, extra, seed):
    rng = np.random.default_rng(seed)
    length, width, height = KITTI.box_m[c]
    body = rng.uniform(-0.5, 0.5, (60, 3)) * (0.5 * width, 0.5 * width, height)
    apart = 1.7 * np.hypot(length, width) + extra
    other = body + apart * np.array([np.cos(angle), np.sin(angle), 0])
    semantic = np.full(120, c, np.uint8)
    for method in ("auto", "graph-split"):
        ids = group(np.concatenate([body, other]), semantic, method)
        assert not set(ids[:60].tolist()) & set(ids[60:].tolist())


@pytest.mark.parametrize("method", METHODS)
def test_empty_one_point_and_no_things(method):
    assert group(np.zeros((0, 3)), [], method).shape == (0,)
    assert group([[1.0, 2.0, 0.0]], [ROAD], method).tolist() == [0]
    reach = {"radius_scale": 99.0} if method == "center-offset" else {}
    assert group([[1.0, 2.0, 0.0]], [CAR], method, **reach).tolist() == [1]


@pytest.mark.parametrize("method", WITHOUT_OFFSETS)
def test_a_hundred_thousand_equal_points_are_one_object(method):
    points = np.full((100_000, 3), 3.0, np.float32)
    semantic = np.full(100_000, CAR, np.uint8)
    assert (group(points, semantic, method) == 1).all()


def test_two_heaps_of_equal_points_just_out_of_reach_stay_two():
    points = np.zeros((100_000, 3), np.float32)
    points[50_000:, 0] = 1.8001
    semantic = np.full(100_000, CAR, np.uint8)
    assert group(points, semantic, "graph").max() == 2


# ---- bad input


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_points_are_refused(value):
    points, semantic, _ = street()
    points[5, 1] = value
    with pytest.raises(InputError, match="points must be finite, got 1"):
        group(points, semantic)


def test_unknown_method_and_parameter_are_named():
    points, semantic, _ = street()
    with pytest.raises(InputError, match=r"'kmeans': wanted one of auto, center-offset"):
        group(points, semantic, "kmeans")
    with pytest.raises(InputError, match=r"'grid' has no parameter 'radius_m'"):
        group(points, semantic, "grid", radius_m=1.0)
    with pytest.raises(InputError, match="positive metres, got -1"):
        group(points, semantic, "grid", cell_m=-1)


def test_missing_inputs_are_named():
    points, semantic, _ = street()
    with pytest.raises(InputError, match="'pseudo-heatmap' needs offsets"):
        group_points(points, semantic, KITTI, "pseudo-heatmap")
    with pytest.raises(InputError, match="needs offsets, heatmap, grid"):
        group_points(points, semantic, KITTI, "center-offset")
    with pytest.raises(InputError, match="a heatmap needs the grid"):
        group(points, semantic, heatmap=np.zeros((3, 3), np.float32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"points": np.zeros((4, 2), np.float32)},
            r"points must be \(N, 3\) float32, got \(4, 2\)",
        ),
        ({"points": np.zeros((4, 3), np.int32)}, r"points must be \(4, 3\) float32"),
        ({"points": np.full((4, 3), 1e6, np.float32)}, "wanted metres"),
        ({"semantic": np.zeros(3, np.uint8)}, r"semantic must be \(4,\) uint8, got \(3,\)"),
        ({"semantic": np.zeros(4, np.int64)}, "semantic must be"),
        ({"semantic": np.full(4, 40, np.uint8)}, "train id 40, semantickitti has 0..19"),
        ({"offsets": np.zeros((4, 3), np.float32)}, r"offsets must be \(4, 2\)"),
        ({"offsets": np.full((4, 2), np.nan, np.float32)}, "offsets must be finite"),
        ({"softmax": np.zeros((4, 3), np.float32)}, r"softmax must be \(4, 20\)"),
    ],
)
def test_wrong_shapes_types_and_values_are_refused(change, message):
    inputs = {
        "points": np.zeros((4, 3), np.float32),
        "semantic": np.full(4, CAR, np.uint8),
        "classes": KITTI,
    }
    with pytest.raises(InputError, match=message):
        group_points(**{**inputs, **change})


# ---- real scans


@pytest.mark.data
@pytest.mark.parametrize(("dataset", "least"), [("semantickitti", 0.985), ("pandaset", 0.99)])
def test_cars_of_real_scans_are_found_with_true_semantics(real_data, dataset, least):
    sequence = next((real_data / dataset / "sequences").iterdir())
    scans = sorted((sequence / "velodyne").glob("*.bin"))[:6:2]
    if not scans:
        pytest.skip(f"no scans in {sequence}")
    iou_sum = errors = found = 0.0
    for path in scans:
        points = np.fromfile(path, np.float32).reshape(-1, 4)[:, :3]
        packed = np.fromfile(sequence / "labels" / f"{path.stem}.label", np.uint32)
        semantic = KITTI.to_train((packed & 0xFFFF).astype(np.int64))
        ids = group_points(points, semantic, KITTI)
        is_car = semantic == CAR
        true_ids, true_sizes = np.unique(packed[is_car] >> 16, return_counts=True)
        matched = set()
        for k, size in zip(true_ids, true_sizes, strict=True):
            inside = is_car & (packed >> 16 == k)
            best = np.bincount(ids[inside]).argmax()
            shared = (ids[inside] == best).sum()
            iou = shared / (size + (ids == best).sum() - shared)
            if iou > 0.5:
                iou_sum, found = iou_sum + iou, found + 1
                matched.add(best)
            else:
                errors += size >= KITTI.min_points
        mine, sizes = np.unique(ids[is_car], return_counts=True)
        errors += sum(
            s >= KITTI.min_points for k, s in zip(mine, sizes, strict=True) if k not in matched
        )
    assert iou_sum / (found + 0.5 * errors) >= least


def test_a_boom_that_is_seen_apart_belongs_to_its_machine():
    """Only classes with `longest_m` bridge such a gap; side by side, machines stay two."""
    classes = load_class_table("nuscenes")
    machine = classes.id_of("construction_vehicle")
    rng = np.random.default_rng(0)
    body = rng.uniform([0, -1.2, -1], [5, 1.2, 1.5], (200, 3))
    bucket = rng.uniform([9.0, -0.4, -1.5], [10.2, 0.4, -0.5], (30, 3))
    points = np.concatenate([body, bucket]).astype(np.float32)
    semantic = np.full(len(points), machine, np.uint8)
    assert (group_points(points, semantic, classes) == 1).all()
    without = replace(classes, longest_m={})
    assert group_points(points, semantic, without).max() == 2
    both = np.concatenate([points, points + np.float32([0, 6, 0])])
    ids = group_points(both, np.full(len(both), machine, np.uint8), classes)
    assert ids[: len(points)].max() == 1
    assert ids[len(points) :].min() == 2


def test_held_out_machines_stay_whole():
    """Machines that no town has, a slab of each hidden: benchmarks/machines.py tells of 200."""
    pytest.importorskip("sklearn")  # the peers of the benchmark
    from machines import auto, score

    whole, apart = score(auto, range(9000, 9040))
    assert whole >= 0.95
    assert apart >= 0.7
