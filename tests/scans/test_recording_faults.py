"""A bad recording says what is wrong in one line, and what was whole before is answered."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recordings import (
    PERIOD_NS,
    START_NS,
    Ros,
    write_mcap,
    write_rosbag1,
    write_rosbag2,
)

from lidarpan.scans.recordings.pointcloud2 import PackedPoints, PointField, unpack_points
from lidarpan.scans.sources import open_recording, open_sources
from lidarpan.structures import InputError

pytest.importorskip("rosbags")
pytest.importorskip("mcap")

NUM_FRAMES = 12


def rows(k=0, num_points=300):
    return np.random.default_rng(k).uniform(-30, 30, (num_points, 4)).astype(np.float32)


def drive(version=2, num_frames=NUM_FRAMES):
    ros = Ros(version)
    stamps = [START_NS + k * PERIOD_NS for k in range(num_frames)]
    return [("/points", s, ros.points(rows(k), s)) for k, s in enumerate(stamps)]


def read(path, **options):
    """Frames that load, and the line that ends the recording."""
    frames = []
    try:
        frames.extend(frame.load() for frame in open_recording(path, **options).frames())
    except InputError as error:
        return frames, str(error)
    return frames, None


CUT = {
    "rosbag1": lambda p: write_rosbag1(p / "a.bag", drive(1)),
    "mcap": lambda p: write_mcap(p / "a.mcap", drive(), chunk_size=4096),
    "mcap-plain": lambda p: write_mcap(p / "a.mcap", drive(), "none", chunk_size=4096),
    "mcap-no-chunks": lambda p: write_mcap(p / "a.mcap", drive(), "none", use_chunking=False),
}


@pytest.mark.parametrize("container", CUT)
@pytest.mark.parametrize("share", [0.5, 0.7])
def test_a_recording_that_is_cut_off_gives_what_is_whole(container, share, tmp_path):
    path = CUT[container](tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    frames, said = read(path)
    assert 0 < len(frames) < NUM_FRAMES
    for k, loaded in enumerate(frames):
        np.testing.assert_array_equal(loaded.scan.points, rows(k)[:, :3])
    assert "cut off or damaged behind" in said
    assert str(path) in said
    assert "\n" not in said


def test_a_rosbag2_whose_recorder_was_killed_is_read_from_its_file(tmp_path):
    folder = write_rosbag2(tmp_path / "a", drive())
    (folder / "metadata.yaml").unlink()
    (source,) = open_sources([folder])
    assert sum(1 for _ in source.frames()) == NUM_FRAMES


def test_a_damaged_database_gives_what_is_whole(tmp_path):
    folder = write_rosbag2(tmp_path / "a", drive(num_frames=40))
    (file,) = folder.glob("*.db3")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    frames, said = read(folder)
    assert 0 < len(frames) < 40
    assert "cut off or damaged" in said


def test_bits_that_flipped_in_a_chunk_are_noticed(tmp_path):
    path = write_mcap(tmp_path / "a.mcap", drive(), "none", chunk_size=4096)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)
    frames, said = read(path)
    assert len(frames) < NUM_FRAMES
    assert "cut off or damaged" in said


def test_scans_out_of_order_are_read_and_said(tmp_path):
    ros = Ros(2)
    stamps = [START_NS, START_NS + 2 * PERIOD_NS, START_NS + PERIOD_NS]
    messages = [("/points", START_NS + k, ros.points(rows(k), s)) for k, s in enumerate(stamps)]
    frames, said = read(write_mcap(tmp_path / "a.mcap", messages))
    assert said is None
    assert len(frames) == 3
    assert any("out of order: frame 2 was taken 0.100 s before" in w for w in frames[2].warnings)
    assert not any("out of order" in w for w in frames[1].warnings)


def two_sensors(tmp_path):
    ros = Ros(2)
    messages = [
        ("/points", START_NS + k, ros.points(rows(k), START_NS + k, ("front", "rear")[k % 2]))
        for k in range(6)
    ]
    return write_mcap(tmp_path / "a.mcap", messages)


def test_two_sensors_on_a_topic_are_told_apart(tmp_path):
    path = two_sensors(tmp_path)
    frames, said = read(path)
    assert len(frames) == 1
    assert "two sensors on one topic, 'front' and 'rear'" in said
    frames, said = read(path, frame_id="rear")
    assert said is None
    assert len(frames) == 3
    np.testing.assert_array_equal(frames[0].scan.points, rows(1)[:, :3])


def test_a_message_that_is_none_is_one_bad_frame(tmp_path):
    from mcap.writer import Writer

    ros = Ros(2)
    path = tmp_path / "a.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start("ros2")
        kind = "sensor_msgs/msg/PointCloud2"
        text = ros.store.generate_msgdef(kind, ros_version=2)[0]
        schema = writer.register_schema(kind, "ros2msg", text.encode())
        channel = writer.register_channel("/points", "cdr", schema)
        good = ros.serialize(ros.points(rows(), START_NS))
        for k, data in enumerate((good, good[:60], good)):
            writer.add_message(channel, START_NS + k, data, START_NS + k)
        writer.finish()
    frames = list(open_recording(path).frames())
    assert len(frames) == 3
    frames[0].load()
    with pytest.raises(InputError, match=r"/points message 1: wanted a message sensor_msgs"):
        frames[1].load()
    frames[2].load()


def test_an_empty_scan_is_said_and_the_others_keep_one_scale(tmp_path):
    ros = Ros(2)
    clouds = [np.zeros((0, 4)), rows(1), rows(2)]
    clouds[1][:, 3] = np.linspace(0, 255, 300)
    clouds[2][:, 3] = np.linspace(0, 9, 300)  # a dark frame of the same sensor
    messages = [
        ("/points", START_NS + k, ros.points(cloud, START_NS + k)) for k, cloud in enumerate(clouds)
    ]
    path = write_mcap(tmp_path / "a.mcap", messages)
    empty, bright, dark = open_recording(path).frames()
    with pytest.raises(InputError, match="empty message"):
        empty.load()
    for frame, cloud in ((bright, clouds[1]), (dark, clouds[2])):
        np.testing.assert_allclose(frame.load().scan.intensity, cloud[:, 3] / 255, atol=1e-6)


def test_a_type_with_other_fields_than_its_name_says_is_another_schema(tmp_path):
    from mcap.writer import Writer

    path = tmp_path / "a.mcap"
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start("ros2")
        schema = writer.register_schema("sensor_msgs/msg/PointCloud2", "ros2msg", b"uint8 a\n")
        channel = writer.register_channel("/points", "cdr", schema)
        writer.add_message(channel, 1, b"\x00\x01\x00\x00\x07", 1)
        writer.finish()
    (frame,) = open_recording(path).frames()
    with pytest.raises(InputError, match="another schema"):
        frame.load()


def test_a_topic_that_is_none_or_holds_none_is_named(tmp_path):
    ros = Ros(2)
    messages = [
        ("/a", START_NS, ros.points(rows(), START_NS)),
        ("/b", START_NS, ros.points(rows(), START_NS)),
        ("/tf", START_NS, ros.transform("map", "lidar", START_NS, (0, 0, 0))),
    ]
    path = write_mcap(tmp_path / "a.mcap", messages)
    with pytest.raises(InputError, match=r"several topics hold points: .*/a \(1 messages\), /b"):
        open_recording(path)
    with pytest.raises(InputError, match=r"no topic /c: /a \(1 messages\)"):
        open_recording(path, ["/c"])
    with pytest.raises(InputError, match=r"wanted points in the topic /tf .* got tf2_msgs"):
        open_recording(path, ["/tf"])
    only = write_mcap(tmp_path / "b.mcap", messages[2:])
    with pytest.raises(InputError, match=r"no points: wanted a topic of .* got /tf"):
        open_recording(only)


def test_files_that_are_no_recordings_say_so(tmp_path):
    for name in ("a.mcap", "a.bag", "a.db3", "a.pcap", "a.e57", "a.osf"):
        path = tmp_path / name
        path.write_bytes(b"")
        with pytest.raises(InputError, match=r"empty file"):
            open_sources([path])
        path.write_bytes(b"nothing of the kind, and some more bytes to read")
        with pytest.raises(InputError) as caught:
            open_recording(path)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300
    folder = tmp_path / "bag"
    folder.mkdir()
    (folder / "metadata.yaml").write_text(
        "rosbag2_bagfile_information:\n  storage_identifier: mcap\n"
    )
    with pytest.raises(InputError, match="the files that metadata"):
        open_recording(folder)


def test_a_missing_library_names_the_command(monkeypatch, tmp_path):
    from lidarpan import optional

    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(optional, "import_module", missing)
    path = tmp_path / "a.mcap"
    path.write_bytes(b"\x89MCAP0\r\n")
    with pytest.raises(InputError, match=r"pip install 'lidarpan\[recordings\]'"):
        open_recording(path)


def one_line_or(call):
    """What a call gives, or None where it refuses in one line."""
    try:
        return call()
    except InputError as error:
        said = str(error)
    assert "\n" not in said
    return None


FIELDS = st.lists(
    st.builds(
        PointField,
        st.sampled_from(["x", "y", "z", "intensity", "", "t"]),
        st.integers(-4, 40),
        st.sampled_from(["u1", "i2", "f4", "f8"]),
        st.integers(1, 5),
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(-1, 5), st.integers(-1, 9), FIELDS, st.integers(-1, 40), st.integers(-1, 400),
    st.integers(0, 900), st.booleans(),
)  # fmt: skip
def test_any_header_of_a_cloud_unpacks_or_is_refused(
    height, width, fields, point_step, row_step, size, is_bigendian
):
    data = np.arange(size, dtype=np.uint8)
    packed = PackedPoints(height, width, tuple(fields), point_step, row_step, data, is_bigendian)
    columns = one_line_or(lambda: unpack_points(packed, "fuzz"))
    assert columns is None or all(len(column) == height * width > 0 for column in columns.values())


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return {
        "a.bag": write_rosbag1(folder / "a.bag", drive(1, 3)).read_bytes(),
        "a.mcap": write_mcap(folder / "a.mcap", drive(2, 3), "none").read_bytes(),
    }


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.sampled_from(["a.bag", "a.mcap"]),
    place=st.integers(0, 1 << 20),
    junk=st.binary(min_size=1, max_size=8),
    end=st.one_of(st.none(), st.integers(0, 1 << 20)),
)
def test_damage_anywhere_is_one_line(whole, tmp_path, name, place, junk, end):
    content = bytearray(whole[name])
    place %= len(content)
    content[place : place + len(junk)] = junk
    path = tmp_path / name
    path.write_bytes(content[: None if end is None else end % len(content) + 1])
    source = one_line_or(lambda: open_recording(path))
    frames = None if source is None else iter(source.frames())
    while frames and (frame := one_line_or(lambda: next(frames, None))) is not None:
        one_line_or(frame.load)
