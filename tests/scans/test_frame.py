"""Points counted from elsewhere are moved to where their rays meet, and it is said."""

import numpy as np
import pytest

from lidarpan.scans.files import load_scan
from lidarpan.scans.frame import coarse_step_m, find_seat
from lidarpan.structures import InputError

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


def test_a_viewpoint_that_would_tip_the_points_over_moves_them_only(tmp_path, rows):
    """Its quaternion is x y z w, as other programs write it: 57 degrees about z."""
    x, y, z = (rows[:, :3].astype(np.float64) + np.array([120, -80, 5])).T
    head = (
        "VERSION 0.7\nFIELDS x y z\nSIZE 8 8 8\nTYPE F F F\nCOUNT 1 1 1\n"
        f"WIDTH {len(rows)}\nHEIGHT 1\nVIEWPOINT 120 -80 5 0 0 0.479 0.878\n"
        f"POINTS {len(rows)}\nDATA binary\n"
    )
    (tmp_path / "s.pcd").write_bytes(head.encode() + np.column_stack([x, y, z]).tobytes())
    loaded = load_scan(tmp_path / "s.pcd")
    np.testing.assert_allclose(loaded.scan.points, rows[:, :3], atol=1e-3)
    assert any("not turned" in text for text in loaded.warnings)


def test_steps_of_float32_map_coordinates_are_said(tmp_path, rows):
    far = rows.copy()
    far[:, :3] += np.float32([691_234, 5_334_321, 517])
    far.tofile(tmp_path / "s.bin")
    assert any("steps of 0.5 m" in text for text in load_scan(tmp_path / "s.bin").warnings)
    assert coarse_step_m(far[:, :3].astype(np.float64)) == 0
    assert coarse_step_m(rows[:, :3]) < 1e-4


@pytest.mark.parametrize("place", [1e4, 1e6, 9e7])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_point_far_away_says_nothing_of_the_others(tmp_path, rows, axis, place):
    odd = rows.copy()
    odd[7, axis] = place
    odd.tofile(tmp_path / "s.bin")
    rows.tofile(tmp_path / "whole.bin")
    loaded = load_scan(tmp_path / "s.bin")
    first, *more = loaded.warnings
    assert first == "dropped 1 of 12000 points: further than any sensor sees"
    assert tuple(more) == load_scan(tmp_path / "whole.bin").warnings
    others = np.arange(len(rows)) != 7
    np.testing.assert_array_equal(loaded.valid, others)
    np.testing.assert_array_equal(loaded.scan.points, rows[others, :3])


@pytest.mark.parametrize(("per_metre", "name"), [(1000, "millimetres"), (100, "centimetres")])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i4"])
def test_small_units_become_metres(tmp_path, rows, per_metre, name, dtype):
    table = np.column_stack([rows[:, :3] * per_metre, np.round(rows[:, 3] * 255)])
    np.save(tmp_path / "s.npy", table.round().astype(dtype))
    loaded = load_scan(tmp_path / "s.npy")
    np.testing.assert_allclose(loaded.scan.points, rows[:, :3], atol=0.6 / per_metre)
    assert loaded.warnings == (f"coordinates in {name}: taken times {1 / per_metre:g}",)


@pytest.mark.parametrize(("metres", "name"), [(0.0254, "inches"), (1000, "kilometres")])
def test_units_that_no_street_has_become_metres(tmp_path, rows, metres, name):
    np.save(tmp_path / "s.npy", np.column_stack([rows[:, :3] / metres, rows[:, 3]]))
    loaded = load_scan(tmp_path / "s.npy")
    np.testing.assert_allclose(loaded.scan.points, rows[:, :3], atol=1e-4)
    assert loaded.warnings == (f"coordinates in {name}: taken times {metres:g}",)


def test_where_two_units_fit_both_are_named(tmp_path, rows):
    low = rows[:, :3] * 0.7  # as from a sensor 1.2 m above the ground
    np.save(tmp_path / "s.npy", np.column_stack([low * 100, rows[:, 3]]))
    loaded = load_scan(tmp_path / "s.npy")
    np.testing.assert_allclose(loaded.scan.points, low, atol=1e-4)
    assert "centimetres: taken times 0.01 (inches fit, too: for those" in loaded.warnings[0]


def test_millimetres_of_a_map_become_metres_around_the_sensor(tmp_path, rows):
    table = (rows[:, :3].astype(np.float64) + np.array([3000, -2000, 40])) * 1000
    np.save(tmp_path / "s.npy", np.column_stack([table, rows[:, 3]]))
    loaded = load_scan(tmp_path / "s.npy")
    np.testing.assert_allclose(loaded.scan.points, rows[:, :3], atol=0.3)
    assert loaded.warnings[0] == "coordinates in millimetres: taken times 0.001"
    assert "where its rays meet" in loaded.warnings[1]


@pytest.mark.parametrize("metres", [0.3048, 80.0])
def test_units_that_nothing_tells_are_said(tmp_path, rows, metres):
    """Feet look like metres from high up; of a scan divided by its reach nobody knows more."""
    np.save(tmp_path / "s.npy", np.column_stack([rows[:, :3] / metres, rows[:, 3]]))
    said = load_scan(tmp_path / "s.npy").warnings[-1]
    assert "the ground lies 5.6" in said or "multiply x y z by the metres that one has" in said


@pytest.mark.parametrize("unit", ["radians", "degrees"])
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)])
def test_ranges_and_angles_are_refused(tmp_path, rows, unit, order):
    x, y, z = rows[:, :3].astype(np.float64).T
    angles = np.stack([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))])
    angles = np.degrees(angles) if unit == "degrees" else angles
    polar = np.stack([np.linalg.norm(rows[:, :3], axis=1), *angles], axis=1)[:, order]
    np.column_stack([polar, rows[:, 3]]).astype(np.float32).tofile(tmp_path / "s.bin")
    with pytest.raises(InputError, match=f"got ranges, azimuths and elevations in {unit}: make x"):
        load_scan(tmp_path / "s.bin", columns="xyzi")
