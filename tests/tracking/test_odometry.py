"""Poses from scans alone."""

import numpy as np
import pytest
from drives import at, car, look

from lidarpan.errors import InputError
from lidarpan.structures import Scan
from lidarpan.tracking.odometry import estimate_poses


def scans(rng):
    """A drive of one metre a scan between two rows of things of different sizes."""
    bodies = [car(k, 5.0 * k - 15, 6 + rng.uniform(0, 3), rng.uniform(0, 1)) for k in range(12)]
    bodies += [
        car(k, 5.0 * k - 75, -7 - rng.uniform(0, 3), rng.uniform(0, 1)) for k in range(12, 24)
    ]
    for k in range(6):
        points, _, _ = look(bodies, at(1.0 * k, 0.0), rng)
        yield Scan(points, np.zeros(len(points), np.float32))


def test_a_straight_drive_is_found():
    pytest.importorskip("kiss_icp")
    poses = estimate_poses(scans(np.random.default_rng(2)))
    assert poses.shape == (6, 4, 4)
    np.testing.assert_allclose(poses[:, :2, 3], [(k, 0) for k in range(6)], atol=0.35)


def test_without_the_library_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "kiss_icp.kiss_icp", None)
    with pytest.raises(InputError, match=r"pip install 'lidarpan\[odometry\]'"):
        estimate_poses([])
