"""Frames of files and recordings by their path, in any order."""

import threading

import numpy as np
import pytest
from recordings import PERIOD_NS, START_NS, Ros, write_mcap

from lidarpan.datasets.poses import find_poses, has_poses
from lidarpan.scans.frame_paths import FramePaths
from lidarpan.scans.output_names import output_folders
from lidarpan.scans.sources import open_sources

pytest.importorskip("rosbags")
pytest.importorskip("mcap")


def rows(k):
    return np.random.default_rng(k).uniform(-20, 20, (100, 4)).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """Two scan files and a recording of six scans with poses."""
    ros, messages = Ros(2), []
    for k in range(2):
        np.save(tmp_path / f"scan{k}.npy", rows(100 + k))
    for k in range(6):
        stamp = START_NS + k * PERIOD_NS
        messages += [
            ("/tf", stamp, ros.transform("map", "lidar", stamp, (k, 0, 0))),
            ("/points", stamp, ros.points(rows(k), stamp)),
        ]
    write_mcap(tmp_path / "drive.mcap", messages)
    return tmp_path


def test_frames_are_loaded_in_any_order_and_from_threads(folder):
    paths = FramePaths(open_sources([folder]))
    assert [path.name for path in paths] == [
        "scan0.npy", "scan1.npy", *(f"{k:06d}" for k in range(6)),
    ]  # fmt: skip
    given = [rows(100), rows(101), *(rows(k) for k in range(6))]
    for i in (5, 2, 3, 3, 0, 7, 1, 6, 4):
        np.testing.assert_array_equal(paths.load(paths[i]).scan.points, given[i][:, :3])
    wrong = []

    def look(i):
        if (paths.load(paths[i]).scan.points != given[i][:, :3]).any():
            wrong.append(i)

    threads = [threading.Thread(target=look, args=(i,)) for i in (7, 2, 6, 3, 5, 4, 0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_poses_of_a_recording_are_found(folder):
    paths = FramePaths(open_sources([folder / "drive.mcap"]))
    assert has_poses(paths)
    np.testing.assert_array_equal(find_poses(paths)[:, 0, 3], np.arange(6))
    assert FramePaths(open_sources([folder / "scan0.npy"])).poses() is None


def test_a_cut_off_recording_has_the_frames_that_are_whole(folder):
    file = folder / "drive.mcap"
    content = file.read_bytes()
    messages = [("/points", START_NS + k, Ros(2).points(rows(k), START_NS + k)) for k in range(6)]
    write_mcap(file, messages, "none", use_chunking=False)
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    paths = FramePaths(open_sources([file]))
    assert 0 < len(paths) < 6
    last = len(paths) - 1
    np.testing.assert_array_equal(paths.load(paths[last]).scan.points, rows(last)[:, :3])


def test_each_recording_of_several_has_a_folder_of_its_own(folder, tmp_path):
    (one,) = open_sources([folder / "drive.mcap"])
    assert output_folders(tmp_path, [one]) == [tmp_path]
    (folder / "other").mkdir()
    (folder / "other" / "drive.mcap").write_bytes((folder / "drive.mcap").read_bytes())
    sources = open_sources([folder, folder / "other"])
    out = tmp_path / "out"
    assert output_folders(out, sources) == [out, out / "drive", out / "drive.mcap"]
