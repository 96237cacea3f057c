import numpy as np
import pytest

from lidarpan.voxels.intensity import (
    FARTHEST_M,
    NEAREST_M,
    REFERENCE,
    brightness,
    rank_brightness,
)


def scan(count=3000, levels=100, seed=0):
    rng = np.random.default_rng(seed)
    points = rng.normal(0, 15, (count, 3)).astype(np.float32)
    intensity = (rng.gamma(2, 0.1, count).clip(0, 0.99) * levels).round() / levels
    return points, intensity.astype(np.float32)


def slow_twin(points, intensity):
    """One value at a time: the share of darker points, and half of those as bright."""
    range_m = np.hypot(*points[:, :2].astype(np.float64).T)
    weight = range_m.clip(NEAREST_M, FARTHEST_M) * (range_m > 1)
    rank = np.zeros(len(points))
    for value in np.unique(intensity):
        same = intensity == value
        darker = weight[intensity < value].sum()
        rank[same] = (darker + weight[same].sum() / 2) / weight.sum()
    return np.interp(rank, np.linspace(0, 1, len(REFERENCE)), REFERENCE)


def test_brightness_is_the_reference_at_the_rank():
    points, intensity = scan()
    np.testing.assert_allclose(
        rank_brightness(points, intensity), slow_twin(points, intensity), atol=1e-5
    )
    signed = intensity - np.float32(0.2)  # below zero ranks below too
    np.testing.assert_allclose(
        rank_brightness(points, signed), slow_twin(points, signed), atol=1e-5
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda x: 0.5 * x,
        lambda x: 1.5 * x,
        lambda x: 255 * x,
        lambda x: 0.1 * x + 0.3,
        lambda x: x - 5,
        lambda x: x**0.4,
        lambda x: x**2.5,
        lambda x: np.log1p(x),
    ],
)
def test_gain_offset_and_gamma_change_nothing(change):
    points, intensity = scan()
    changed = change(intensity).astype(np.float32)
    assert (rank_brightness(points, changed) == rank_brightness(points, intensity)).all()


def test_order_is_kept_and_no_point_matters_alone():
    points, intensity = scan(levels=10_000)
    bright = rank_brightness(points, intensity)
    order = np.argsort(intensity, kind="stable")
    assert (np.diff(bright[order]) >= 0).all()
    assert bright.min() >= 0
    assert bright.max() <= 1
    intensity[7] = 1e6
    np.testing.assert_allclose(
        np.delete(rank_brightness(points, intensity), 7), np.delete(bright, 7), atol=0.01
    )


def test_a_scan_of_the_reference_sensor_stays_as_it_is():
    points = np.random.default_rng(1).normal(0, 15, (20_000, 3)).astype(np.float32)
    rank = np.random.default_rng(2).random(20_000)
    intensity = np.interp(rank, np.linspace(0, 1, len(REFERENCE)), REFERENCE).astype(np.float32)
    bright = rank_brightness(points, intensity)
    assert np.abs(bright - intensity).mean() < 0.005


@pytest.mark.parametrize("value", [0.0, 0.37])
def test_one_intensity_is_none(value):
    points, _ = scan()
    assert not rank_brightness(points, np.full(len(points), value, np.float32)).any()
    few = np.full(len(points), value, np.float32)
    few[:20] = np.linspace(0, 1, 20)
    assert not rank_brightness(points, few).any()
    assert len(rank_brightness(points[:0], few[:0])) == 0


def test_points_at_the_sensor_count_nothing():
    points, intensity = scan()
    own = np.random.default_rng(3).uniform(-0.3, 0.3, (2000, 3)).astype(np.float32)
    more = np.concatenate([points, own]), np.r_[intensity, np.zeros(2000, np.float32)]
    np.testing.assert_array_equal(
        rank_brightness(*more)[: len(points)], rank_brightness(points, intensity)
    )


def test_raw_is_as_it_is():
    points, intensity = scan()
    assert brightness(points, intensity, "raw") is intensity
    assert (brightness(points, intensity, "rank") == rank_brightness(points, intensity)).all()
