"""Beams from rings, from the order of the points, or as bands; and the sensor they tell of."""

import numpy as np
import pytest

from lidarpan.scans.beams import bands_of_elevation, find_beams
from lidarpan.structures import InputError, Scan
from lidarpan.synthetic.sensors.estimate import USUAL_NOISE_M, estimate_sensor, range_noise
from lidarpan.synthetic.sensors.presets import SENSORS
from lidarpan.synthetic.sensors.sensor import make_sensor


def sweep(sensor, *, order="beam", ring=False, sector=None, seed=0):
    """Returns of a sensor in a round room of rough walls, and the beam of each."""
    rng = np.random.default_rng(seed)
    directions, beam, _ = sensor.rays(rng)
    reach = rng.uniform(9, 40, len(beam)) * (rng.random(len(beam)) < 0.95)
    azimuth = np.arctan2(directions[:, 1], directions[:, 0])
    keep = reach > 0
    if sector is not None:
        keep &= np.abs(np.degrees(azimuth)) < sector
    place = np.flatnonzero(keep)
    if order == "beam":
        place = place[np.lexsort((azimuth[place], -beam[place]))]
    points = (directions * reach[:, None].astype(np.float32))[place]
    rings = beam[place].astype(np.int32) if ring else None
    return Scan(points.astype(np.float32), ring=rings), beam[place]


@pytest.mark.parametrize("sector", [None, 33])
@pytest.mark.parametrize("ring", [True, False])
def test_beams_are_found_from_the_ring_or_the_order(ring, sector):
    scan, truth = sweep(make_sensor(num_beams=24, azimuth_steps=360), ring=ring, sector=sector)
    found = find_beams(scan)
    pairs = {(int(a), int(b)) for a, b in zip(found, truth, strict=True)}
    assert len(pairs) == 24  # one number for each beam


def test_points_of_a_camera_tell_no_beams():
    rng = np.random.default_rng(0)
    assert find_beams(Scan(rng.normal(0, 10, (3000, 3)).astype(np.float32))) is None


def test_bands_hold_equally_many_points():
    scan, truth = sweep(make_sensor(num_beams=24, azimuth_steps=300), order="turn")
    bands = bands_of_elevation(scan, 24)
    assert (np.abs(bands - truth) <= 1).all()
    assert np.ptp(np.bincount(bands)) <= 2


@pytest.mark.parametrize("name", ["hdl64e", "hdl32e"])
def test_a_sensor_is_told_from_its_scans(name):
    sensor = SENSORS[name]
    scan, _ = sweep(sensor, ring=True)
    told = estimate_sensor([scan, scan], 1.5)
    assert np.allclose(told.elevations_rad, sensor.elevations_rad, atol=np.radians(0.1))
    assert told.azimuth_steps == pytest.approx(sensor.azimuth_steps, rel=0.05)
    assert (told.height_m, told.max_range_m) == (1.5, pytest.approx(40, abs=2))
    assert told.blind == ()


def test_a_sensor_that_looks_ahead_is_told_by_its_sector():
    sensor = make_sensor(num_beams=32, azimuth_steps=900)
    scan, _ = sweep(sensor, sector=33)
    told = estimate_sensor([scan], 1.8)
    again, _ = sweep(told, ring=True)
    azimuth = np.degrees(np.arctan2(again.points[:, 1], again.points[:, 0]))
    assert np.abs(azimuth).max() == pytest.approx(33, abs=6)
    assert again.num_points == pytest.approx(scan.num_points, rel=0.15)


def test_without_rings_and_order_a_common_sensor_is_taken():
    sensor = make_sensor(num_beams=64, azimuth_steps=1800)
    scan, _ = sweep(sensor, order="turn")
    told = estimate_sensor([scan], 1.8)
    assert len(told.elevations_rad) == 64
    assert np.allclose(told.elevations_rad, sensor.elevations_rad, atol=np.radians(0.7))


@pytest.mark.parametrize("noise_m", [0.004, 0.02])
def test_the_noise_of_ranges_is_told_among_clutter(noise_m):
    rng = np.random.default_rng(1)
    step = np.radians(0.3)
    azimuth = np.tile(np.arange(-np.pi, np.pi, step), 24)
    beam = np.repeat(np.arange(24, dtype=np.int32), len(azimuth) // 24)
    wall = 12 + 3 * np.cos(azimuth) + 0.5 * np.sin(3 * azimuth)
    is_bush = np.repeat(rng.random(len(wall) // 24) < 0.3, 24)
    reach = np.where(is_bush, rng.uniform(4, 11, len(wall)), wall)
    reach += rng.normal(0, noise_m, len(wall))
    points = np.stack([reach * np.cos(azimuth), reach * np.sin(azimuth), 0 * reach], axis=1)
    told = range_noise(points, beam, float(step))
    assert noise_m <= told < 1.6 * noise_m


def test_noise_of_few_points_is_the_usual_one():
    few = np.random.default_rng(0).normal(0, 10, (50, 3))
    assert range_noise(few, np.zeros(50, np.int32), 0.1) == USUAL_NOISE_M


def test_the_nearest_range_is_that_of_all_scans():
    sensor = make_sensor(num_beams=16, azimuth_steps=400)
    scan, _ = sweep(sensor)
    near = Scan(scan.points[: scan.num_points // 2] * np.float32(0.5))
    told = estimate_sensor([scan, near], 1.8)
    assert told.min_range_m == pytest.approx(4.5, abs=0.2)


def test_a_handful_of_points_is_refused():
    with pytest.raises(InputError, match="500 points"):
        estimate_sensor([Scan(np.ones((20, 3), np.float32))], 1.8)
