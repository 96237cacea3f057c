"""ROS 2 messages into an MCAP file, with their definitions, as the public tools read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lidarpan.optional import RECORDINGS, need
from lidarpan.scans.recordings.pointcloud2 import ROS_TYPES, PackedPoints

_ROS_NUMBERS = {kind: number for number, kind in ROS_TYPES.items()}


class Box(NamedTuple):
    """A box standing upright.

    Attributes:
        center: x, y, z, metres.
        size: length, width, height, metres.
        yaw_rad: its length axis from x, counter-clockwise.
        label: name of its class.
        number: its id.
        color: (3,) in [0, 1].
    """

    center: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw_rad: float
    label: str
    number: int
    color: tuple[float, float, float]


class RosMcapWriter:
    """Writes an MCAP file of ROS 2 messages, chunk by chunk; use it in a `with` block.

    The same messages give the same bytes.

    Args:
        path: the file.
        metadata: a record of texts to put into the file.

    Raises:
        InputError: the libraries are not installed.
    """

    def __init__(self, path: Path, metadata: dict[str, str] | None = None) -> None:
        library = need("mcap.writer", RECORDINGS)
        typesys = need("rosbags.typesys", RECORDINGS)
        self._store = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
        self._stream: BinaryIO = path.open("wb")
        self._writer = library.Writer(self._stream, compression=library.CompressionType.ZSTD)
        self._writer.start(profile="ros2", library="lidarpan")
        self._channels: dict[str, int] = {}
        self._schemas: dict[str, int] = {}
        if metadata:
            self._writer.add_metadata("lidarpan", metadata)

    def __enter__(self) -> RosMcapWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._writer.finish()
        self._stream.close()

    def add_points(self, topic: str, stamp_ns: int, frame_id: str, points: PackedPoints) -> None:
        """A sensor_msgs/PointCloud2."""
        fields = [
            self._new("sensor_msgs/msg/PointField", f.name, f.offset, _ROS_NUMBERS[f.kind], f.count)
            for f in points.fields
        ]
        message = self._new(
            "sensor_msgs/msg/PointCloud2",
            self._header(stamp_ns, frame_id),
            points.height,
            points.width,
            fields,
            points.is_bigendian,
            points.point_step,
            points.row_step,
            points.data,
            True,
        )
        self._add(topic, stamp_ns, message)

    def add_pose(
        self, stamp_ns: int, parent: str, child: str, parent_T_child: NDArray[np.float64]
    ) -> None:
        """A transform in /tf."""
        x, y, z = parent_T_child[:3, 3].tolist()
        transform = self._new(
            "geometry_msgs/msg/TransformStamped",
            self._header(stamp_ns, parent),
            child,
            self._new(
                "geometry_msgs/msg/Transform",
                self._new("geometry_msgs/msg/Vector3", x, y, z),
                self._quaternion(quaternion_of(parent_T_child[:3, :3])),
            ),
        )
        self._add("/tf", stamp_ns, self._new("tf2_msgs/msg/TFMessage", [transform]))

    def add_boxes(self, topic: str, stamp_ns: int, frame_id: str, boxes: Sequence[Box]) -> None:
        """A visualization_msgs/MarkerArray that replaces the one before."""
        header = self._header(stamp_ns, frame_id)
        nothing = Box((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 0.0, "", 0, (0.0, 0.0, 0.0))
        markers = [self._marker(header, 3, nothing)]  # delete all
        markers += [self._marker(header, 0, box) for box in boxes]
        self._add(topic, stamp_ns, self._new("visualization_msgs/msg/MarkerArray", markers))

    def _marker(self, header: Any, action: int, box: Box) -> Any:
        half = box.yaw_rad / 2
        turn = np.array([0.0, 0.0, np.sin(half), np.cos(half)])
        center = self._new("geometry_msgs/msg/Point", *box.center)
        pose = self._new("geometry_msgs/msg/Pose", center, self._quaternion(turn))
        return self._new(
            "visualization_msgs/msg/Marker",
            header,
            box.label,
            box.number,
            1,  # a cube
            action,
            pose,
            self._new("geometry_msgs/msg/Vector3", *box.size),
            self._new("std_msgs/msg/ColorRGBA", *box.color, 0.35),
            self._new("builtin_interfaces/msg/Duration", 0, 0),
            False,
            [],
            [],
            "",
            self._new("sensor_msgs/msg/CompressedImage", header, "", np.zeros(0, np.uint8)),
            [],
            f"{box.label} {box.number}" if box.label else "",
            "",
            self._new("visualization_msgs/msg/MeshFile", "", np.zeros(0, np.uint8)),
            False,
        )

    def _quaternion(self, turn: NDArray[np.float64]) -> Any:
        return self._new("geometry_msgs/msg/Quaternion", *turn.tolist())

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        stamp = self._new("builtin_interfaces/msg/Time", *divmod(stamp_ns, 10**9))
        return self._new("std_msgs/msg/Header", stamp, frame_id)

    def _new(self, type_name: str, *values: Any) -> Any:
        return self._store.types[type_name](*values)

    def _add(self, topic: str, stamp_ns: int, message: Any) -> None:
        kind = message.__msgtype__
        if kind not in self._schemas:
            text, _ = self._store.generate_msgdef(kind, ros_version=2)
            self._schemas[kind] = self._writer.register_schema(kind, "ros2msg", text.encode())
        if topic not in self._channels:
            self._channels[topic] = self._writer.register_channel(topic, "cdr", self._schemas[kind])
        data = bytes(self._store.serialize_cdr(message, kind))
        self._writer.add_message(self._channels[topic], stamp_ns, data, stamp_ns)


def quaternion_of(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """(x, y, z, w) of a (3, 3) rotation, w >= 0, by its largest component (Shepperd 1978)."""
    m = rotation
    squares = np.array(
        [
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
            1 + m[0, 0] + m[1, 1] + m[2, 2],
        ]
    )
    x, y, z, w = np.arange(4)
    products = np.array(
        [
            [squares[x], m[1, 0] + m[0, 1], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]],
            [m[1, 0] + m[0, 1], squares[y], m[2, 1] + m[1, 2], m[0, 2] - m[2, 0]],
            [m[0, 2] + m[2, 0], m[2, 1] + m[1, 2], squares[z], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], squares[w]],
        ]
    )
    quaternion = products[int(squares.argmax())]
    quaternion = quaternion / np.linalg.norm(quaternion)
    result: NDArray[np.float64] = quaternion if quaternion[3] >= 0 else -quaternion
    return result
