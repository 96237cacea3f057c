"""Points counted from elsewhere are moved to where their rays meet, and it is said."""

import numpy as np
import pytest

from lidarpan.scans.files import load_scan
from lidarpan.scans.frame import coarse_step_m, find_seat

SHIFT = np.array([300.0, -200.0, 0.0])


@pytest.mark.parametrize("shift", [(60, 40, 0), (300, -200, 4), (3000, -2000, 40), (7e5, 5e6, 500)])
def test_the_sensor_is_found_where_the_rays_meet(rows, shift):
    seat = find_seat(rows[:, :3].astype(np.float64) + shift, 1.73)
    np.testing.assert_allclose(seat.shift_m[:2], shift[:2], atol=0.3)
    assert abs(seat.shift_m[2] - shift[2]) < 0.6


def test_a_scan_around_its_sensor_stays(rows):
    assert find_seat(rows[:, :3], 1.73) is None
    ahead = rows[np.abs(np.arctan2(rows[:, 1], rows[:, 0])) < 0.5]
    assert find_seat(ahead[:, :3], 1.73) is None


def test_real_scans_stay_and_are_found_again(real_data):
    for pattern in (
        "semantickitti/sequences/*/velodyne/000000.bin",
        "pandaset/sequences/02/velodyne/000000.bin",
        "nuscenes/LIDAR_TOP/00*",
        "unlabelled/zoo/*.pcd",
    ):
        for file in sorted(real_data.glob(pattern)):
            points = load_scan(file).scan.points
            assert find_seat(points, 1.73) is None, file
            seat = find_seat(points.astype(np.float64) + SHIFT, 1.73)
            assert np.hypot(*(seat.shift_m[:2] - SHIFT[:2])) < 1.0, file


def test_the_viewpoint_of_a_pcd_is_where_it_says_if_the_points_agree(tmp_path, rows):
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])  # 90 degrees about z
    world = rows[:, :3] @ turn.T + (120, -80, 5)
    half = np.sqrt(0.5)
    for name, points, is_moved in (("world", world, True), ("sensor", rows[:, :3], False)):
        head = (
            "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n"
            f"WIDTH {len(rows)}\nHEIGHT 1\nVIEWPOINT 120 -80 5 {half} 0 0 {half}\n"
            f"POINTS {len(rows)}\nDATA binary\n"
        )
        (tmp_path / f"{name}.pcd").write_bytes(head.encode() + points.astype("<f4").tobytes())
        loaded = load_scan(tmp_path / f"{name}.pcd")
        np.testing.assert_allclose(loaded.scan.points, rows[:, :3], atol=1e-3)
        assert any("VIEWPOINT" in text for text in loaded.warnings) == is_moved


def test_steps_of_float32_map_coordinates_are_said(tmp_path, rows):
    far = rows.copy()
    far[:, :3] += np.float32([691_234, 5_334_321, 517])
    far.tofile(tmp_path / "s.bin")
    assert any("steps of 0.5 m" in text for text in load_scan(tmp_path / "s.bin").warnings)
    assert coarse_step_m(far[:, :3].astype(np.float64)) == 0
    assert coarse_step_m(rows[:, :3]) < 1e-4


@pytest.mark.parametrize(("per_metre", "name"), [(1000, "millimetres"), (100, "centimetres")])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_small_units_become_metres(tmp_path, rows, per_metre, name, dtype):
    table = np.column_stack([rows[:, :3] * per_metre, np.round(rows[:, 3] * 255)])
    np.save(tmp_path / "s.npy", table.round().astype(dtype))
    loaded = load_scan(tmp_path / "s.npy")
    np.testing.assert_allclose(loaded.scan.points, rows[:, :3], atol=0.6 / per_metre)
    assert loaded.warnings == (f"coordinates in {name}: taken times {1 / per_metre:g}",)


def test_units_that_nothing_tells_are_said(tmp_path, rows):
    np.save(tmp_path / "s.npy", np.column_stack([rows[:, :3] * 39.4, rows[:, 3]]))  # inches
    loaded = load_scan(tmp_path / "s.npy")
    assert "wanted metres around the sensor" in loaded.warnings[-1]
    assert "multiply x y z by the metres that one has" in loaded.warnings[-1]
