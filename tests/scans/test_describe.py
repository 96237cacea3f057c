"""What `lidarpan scans` says about files and recordings."""

import numpy as np
import pytest
from recordings import PERIOD_NS, START_NS, Ros, write_mcap

from lidarpan.cli.recordings import lines_of
from lidarpan.scans.describe import describe, guess_sensor

pytest.importorskip("rosbags")
pytest.importorskip("mcap")


def sweep(num_beams=16, low=-15.0, high=15.0, height=1.73):
    """(N, 4) rows of a sensor on a plane inside a round wall."""
    elevation, azimuth = np.meshgrid(
        np.radians(np.linspace(low, high, num_beams)), np.linspace(-np.pi, np.pi, 720, False),
        indexing="ij",
    )  # fmt: skip
    flat = np.full(elevation.shape, 25.0)
    down = elevation < 0
    flat[down] = np.minimum(25.0, height / np.tan(-elevation[down]))
    xyz = np.stack(
        [flat * np.cos(azimuth), flat * np.sin(azimuth), flat * np.tan(elevation)], axis=-1
    )
    return np.concatenate([xyz.reshape(-1, 3), np.full((flat.size, 1), 0.5)], axis=1)


def test_a_recording_lists_topics_fields_ground_and_sensor(tmp_path):
    ros = Ros(2)
    messages = [
        ("/tf", START_NS, ros.transform("map", "lidar", START_NS, (0, 0, 0))),
        ("/points", START_NS, ros.points(sweep(), START_NS)),
        ("/points", START_NS + PERIOD_NS, ros.points(sweep(), START_NS + PERIOD_NS)),
    ]
    (contents,) = describe([write_mcap(tmp_path / "a.mcap", messages)])
    assert contents.num_frames == 2
    assert [(topic.name, topic.num_messages) for topic in contents.topics] == [
        ("/points", 2),
        ("/tf", 1),
    ]
    ((name, sample),) = contents.points
    assert name == "/points"
    assert sample.fields == ("x f4", "y f4", "z f4", "intensity f4")
    assert sample.num_points == sample.num_usable == 16 * 720
    assert sample.height_m == pytest.approx(1.73, abs=0.02)
    assert sample.num_beams == 16
    assert sample.sensor[0] in ("VLP-16", "XT16")
    assert sample.has_pose
    assert sample.stamp_ns == START_NS
    assert sample.range_m[2] == pytest.approx(25 / np.cos(np.radians(15)), rel=1e-3)
    text = "\n".join(lines_of(contents))
    for words in ("poses in /tf", "x f4, y f4", "1.73 m below the sensor", "VLP-16", "2023-11-14"):
        assert words in text


def test_files_and_recordings_of_a_folder_are_both_listed(tmp_path):
    np.save(tmp_path / "scan.npy", sweep().astype(np.float32))
    write_mcap(tmp_path / "a.mcap", [("/points", 1, Ros(2).points(sweep(), 1))])
    files, recording = describe([tmp_path])
    assert files.num_frames == recording.num_frames == 1
    assert files.path == tmp_path / "scan.npy"
    assert recording.path == tmp_path / "a.mcap"


def test_a_topic_that_cannot_be_read_says_why(tmp_path):
    cloud = Ros(2).points(np.zeros((0, 4)), 1)
    (contents,) = describe([write_mcap(tmp_path / "a.mcap", [("/points", 1, cloud)])])
    ((_, said),) = contents.points
    assert "empty message" in said


@pytest.mark.parametrize(
    ("beams", "low", "high", "sensor"),
    [
        (16, -15, 15, "VLP-16"),
        (32, -30, 10.6, "HDL-32E"),
        (32, -16, 15, "XT32"),
        (64, -24.5, 2, "HDL-64E"),
        (127, -20, 10, "VLS-128"),
        (128, -22, 22, "OS1-128"),
    ],
)
def test_sensors_are_guessed_by_beams_and_view(beams, low, high, sensor):
    assert guess_sensor(beams, low, high)[0] == sensor


def test_nothing_is_guessed_without_beams():
    assert guess_sensor(None, -15, 15) == ()
    assert guess_sensor(7, -15, 15) == ()


@pytest.mark.data
def test_sensors_of_real_scans(real_data):
    seen = {}
    for path in (
        "unlabelled/zoo/hesai_pandar40p.pcd",
        "unlabelled/zoo/hesai_xt32.pcd",
        "unlabelled/zoo/velodyne_vlp16.pcd",
        "unlabelled/zoo/velodyne_vls128.pcd",
        "nuscenes/LIDAR_TOP",
        "semantickitti/sequences/00/velodyne",
        "recordings/OS-1-128_v2.3.0_1024x10_lb_n3.pcap",
        "recordings/OS-0-32-U1_v2.2.0_1024x10.pcap",
    ):
        (contents,) = describe([real_data / path])
        seen[path.rsplit("/", 1)[1]] = contents.points[0][1].sensor[:1]
    assert list(seen.values()) == [
        ("Pandar40P",),
        ("XT32",),
        ("VLP-16",),
        ("VLS-128",),
        ("HDL-32E",),
        ("HDL-64E",),
        ("OS1-128",),
        ("OS0-32",),
    ]
