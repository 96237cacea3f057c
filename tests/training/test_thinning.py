import numpy as np
import pytest

from lidarpan.synthetic.sensors.sensor import make_sensor
from lidarpan.training import thinning
from lidarpan.training.augment import Sample, mix3d


@pytest.fixture
def sample():
    """Every ray of 32 beams, a degree apart, 20 m long."""
    sensor = make_sensor(num_beams=32, lowest_deg=-25, highest_deg=6, azimuth_steps=900)
    directions, ring, _ = sensor.rays(np.random.default_rng(0))
    count = len(directions)
    return Sample(
        directions * np.linspace(2, 70, count, dtype=np.float32)[:, None],
        np.linspace(0, 1, count, dtype=np.float32),
        np.full(count, 1, np.uint8),
        ring.astype(np.int32),  # the instance says of which beam a point is
    )


def rngs():
    return [np.random.default_rng(seed) for seed in range(12)]


def test_beams_are_left_out_whole_when_bands_are_as_wide(sample):
    for rng in rngs():
        keep = thinning.some_beams(sample, rng)
        assert 0.1 < keep.mean() < 0.9
        share = np.bincount(sample.instance, keep) / np.bincount(sample.instance)
        assert ((share < 0.02) | (share > 0.98)).mean() > 0.85  # bands may cut through a beam


def test_azimuths_are_left_out_in_all_beams_alike(sample):
    for rng in rngs():
        keep = thinning.some_azimuths(sample, rng)
        assert 0.1 < keep.mean() < 0.9
        share = np.bincount(sample.instance, keep) / np.bincount(sample.instance)
        assert np.ptp(share) < 0.35


def test_far_points_are_lost_more_often(sample):
    range_m = np.linalg.norm(sample.points, axis=1)
    for rng in rngs():
        keep = thinning.near_ones(sample, rng)
        assert keep[range_m < 8].mean() > keep[range_m > 40].mean() + 0.2


def test_a_sector_is_one_piece(sample):
    for rng in rngs():
        keep = thinning.a_sector(sample, rng)
        azimuth = np.sort(np.arctan2(*sample.points[~keep, :2].T[::-1]))
        gaps = np.diff(np.r_[azimuth, azimuth[0] + 2 * np.pi])
        assert (gaps > np.radians(34)).sum() == 1
        assert 0.09 < keep.mean() < 0.6


def test_thinning_takes_points_and_changes_none(sample):
    counts = set()
    for rng in rngs():
        before = sample.points.copy()
        thinned = thinning.thin(sample, rng)
        row = np.round(thinned.intensity * (len(before) - 1)).astype(int)
        assert (sample.points == before).all()
        assert (thinned.points == before[row]).all()
        assert (thinned.instance == sample.instance[row]).all()
        assert len(thinned.points) > 1000
        counts.add(len(thinned.points))
    assert len(counts) > 6


def test_mix3d_has_all_of_both(sample):
    other = sample.take(sample.instance < 4)
    mixed = mix3d(sample, other, np.random.default_rng(0))
    assert len(mixed.points) == len(sample.points) + len(other.points)
    assert (mixed.points[: len(sample.points)] == sample.points).all()
    turned = mixed.points[len(sample.points) :]
    np.testing.assert_allclose(turned[:, 2], other.points[:, 2], atol=1e-4)
    np.testing.assert_allclose(
        np.linalg.norm(turned, axis=1), np.linalg.norm(other.points, axis=1), rtol=1e-4
    )
    assert np.ptp(np.abs(turned[:, 0] - other.points[:, 0])) > 1  # it is turned
