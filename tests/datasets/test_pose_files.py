"""Poses in every format and frame are the sensor's; what is no pose is refused by line."""

import logging

import numpy as np
import pytest

from lidarpan.datasets.pose_files import read_calibration, read_sensor_poses
from lidarpan.structures import InputError

TR = "Tr: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27\n"
CAMERA = [f"1 0 0 0 0 1 0 0 0 0 1 {8 * k}" for k in range(3)]
SENSOR = [f"1 0 0 {8 * k} 0 1 0 0 0 0 1 0" for k in range(3)]


def ahead(tmp_path, lines, calibration=None):
    (tmp_path / "poses.txt").write_text("\n".join(lines) + "\n")
    if calibration is not None:
        (tmp_path / "calib.txt").write_text(calibration)
    return read_sensor_poses(tmp_path / "poses.txt")


@pytest.mark.parametrize(
    ("lines", "calibration"),
    [
        (CAMERA, TR),
        (CAMERA, "P0: 1 0 0 0 0 1 0 0 0 0 1 0\n"),
        (CAMERA, TR.replace("Tr:", "Tr_velo_to_cam:")),
        (CAMERA, None),
        (SENSOR, TR),
        (SENSOR, None),
        ([f"{k} {line}" for k, line in enumerate(CAMERA)], TR),
        ([f"{line} 0 0 0 1" for line in CAMERA], TR),
        ([f"{k} {line} 0 0 0 1" for k, line in enumerate(CAMERA)], TR),
        (["# time x y z qx qy qz qw", *(f"0.{k} {8 * k} 0 0 0 0 0 1" for k in range(3))], TR),
        ([line.replace(" ", ",") for line in SENSOR], None),
        (["t,x,y,z,qx,qy,qz,qw", *(f"0.{k},{8 * k},0,0,0,0,0,1" for k in range(3))], None),
        ([f"0.{k} {8 * k} 0 0 1 0 0 0" for k in range(3)], TR),  # w first
        (["\ufeff" + SENSOR[0] + "\r", *SENSOR[1:]], "\ufeff" + TR),
    ],
)
def test_a_drive_straight_ahead_goes_along_x(tmp_path, lines, calibration):
    read = ahead(tmp_path, lines, calibration)
    np.testing.assert_allclose(read.poses[:, :3, 3], [[0, 0, 0], [8, 0, 0], [16, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(read.poses[:, :3, :3], np.tile(np.eye(3), (3, 1, 1)), atol=1e-9)


def test_quaternions_with_w_first_are_known_by_the_turns_of_a_level_drive(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "lidarpan")
    yaw = np.linspace(0, 2, 5)
    rows = np.stack(
        [yaw, yaw, 0 * yaw, 0 * yaw, np.cos(yaw / 2), 0 * yaw, 0 * yaw, np.sin(yaw / 2)]
    )
    lines = [" ".join(map(str, row)) for row in rows.T]
    poses = ahead(tmp_path, lines).poses
    np.testing.assert_allclose(np.arctan2(poses[:, 1, 0], poses[:, 0, 0]), yaw, atol=1e-9)
    np.testing.assert_allclose(poses[:, 2, 2], 1)
    assert "w first" in caplog.text
    hanging = [f"{k} {k} 0 0 {np.cos(a / 2)} {np.sin(a / 2)} 0 0" for k, a in enumerate(yaw)]
    np.testing.assert_allclose(ahead(tmp_path, hanging).poses[:, 2, 2], -1)


def test_a_drive_along_y_is_the_sensors(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "lidarpan")
    read = ahead(tmp_path, [f"1 0 0 0 0 1 0 {8 * k} 0 0 1 0" for k in range(3)], TR)
    np.testing.assert_allclose(read.poses[:, :3, 3], [[0, 0, 0], [0, 8, 0], [0, 16, 0]], atol=1e-9)
    assert "goes along y: taken for the sensor's poses" in caplog.text


def test_numbers_of_frames_and_times_are_kept(tmp_path):
    read = ahead(tmp_path, [f"{k + 5} {line}" for k, line in enumerate(SENSOR)])
    assert read.frames.tolist() == [5, 6, 7]
    read = ahead(tmp_path, [f"1.{k} {k} 0 0 0 0 0 1" for k in range(3)])
    assert read.times_s.tolist() == [1.0, 1.1, 1.2]


def test_what_was_found_out_is_said(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "lidarpan")
    ahead(tmp_path, CAMERA, "P0: 1\n")
    ahead(tmp_path, SENSOR, TR)
    first, second = (record.getMessage() for record in caplog.records)
    assert "no Tr in" in first
    assert "taken for the sensor's poses" in second


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "got an empty file"),
        (["1 2 3"], "line 1: wanted 12 finite numbers a line.*got 1 2 3"),
        ([*CAMERA, "1 0 0 0"], "line 4"),
        ([*CAMERA, CAMERA[0].replace("8", "nan").replace("1 0", "nan 0", 1)], "line 4"),
        ([" ".join(["nan"] * 12), *CAMERA], "line 1"),
        (["1 0 0 x 0 1 0 0 0 0 1 0"], "line 1"),
        (["0 0 0 0 0 0 0 0"], "quaternion"),
        ([*CAMERA, "1 0 0 0 1 0 0 0 1 8 0 0"], "line 4: wanted the rows of a rotation"),
    ],
)
def test_what_is_no_pose_is_refused_by_its_line(tmp_path, lines, message):
    with pytest.raises(InputError, match=message):
        ahead(tmp_path, lines)


def test_a_calibration_that_is_none_is_refused(tmp_path):
    file = tmp_path / "calib.txt"
    for text, message in {
        "Tr: 0 0 0 0 0 0 0 0 0 0 0 0\n": "wanted a rotation and a place",
        "Tr: 1 2 3\n": "wanted 12 numbers",
        "Tr: nan 0 0 0 0 1 0 0 0 0 1 0\n": "wanted a rotation",
    }.items():
        file.write_text(text)
        with pytest.raises(InputError, match=message):
            read_calibration(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="binary"):
        read_calibration(file)


def winding(num=40):
    """(num, 4, 4) poses of a vehicle that turns left and right, a metre a step."""
    poses = [np.eye(4)]
    for k in range(num - 1):
        turn = 0.08 * np.sin(k / 6)
        step = np.eye(4)
        step[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        step[0, 3] = 1.0
        poses.append(poses[-1] @ step)
    return np.array(poses)


def lines_of(poses, rows=3):
    return [" ".join(f"{v:.9g}" for v in pose[:rows].ravel()) for pose in poses]


CAMERA_T_SENSOR = np.array([[0.0, -1, 0, 0], [0, 0, -1, 0], [1, 0, 0, 0], [0, 0, 0, 1]])


@pytest.mark.parametrize("whose", ["camera", "sensor"])
@pytest.mark.parametrize("line", [0, 7, 39])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_one_pose_far_off_decides_nothing(tmp_path, caplog, whose, line, axis):
    caplog.set_level(logging.WARNING, "lidarpan")
    true = winding()
    poses = CAMERA_T_SENSOR @ true @ CAMERA_T_SENSOR.T if whose == "camera" else true.copy()
    poses[line, axis, 3] += 1e5
    read = ahead(tmp_path, lines_of(poses), "Tr: 0 -1 0 0 0 0 -1 0 1 0 0 0\n").poses
    others = np.arange(len(true)) != line
    np.testing.assert_allclose(read[others], true[others], atol=1e-6)
    assert "m from the one before, where others move by 1.0 m" in caplog.text


def test_matrices_column_by_column_are_known(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "lidarpan")
    true = winding()
    for numbered in (False, True):
        lines = lines_of(true.transpose(0, 2, 1), rows=4)
        lines = [f"{k} {line}" for k, line in enumerate(lines)] if numbered else lines
        np.testing.assert_allclose(ahead(tmp_path, lines).poses, true, atol=1e-6)
        assert "column by column" in caplog.text


def test_the_world_as_the_vehicle_sees_it_is_inverted(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "lidarpan")
    true = winding()
    np.testing.assert_allclose(
        ahead(tmp_path, lines_of(np.linalg.inv(true))).poses, true, atol=1e-6
    )
    assert "inverted: only so the vehicle goes where it looks" in caplog.text


def test_what_is_odd_about_a_drive_is_said(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "lidarpan")
    ahead(tmp_path, [line.replace(" 8 ", " -8 ").replace("16", "-16") for line in SENSOR])
    assert "the drive goes backwards" in caplog.text
    ahead(tmp_path, [f"1 0 0 {8000 * k} 0 1 0 0 0 0 1 0" for k in range(3)])
    assert "8000 m from one pose to the next: are these metres?" in caplog.text


def test_poses_with_times_are_taken_in_order_of_time(tmp_path):
    lines = [f"{k};{8 * k},5;0;0;0;0;0;1" for k in (0, 2, 1)]  # with decimal commas
    read = ahead(tmp_path, lines)
    assert read.times_s.tolist() == [0, 1, 2]
    assert read.poses[:, 0, 3].tolist() == [0.5, 8.5, 16.5]


def test_poses_between_times(tmp_path):
    half = np.sqrt(0.5)
    read = ahead(tmp_path, ["0 0 0 0 0 0 0 1", f"1 10 0 0 0 0 {half} {half}"])
    (pose,) = read.at(np.array([0.5]))
    assert pose[0, 3] == pytest.approx(5)
    assert np.arctan2(pose[1, 0], pose[0, 0]) == pytest.approx(np.pi / 4)
    assert read.at(np.array([5.0])) is None
