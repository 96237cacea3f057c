"""Where the sensor was at each scan, and several sensors as one scan."""

import base64
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import PERIOD_NS, START_NS, Ros, write_mcap, write_rosbag1, write_rosbag2
from scipy.spatial.transform import Rotation, Slerp

from lidarpan.scans.recordings.transforms import TransformTree, interpolate, matrix_of
from lidarpan.scans.recordings.writer import quaternion_of
from lidarpan.scans.sources import open_recording
from lidarpan.structures import InputError

pytest.importorskip("rosbags")
pytest.importorskip("mcap")


def pose_of(position, quaternion=(0, 0, 0, 1)):
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    pose[:3, 3] = position
    return pose


def rows(seed, num_points=50):
    return np.random.default_rng(seed).uniform(-20, 20, (num_points, 4)).astype(np.float32)


def quaternions(num, seed=0):
    return Rotation.random(num, random_state=seed).as_quat()


def test_rotations_equal_scipys():
    for quaternion in quaternions(50):
        matrix = matrix_of((1, 2, 3), quaternion)
        np.testing.assert_allclose(matrix, pose_of((1, 2, 3), quaternion), atol=1e-12)
        back = quaternion_of(matrix[:3, :3])
        np.testing.assert_allclose(back * np.sign(back[3]), quaternion * np.sign(quaternion[3]))


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1), st.integers(0, 1000))
def test_interpolation_is_scipys_slerp(share, seed):
    first, second = quaternions(2, seed)
    between = interpolate([0, 0, 0, *first], [4, 8, -2, *second], share)
    wanted = Slerp([0, 1], Rotation.from_quat([first, second]))(share).as_matrix()
    np.testing.assert_allclose(between[:3, :3], wanted, atol=1e-7)
    np.testing.assert_allclose(between[:3, 3], share * np.array([4, 8, -2]))


def test_a_tree_is_climbed_up_and_down():
    tree = TransformTree()
    a, b, c = quaternions(3)
    tree.add("map", "base", 0, (1, 0, 0, *a))
    tree.add("map", "base", 100, (3, 0, 0, *a))
    tree.add("base", "lidar", 0, (0, 0, 2, *b), is_static=True)
    tree.add("base", "rear", 0, (0, -1, 0, *c), is_static=True)
    assert tree.world_of("lidar") == "map"
    assert tree.world_of("map") is None
    map_T_lidar = pose_of((2, 0, 0), a) @ pose_of((0, 0, 2), b)
    np.testing.assert_allclose(tree.lookup("map", "lidar", 50), map_T_lidar)
    lidar_T_rear = np.linalg.inv(pose_of((0, 0, 2), b)) @ pose_of((0, -1, 0), c)
    np.testing.assert_allclose(tree.lookup("lidar", "rear", 50), lidar_T_rear, atol=1e-12)
    moved = tree.between("lidar", 0, "rear", 100)
    wanted = np.linalg.inv(pose_of((1, 0, 0), a) @ pose_of((0, 0, 2), b)) @ (
        pose_of((3, 0, 0), a) @ pose_of((0, -1, 0), c)
    )
    np.testing.assert_allclose(moved, wanted, atol=1e-12)
    assert tree.lookup("map", "elsewhere", 50) is None
    assert tree.lookup("map", "lidar", 10**12) is None


def test_stamps_may_come_in_any_order():
    tree = TransformTree()
    for stamp in (300, 100, 200, 100):
        tree.add("map", "lidar", stamp, (stamp, 0, 0, 0, 0, 0, 1))
    for stamp in (100, 150, 200, 250, 300):
        assert tree.lookup("map", "lidar", stamp)[0, 3] == stamp


@pytest.mark.parametrize("pose", [(0, 0, 0, 0, 0, 0, 0), (np.nan, 0, 0, 0, 0, 0, 1)])
def test_what_is_no_pose_is_refused(pose):
    with pytest.raises(InputError, match="wanted a rotation"):
        TransformTree().add("map", "lidar", 0, pose)


def drive(ros, tf=True):
    """Five scans on a line, with /tf a little before and after each; base_link has the lidar."""
    turn = Rotation.from_euler("z", 90, degrees=True).as_quat()
    messages = [
        ("/tf_static", START_NS, ros.transform("base_link", "lidar", START_NS, (1, 0, 2), turn))
    ]
    poses = []
    for k in range(5):
        stamp = START_NS + k * PERIOD_NS
        for offset in (-20_000_000, 20_000_000):
            where = (k + offset / PERIOD_NS, 0, 0)
            if tf:
                message = ros.transform("odom", "base_link", stamp + offset, where)
                messages.append(("/tf", stamp + offset, message))
            else:
                message = ros.odometry("odom", "base_link", stamp + offset, where)
                messages.append(("/odometry", stamp + offset, message))
        messages.append(("/points", stamp + 30_000_000, ros.points(rows(k), stamp)))
        poses.append(pose_of((k, 0, 0)) @ pose_of((1, 0, 2), turn))
    return sorted(messages, key=lambda message: message[1]), poses


WRITERS = {
    "rosbag1": (1, lambda path, messages: write_rosbag1(path / "a.bag", messages)),
    "rosbag2": (2, lambda path, messages: write_rosbag2(path / "a", messages)),
    "mcap": (2, lambda path, messages: write_mcap(path / "a.mcap", messages)),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("tf", [True, False])
def test_poses_come_from_tf_or_odometry(writer, tf, tmp_path):
    version, write = WRITERS[writer]
    messages, poses = drive(Ros(version), tf)
    frames = list(open_recording(write(tmp_path, messages)).frames())
    assert len(frames) == 5
    for frame, pose in zip(frames, poses, strict=True):
        np.testing.assert_allclose(frame.load().scan.world_T_sensor, pose, atol=1e-9)


def test_odometry_of_another_frame_is_taken_for_the_sensors_and_said(tmp_path):
    ros = Ros(2)
    messages = [
        ("/odometry", START_NS, ros.odometry("odom", "base_link", START_NS, (3, 4, 0))),
        ("/points", START_NS, ros.points(rows(0), START_NS)),
    ]
    (frame,) = open_recording(write_mcap(tmp_path / "a.mcap", messages)).frames()
    np.testing.assert_array_equal(frame.world_T_sensor, pose_of((3, 4, 0)))
    assert any("no transform from base_link to lidar" in w for w in frame.load().warnings)


def test_without_poses_there_are_none_and_beyond_them_it_is_said(tmp_path):
    ros = Ros(2)
    plain = [("/points", START_NS, ros.points(rows(0), START_NS))]
    (frame,) = open_recording(write_mcap(tmp_path / "a.mcap", plain)).frames()
    assert frame.world_T_sensor is None
    far = [("/tf", 1, ros.transform("map", "lidar", 1, (0, 0, 0))), *plain]
    (frame,) = open_recording(write_mcap(tmp_path / "b.mcap", far)).frames()
    assert frame.world_T_sensor is None
    assert frame.warnings == ("no pose of lidar in map at the time of this scan",)


def test_frames_from_a_number_on_are_the_same(tmp_path):
    messages, _ = drive(Ros(2))
    source = open_recording(write_mcap(tmp_path / "a.mcap", messages))
    all_frames, later = list(source.frames()), list(source.frames(3))
    assert [frame.path for frame in later] == [frame.path for frame in all_frames[3:]]
    np.testing.assert_array_equal(later[0].load().scan.points, rows(3)[:, :3])


def test_two_topics_become_one_scan_by_their_extrinsics(tmp_path):
    ros = Ros(2)
    turn = quaternions(1, 3)[0]
    messages = [
        ("/tf_static", START_NS, ros.transform("base", "front", START_NS, (1, 0, 2))),
        ("/tf_static", START_NS, ros.transform("base", "rear", START_NS, (-1, 0, 2), turn)),
    ]
    for k in range(4):
        stamp = START_NS + k * PERIOD_NS
        messages.append(("/front", stamp, ros.points(rows(k), stamp, "front")))
        if k != 2:  # the rear sensor misses a turn
            late = stamp + 5_000_000
            messages.append(("/rear", late, ros.points(rows(k + 10, 70), late, "rear")))
    path = write_mcap(tmp_path / "a.mcap", messages)
    frames = list(open_recording(path, ["/front", "/rear"]).frames())
    assert len(frames) == 4
    front_T_rear = np.linalg.inv(pose_of((1, 0, 2))) @ pose_of((-1, 0, 2), turn)
    for k, frame in enumerate(frames):
        loaded = frame.load()
        assert frame.stamp_ns == START_NS + k * PERIOD_NS
        np.testing.assert_array_equal(loaded.scan.points[:50], rows(k)[:, :3])
        if k == 2:
            assert loaded.num_file_points == 50
            assert any("no scan of /rear within 60 ms" in warning for warning in loaded.warnings)
            continue
        assert loaded.num_file_points == 120
        moved = rows(k + 10, 70)[:, :3] @ front_T_rear[:3, :3].T + front_T_rear[:3, 3]
        np.testing.assert_allclose(loaded.scan.points[50:], moved, atol=1e-4)
    order = list(open_recording(path, ["/rear", "/front"]).frames())
    assert len(order) == 3
    assert order[0].frame_id == "rear"


def test_the_ride_between_two_scans_is_taken_out_when_they_are_merged(tmp_path):
    ros, late, end = Ros(2), 50_000_000, START_NS + PERIOD_NS
    messages = [
        ("/tf_static", START_NS, ros.transform("base", "front", START_NS, (0, 0, 0))),
        ("/tf_static", START_NS, ros.transform("base", "rear", START_NS, (0, 0, 0))),
        ("/tf", START_NS, ros.transform("map", "base", START_NS, (0, 0, 0))),
        ("/front", START_NS, ros.points(rows(0), START_NS, "front")),
        ("/rear", START_NS + late, ros.points(rows(1), START_NS + late, "rear")),
        ("/tf", end, ros.transform("map", "base", end, (2, 0, 0))),
    ]
    path = write_mcap(tmp_path / "a.mcap", messages)
    (frame,) = open_recording(path, ["/front", "/rear"]).frames()
    moved = rows(1)[:, :3] + np.array([1, 0, 0], np.float32)
    np.testing.assert_allclose(frame.load().scan.points[50:], moved, atol=1e-5)


def test_topics_without_extrinsics_are_not_merged(tmp_path):
    ros = Ros(2)
    messages = [
        (f"/{name}", START_NS, ros.points(rows(0), START_NS, name)) for name in ("front", "rear")
    ]
    path = write_mcap(tmp_path / "a.mcap", messages)
    with pytest.raises(InputError, match="wanted a transform from rear to front"):
        list(open_recording(path, ["/front", "/rear"]).frames())


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number, content):
    """A field of a protobuf message: text, bytes, float (double), or int (fixed 32)."""
    if isinstance(content, float):
        return bytes([number << 3 | 1]) + struct.pack("<d", content)
    if isinstance(content, int):
        return bytes([number << 3 | 5]) + struct.pack("<I", content)
    data = content.encode() if isinstance(content, str) else content
    return bytes([number << 3 | 2]) + varint(len(data)) + data


def timestamp(stamp_ns):
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    return b"\x08" + varint(seconds) + b"\x10" + varint(nanoseconds)


def vector(values):
    return b"".join(field(k + 1, float(value)) for k, value in enumerate(values))


def foxglove_cloud(points, stamp_ns, position, turn):
    packed = [
        field(1, name) + field(2, 4 * k) + b"\x18" + varint(7) for k, name in enumerate("xyzi")
    ]
    pose = field(1, vector(position)) + field(2, vector(turn))
    return (
        field(1, timestamp(stamp_ns)) + field(2, "lidar") + field(3, pose) + field(4, 16)
        + b"".join(field(5, entry) for entry in packed) + field(6, points.tobytes())
    )  # fmt: skip


def foxglove_json(points, stamp_ns, position, turn):
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    return json.dumps(
        {
            "timestamp": {"sec": seconds, "nsec": nanoseconds},
            "frame_id": "lidar",
            "pose": {
                "position": dict(zip("xyz", position, strict=True)),
                "orientation": dict(zip("xyzw", map(float, turn), strict=True)),
            },
            "point_stride": 16,
            "fields": [{"name": n, "offset": 4 * k, "type": 7} for k, n in enumerate("xyzi")],
            "data": base64.b64encode(points.tobytes()).decode(),
        }
    ).encode()


def foxglove_transform(stamp_ns, parent, child, position, turn=(0, 0, 0, 1)):
    return (
        field(1, timestamp(stamp_ns)) + field(2, parent) + field(3, child)
        + field(4, vector(position)) + field(5, vector(turn))
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_foxglove_clouds_and_transforms(encoding, tmp_path):
    from mcap.writer import Writer

    turn = quaternions(1)[0]
    path = tmp_path / "a.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start()
        schema = {"protobuf": "protobuf", "json": "jsonschema"}[encoding]
        cloud = writer.register_schema("foxglove.PointCloud", schema, b"")
        points = writer.register_channel("/points", encoding, cloud)
        tf_schema = writer.register_schema("foxglove.FrameTransform", "protobuf", b"")
        tf = writer.register_channel("/tf", "protobuf", tf_schema)
        make = foxglove_cloud if encoding == "protobuf" else foxglove_json
        for k in range(3):
            stamp = START_NS + k * PERIOD_NS
            moved = foxglove_transform(stamp, "map", "lidar", (k, 0, 0))
            writer.add_message(tf, stamp, moved, stamp)
            writer.add_message(points, stamp, make(rows(k), stamp, (0, 0, 1.5), turn), stamp)
        writer.finish()
    frames = list(open_recording(path).frames())
    assert len(frames) == 3
    for k, frame in enumerate(frames):
        loaded = frame.load()
        np.testing.assert_array_equal(loaded.scan.points, rows(k)[:, :3])
        assert frame.stamp_ns == START_NS + k * PERIOD_NS
        wanted = pose_of((k, 0, 0)) @ pose_of((0, 0, 1.5), turn)
        np.testing.assert_allclose(loaded.scan.world_T_sensor, wanted, atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["protobuf", "json", "flatbuffer"]))
def test_any_bytes_as_a_foxglove_cloud_are_read_or_refused(data, encoding):
    from lidarpan.scans.recordings.foxglove import read_cloud

    try:
        read_cloud(data, encoding, "fuzz")
    except InputError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said
