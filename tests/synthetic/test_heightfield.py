import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lidarpan.synthetic.heightfield import cast_heightfield

CELL, TILE = 0.5, 4


def cast(origin, directions, height, limit=1000.0):
    tiles = height.reshape(height.shape[0] // TILE, TILE, height.shape[1] // TILE, TILE)
    return cast_heightfield(
        np.asarray(origin, np.float32),
        np.asarray(directions, np.float32),
        np.full(len(directions), limit, np.float32),
        height,
        np.ascontiguousarray(tiles.max(axis=(1, 3))),
        -10.0,
        -4.0,
        CELL,
        TILE,
    )


def march(origin, direction, height, step=0.004):
    """The obvious twin: walk in tiny steps until below the cell's height or off the field."""
    t = 0.0
    while t < 100:
        x, y, z = np.asarray(origin) + t * np.asarray(direction)
        i, j = int(np.floor((x + 10) / CELL)), int(np.floor((y + 4) / CELL))
        if not (0 <= i < height.shape[0] and 0 <= j < height.shape[1]):
            return np.inf
        if z <= height[i, j]:
            return t
        t += step
    return np.inf


def unit(azimuth, elevation):
    flat = np.cos(elevation)
    return [flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)]


def test_flat_ground_is_met_at_height_over_sine():
    height = np.zeros((400, 240), np.float32)
    elevations = np.radians([-5, -10, -30, -60])
    ranges = cast([20, 20, 2], [unit(0.3, e) for e in elevations], height)
    np.testing.assert_allclose(ranges, 2 / np.sin(-elevations), rtol=2e-3)


def test_rays_to_the_sky_meet_nothing():
    height = np.zeros((40, 24), np.float32)
    assert np.isinf(cast([0, 0, 2], [unit(1.0, 0.01), unit(2.0, 0.5)], height)).all()


def test_rays_stop_at_their_limit():
    height = np.zeros((400, 240), np.float32)
    assert np.isinf(cast([20, 20, 2], [unit(0, np.radians(-10))], height, limit=5.0)).all()


def test_a_kerb_is_met_at_its_face():
    height = np.zeros((80, 40), np.float32)
    height[40:] = 0.3  # a step at x = 10
    (met,) = cast([5, 0.2, 1], [unit(0, np.arctan2(-0.9, 5.0))], height)
    assert met * np.cos(np.arctan2(0.9, 5.0)) == pytest.approx(5.0, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 6.28), st.floats(-0.9, -0.05))
def test_agrees_with_marching_in_tiny_steps(seed, azimuth, elevation):
    rng = np.random.default_rng(seed)
    height = rng.uniform(0, 0.2, (80, 48)).astype(np.float32)
    origin, direction = [3.0, 1.0, 1.5], unit(azimuth, elevation)
    (fast,) = cast(origin, [direction], height)
    slow = march(origin, direction, height)
    if np.isfinite(slow) and np.isfinite(fast):
        # a ray may clip the corner of a cell between two samples, never more than a cell away
        reach = np.hypot(*direction[:2])
        assert fast >= slow - 0.02
        assert (
            (fast - slow) * reach <= CELL + 0.05
            or fast == pytest.approx(slow, abs=0.05)
            or (height_gap(origin, direction, slow, fast) < 0.2)
        )
    else:
        assert np.isfinite(slow) == np.isfinite(fast) or near_edge(origin, direction, slow, fast)


def height_gap(origin, direction, slow, fast):
    """How far the ray sinks between the two answers, metres."""
    return abs((fast - slow) * direction[2])


def near_edge(origin, direction, slow, fast):
    """Whether the one answer lies within a cell of the field's edge."""
    t = slow if np.isfinite(slow) else fast
    x, y, _ = np.asarray(origin) + t * np.asarray(direction)
    return min(x + 10, 30 - x, y + 4, 20 - y) < 2 * CELL
