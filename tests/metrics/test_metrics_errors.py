"""Each kind of error alone, their sum, and borders between segments."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.metrics import PanopticQuality
from lidarpan.metrics.boundary import BoundaryCounts, count_boundaries
from lidarpan.metrics.errors import KINDS, classify_errors


def labels(*runs):
    """Four label arrays from (pred class, pred id, true class, true id, number of points)."""
    rows = np.array([run[:4] for run in runs for _ in range(run[4])]).reshape(-1, 4)
    return tuple(np.ascontiguousarray(column) for column in rows.T)


def kinds(case, num_classes=4, min_points=10):
    """{kind: (false negatives, false positives)} where there are any."""
    errors = classify_errors(*case, num_classes=num_classes, min_points=min_points)
    counts = zip(errors.fn.sum(axis=1).tolist(), errors.fp.sum(axis=1).tolist(), strict=True)
    return {kind: pair for kind, pair in zip(KINDS, counts, strict=True) if any(pair)}


WALL = (3, 0, 3, 0, 500)


def test_no_error():
    assert kinds(labels((1, 7, 1, 2, 60), WALL)) == {}


def test_missed():
    assert kinds(labels((3, 0, 1, 2, 60), WALL)) == {"missed": (1, 0)}
    assert kinds(labels((0, 0, 1, 2, 60), WALL)) == {"missed": (1, 0)}  # predicted as void


def test_invented():
    assert kinds(labels((1, 7, 3, 0, 60), WALL)) == {"invented": (0, 1)}


def test_merged():
    two = labels((1, 7, 1, 1, 50), (1, 7, 1, 2, 50), WALL)
    assert kinds(two) == {"merged": (2, 1)}
    one_matches = labels((1, 7, 1, 1, 80), (1, 7, 1, 2, 20), WALL)
    assert kinds(one_matches) == {"merged": (1, 0)}


def test_split():
    halves = labels((1, 7, 1, 1, 50), (1, 8, 1, 1, 50), WALL)
    assert kinds(halves) == {"split": (1, 2)}
    one_matches = labels((1, 7, 1, 1, 80), (1, 8, 1, 1, 20), WALL)
    assert kinds(one_matches) == {"split": (0, 1)}
    crumbs = labels((1, 7, 1, 1, 91), (1, 8, 1, 1, 9), WALL)
    assert kinds(crumbs) == {}  # too small to count as an error


def test_wrong_class():
    assert kinds(labels((2, 7, 1, 1, 60), WALL)) == {"wrong class": (1, 1)}


def test_bad_boundary():
    too_small = labels((1, 7, 1, 1, 40), (3, 0, 1, 1, 60), WALL)
    assert kinds(too_small) == {"bad boundary": (1, 1)}
    too_large = labels((1, 7, 1, 1, 40), (1, 7, 3, 0, 60), WALL)
    assert kinds(too_large) == {"bad boundary": (1, 1)}


def test_beside_each_other_is_missed_and_invented():
    shifted = labels((1, 7, 1, 1, 20), (3, 0, 1, 1, 60), (1, 7, 3, 0, 60), WALL)
    assert kinds(shifted) == {"missed": (1, 0), "invented": (0, 1)}


def test_void_truth_is_taken_out_first():
    assert kinds(labels((1, 7, 0, 0, 60), WALL)) == {}
    assert kinds(labels((1, 7, 0, 0, 300), (1, 7, 1, 1, 20), WALL)) == {}


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), min_points=st.integers(0, 20), ignore=st.sampled_from([0, 2])
)
def test_kinds_add_up_to_the_false_positives_and_negatives(seed, min_points, ignore):
    rng = np.random.default_rng(seed)
    true = rng.integers(0, 4, 30), rng.integers(-2, 4, 30) * 2**40
    position = np.sort(rng.integers(0, 30, 400))
    case = [part[position] for part in (*true, *true)]
    for part in case[:2]:
        wrong = rng.random(400) < 0.4
        part[wrong] = part[rng.permutation(400)][wrong]
    errors = classify_errors(*case, num_classes=4, ignore=(ignore,), min_points=min_points)
    quality = PanopticQuality(4, (1,), (ignore,), min_points=min_points)
    quality.update(*case)
    np.testing.assert_array_equal(errors.fn.sum(axis=0), quality.fn)
    np.testing.assert_array_equal(errors.fp.sum(axis=0), quality.fp)


# --- borders ---------------------------------------------------------------------------------


def grid_of_points(rows, cell_m=0.2, origin=(-3.0, 1.0)):
    """A point in the middle of each cell of a list of strings; the letters are segments."""
    picture = np.array([list(row) for row in rows])
    x, y = np.nonzero(picture != " ")
    points = (np.stack([x, y], axis=1) + 0.5) * cell_m + origin
    return points.astype(np.float32), picture[x, y].view(np.int32).astype(np.int64)


def test_same_segments_have_the_same_borders():
    points, segment = grid_of_points(["aaabb", "aaabb", "ccccc"])
    everywhere = np.ones(len(points), bool)
    counts = count_boundaries(points, segment * 7 - 5, segment, everywhere)
    assert counts.true == counts.true_near == counts.pred == counts.pred_near == 12
    assert counts.f_score == 1.0


def test_a_border_one_cell_off_is_near_and_two_cells_off_is_not():
    points, true = grid_of_points(["aaaabbbbbb"])
    everywhere = np.ones(len(points), bool)
    _, near = grid_of_points(["aaabbbbbbb"])
    _, far = grid_of_points(["aaaaaaabbb"])
    assert count_boundaries(points, near, true, everywhere) == BoundaryCounts(2, 2, 2, 2)
    assert count_boundaries(points, far, true, everywhere) == BoundaryCounts(2, 0, 2, 0)
    assert count_boundaries(points, far, true, everywhere).f_score == 0.0


def test_gaps_void_and_far_points_make_no_border():
    points, segment = grid_of_points(["aaa bbb"])
    everywhere = np.ones(len(points), bool)
    assert np.isnan(count_boundaries(points, segment, segment, everywhere).f_score)
    points, segment = grid_of_points(["aaabbb"])
    valid = segment == segment[0]
    assert count_boundaries(points, segment, segment, valid) == BoundaryCounts()
    assert count_boundaries(points + 60, segment, segment, segment > 0) == BoundaryCounts()


def test_a_cell_has_the_segment_of_most_of_its_points():
    points = np.array([[0.1, 0.1]] * 5 + [[0.3, 0.1]] * 3, np.float32)
    most = np.array([4, 4, 4, 9, 9, 4, 4, 9])
    everywhere = np.ones(8, bool)
    assert count_boundaries(points, most, most, everywhere) == BoundaryCounts()
    other = np.array([4, 4, 9, 9, 9, 4, 4, 9])
    assert count_boundaries(points, other, other, everywhere).true == 2


def test_boundary_counts_add():
    total = BoundaryCounts(4, 2, 2, 2) + BoundaryCounts(0, 0, 2, 1)
    assert total == BoundaryCounts(4, 2, 4, 3)
    assert total.f_score == pytest.approx(2 * 0.5 * 0.75 / 1.25)
