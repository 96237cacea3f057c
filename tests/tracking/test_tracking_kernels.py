"""Kernels of the tracker beside their slow, obvious twins."""

import numpy as np
import pytest

from lidarpan.classes import load_class_table
from lidarpan.grouping.boxes import axis_of, fit_boxes, wrapped
from lidarpan.grouping.surfaces import CELL_M, SURFACE_CELLS
from lidarpan.structures import PanopticLabels
from lidarpan.tracking.association import MOVE_NOISE_M, MOVING, SIZE_WEIGHT, pair_costs
from lidarpan.tracking.filtering import filter_moves
from lidarpan.tracking.naming import rename_points, sum_rows, unnamed_points
from lidarpan.tracking.objects import observe
from lidarpan.tracking.registration import register, unexplained
from lidarpan.tracking.shapes import fit_one_box, near_pairs, nearest_surface, renew_shapes


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def padded(xy):
    surface = np.zeros((2, SURFACE_CELLS))
    surface[:, : len(xy)] = xy.T
    return surface


def l_shape(rng, yaw=0.4, at=(30.0, -7.0), count=40):
    """Two visible sides of a car of 4.4 x 1.8 m."""
    along = rng.uniform(0, 4.4, count // 2)
    across = rng.uniform(0, 1.8, count - count // 2)
    xy = np.concatenate(
        [np.column_stack([along, 0 * along]), np.column_stack([0 * across, across])]
    )
    c, s = np.cos(yaw), np.sin(yaw)
    return xy @ np.array([[c, s], [-s, c]]) + at


def scene(rng):
    points = rng.uniform([-20, -35, -2], [50, 10, 2], (4000, 3)).astype(np.float32)
    instance = rng.choice([0, 3, 4, 9, 12], 4000).astype(np.int32)
    for k in (3, 4, 9):
        points[instance == k] = points[instance == k] * 0.05 + np.float32([k, -2 * k, 0])
    semantic = np.where(instance > 0, 1, 9).astype(np.uint8)
    semantic[instance == 12] = 9  # an instance of stuff is none
    semantic[np.flatnonzero(instance == 4)[::3]] = 4
    pose = np.eye(4)
    pose[:2, :2] = [[0.6, -0.8], [0.8, 0.6]]
    pose[:3, 3] = [500.0, -40.0, 3.0]
    return points, PanopticLabels(semantic, instance), pose


def test_objects_are_what_a_loop_over_points_finds(rng):
    points, labels, pose = scene(rng)
    classes = load_class_table("semantickitti")
    objects = observe(points, labels, pose, classes.is_thing)
    assert objects.ids.tolist() == [3, 4, 9]
    for k, number in enumerate((3, 4, 9)):
        chosen = np.flatnonzero(labels.instance == number)
        assert objects.order[objects.start[k] : objects.start[k + 1]].tolist() == chosen.tolist()
        world = points[chosen].astype(np.float64) @ pose[:3, :3].T + pose[:3, 3]
        np.testing.assert_allclose(objects.extent[k, ::2], world.min(axis=0))
        np.testing.assert_allclose(objects.extent[k, 1::2], world.max(axis=0))
        counts = np.bincount(labels.semantic[chosen], minlength=classes.num_classes)
        assert objects.votes[k].tolist() == counts.tolist()
        cells = {}
        for x, y, _ in world:
            cells.setdefault((int(x // CELL_M), int(y // CELL_M)), []).append((x, y))
        if len(cells) <= SURFACE_CELLS:
            means = np.array([np.mean(members, axis=0) for members in cells.values()])
            np.testing.assert_allclose(objects.surface[k, :, : objects.count[k]].T, means)


def test_a_large_object_gets_coarser_cells_not_more(rng):
    points = rng.uniform(0, 30, (3000, 3)).astype(np.float32)
    labels = PanopticLabels(np.full(3000, 5, np.uint8), np.ones(3000, np.int32))
    objects = observe(points, labels, np.eye(4), load_class_table("semantickitti").is_thing)
    assert 16 < objects.count[0] <= SURFACE_CELLS


def test_unexplained_equals_its_formula(rng):
    a, b = rng.normal(0, 2, (17, 2)), rng.normal(0, 2, (23, 2))
    move = np.array([0.3, -0.8])
    square = np.square(a[:, None] + move - b).sum(axis=2).min(axis=1)
    wanted = np.mean(square / (square + 0.3**2))
    got = unexplained(padded(a), 17, padded(b), 23, *move, 0.3)
    assert got == pytest.approx(wanted)
    assert unexplained(padded(a), 17, padded(a), 17, 0.0, 0.0, 0.3) == 0


@pytest.mark.parametrize("move", [(0.0, 0.0), (0.7, -0.2), (-0.4, 0.5)])
def test_registration_finds_a_known_move(rng, move):
    a = l_shape(rng)
    b = l_shape(rng) + move
    u = np.empty(2)
    register(padded(a), len(a), padded(b), len(b), 0.0, 0.0, 12, 0.3, u)
    np.testing.assert_allclose(u, move, atol=0.15)


@pytest.mark.parametrize("yaw", [0.0, 0.3, 1.2])
def test_the_axis_of_two_sides_is_theirs(rng, yaw):
    surface = padded(l_shape(rng, yaw))
    found = axis_of(surface, 40, 0.0, np.pi / 2, 61)
    assert abs(wrapped(4 * (found - yaw))) / 4 < 0.05  # an axis repeats every quarter turn


def test_the_hidden_side_lies_behind_what_is_seen(rng):
    eye = np.array([0.0, 0.0])
    near = l_shape(rng, 0.0, (20.0, 5.0))[:20]  # only the long side that faces the sensor
    boxes, seen = fit_boxes(
        padded(near)[None], np.array([20]), np.array([0.0]), np.array([0.0]), np.zeros((1, 2)),
        np.array([[4.4, 1.8]]), np.zeros((1, 3)), eye,
    )  # fmt: skip
    _, y, length, width, yaw = boxes[0]
    assert y == pytest.approx(5.0 + 0.9)
    assert width == pytest.approx(1.8)
    assert 4.0 < seen[0, 0] <= 4.4
    assert length == pytest.approx(4.4)
    assert yaw == pytest.approx(0.0)


def test_a_moving_thing_heads_where_it_goes(rng):
    side = l_shape(rng, 0.5)
    velocity = np.array([[-8 * np.cos(0.5), -8 * np.sin(0.5), 0.2]])
    boxes, _ = fit_boxes(
        padded(side)[None], np.array([40]), np.array([np.nan]), np.array([0.1]), np.zeros((1, 2)),
        np.array([[4.4, 1.8]]), velocity, np.zeros(2),
    )  # fmt: skip
    assert abs(wrapped(boxes[0, 4] - 0.5 - np.pi)) < 0.1


def test_shapes_keep_older_places_that_are_not_seen_again():
    shape, stamp = np.zeros((2, 2, SURFACE_CELLS)), np.zeros((2, SURFACE_CELLS))
    shape[1, :, 0], shape[1, :, 1], shape[1, :, 2] = (1, 1), (5, 5), (9, 9)
    stamp[1, :3] = (9.0, 9.0, 2.0)
    num_shape, last, num_last = np.array([0, 3]), np.zeros((2, 2, SURFACE_CELLS)), np.array([0, 3])
    seen = np.zeros((1, 2, SURFACE_CELLS))
    seen[0, :, 0] = (2.05, 1.0)  # the first place, moved by (1, 0)
    renew_shapes(
        shape, num_shape, stamp, last, num_last, np.array([1]), np.array([[1.0, 0.0]]), seen,
        np.array([1]), np.array([0]), 10.0, np.array([5.0]),
    )  # fmt: skip
    assert num_shape.tolist() == [0, 2]
    assert num_last.tolist() == [0, 1]
    assert np.array_equal(last[1], seen[0])
    assert shape[1, :, :2].T.tolist() == [[2.05, 1.0], [6.0, 5.0]]  # the third was too old
    assert stamp[1, :2].tolist() == [10.0, 9.0]


def test_one_box_holds_two_halves_of_a_car_but_not_two_cars(rng):
    a = l_shape(rng, 0.4)
    whole = padded(a)
    assert fit_one_box(whole, 20, padded(a[20:]), 20, 0.0, 0.0, 5.0, 2.2)
    assert not fit_one_box(whole, 20, padded(a[20:]), 20, 0.0, 3.0, 5.0, 2.2)


def test_points_go_to_the_nearest_moved_surface(rng):
    world = rng.uniform(-5, 5, (200, 3))
    surface = np.stack([padded(rng.uniform(-5, 5, (9, 2))) for _ in range(3)])
    moves = rng.normal(0, 1, (2, 2))
    got = nearest_surface(world, surface, np.array([9, 9, 9]), np.array([2, 0]), moves)
    for i, (x, y, _) in enumerate(world):
        away = [
            np.hypot(*(surface[t, :, :9].T + moves[m] - (x, y)).T).min()
            for m, t in enumerate((2, 0))
        ]
        assert got[i] == int(np.argmin(away))


def test_points_are_renamed_as_a_loop_says(rng):
    instance, semantic = rng.integers(0, 5, 60).astype(np.int32), rng.integers(0, 4, 60)
    semantic = semantic.astype(np.uint8)
    name, kind = np.array([0, 7, 0, 9, 3], np.int32), np.array([0, 1, 2, 0, 1], np.uint8)
    is_thing = np.array([False, True, True, False])
    ids, kinds = rename_points(instance, semantic, name, kind, is_thing)
    assert ids.tolist() == [name[k] for k in instance]
    for own, before, after in zip(instance, semantic, kinds, strict=True):
        changes = own > 0 and kind[own] > 0 and is_thing[before]
        assert after == (kind[own] if changes else before)
    unnamed = unnamed_points(instance, semantic, is_thing)
    assert unnamed.tolist() == [k for k in range(60) if instance[k] == 0 and is_thing[semantic[k]]]


def test_pairs_are_those_of_all_distances(rng):
    center, reach, close = rng.uniform(0, 9, (20, 2)), rng.uniform(1, 3, 20), rng.uniform(0, 2, 20)
    beside, pairs, apart = near_pairs(center, reach, close)
    away = np.linalg.norm(center[:, None] - center, axis=2)
    np.fill_diagonal(away, np.inf)
    assert beside.tolist() == (away < close).any(axis=1).tolist()
    expected = np.argwhere(np.triu(away < np.maximum(reach[:, None], reach)))
    assert pairs.tolist() == expected.tolist()
    np.testing.assert_allclose(apart, away[tuple(expected.T)])


def test_rows_are_summed_as_numpy_does(rng):
    values, which = rng.random((9, 4)), rng.integers(0, 3, 9)
    expected = np.zeros((3, 4))
    np.add.at(expected, which, values)
    np.testing.assert_allclose(sum_rows(values, which, 3), expected)


def test_filtered_moves_are_those_of_the_filter_in_matrices(rng):
    """Against x = F x, P = F P F' + Q and the textbook's update, for one axis."""
    dt, top, acceleration = 0.1, 20.0, 3.0
    motion, doubt, wander = np.zeros((1, 6)), np.zeros((1, 2)), np.zeros((1, 2))
    dims, radius, scans = np.array([[4.0, 3.0, 1.5]]), np.array([2.5]), np.array([1])
    limits, one = np.array([[top, acceleration, 5.0]]), np.array([0])
    noise = 0.5 * MOVE_NOISE_M**2
    state, spread = np.zeros(2), np.diag([noise, (0.4 * top) ** 2])
    step = np.array([[1.0, dt], [0.0, 1.0]])
    for k, move in enumerate(rng.normal(1.0, 0.05, 6)):
        filter_moves(
            motion, doubt, wander, dims, radius, scans, limits, one, np.array([[move, 0.0]]),
            np.zeros(1), np.array([dt]), radius,
        )  # fmt: skip
        spread = step @ spread @ step.T
        spread[1, 1] += 0.0 if k == 0 else (acceleration * dt) ** 2
        gain = spread[:, 0] / (spread[0, 0] + noise)
        off = state[0] + move - state[1] * dt
        state = np.array([off - gain[0] * off, state[1] + gain[1] * off])
        spread = spread - np.outer(gain, spread[0])
        np.testing.assert_allclose([wander[0, 0], motion[0, 0]], state, atol=1e-12)
        np.testing.assert_allclose([*doubt[0], motion[0, 2]], spread.ravel()[[0, 1, 3]], atol=1e-12)
    assert motion[0, 3] == MOVING
    assert abs(motion[0, 0] - 10.0) < 1.0


def test_a_part_is_a_worse_match_than_what_is_seen_as_much_of():
    """One place beside one and beside twenty at the same spot, which fit alike."""
    surface = np.zeros((2, 2, SURFACE_CELLS))
    at, count, none = np.zeros((2, 2)), np.array([1, 20]), np.zeros(2)
    one, kinds = np.ones(2, np.int64), np.zeros(2, np.int64)
    cost, _, left = pair_costs(
        surface, one, surface, one, at, none, np.zeros((2, 7)), np.zeros((2, 6)), at,
        np.full(2, 0.1), one, kinds, surface, count, at, none, kinds,
        np.array([[20.0, 3.0, 0.0]]), np.array([False]), np.zeros((1, 1)), 9.0,
    )  # fmt: skip
    assert np.all(left < 1e-9)
    np.testing.assert_allclose(cost[:, 1] - cost[:, 0], SIZE_WEIGHT * np.log(20))
