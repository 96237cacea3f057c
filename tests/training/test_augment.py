import numpy as np
import pytest

from lidarpan.training import augment
from lidarpan.training.augment import Sample


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    ground = np.column_stack([rng.uniform(-20, 20, (4000, 2)), np.full(4000, -1.7)])
    car = rng.uniform([5, 5, -1.7], [9, 7, 0], (200, 3))
    points = np.concatenate([ground, car]).astype(np.float32)
    is_car = np.arange(4200) >= 4000
    return Sample(
        points,
        rng.random(4200, np.float32),
        np.where(is_car, 1, 9).astype(np.uint8),
        np.where(is_car, 3, 0).astype(np.int32),
    )


def rng():
    return np.random.default_rng(1)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: augment.flip(s, rng()),
        lambda s: augment.rotate(s, rng(), np.pi, 0.0),
    ],
)
def test_rigid_changes_keep_ranges_and_heights(sample, change):
    before = sample.points.copy()
    after = change(sample)
    radius = np.hypot(*after.points[:, :2].T)
    np.testing.assert_allclose(radius, np.hypot(*before[:, :2].T), rtol=1e-4)
    np.testing.assert_allclose(after.points[:, 2], before[:, 2], atol=1e-4)
    assert (sample.points == before).all()  # inputs are never written to


def test_scale_jitter_drop(sample):
    scaled = augment.scale(sample, rng(), 0.05, 0.0)
    ratio = np.linalg.norm(scaled.points) / np.linalg.norm(sample.points)
    assert 0.95 <= ratio <= 1.05
    assert ratio != 1
    moved = augment.jitter(sample, rng(), 0.01).points - sample.points
    assert moved.std() == pytest.approx(0.01, rel=0.05)
    kept = augment.drop(sample, rng(), 0.2)
    assert 0.8 * 4200 * 0.95 < len(kept.points) < 4200


def test_intensity(sample):
    assert (augment.change_intensity(sample, rng(), 0.3, 1.0).intensity == 0).all()
    changed = augment.change_intensity(sample, rng(), 0.3, 0.0).intensity
    assert ((changed >= 0) & (changed <= 1)).all()
    assert not np.array_equal(changed, sample.intensity)


def test_concatenate_keeps_instances_apart(sample):
    both = augment.concatenate(sample, sample)
    assert set(np.unique(both.instance)) == {0, 3, 6}


def test_paste_puts_the_car_on_free_ground(sample):
    pasted = augment.paste_instances(sample, sample, rng(), 1, ground=(9,))
    new = pasted.points[len(sample.points) :]
    assert len(new) == 200
    assert (pasted.semantic[-200:] == 1).all()
    assert (pasted.instance[-200:] == 6).all()
    assert new[:, 2].min() == pytest.approx(-1.7, abs=1e-3)
    old = sample.points[sample.instance == 3]
    apart = np.linalg.norm(new[:, None, :2] - old[None, :, :2], axis=2).min()
    assert apart > 0.4
    radius = np.hypot(*new[:, :2].T)
    np.testing.assert_allclose(radius, np.hypot(*old[:, :2].T), rtol=1e-4)


def test_paste_refuses_occupied_places(sample):
    building = Sample(
        sample.points, sample.intensity, np.full(4200, 13, np.uint8), sample.instance * 0
    )
    assert augment.paste_instances(building, sample, rng(), 5, ground=(9,)) is building


def test_paste_finds_the_one_free_sector(sample):
    azimuth = np.arctan2(sample.points[:, 1], sample.points[:, 0])
    blocked = (azimuth > -2.5) & (sample.semantic == 9)
    semantic = np.where(blocked, 13, sample.semantic).astype(np.uint8)
    walled = Sample(sample.points, sample.intensity, semantic, sample.instance)
    found = 0
    for seed in range(20):
        pasted = augment.paste_instances(walled, sample, np.random.default_rng(seed), 1, (9,))
        new = pasted.points[len(sample.points) :]
        found += len(new) > 0
        assert (np.arctan2(new[:, 1], new[:, 0]) < -2.5).all()
    assert found


@pytest.mark.parametrize("mix", [augment.laser_mix, augment.polar_mix])
def test_mixes_take_points_from_both(sample, mix):
    other = Sample(
        sample.points + np.float32(0.001),
        sample.intensity,
        np.full(4200, 15, np.uint8),
        np.zeros(4200, np.int32),
    )
    mixed = mix(sample, other, rng())
    assert {9, 15} <= set(np.unique(mixed.semantic))
    assert 0 < len(mixed.points) < 8400
