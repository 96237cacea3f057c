"""The way of a thing through places that are known but roughly."""

import numpy as np
import pytest

from lidarpan.tracking.ways import smooth_way

TIMES_S = np.arange(0, 6, 0.2)
TURN = np.column_stack([8 * TIMES_S, 0.3 * TIMES_S**2])


@pytest.mark.parametrize("noise_m", [0.3, 1.0])
def test_what_jumps_to_and_fro_goes_on_its_way(noise_m):
    seen = TURN + np.random.default_rng(0).normal(0, noise_m, TURN.shape)
    off, left = (np.abs(way - TURN).mean() for way in (seen, smooth_way(seen, TIMES_S)))
    assert left < 0.6 * off


def test_a_way_that_is_known_stays_as_it_is():
    np.testing.assert_allclose(smooth_way(TURN, TIMES_S), TURN, atol=0.01)


def test_one_place_far_off_bends_nothing():
    seen = TURN + np.random.default_rng(0).normal(0, 0.05, TURN.shape)
    seen[12] += (0, 4)
    np.testing.assert_allclose(smooth_way(seen, TIMES_S), TURN, atol=0.3)


def test_times_may_lie_unevenly():
    times_s = np.sort(np.random.default_rng(1).uniform(0, 6, 40))
    line = np.column_stack([8 * times_s, -2 * times_s])
    np.testing.assert_allclose(smooth_way(line, times_s), line, atol=0.01)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_places_are_the_way(count):
    assert np.array_equal(smooth_way(TURN[:count], TIMES_S[:count]), TURN[:count])
