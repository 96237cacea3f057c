"""Recordings for tests, written by the public tools: rosbags and mcap."""

import itertools
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RECORDING_LIBRARIES = ("rosbags", "mcap")
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000
ROS_TYPES = {"i1": 1, "u1": 2, "i2": 3, "u2": 4, "i4": 5, "u4": 6, "f4": 7, "f8": 8}


@dataclass(frozen=True)
class Layout:
    """How the records of a PointCloud2 are laid out."""

    xyz: str
    is_bigendian: bool
    height: int
    row_padding: int
    extra: tuple  # (name, kind, count) of fields behind x, y, z
    padding: int  # bytes before the first field and behind the last

    @property
    def name(self):
        order = "big" if self.is_bigendian else "little"
        extra = "_".join(name for name, *_ in self.extra) or "none"
        return f"{self.xyz}-{order}-{self.height}rows-{extra}"

    def fields(self):
        """(name, offset, kind, count) of every field, and the size of a record."""
        offset, fields = self.padding, []
        for name, kind, count in (*((axis, self.xyz, 1) for axis in "xyz"), *self.extra):
            fields.append((name, offset, kind, count))
            offset += int(kind[1]) * count
        return fields, offset + self.padding


EXTRAS = (
    (),
    (("intensity", "f4", 1),),
    (("intensity", "u2", 1), ("ring", "u1", 1), ("t", "u4", 1)),
    (("normal", "f4", 3), ("i", "u1", 1), ("timestamp", "f8", 1)),
    (("reflectivity", "u1", 1), ("ring", "u2", 1), ("time", "f4", 1)),
)
LAYOUTS = [
    Layout(xyz, big, height, 12 * (height > 1), extra, 5 * k % 8)
    for k, (xyz, big, height, extra) in enumerate(
        itertools.product(("f4", "f8"), (False, True), (1, 4), EXTRAS)
    )
]


def columns_of(layout, num_points=64, seed=0):
    """Values of every field; some coordinates are NaN, some points lie at the sensor."""
    rng = np.random.default_rng(seed)
    columns = {}
    for name, _, kind, count in layout.fields()[0]:
        if name in "xyz":
            values = rng.uniform(-50, 50, num_points)
            values[::17] = np.nan
            values[::23] = 0.0
        elif name in ("t", "timestamp", "time"):
            values = np.linspace(0, 0.1, num_points) * (1e9 if kind[0] == "u" else 1)
        elif kind[0] == "f":
            values = rng.uniform(0, 1, num_points * count).reshape(num_points, count).squeeze()
        else:
            values = rng.integers(0, 100, num_points)
            values[0] = 200
        columns[name] = values.astype(kind)
    return columns


def pack(layout, columns):
    """Bytes of the message, by struct, point after point: slow and obvious."""
    fields, step = layout.fields()
    num_points = len(columns["x"])
    width = num_points // layout.height
    order = ">" if layout.is_bigendian else "<"
    codes = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "f4": "f", "f8": "d"}
    data = bytearray()
    for row in range(layout.height):
        for column in range(width):
            record = bytearray(b"\xa5" * step)
            for name, offset, kind, _ in fields:
                values = np.atleast_1d(columns[name][row * width + column])
                struct.pack_into(f"{order}{len(values)}{codes[kind]}", record, offset, *values)
            data += record
        data += b"\x5a" * layout.row_padding
    return bytes(data)


class Ros:
    """Messages of ROS 1 or 2 as rosbags serialises them."""

    def __init__(self, version):
        from rosbags.typesys import Stores, get_types_from_msg, get_typestore

        self.version = version
        self.store = get_typestore(Stores.ROS1_NOETIC if version == 1 else Stores.ROS2_HUMBLE)
        if version == 1:
            text = "geometry_msgs/TransformStamped[] transforms\n"
            self.store.register(get_types_from_msg(text, "tf2_msgs/msg/TFMessage"))

    def header(self, stamp_ns, frame_id, number=0):
        types = self.store.types
        stamp = types["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
        first = (number,) if self.version == 1 else ()
        return types["std_msgs/msg/Header"](*first, stamp, frame_id)

    def serialize(self, message):
        if self.version == 1:
            return bytes(self.store.serialize_ros1(message, message.__msgtype__))
        return bytes(self.store.serialize_cdr(message, message.__msgtype__))

    def cloud(self, layout, columns, stamp_ns, frame_id="lidar"):
        types = self.store.types
        fields, step = layout.fields()
        point_field = types["sensor_msgs/msg/PointField"]
        width = len(columns["x"]) // layout.height
        return types["sensor_msgs/msg/PointCloud2"](
            self.header(stamp_ns, frame_id),
            layout.height,
            width,
            [
                point_field(name, offset, ROS_TYPES[kind], count)
                for name, offset, kind, count in fields
            ],
            layout.is_bigendian,
            step,
            width * step + layout.row_padding,
            np.frombuffer(pack(layout, columns), np.uint8),
            False,
        )

    def points(self, rows, stamp_ns, frame_id="lidar"):
        """A plain cloud of (N, 4) float32 rows."""
        types = self.store.types
        fields = [
            types["sensor_msgs/msg/PointField"](name, 4 * k, 7, 1)
            for k, name in enumerate(("x", "y", "z", "intensity"))
        ]
        data = np.frombuffer(np.ascontiguousarray(rows, np.float32).tobytes(), np.uint8)
        return types["sensor_msgs/msg/PointCloud2"](
            self.header(stamp_ns, frame_id),
            1, len(rows), fields, False, 16, 16 * len(rows), data, True,
        )  # fmt: skip

    def pose(self, position, quaternion):
        types = self.store.types
        return types["geometry_msgs/msg/Pose"](
            types["geometry_msgs/msg/Point"](*map(float, position)),
            types["geometry_msgs/msg/Quaternion"](*map(float, quaternion)),
        )

    def transform(self, parent, child, stamp_ns, position, quaternion=(0, 0, 0, 1)):
        types = self.store.types
        transform = types["geometry_msgs/msg/TransformStamped"](
            self.header(stamp_ns, parent),
            child,
            types["geometry_msgs/msg/Transform"](
                types["geometry_msgs/msg/Vector3"](*map(float, position)),
                types["geometry_msgs/msg/Quaternion"](*map(float, quaternion)),
            ),
        )
        return types["tf2_msgs/msg/TFMessage"]([transform])

    def odometry(self, parent, child, stamp_ns, position, quaternion=(0, 0, 0, 1)):
        types = self.store.types
        zero = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
        return types["nav_msgs/msg/Odometry"](
            self.header(stamp_ns, parent),
            child,
            types["geometry_msgs/msg/PoseWithCovariance"](
                self.pose(position, quaternion), np.zeros(36)
            ),
            types["geometry_msgs/msg/TwistWithCovariance"](
                types["geometry_msgs/msg/Twist"](zero, zero), np.zeros(36)
            ),
        )


def write_rosbag1(path, messages, compression=None):
    """(topic, log_ns, message) of ROS 1 types into a `.bag`."""
    from rosbags.rosbag1 import Writer

    ros = Ros(1)
    writer = Writer(path)
    if compression:
        writer.set_compression(Writer.CompressionFormat[compression.upper()])
    with writer:
        _write(writer, ros, messages)
    return path


def write_rosbag2(path, messages, storage="sqlite3", mode=None):
    """(topic, log_ns, message) of ROS 2 types into a folder."""
    from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

    ros = Ros(2)
    writer = Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()])
    if mode:
        writer.set_compression(CompressionMode[mode.upper()], CompressionFormat.ZSTD)
    with writer:
        _write(writer, ros, messages)
    return path


def _write(writer, ros, messages):
    connections = {}
    for topic, log_ns, message in messages:
        if topic not in connections:
            kind = message.__msgtype__
            connections[topic] = writer.add_connection(topic, kind, typestore=ros.store)
        writer.write(connections[topic], log_ns, ros.serialize(message))


def write_mcap(
    path, messages, compression="zstd", version=2, use_chunking=True, chunk_size=1 << 16
):
    """(topic, log_ns, message) into an MCAP file by the library mcap."""
    from mcap.writer import CompressionType, Writer

    ros = Ros(version)
    with Path(path).open("wb") as stream:
        writer = Writer(
            stream,
            chunk_size=chunk_size,
            compression=CompressionType[compression.upper()],
            use_chunking=use_chunking,
        )
        writer.start(profile=f"ros{version}", library="test")
        channels = {}
        for topic, log_ns, message in messages:
            if topic not in channels:
                kind = message.__msgtype__
                text = ros.store.generate_msgdef(kind, ros_version=version)[0]
                name = kind if version == 2 else kind.replace("/msg/", "/")
                schema = writer.register_schema(name, f"ros{version}msg", text.encode())
                encoding = "cdr" if version == 2 else "ros1"
                channels[topic] = writer.register_channel(topic, encoding, schema)
            writer.add_message(channels[topic], log_ns, ros.serialize(message), log_ns)
        writer.finish()
    return path
