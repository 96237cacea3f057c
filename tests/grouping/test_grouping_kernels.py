"""The kernels below grouping, each against an obvious twin."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from lidarpan.grouping.cells import assign_cells, key_of, number_by_first, slot_of, sort_by_group
from lidarpan.grouping.centers import find_peaks, nearest_center
from lidarpan.grouping.hulls import fits_box, hull_gap, hull_of
from lidarpan.grouping.surroundings import MANY, buried_points, measure_objects

seeds = st.integers(0, 9999)
few = settings(max_examples=40, deadline=None)


def scattered(seed, n, lattice=False):
    points = np.random.default_rng(seed).normal(0, 2, (n, 2)).astype(np.float32)
    return np.round(points) if lattice else points


def convex_hull(points):
    """Andrew's monotone chain: the hull, counterclockwise from the lowest x."""
    ordered = sorted(set(map(tuple, np.asarray(points, np.float64).tolist())))
    chains = []
    for way in (ordered, ordered[::-1]):
        chain = []
        for x, y in way:
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2:]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                chain.pop()
            chain.append((x, y))
        chains += chain[:-1]
    return np.array(chains or ordered)


@few
@given(seeds, st.integers(1, 80), st.booleans())
def test_hulls_equal_scipy(seed, n, lattice):
    points = scattered(seed, n, lattice)
    quick = hull_of(points, np.arange(n))
    chain = convex_hull(points.astype(np.float64))
    assert set(map(tuple, quick)) == set(map(tuple, chain))
    try:
        expected = points[ConvexHull(points.astype(np.float64)).vertices]
    except (QhullError, ValueError):
        assert len(quick) <= 2  # one point, or all on a line
        return
    assert set(map(tuple, quick)) == set(map(tuple, expected.astype(np.float64)))
    edges = np.roll(quick, -1, axis=0) - quick
    turns = edges[:, 0] * np.roll(edges, -1, axis=0)[:, 1]
    turns -= edges[:, 1] * np.roll(edges, -1, axis=0)[:, 0]
    assert (turns > 0).all()  # counterclockwise


def test_hull_of_equal_points_and_of_a_line():
    assert hull_of(np.ones((5, 2), np.float32), np.arange(5)).tolist() == [[1, 1]]
    line = np.column_stack([np.arange(6), np.arange(6)]).astype(np.float32)
    assert hull_of(line, np.arange(6)).tolist() == [[0, 0], [5, 5]]


@few
@given(seeds, st.floats(0, np.pi))
def test_fits_box_is_true_for_the_box_and_false_below_it(seed, yaw):
    corners = np.array([[-2, -1], [2, -1], [2, 1], [-2, 1.0]])
    inner = np.random.default_rng(seed).uniform([-2, -1], [2, 1], (20, 2))
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    hull = convex_hull(np.concatenate([corners, inner]) @ turn)
    assert fits_box(hull, 4.0001, 2.0001)
    assert not fits_box(hull, 3.99, 2.0001)
    assert not fits_box(hull, 4.0001, 1.99)


def boxes_along_edges(hull):
    """(long, short) side of the rectangle around a hull along each of its edges."""
    for one, other in zip(hull, np.roll(hull, -1, axis=0), strict=True):
        along = (other - one) / np.linalg.norm(other - one)
        spans = np.ptp(hull @ np.array([along, [-along[1], along[0]]]).T, axis=0)
        yield spans.max(), spans.min()


@few
@given(seeds, st.integers(3, 12))
def test_fits_box_equals_its_twin(seed, n):
    hull = convex_hull(scattered(seed, n))
    sides = np.array(list(boxes_along_edges(np.asarray(hull, np.float64))))
    for length, width in sides:  # each box is enough for itself, and seldom for the next smaller
        assert fits_box(hull, length + 1e-4, width + 1e-4)
        smaller = 0.98 * length, 0.98 * width
        fits = (sides < smaller).all(axis=1).any()
        near = (np.abs(sides - smaller) < 1e-3).any()
        assert near or fits_box(hull, *smaller) == fits


def outline(hull, steps=400):
    """Points along the edges of a hull."""
    t = np.linspace(0, 1, steps)[:, None]
    return np.concatenate(
        [a + t * (b - a) for a, b in zip(hull, np.roll(hull, -1, 0), strict=True)]
    )


@few
@given(seeds, st.integers(1, 12), st.integers(1, 12), st.floats(0, 8), st.floats(-2, 2))
def test_hull_gap_is_the_distance_of_the_outlines(seed, n, m, x, y):
    a = convex_hull(scattered(seed, n).astype(np.float64))
    b = convex_hull(scattered(seed + 1, m).astype(np.float64) + np.array([x, y]))
    gap = hull_gap(a, b)
    assert gap == pytest.approx(hull_gap(b, a), abs=1e-9)
    apart = cdist(outline(a), outline(b)).min()
    if gap > 0:
        assert gap == pytest.approx(apart, abs=0.03)
    else:  # they cross, or one lies inside the other
        both = convex_hull(np.concatenate([a, b]))
        assert apart < 0.03 or len(both) in (len(a), len(b))


@few
@given(seeds, st.integers(0, 120))
def test_cells_are_floors_and_found_again(seed, n):
    points = scattered(seed, n)
    label = np.random.default_rng(seed).integers(0, 3, n).astype(np.uint8)
    side = np.array([0.0, 0.5, 1.25])
    point_to_cell, coordinates, keys, cells = assign_cells(points, label, side)
    assert ((point_to_cell < 0) == (label == 0)).all()
    for i in np.flatnonzero(label):
        c, x, y = coordinates[point_to_cell[i]].tolist()
        assert (c, x, y) == (label[i], *np.floor(points[i].astype(float) / side[c]))
        slot = slot_of(keys, key_of(c, x, y))
        assert cells[slot] == point_to_cell[i]
    assert len({tuple(row) for row in coordinates.tolist()}) == len(coordinates)


def test_the_cell_table_grows():
    points = np.column_stack([np.arange(9000), np.zeros(9000)]).astype(np.float32)
    point_to_cell, coordinates, *_ = assign_cells(
        points, np.ones(9000, np.uint8), np.array([0.0, 1.0])
    )
    assert (point_to_cell == np.arange(9000)).all()
    assert (coordinates[:, 1] == np.arange(9000)).all()


def test_sorting_and_numbering():
    group = np.array([2, -1, 0, 2, 0], np.int32)
    order, start = sort_by_group(group, 3)
    assert order.tolist() == [2, 4, 0, 3]
    assert start.tolist() == [0, 2, 2, 4]
    parent = np.array([0, 1, 1], np.int32)
    assert number_by_first(group, parent).tolist() == [1, 0, 2, 1, 2]


@few
@given(seeds, st.floats(0, 0.8))
def test_peaks_exceed_their_window(seed, threshold):
    heatmap = np.random.default_rng(seed).random((13, 9)).round(1).astype(np.float32)
    expected = []
    for x in range(13):
        for y in range(9):
            low_x, low_y = max(x - 2, 0), max(y - 2, 0)
            window = heatmap[low_x : x + 3, low_y : y + 3]
            first = np.argwhere(window == window.max())[0] + (low_x, low_y)
            if heatmap[x, y] > np.float32(threshold) and first.tolist() == [x, y]:
                expected.append([x, y])
    assert find_peaks(heatmap, np.float32(threshold), 2).tolist() == expected


@few
@given(seeds, st.integers(0, 60), st.integers(0, 9))
def test_nearest_center_equals_a_full_search(seed, n, k):
    points, centers = scattered(seed, n), scattered(seed + 1, k).astype(np.float64)
    label = np.random.default_rng(seed).integers(0, 3, n).astype(np.uint8)
    radius = np.array([0.0, 0.7, 3.0])
    nearest = nearest_center(points, label, centers, radius)
    for i in range(n):
        distance = np.hypot(*(centers - points[i]).T)
        inside = k > 0 and distance.min() < radius[label[i]]
        assert nearest[i] == (distance.argmin() if inside else -1)


@few
@given(seeds, st.sampled_from([0.1, 0.5, 2.0]), st.sampled_from([0.02, 0.1, 0.4]))
def test_buried_points_equal_a_full_count(seed, ratio, spread):
    """Also of heaps, which lie in reach or out of it as a whole."""
    rng = np.random.default_rng(seed)
    heaps = rng.normal(0, 0.4, (8, 3))
    points = heaps[rng.integers(0, 8, 150)] + rng.normal(0, spread, (150, 3))
    points = points.astype(np.float32)
    kind = rng.integers(0, 3, 150).astype(np.uint8)
    near = cdist(points, points) < 0.3
    mine = np.minimum((near & (kind == 1)).sum(axis=1), MANY)
    foreign = np.minimum((near & (kind == 2)).sum(axis=1), MANY)
    expected = (kind == 1) & (foreign > 0) & (foreign >= ratio * mine)
    assert (buried_points(points, kind, 0.3, ratio) == expected).all()


def test_objects_are_measured_alike_in_every_direction():
    bar = np.column_stack([np.linspace(0, 4, 401), np.zeros(401), np.linspace(0, 1.5, 401)])
    near = np.arange(401) < 100
    ids, semantic = np.ones(401, np.int32), np.full(401, 2, np.uint8)
    for yaw in (0.0, 0.7, 2.0):
        c, s = np.cos(yaw), np.sin(yaw)
        turned = (bar @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])).astype(np.float32)
        share, length, height, label = measure_objects(turned, ids, semantic, near, 5)
        assert share[1] == pytest.approx(100 / 401)
        assert length[1] == pytest.approx(4.0, abs=0.02)
        assert height[1] == pytest.approx(1.5, abs=1e-5)
        assert label[1] == 2
