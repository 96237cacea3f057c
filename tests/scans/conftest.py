"""Scans as a turning sensor takes them, made without one."""

import numpy as np
import pytest


def ring_scan(num_beams=24, num_turns=500, seed=0):
    """(N, 4) float32 x y z intensity in the order of the beams: ground, walls and boxes."""
    rng = np.random.default_rng(seed)
    elevation = np.radians(np.linspace(-22, 3, num_beams))[:, None]
    azimuth = np.radians(np.linspace(180, -180, num_turns, endpoint=False))[None]
    ground = np.where(elevation < -0.01, 1.73 / np.tan(np.maximum(-elevation, 1e-3)), 90.0)
    wall = np.minimum(7.0 / np.maximum(np.abs(np.sin(azimuth)), 0.08), 60.0)
    box = np.where(np.sin(9 * azimuth) > 0.6, 9.0 + 4 * np.cos(azimuth), 60.0)
    reach = np.minimum(np.minimum(ground, wall), box) * rng.normal(1, 0.002, (num_beams, num_turns))
    x, y = reach * np.cos(azimuth), reach * np.sin(azimuth)
    z = reach * np.tan(elevation)
    bright = 0.3 + 0.1 * np.sin(3 * azimuth) + 0.2 * (reach < wall - 0.5)
    bright = np.clip(bright + rng.normal(0, 0.05, reach.shape), 0.01, 0.99)
    return np.stack([x, y, z, bright], axis=-1).reshape(-1, 4).astype(np.float32)


@pytest.fixture(scope="session")
def rows():
    """(12000, 4) float32 of `ring_scan`."""
    return ring_scan()
