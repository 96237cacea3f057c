"""Weather and faults: stronger is worse, and every point knows where it comes from."""

import numpy as np
import pytest

from lidarpan.structures import InputError, Scan
from lidarpan.synthetic.sensors.corruptions import CORRUPTIONS, STRENGTHS, corrupt
from lidarpan.synthetic.sensors.sensor import make_sensor


@pytest.fixture(scope="module")
def clean():
    rng = np.random.default_rng(0)
    rays, ring, _ = make_sensor(num_beams=32, azimuth_steps=300, highest_deg=5).rays(rng)
    down = np.minimum(rays[:, 2], -1e-3)
    reach = np.minimum(-1.8 / down, rng.uniform(8, 60, len(rays)))
    points = (rays * reach[:, None]).astype(np.float32)
    bright = rng.uniform(0.1, 0.9, len(rays)).astype(np.float32)
    return Scan(points, bright, ring=ring.astype(np.int32))


def harm(clean, name, strength):
    """Points lost or from nothing, mean shift of the others, and lost brightness."""
    scan, source = corrupt(clean, name, strength, np.random.default_rng(1))
    real = source >= 0
    gone = 1 - real.sum() / clean.num_points
    shift = np.linalg.norm(scan.points[real] - clean.points[source[real]], axis=1).mean()
    dim = (clean.intensity[source[real]] - scan.intensity[real]).mean()
    return gone + shift + dim


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_points_know_where_they_come_from(clean, name, strength):
    before = clean.points.copy()
    scan, source = corrupt(clean, name, strength, np.random.default_rng(1))
    assert source.shape == (scan.num_points,)
    assert source.min() >= -1
    assert source.max() < clean.num_points
    real = source[source >= 0]
    assert (np.diff(real) > 0).all()  # in order, none twice
    assert (scan.ring[source >= 0] == clean.ring[real]).all()
    assert 0 <= scan.intensity.min() <= scan.intensity.max() <= 1
    assert (clean.points == before).all()
    again, _ = corrupt(clean, name, strength, np.random.default_rng(1))
    assert (again.points == scan.points).all()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_stronger_is_worse(clean, name):
    levels = [harm(clean, name, strength) for strength in STRENGTHS]
    assert 0 < levels[0] < levels[1] < levels[2]


@pytest.mark.parametrize("name", ["rain", "snow", "fog", "cross-talk", "wrong-echoes"])
def test_wrong_returns_lie_on_their_rays(clean, name):
    """Whatever returns, it returns along the beam that was sent."""
    scan, _ = corrupt(clean, name, 3, np.random.default_rng(2))
    sent = np.unique(
        np.round(np.degrees(np.arctan2(clean.points[:, 2], np.hypot(*clean.points[:, :2].T))), 1)
    )
    back = np.round(np.degrees(np.arctan2(scan.points[:, 2], np.hypot(*scan.points[:, :2].T))), 1)
    assert np.isin(back, np.concatenate([sent, sent + 0.1, sent - 0.1]).round(1)).all()


def test_fog_takes_the_far_ones(clean):
    _, source = corrupt(clean, "fog", 3, np.random.default_rng(0))
    reach = np.linalg.norm(clean.points, axis=1)
    kept = np.isin(np.arange(clean.num_points), source[source >= 0])
    assert kept[reach < 8].mean() > 0.95
    assert kept[reach > 45].mean() < 0.2


def test_dead_beams_are_dead_wholly(clean):
    scan, _ = corrupt(clean, "dropped-beams", 2, np.random.default_rng(0))
    for ring in np.unique(scan.ring):
        assert (scan.ring == ring).sum() == (clean.ring == ring).sum()
    assert 4 < len(np.unique(scan.ring)) < 28


@pytest.mark.parametrize(("name", "strength"), [("hail", 1), ("rain", 4), ("rain", 0)])
def test_unknown_weather_is_refused(clean, name, strength):
    with pytest.raises(InputError, match="rain, snow"):
        corrupt(clean, name, strength, np.random.default_rng(0))
