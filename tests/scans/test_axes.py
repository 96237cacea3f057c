"""Turned, tilted and hanging sensors: the scan's own ground is found and laid flat."""

import numpy as np
import pytest

from lidarpan.scans.axes import AXES, ground_normal, level_turn, levelled, turn_to
from lidarpan.scans.files import load_scan
from lidarpan.structures import InputError, Scan


def street(height_m=1.7, seed=0):
    """A road seen by a turning sensor, walls on both sides and cars."""
    rng = np.random.default_rng(seed)
    angle, distance = rng.uniform(-np.pi, np.pi, 12000), 2.5 / rng.uniform(0.06, 1, 12000)
    road = np.c_[distance * np.cos(angle), distance * np.sin(angle), np.full(12000, -height_m)]
    walls = [
        np.c_[rng.uniform(-40, 40, 5000), np.full(5000, y), rng.uniform(-height_m, 6, 5000)]
        for y in (-9.0, 12.0)
    ]
    cars = [rng.uniform(0, 1, (500, 3)) * [4, 1.8, 1.5] + [x, 4, -height_m] for x in (-12, 3, 9)]
    points = np.concatenate([road[np.abs(road[:, 1]) < 12], *walls, *cars])
    return Scan(points + rng.normal(0, 0.02, points.shape))


def rotation(seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def turned(scan, by):
    return Scan(scan.points.astype(np.float64) @ by.T, scan.intensity)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("height_m", [0.1, 1.7, 3.5])
def test_any_turn_is_found(seed, height_m):
    by = rotation(seed)
    scan = turned(street(height_m), by)
    assert ground_normal(scan) @ by[:, 2] > np.cos(np.radians(1.5))
    level = level_turn(scan)
    assert f"turned by {np.degrees(np.arccos(by[2, 2])):.0f}"[:-1] in level.said
    flat = level.of(scan)
    assert np.percentile(flat.points[:, 2], 30) == pytest.approx(-height_m, abs=0.25)
    assert np.allclose(
        np.linalg.norm(flat.points, axis=1), np.linalg.norm(scan.points, axis=1), atol=1e-3
    )
    assert level_turn(flat) is None


def test_upside_down():
    scan = turned(street(), np.diag([1.0, -1, -1]))
    level = level_turn(scan)
    assert level.said.startswith("the sensor hangs upside down")
    assert np.allclose(level.of(scan).points, street().points, atol=0.2)


def test_a_flat_scan_or_a_slope_stays():
    slope = np.radians(5)
    by = np.array(
        [[np.cos(slope), 0, np.sin(slope)], [0, 1, 0], [-np.sin(slope), 0, np.cos(slope)]]
    )
    assert level_turn(street()) is None
    assert level_turn(turned(street(), by)) is None


def test_no_ground_no_turn():
    rng = np.random.default_rng(0)
    assert level_turn(Scan(rng.uniform(-15, 15, (5000, 3)))) is None
    assert level_turn(Scan(rng.uniform(-15, 15, (50, 3)))) is None


def test_a_wall_is_no_ground():
    scan = street()
    keep = (scan.points[:, 1] > 11) | (np.arange(scan.num_points) % 40 == 0)
    level = level_turn(Scan(scan.points[keep]))
    assert level is None


@pytest.mark.parametrize("up", AXES)
@pytest.mark.parametrize("forward", AXES)
def test_named_axes(up, forward):
    if up[-1] == forward[-1]:
        with pytest.raises(InputError, match="lie on one line"):
            turn_to(up, forward)
        return
    turn = turn_to(up, forward)
    assert np.linalg.det(turn.rotation) == pytest.approx(1)

    def unit(axis):
        return np.eye(3)["xyz".index(axis[-1])] * (-1 if axis[0] == "-" else 1)

    assert np.allclose(turn.rotation @ unit(up), [0, 0, 1])
    assert np.allclose(turn.rotation @ unit(forward), [1, 0, 0])


def test_the_pose_goes_along():
    by = rotation(5)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation(6), [3, 4, 5]
    scan = Scan(street().points @ by.T.astype(np.float32), world_T_sensor=pose)
    flat = level_turn(scan).of(scan)
    before = scan.points @ pose[:3, :3].T + pose[:3, 3]
    after = flat.points @ flat.world_T_sensor[:3, :3].T + flat.world_T_sensor[:3, 3]
    assert np.allclose(before, after, atol=1e-3)


def test_wrong_names():
    with pytest.raises(InputError, match="up: wanted one of x, -x, y, -y, z, -z, got 'w'"):
        turn_to("w", "x")


@pytest.mark.parametrize("slope_deg", [0, 3, 6])
def test_a_hanging_sensor_on_a_slope_is_turned_over_and_the_slope_stays(slope_deg):
    slope = np.radians(slope_deg)
    tilt = np.array(
        [[np.cos(slope), 0, np.sin(slope)], [0, 1, 0], [-np.sin(slope), 0, np.cos(slope)]]
    )
    scan = turned(street(), np.diag([1, -1, -1]) @ tilt)
    assert np.array_equal(level_turn(scan).rotation, np.diag([1, -1, -1]))


@pytest.mark.parametrize("sequence", ["00", "08"])
def test_real_scans_of_a_hanging_sensor_are_read_as_they_stood(real_data, tmp_path, sequence):
    file = real_data / f"semantickitti/sequences/{sequence}/velodyne/000000.bin"
    rows = np.fromfile(file, np.float32).reshape(-1, 4)
    (rows * np.float32([1, -1, -1, 1])).tofile(tmp_path / "hanging.bin")
    found, turn = levelled(load_scan(tmp_path / "hanging.bin"), 1.73)
    assert "hangs upside down" in turn.said
    assert np.array_equal(found.scan.points, load_scan(file).scan.points)
