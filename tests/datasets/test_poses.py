"""Each scan gets the pose that its name or its place says."""

from pathlib import Path

import numpy as np
import pytest

from lidarpan.datasets.poses import find_poses
from lidarpan.datasets.times import find_times
from lidarpan.structures import InputError


def write_poses(path, xs):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"1 0 0 {x} 0 1 0 0 0 0 1 0\n" for x in xs))
    return path


def x_of(poses):
    return poses[:, 0, 3].tolist()


def test_poses_follow_names_then_places(tmp_path):
    file = write_poses(tmp_path / "drive.txt", range(5))
    numbered = [Path(f"scans/{k:06d}.bin") for k in (1, 3)]
    assert x_of(find_poses(numbered, file)) == [1, 3]
    named = [Path(f"scans/{name}.pcd") for name in "abcde"]
    assert x_of(find_poses(named, file)) == [0, 1, 2, 3, 4]
    late = [Path(f"scans/{k}.bin") for k in range(100, 105)]
    assert x_of(find_poses(late, file)) == [0, 1, 2, 3, 4]
    with pytest.raises(InputError, match=r"each of 2 scans up to b\.pcd, got 5"):
        find_poses(named[:2], file)


def test_poses_of_a_tree_are_found_and_turned_to_the_sensor(tmp_path):
    sequence = tmp_path / "sequences" / "03"
    scans = [sequence / "velodyne" / f"{k:06d}.bin" for k in range(2)]
    with pytest.raises(InputError, match=r"looked for .*03/poses.txt: name them with --poses"):
        find_poses(scans)
    (sequence / "velodyne").mkdir(parents=True)
    (sequence / "poses.txt").write_text("1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0 0 1 0 0 0 0 1 7\n")
    (sequence / "calib.txt").write_text("Tr: 0 -1 0 0 0 0 -1 0 1 0 0 0\n")
    poses = find_poses(scans)
    assert poses[1, :3, 3].tolist() == [7, 0, 0]  # the camera's forward is the sensor's x
    assert (poses[0] == np.eye(4)).all()


def test_bad_poses_are_explained(tmp_path):
    scan = [tmp_path / "a.bin"]
    with pytest.raises(InputError, match="no such file of poses"):
        find_poses(scan, tmp_path / "none.txt")
    (tmp_path / "bad.txt").write_text("1 2 3\n")
    with pytest.raises(InputError, match=r"12 finite numbers a line.*got 1 2 3"):
        find_poses(scan, tmp_path / "bad.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="got a binary file"):
        find_poses(scan, tmp_path / "binary.txt")
    (tmp_path / "nan.txt").write_text("nan 0 0 0 0 1 0 0 0 0 1 0\n")
    with pytest.raises(InputError, match="finite"):
        find_poses(scan, tmp_path / "nan.txt")
    with pytest.raises(InputError, match="one drive"):
        find_poses([tmp_path / "a" / "0.bin", tmp_path / "b" / "0.bin"])


def test_poses_with_times_are_those_of_the_scans_times(tmp_path):
    """Ten times as many as scans: line k is not scan k."""
    file = tmp_path / "trajectory.txt"
    file.write_text("".join(f"{k / 100:.2f} {k / 10} 0 0 0 0 0 1\n" for k in range(51)))
    scans = [tmp_path / "scans" / f"{k:06d}.bin" for k in range(5)]
    (tmp_path / "scans").mkdir()
    with pytest.raises(InputError, match=r"got 51 that are 0.01 s apart: say when .* times.txt"):
        find_poses(scans, file)
    (tmp_path / "times.txt").write_text("".join(f"{k / 10 + 0.005}\n" for k in range(5)))
    assert x_of(find_poses(scans, file)) == pytest.approx([0.05, 1.05, 2.05, 3.05, 4.05])


def test_names_of_scans_may_be_their_times(tmp_path):
    file = tmp_path / "trajectory.txt"
    start = 1_600_000_000
    file.write_text("".join(f"{start + k / 10:.1f} {k} 0 0 0 0 0 1\n" for k in range(20)))
    scans = [tmp_path / f"{start + 0.5 + k / 10:.1f}.bin" for k in range(3)]
    assert x_of(find_poses(scans, file)) == pytest.approx([5, 6, 7], abs=1e-4)


SCANS = [Path(f"{k:06d}.bin") for k in range(3)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("head", ["", "# when\n", "time\n\n"])
def test_times_are_read_as_editors_write_them(tmp_path, encoding, head):
    (tmp_path / "t.txt").write_text(f"{head}0\n0.1\n0.2\n", encoding=encoding)
    assert find_times(SCANS, tmp_path / "t.txt").tolist() == [0, 0.1, 0.2]


@pytest.mark.parametrize(
    ("per_second", "name"),
    [(10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")],
)
@pytest.mark.parametrize("start_s", [0, 1_600_000_000])
def test_times_in_other_units_become_seconds(tmp_path, caplog, per_second, name, start_s):
    whole = [start_s * per_second + k * per_second // 10 for k in range(3)]
    (tmp_path / "t.txt").write_text("".join(f"{time}\n" for time in whole))
    times = find_times(SCANS, tmp_path / "t.txt")
    np.testing.assert_allclose(times - start_s, [0, 0.1, 0.2], atol=1e-6)
    assert caplog.messages == [f"{tmp_path}/t.txt: times in {name}: taken so"]


def test_times_far_apart_stay_and_are_told(tmp_path, caplog):
    (tmp_path / "t.txt").write_text("0\n10\n20\n")
    assert find_times(SCANS, tmp_path / "t.txt").tolist() == [0, 10, 20]
    assert "10 s from one scan to the next: are these seconds?" in caplog.text


def test_two_numbers_in_a_line_are_no_time(tmp_path):
    (tmp_path / "t.txt").write_text("0 0.05\n1 0.15\n2 0.25\n")
    with pytest.raises(InputError, match=r"wanted seconds, a number a line: .*'0 0.05'"):
        find_times(SCANS, tmp_path / "t.txt")
