"""Calibration against a twin that looks at every prediction, and on cases by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.metrics import CalibrationError, match_segments
from lidarpan.metrics.calibration import scored_instances
from lidarpan.structures import InputError


def calibrate(rows, num_classes=3, num_bins=10):
    """Scores of rows (class, confidence, IoU)."""
    error = CalibrationError(num_classes, num_bins)
    error.update(*columns(rows))
    return error.compute()


def columns(rows):
    class_id, confidence, iou = (list(column) for column in zip(*rows, strict=True))
    return np.array(class_id), np.array(confidence, np.float32), np.array(iou, np.float64)


def twin(rows, num_bins):
    """ECE over all and over the matched rows, bin by bin, prediction by prediction."""

    def gap(rows, target):
        total = 0.0
        for b in range(num_bins):
            inside = [
                row
                for row in rows
                if b <= row[1] * num_bins < b + 1 or (b == num_bins - 1 and row[1] == 1)
            ]
            if inside:
                said = sum(row[1] for row in inside) / len(inside)
                found = sum(target(row) for row in inside) / len(inside)
                total += len(inside) / len(rows) * abs(said - found)
        return total if rows else math.nan

    matched = [row for row in rows if row[2] > 0]
    return gap(rows, lambda row: float(row[2] > 0)), gap(matched, lambda row: row[2])


ROWS = st.tuples(
    st.integers(0, 2),
    st.floats(0, 1, width=32),
    st.one_of(st.just(0.0), st.floats(0.5, 1, exclude_min=True)),
)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(ROWS, min_size=1, max_size=40), num_bins=st.integers(1, 12))
def test_equals_the_twin(rows, num_bins):
    result = calibrate(rows, num_bins=num_bins)
    assert (result.ece, result.ece_iou) == pytest.approx(twin(rows, num_bins), nan_ok=True)
    assert result.bin_count.sum() == len(rows)
    for c in range(3):
        own = [row for row in rows if row[0] == c]
        assert result.class_count[c] == len(own)
        wanted = twin(own, num_bins)
        ours = (result.class_ece[c], result.class_ece_iou[c])
        assert ours == pytest.approx(wanted, nan_ok=True)


def test_a_confidence_that_is_right_as_often_as_it_says():
    rows = [(1, 0.75, 0.9)] * 3 + [(1, 0.75, 0.0)]
    result = calibrate(rows)
    assert result.ece == 0.0
    assert result.ece_iou == pytest.approx(0.15)
    assert (result.bin_confidence[7], result.bin_precision[7]) == (0.75, 0.75)
    assert result.bin_iou[7] == pytest.approx(0.9)
    assert np.isnan(result.bin_precision[6])


def test_errors_of_opposite_sign_cancel_within_a_bin_alone():
    rows = [(1, 0.55, 1.0), (1, 0.55, 0.0), (2, 0.05, 1.0), (2, 0.95, 0.0)]
    result = calibrate(rows)
    assert result.class_ece[1] == pytest.approx(0.05)
    assert result.class_ece[2] == pytest.approx(0.95)
    assert result.ece == pytest.approx(0.5)


def test_bins_have_their_lower_edge_and_the_last_one_both():
    result = calibrate([(0, 0.0, 0.0), (0, 0.5, 0.0), (0, 1.0, 0.0)], num_bins=2)
    assert result.bin_count.tolist() == [1, 2]
    assert result.bin_edge.tolist() == [0.0, 0.5, 1.0]


def test_nothing_is_not_a_number():
    result = CalibrationError(2).compute()
    assert math.isnan(result.ece)
    assert math.isnan(result.ece_iou)
    assert np.isnan(result.class_ece).all()


def test_merge_equals_one_accumulator():
    rows = [(1, 0.3, 0.0), (1, 0.35, 0.8), (2, 0.9, 0.6)]
    parts = [CalibrationError(3), CalibrationError(3)]
    parts[0].update(*columns(rows[:1]))
    parts[1].update(*columns(rows[1:]))
    parts[0].merge(parts[1])
    merged, whole = parts[0].compute(), calibrate(rows)
    assert (merged.ece, merged.ece_iou) == pytest.approx((whole.ece, whole.ece_iou))
    np.testing.assert_allclose(merged.bin_iou, whole.bin_iou)
    with pytest.raises(InputError, match="classes and bins as here"):
        parts[0].merge(CalibrationError(3, 5))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(3, 0.5, 0.0)], r"wanted classes 0\.\.2, got \[1 3\]"),
        ([(1, 1.5, 0.0)], r"confidence: wanted fractions in \[0, 1\], got 0.5..1.5"),
        ([(1, math.nan, 0.0)], "confidence: wanted fractions"),
        ([(1, 0.5, -0.5)], "iou: wanted fractions"),
    ],
)
def test_bad_values_are_refused_and_add_nothing(rows, message):
    error = CalibrationError(3)
    with pytest.raises(InputError, match=message):
        error.update(*columns([(1, 0.5, 0.0), *rows]))
    assert error.count.sum() == 0
    with pytest.raises(InputError, match="three arrays of one length"):
        error.update(np.zeros(2, int), np.zeros(1, np.float32), np.zeros(2))
    with pytest.raises(InputError, match="classes and bins from 1"):
        CalibrationError(3, 0)


def test_instances_are_those_that_pq_counts():
    """Cars 1 (found), 2 (invented), 3 (small and wrong), 4 (small and found); road 5; car 0."""
    predicted = [(1, 1, 20), (1, 2, 20), (1, 3, 4), (1, 4, 4), (2, 5, 30), (1, 0, 20)]
    true = [(1, 1, 20), (2, 0, 24), (1, 9, 4), (2, 0, 50)]
    pred_class, pred_id = (np.repeat([r[k] for r in predicted], [r[2] for r in predicted])
                           for k in (0, 1))  # fmt: skip
    true_class, true_id = (np.repeat([r[k] for r in true], [r[2] for r in true]) for k in (0, 1))
    matches = match_segments(pred_class, pred_id, true_class, true_id, num_classes=3)
    score = np.array([0.0, 0.9, 0.2, 0.3, 0.4, 0.5], np.float32)
    is_thing = np.array([False, True, False])
    class_id, confidence, iou = scored_instances(matches, score, is_thing, 10)
    assert class_id.tolist() == [1, 1, 1]
    assert confidence.tolist() == pytest.approx([0.9, 0.2, 0.4])
    assert iou.tolist() == [1.0, 0.0, 1.0]
