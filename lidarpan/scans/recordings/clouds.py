"""Messages that hold the points of a scan -> their stamp, frame and columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lidarpan.scans.fields import Fields, FileFields
from lidarpan.scans.packets.velodyne import decode_scan
from lidarpan.scans.recordings.foxglove import IDENTITY, read_cloud
from lidarpan.scans.recordings.livox import TYPES as LIVOX_TYPES
from lidarpan.scans.recordings.livox import read_livox
from lidarpan.scans.recordings.messages import Message, RosDecoder, Topic
from lidarpan.scans.recordings.pointcloud2 import (
    FOXGLOVE_TYPES,
    ROS_TYPES,
    PackedPoints,
    point_field,
    unpack_points,
)
from lidarpan.scans.recordings.transforms import Matrix, matrix_of
from lidarpan.structures import InputError

_ROS_CLOUD = "sensor_msgs/msg/PointCloud2"
_FOXGLOVE_ROS_CLOUD = "foxglove_msgs/msg/PointCloud"
_FOXGLOVE_CLOUD = "foxglove.PointCloud"
_VELODYNE = "velodyne_msgs/msg/VelodyneScan"
CLOUD_TYPES = (_ROS_CLOUD, _FOXGLOVE_CLOUD, _FOXGLOVE_ROS_CLOUD, _VELODYNE, *LIVOX_TYPES)
"""Message types each of which is a whole scan."""

PACKET_TYPES = (
    "ouster_sensor_msgs/msg/PacketMsg",
    "ouster_ros/msg/PacketMsg",
    "ouster_msgs/msg/PacketMsg",
)
"""Message types of which many make a scan."""


@dataclass(frozen=True)
class Cloud:
    """The points of one message, not yet unpacked.

    Attributes:
        stamp_ns: when they were taken, nanoseconds.
        frame_id: name of the frame of coordinates.
        frame_T_points: (4, 4) where the points' origin is in that frame; None where it is the same.
        fields: unpacks the columns; raises InputError.
    """

    stamp_ns: int
    frame_id: str
    frame_T_points: Matrix | None
    fields: Callable[[], Fields | FileFields]


def holds_points(topic: Topic) -> bool:
    """Whether the topic's messages are scans or the packets of scans."""
    return topic.type in CLOUD_TYPES or topic.type in PACKET_TYPES


def read_message(message: Message, decoder: RosDecoder, origin: str) -> Cloud:
    """The points of a message of one of the `CLOUD_TYPES`.

    Raises:
        InputError: the message is damaged or of another schema than its type's.
    """
    definition = message.topic.definition
    if definition.type == _FOXGLOVE_CLOUD:
        return _foxglove(message, origin)
    if definition.type in LIVOX_TYPES:
        return _livox(message, origin)
    decoded = decoder.decode(definition, message.data, origin)
    try:
        match definition.type:
            case "sensor_msgs/msg/PointCloud2":
                return _pointcloud2(decoded, message, origin)
            case "foxglove_msgs/msg/PointCloud":
                return _foxglove_ros(decoded, message, origin)
            case _:
                return _velodyne(decoded, message, origin)
    except AttributeError as error:
        raise InputError(
            f"{origin}: wanted the fields of {definition.type}, {error}: another schema"
        ) from None


def stamp_of(stamp: Any) -> int:
    """Nanoseconds of a ROS time."""
    return int(stamp.sec) * 10**9 + int(stamp.nanosec)


def _pointcloud2(decoded: Any, message: Message, origin: str) -> Cloud:
    fields = tuple(
        point_field(f.name, int(f.offset), int(f.datatype), int(f.count), ROS_TYPES, origin)
        for f in decoded.fields
    )
    packed = PackedPoints(
        int(decoded.height),
        int(decoded.width),
        fields,
        int(decoded.point_step),
        int(decoded.row_step),
        np.asarray(decoded.data, np.uint8),
        bool(decoded.is_bigendian),
    )
    return Cloud(
        stamp_of(decoded.header.stamp) or message.log_ns,
        decoded.header.frame_id,
        None,
        lambda: unpack_points(packed, origin),
    )


def _foxglove_ros(decoded: Any, message: Message, origin: str) -> Cloud:
    fields = tuple(
        point_field(f.name, int(f.offset), int(f.type), 1, FOXGLOVE_TYPES, origin)
        for f in decoded.fields
    )
    data = np.asarray(decoded.data, np.uint8)
    stride = int(decoded.point_stride)
    num_points = len(data) // max(stride, 1)
    packed = PackedPoints(1, num_points, fields, stride, stride * num_points, data)
    position, turn = decoded.pose.position, decoded.pose.orientation
    pose = (position.x, position.y, position.z, turn.x, turn.y, turn.z, turn.w)
    return Cloud(
        stamp_of(decoded.timestamp) or message.log_ns,
        decoded.frame_id,
        _matrix(pose),
        lambda: unpack_points(packed, origin),
    )


def _foxglove(message: Message, origin: str) -> Cloud:
    cloud = read_cloud(message.data, message.topic.definition.encoding, origin)
    return Cloud(
        cloud.stamp_ns or message.log_ns,
        cloud.frame_id,
        _matrix(cloud.pose),
        lambda: unpack_points(cloud.points, origin),
    )


def _livox(message: Message, origin: str) -> Cloud:
    cloud = read_livox(message.data, message.topic.definition.encoding == "ros1", origin)
    return Cloud(cloud.stamp_ns or message.log_ns, cloud.frame_id, None, lambda: cloud.fields)


def _matrix(pose: tuple[float, ...]) -> Matrix | None:
    return None if pose in (IDENTITY, (0.0,) * 7) else matrix_of(pose[:3], pose[3:])


def _velodyne(decoded: Any, message: Message, origin: str) -> Cloud:
    packets = [(stamp_of(p.stamp), np.asarray(p.data, np.uint8).tobytes()) for p in decoded.packets]
    stamp_ns = stamp_of(decoded.header.stamp) or message.log_ns
    return Cloud(
        stamp_ns, decoded.header.frame_id, None, lambda: decode_scan(packets, stamp_ns, origin)
    )
