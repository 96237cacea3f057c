import numpy as np
import pytest
from confidences import (
    auroc,
    expected_calibration_error,
    fit_temperature,
    risk_coverage,
)

from lidarpan.structures import InputError


def test_calibration_error_by_hand():
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False])
    want = (2 * abs(0.95 - 1) + 2 * abs(0.55 - 0.5)) / 4
    assert expected_calibration_error(confidence, right, 10) == pytest.approx(want)
    assert expected_calibration_error(np.ones(3), np.ones(3, bool)) == 0
    assert np.isnan(expected_calibration_error(confidence[:0], right[:0]))


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_temperature_is_found_again(temperature):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (40_000, 5))
    true = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    truth = (true.cumsum(1) > rng.random((len(true), 1))).argmax(1)
    said = np.exp(temperature * logits)
    said = (said / said.sum(1, keepdims=True)).astype(np.float32)
    assert fit_temperature(said, truth) == pytest.approx(temperature, rel=0.05)
    with pytest.raises(InputError, match="wanted labelled points"):
        fit_temperature(said[:0], truth[:0])


def test_risk_falls_with_what_is_left_out():
    confidence = np.array([0.9, 0.8, 0.7, 0.6])
    right = np.array([True, True, False, False])
    risk = risk_coverage(confidence, right, np.array([1.0, 0.75, 0.5, 0.25]))
    assert risk == pytest.approx([0.5, 1 / 3, 0, 0])


def test_auroc_equals_the_share_of_pairs_in_order():
    rng = np.random.default_rng(1)
    score, positive = rng.integers(0, 5, 60) / 5, rng.random(60) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    assert auroc(score, positive) == pytest.approx(np.mean(pairs))
    assert np.isnan(auroc(score, np.zeros(60, bool)))
