"""A ROS 2 node that labels a topic of point clouds: every cloud comes back with ids that last.

Run: python examples/ros2_node.py --ros-args -r points:=/lidar/points
It wraps PanopticStream and needs rclpy, sensor_msgs and sensor_msgs_py of a ROS 2 installation.
"""

import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py import point_cloud2

from lidarpan import PanopticPipeline, Scan, Tracker
from lidarpan.stream import PanopticStream

TYPES = {"x": 7, "y": 7, "z": 7, "label": 6, "id": 6}  # FLOAT32, UINT32
FIELDS = [
    PointField(name=name, offset=4 * k, datatype=kind, count=1)
    for k, (name, kind) in enumerate(TYPES.items())
]


class LabelPoints(Node):
    """Subscribes to `points`, publishes `panoptic`: x, y, z, label, id."""

    def __init__(self) -> None:
        super().__init__("lidarpan")
        pipeline = PanopticPipeline.from_weights(self.declare_parameter("weights", "town").value)
        self.stream = PanopticStream(pipeline, Tracker(pipeline.classes))
        self.publisher = self.create_publisher(PointCloud2, "panoptic", 1)
        self.create_subscription(PointCloud2, "points", self.answer, qos_profile_sensor_data)

    def answer(self, cloud: PointCloud2) -> None:
        xyz = point_cloud2.read_points_numpy(cloud, ("x", "y", "z"), skip_nans=True)
        stamp = cloud.header.stamp
        scan = Scan(xyz.astype(np.float32))
        tracked = self.stream.push(scan, stamp.sec + 1e-9 * stamp.nanosec)
        if tracked is None:
            return  # late: a newer one was answered already
        kinds = [("x", "f4"), ("y", "f4"), ("z", "f4"), ("label", "u4"), ("id", "u4")]
        rows = np.zeros(len(xyz), kinds)
        rows["x"], rows["y"], rows["z"] = scan.points.T
        rows["label"], rows["id"] = tracked.labels.semantic, tracked.labels.instance
        self.publisher.publish(point_cloud2.create_cloud(cloud.header, FIELDS, rows))


if __name__ == "__main__":
    rclpy.init()
    rclpy.spin(LabelPoints())
