"""Livox's own messages read as rosbags reads them, point by point."""

import numpy as np
import pytest
from recordings import START_NS, Ros, write_mcap, write_rosbag1, write_rosbag2

from lidarpan.scans.recordings.livox import read_livox
from lidarpan.scans.sources import open_recording
from lidarpan.structures import InputError

pytest.importorskip("rosbags")
pytest.importorskip("mcap")

POINT = (
    "uint32 offset_time\nfloat32 x\nfloat32 y\nfloat32 z\n"
    "uint8 reflectivity\nuint8 tag\nuint8 line\n"
)
MESSAGE = (
    "std_msgs/Header header\nuint64 timebase\nuint32 point_num\nuint8 lidar_id\nuint8[3] rsvd\n"
    "{package}/CustomPoint[] points\n"
)


def livox(version, frame_id="livox_frame", num_points=101):
    """A message of a package's own type, and what is in it."""
    from rosbags.typesys import get_types_from_msg

    package = f"livox_ros_driver{'2' if version == 2 else ''}"
    ros = Ros(version)
    for name, text in (("CustomPoint", POINT), ("CustomMsg", MESSAGE.format(package=package))):
        ros.store.register(get_types_from_msg(text, f"{package}/msg/{name}"))
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-40, 40, (num_points, 3)).astype(np.float32)
    rest = rng.integers(0, 256, (num_points, 3)).astype(np.uint8)
    times = np.linspace(0, 1e8, num_points).astype(np.uint32)
    point = ros.store.types[f"{package}/msg/CustomPoint"]
    points = [
        point(int(t), *map(float, place), *map(int, more))
        for t, place, more in zip(times, xyz, rest, strict=True)
    ]
    message = ros.store.types[f"{package}/msg/CustomMsg"](
        ros.header(START_NS, frame_id), 7, num_points, 1, np.zeros(3, np.uint8), points
    )
    return ros, message, xyz, rest, times


WRITERS = {
    "rosbag1": (1, write_rosbag1, "a.bag"),
    "rosbag2": (2, write_rosbag2, "a"),
    "mcap": (2, write_mcap, "a.mcap"),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("frame_id", ["", "a", "livox", "livox_frame", "livox_frame_2"])
def test_custom_messages_read_back_equal(writer, frame_id, tmp_path, monkeypatch):
    version, write, name = WRITERS[writer]
    ros, message, xyz, rest, times = livox(version, frame_id)
    monkeypatch.setattr("recordings.Ros", lambda _: ros)
    (frame,) = open_recording(write(tmp_path / name, [("/livox/lidar", 1, message)])).frames()
    scan = frame.load().scan
    assert (frame.stamp_ns, frame.frame_id) == (START_NS, frame_id)
    np.testing.assert_array_equal(scan.points, xyz)
    np.testing.assert_allclose(scan.intensity, rest[:, 0] / 255, atol=1e-6)
    np.testing.assert_array_equal(scan.ring, rest[:, 2])
    np.testing.assert_allclose(scan.time, times * 1e-9, atol=1e-7)


@pytest.mark.parametrize("version", [1, 2])
def test_messages_that_are_cut_off_are_refused(version):
    ros, message, *_ = livox(version)
    data = ros.serialize(message)
    assert len(read_livox(data, version == 1, "test").fields.fields["x"]) == 101
    for size in (0, 3, 10, 30, 60, len(data) - 1):
        with pytest.raises(InputError) as caught:
            read_livox(data[:size], version == 1, "test")
        assert "\n" not in str(caught.value)
