"""Predictions of a drive -> one MCAP file that Foxglove, rerun and ROS open."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import numpy as np

from lidarpan.classes import ClassTable
from lidarpan.grouping.objects import find_objects
from lidarpan.scans.recordings.pointcloud2 import pack_points
from lidarpan.scans.recordings.writer import Box, RosMcapWriter
from lidarpan.scans.source import Frame
from lidarpan.structures import PanopticLabels, Scan
from lidarpan.whole_file import whole_file

MCAP = "mcap"
POINTS_TOPIC = "/lidarpan/points"
BOXES_TOPIC = "/lidarpan/boxes"
WORLD = "world"
MIN_BOX_POINTS = 5
_PERIOD_NS = 100_000_000


class AnnotatedMcap:
    """Writes scans with their labels: points with class and instance, boxes, and poses in /tf.

    Points are sensor_msgs/PointCloud2 in `/lidarpan/points` with the fields x, y, z, intensity,
    rgb (of the class), class (train id) and instance; boxes are visualization_msgs/MarkerArray in
    `/lidarpan/boxes`; the names of the classes are a metadata record `lidarpan`. Frames without a
    stamp are a tenth of a second apart.

    Args:
        path: the file; whole or absent.
        classes: of the labels.
    """

    def __init__(self, path: Path, classes: ClassTable) -> None:
        self._path, self._classes = path, classes
        self._stack = ExitStack()
        self._number = 0

    def __enter__(self) -> AnnotatedMcap:
        beside = self._stack.enter_context(whole_file(self._path))
        names = json.dumps(list(self._classes.names))
        metadata = {"dataset": self._classes.name, "class_names": names}
        self._writer = self._stack.enter_context(RosMcapWriter(beside, metadata))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, frame: Frame, scan: Scan, labels: PanopticLabels) -> None:
        """Write one frame.

        Args:
            frame: its stamp, frame of coordinates and pose.
            scan: N points.
            labels: of the N points.
        """
        stamp_ns = frame.stamp_ns if frame.stamp_ns is not None else self._number * _PERIOD_NS
        frame_id = frame.frame_id or "lidar"
        self._number += 1
        red, green, blue = self._classes.colors[labels.semantic].astype(np.uint32).T
        x, y, z = scan.points.T
        packed = pack_points(
            {
                "x": x,
                "y": y,
                "z": z,
                "intensity": scan.intensity,
                "rgb": red << 16 | green << 8 | blue,
                "class": labels.semantic,
                "instance": labels.instance.astype(np.uint32),
            }
        )
        if frame.world_T_sensor is not None:
            self._writer.add_pose(stamp_ns, WORLD, frame_id, frame.world_T_sensor)
        self._writer.add_points(POINTS_TOPIC, stamp_ns, frame_id, packed)
        boxes = boxes_of(scan, labels, self._classes)
        self._writer.add_boxes(BOXES_TOPIC, stamp_ns, frame_id, boxes)


def boxes_of(scan: Scan, labels: PanopticLabels, classes: ClassTable) -> list[Box]:
    """The upright box of each instance of five points or more, in its class's colour."""
    boxes = []
    for found in find_objects(scan, labels, classes):
        if found.num_points >= MIN_BOX_POINTS:
            red, green, blue = (float(c) / 255 for c in classes.colors[found.class_id])
            color = (red, green, blue)
            boxes.append(
                Box(found.center_m, found.size_m, found.yaw_rad, found.class_name, found.id, color)
            )
    return boxes
