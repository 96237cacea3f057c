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


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 4]), st.floats(0, 6.28), st.floats(-0.9, -0.12))
def test_a_ray_ends_where_it_enters_the_field_and_passes_nothing_thicker_than_a_step(
    seed, block, azimuth, elevation
):
    """Against a walk in tiny steps over blocks of 0 to 3 m; only a cell's corner may be clipped."""
    rng = np.random.default_rng(seed)
    height = rng.uniform(0, 3, (80 // block, 48 // block)).repeat(block, 0).repeat(block, 1)
    height = height.astype(np.float32)
    origin, direction = [3.0, 1.0, 3.2], unit(azimuth, elevation)
    (met,) = cast(origin, [direction], height)
    way, is_below = walk(origin, direction, height)
    end = min(met, way[-1])
    step = CELL / np.hypot(*direction[:2])
    passed = is_below & (way < end - 0.03)
    assert longest_run(passed) * TINY <= step + 0.02
    if np.isfinite(met):
        near = np.abs(way - met) < 0.03
        assert is_below[near].any()
        assert not is_below[near].all()
    else:
        assert not is_below[-1]


TINY = 0.004


def walk(origin, direction, height):
    """Places along the ray while it is over the field, and whether each is below its cell."""
    way = np.arange(0, 100, TINY)
    x, y, z = (np.asarray(origin) + way[:, None] * np.asarray(direction)).T
    i, j = np.floor((x + 10) / CELL).astype(int), np.floor((y + 4) / CELL).astype(int)
    over = (i >= 0) & (i < height.shape[0]) & (j >= 0) & (j < height.shape[1])
    over &= np.logical_and.accumulate(over)
    return way[over], z[over] <= height[i[over], j[over]]


def longest_run(mask):
    """Length of the longest stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))
