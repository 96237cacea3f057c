"""Weather as an augmentation: points keep their labels, returns from nothing are void."""

import numpy as np

from lidarpan.training.augment import Sample
from lidarpan.training.weather import weather


def sample(count=6000):
    rng = np.random.default_rng(0)
    angle, reach = rng.uniform(-np.pi, np.pi, count), rng.uniform(4, 60, count)
    z = rng.uniform(-1.8, 4, count)
    points = np.stack([reach * np.cos(angle), reach * np.sin(angle), z], axis=1)
    semantic = rng.integers(1, 20, count).astype(np.uint8)
    instance = np.where(semantic < 9, semantic, 0).astype(np.int32)
    return Sample(points.astype(np.float32), rng.random(count, np.float32), semantic, instance)


def test_labels_go_with_the_points_they_were_of():
    clean, changed = sample().numbered(), 0
    for seed in range(40):
        wet = weather(clean, np.random.default_rng(seed))
        known = wet.origin >= 0
        assert (wet.semantic[known] == clean.semantic[wet.origin[known]]).all()
        assert (wet.instance[known] == clean.instance[wet.origin[known]]).all()
        assert not wet.semantic[~known].any()
        assert not wet.instance[~known].any()
        assert (wet.semantic.dtype, wet.instance.dtype) == (np.uint8, np.int32)
        changed += len(wet.points) != len(clean.points) or (wet.points != clean.points).any()
    assert changed >= 38  # of 40: hardly any weather leaves all points where they were


def test_a_scan_of_which_hardly_anything_is_left_stays_as_it_is():
    few = sample(1000)
    assert all(weather(few, np.random.default_rng(seed)) is few for seed in range(20))
