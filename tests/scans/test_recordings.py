"""Scans out of bags and MCAP files that the public tools wrote equal what was put in."""

import numpy as np
import pytest
from recordings import (
    LAYOUTS,
    PERIOD_NS,
    START_NS,
    Layout,
    Ros,
    columns_of,
    pack,
    write_mcap,
    write_rosbag1,
    write_rosbag2,
)

from lidarpan.scans.recordings.pointcloud2 import (
    PackedPoints,
    PointField,
    pack_points,
    unpack_points,
)
from lidarpan.scans.sources import open_recording

pytest.importorskip("rosbags")
pytest.importorskip("mcap")

CONTAINERS = {
    "rosbag1": lambda path, messages: write_rosbag1(path / "a.bag", messages),
    "rosbag1-bz2": lambda path, messages: write_rosbag1(path / "a.bag", messages, "bz2"),
    "rosbag1-lz4": lambda path, messages: write_rosbag1(path / "a.bag", messages, "lz4"),
    "rosbag2-sqlite3": lambda path, messages: write_rosbag2(path / "a", messages),
    "rosbag2-sqlite3-file": lambda path, messages: write_rosbag2(path / "a", messages, mode="file"),
    "rosbag2-sqlite3-message": lambda p, messages: write_rosbag2(p / "a", messages, mode="message"),
    "rosbag2-mcap": lambda path, messages: write_rosbag2(path / "a", messages, "mcap"),
    "rosbag2-mcap-file": lambda path, messages: write_rosbag2(path / "a", messages, "mcap", "file"),
    "rosbag2-mcap-message": lambda p, messages: write_rosbag2(p / "a", messages, "mcap", "message"),
    "mcap-zstd": lambda path, messages: write_mcap(path / "a.mcap", messages),
    "mcap-lz4": lambda path, messages: write_mcap(path / "a.mcap", messages, "lz4"),
    "mcap-plain": lambda path, messages: write_mcap(path / "a.mcap", messages, "none"),
    "mcap-no-chunks": lambda p, m: write_mcap(p / "a.mcap", m, "none", use_chunking=False),
    "mcap-ros1": lambda path, messages: write_mcap(path / "a.mcap", messages, version=1),
}


def version_of(container):
    return 1 if "ros1" in container or "rosbag1" in container else 2


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_layout_reads_back_equal_from_every_container(container, tmp_path):
    assert len(LAYOUTS) == 40
    ros = Ros(version_of(container))
    stamps = [START_NS + k * PERIOD_NS for k in range(len(LAYOUTS))]
    given = [columns_of(layout, seed=k) for k, layout in enumerate(LAYOUTS)]
    messages = [
        ("/points", stamp + 7, ros.cloud(layout, columns, stamp))
        for layout, columns, stamp in zip(LAYOUTS, given, stamps, strict=True)
    ]
    source = open_recording(CONTAINERS[container](tmp_path, messages))
    assert source.num_frames in (len(LAYOUTS), None)
    frames = list(source.frames())
    assert [frame.stamp_ns for frame in frames] == stamps
    assert [frame.path.name for frame in frames] == [f"{k:06d}" for k in range(len(LAYOUTS))]
    for layout, columns, frame in zip(LAYOUTS, given, frames, strict=True):
        check_scan(frame.load(), columns, layout)


def check_scan(loaded, columns, layout):
    xyz = np.stack([columns[axis] for axis in "xyz"], axis=1)
    valid = np.isfinite(xyz).all(axis=1) & (xyz != 0).any(axis=1)
    np.testing.assert_array_equal(loaded.valid, valid, layout.name)
    np.testing.assert_array_equal(loaded.scan.points, xyz[valid].astype(np.float32), layout.name)
    intensity = next((columns[n] for n in ("intensity", "i", "reflectivity") if n in columns), None)
    if intensity is not None:
        scale = 1 if intensity.dtype.kind == "f" else 255
        wanted = intensity[valid].astype(np.float32) / np.float32(scale)
        np.testing.assert_allclose(loaded.scan.intensity, wanted, rtol=1e-6)
    else:
        assert not loaded.scan.intensity.any()
    if "ring" in columns:
        np.testing.assert_array_equal(loaded.scan.ring, columns["ring"][valid])
    time = next((columns[n] for n in ("t", "timestamp", "time") if n in columns), None)
    if time is not None:
        seconds = time[valid] * (1e-9 if time.dtype.kind == "u" else 1.0)
        np.testing.assert_allclose(loaded.scan.time, seconds, atol=1e-7)


def test_unpacking_equals_struct_for_every_type():
    kinds = ("i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8")
    layout = Layout("f4", True, 2, 3, tuple((kind, kind, 2) for kind in kinds), 1)
    rng = np.random.default_rng(1)
    columns = {axis: rng.uniform(-9, 9, 6).astype("f4") for axis in "xyz"}
    columns |= {kind: rng.integers(0, 100, (6, 2)).astype(kind) for kind in kinds}
    data = np.frombuffer(pack(layout, columns), np.uint8)
    fields, step = layout.fields()
    packed = PackedPoints(
        2, 3, tuple(PointField(*field) for field in fields), step, 3 * step + 3, data, True
    )
    unpacked = unpack_points(packed, "test")
    for name, values in columns.items():
        for k, column in enumerate(values.reshape(6, -1).T):
            got = unpacked[name if values.ndim == 1 else f"{name}_{k}"]
            np.testing.assert_array_equal(got, column)
            assert got.dtype == values.dtype


def test_packing_and_unpacking_is_the_identity():
    rng = np.random.default_rng(2)
    columns = {
        "x": rng.normal(size=9).astype(np.float32),
        "t": rng.integers(0, 1 << 31, 9).astype(np.uint32),
        "class": rng.integers(0, 20, 9).astype(np.uint8),
        "w": rng.normal(size=9),
    }
    unpacked = unpack_points(pack_points(columns), "test")
    assert list(unpacked) == list(columns)
    for name, values in columns.items():
        np.testing.assert_array_equal(unpacked[name], values)


def test_point_times_since_1970_in_nanoseconds_count_from_the_first(tmp_path):
    layout = Layout("f4", False, 1, 0, (("timestamp", "f8", 1),), 0)
    columns = columns_of(layout)
    columns["timestamp"] = START_NS + np.linspace(0, 1e8, len(columns["x"]))
    cloud = Ros(2).cloud(layout, columns, START_NS)
    (frame,) = open_recording(write_mcap(tmp_path / "a.mcap", [("/points", 1, cloud)])).frames()
    loaded = frame.load()
    wanted = np.linspace(0, 0.1, len(columns["x"]))[loaded.valid]
    np.testing.assert_allclose(loaded.scan.time, wanted - wanted[0], atol=1e-6)
