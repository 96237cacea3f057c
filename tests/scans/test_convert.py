"""Scans written in one format and read back are the same scans."""

import numpy as np
import pytest
from recordings import PERIOD_NS, START_NS, Ros, write_mcap

from lidarpan.scans.convert import FORMATS, convert_sources
from lidarpan.scans.files import load_scan
from lidarpan.scans.sources import open_recording, open_sources
from lidarpan.structures import InputError

pytest.importorskip("rosbags")
pytest.importorskip("mcap")

NUM_FRAMES = 3


@pytest.fixture(scope="module")
def drive(tmp_path_factory):
    """An MCAP file of three scans with rings and times, and unusable points."""
    folder = tmp_path_factory.mktemp("drive")
    rng = np.random.default_rng(0)
    for k in range(NUM_FRAMES):
        points = rng.uniform(-40, 40, (500, 3)).astype(np.float32)
        points[::50] = 0
        np.savez(
            folder / f"scan{k}.npz",
            points=points,
            intensity=rng.uniform(0, 1, 500).astype(np.float32),
            ring=rng.integers(0, 32, 500).astype(np.int32),
            time=np.linspace(0, 0.1, 500).astype(np.float32),
        )
    return folder


KEEPS_RING = ("pcd.bin", "pcd", "ply", "npz", "feather", "parquet", "mcap")
KEEPS_TIME = ("pcd", "ply", "npz", "las", "laz", "feather", "parquet", "mcap")


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("keep_empty", [False, True])
def test_every_format_reads_back(drive, tmp_path, file_format, keep_empty):
    sources = open_sources([drive])
    results = list(convert_sources(sources, tmp_path, file_format, keep_empty=keep_empty))
    assert [result.error for result in results] == [None] * NUM_FRAMES
    if file_format == "mcap":
        read = [frame.load() for frame in open_recording(results[0].path).frames()]
    else:
        assert [r.path.name for r in results] == [f"scan{k}.{file_format}" for k in range(3)]
        read = [load_scan(result.path) for result in results]
    precision = 1e-4 if file_format in ("las", "laz") else 0
    for k, loaded in enumerate(read):
        given = load_scan(drive / f"scan{k}.npz")
        assert loaded.num_file_points == (500 if keep_empty else 490)
        np.testing.assert_allclose(loaded.scan.points, given.scan.points, atol=precision, rtol=0)
        np.testing.assert_allclose(loaded.scan.intensity, given.scan.intensity, atol=1e-5)
        if keep_empty:
            np.testing.assert_array_equal(loaded.valid, given.valid)
        if file_format in KEEPS_RING:
            np.testing.assert_array_equal(loaded.scan.ring, given.scan.ring)
        if file_format in KEEPS_TIME:
            np.testing.assert_allclose(loaded.scan.time, given.scan.time, atol=1e-6)


def test_same_scan_same_bytes(drive, tmp_path):
    for file_format in FORMATS:
        sources = open_sources([drive / "scan0.npz"])
        (first,) = convert_sources(sources, tmp_path / "a", file_format)
        (second,) = convert_sources(sources, tmp_path / "b", file_format)
        assert first.path.read_bytes() == second.path.read_bytes(), file_format


def test_frames_of_a_recording_are_numbered_with_times_and_poses(tmp_path):
    ros, rng = Ros(2), np.random.default_rng(1)
    messages = []
    for k in range(3):
        stamp = START_NS + k * PERIOD_NS
        rows = rng.uniform(0, 9, (300, 4))
        messages += [
            ("/tf", stamp, ros.transform("map", "lidar", stamp, (k, 2 * k, 0))),
            ("/points", stamp, ros.points(rows, stamp)),
        ]
    sources = open_sources([write_mcap(tmp_path / "drive.mcap", messages)])
    results = list(convert_sources(sources, tmp_path / "out", "bin"))
    assert [r.path.name for r in results] == ["000000.bin", "000001.bin", "000002.bin"]
    times = (tmp_path / "out" / "times.txt").read_text().split()
    assert times == ["1700000000.000000000", "1700000000.100000000", "1700000000.200000000"]
    poses = np.loadtxt(tmp_path / "out" / "poses.txt").reshape(-1, 3, 4)
    np.testing.assert_array_equal(poses[:, :, 3], [[0, 0, 0], [1, 2, 0], [2, 4, 0]])
    np.testing.assert_array_equal(poses[:, :, :3], np.tile(np.eye(3), (3, 1, 1)))


def test_scans_of_one_name_from_two_folders_are_both_kept(drive, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "s.npz").write_bytes((drive / "scan0.npz").read_bytes())
    sources = open_sources([tmp_path / "a", tmp_path / "b"])
    first, second = convert_sources(sources, tmp_path / "out", "bin")
    assert first.path != second.path
    assert first.path.read_bytes() == second.path.read_bytes()


def test_an_unknown_format_says_what_there_is(drive, tmp_path):
    with pytest.raises(InputError, match="wanted bin, "):
        list(convert_sources(open_sources([drive]), tmp_path, "xyz"))
