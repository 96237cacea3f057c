"""The ROS 2 example, with stand-ins for what a ROS installation brings."""

import runpy
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

from lidarpan.structures import PanopticLabels

NODE = Path(__file__).parents[1] / "examples" / "ros2_node.py"


class _Node:
    def __init__(self, name):
        self.sent = []

    def declare_parameter(self, name, value):
        return SimpleNamespace(value=value)

    def create_publisher(self, kind, topic, depth):
        return SimpleNamespace(publish=self.sent.append)

    def create_subscription(self, kind, topic, call, quality):
        self.call = call


def _modules(points):
    cloud = SimpleNamespace(
        read_points_numpy=lambda cloud, fields, skip_nans: points,
        create_cloud=lambda header, fields, rows: (header, fields, rows),
    )
    parts = {
        "rclpy": {"init": lambda: None, "spin": lambda node: None},
        "rclpy.node": {"Node": _Node},
        "rclpy.qos": {"qos_profile_sensor_data": None},
        "sensor_msgs": {},
        "sensor_msgs.msg": {"PointCloud2": object, "PointField": SimpleNamespace},
        "sensor_msgs_py": {"point_cloud2": cloud},
    }
    found = {}
    for name, content in parts.items():
        found[name] = ModuleType(name)
        vars(found[name]).update(content)
    return found


class _Network:
    classes = None

    def predict(self, scan):
        n = scan.num_points
        return PanopticLabels(np.full(n, 1, np.uint8), np.ones(n, np.int32))


def test_a_cloud_comes_back_with_classes_and_ids(monkeypatch):
    from lidarpan.classes import load_class_table

    points = np.float32([[5, 3, -1], [5.2, 3, -1], [5.4, 3, -1]])
    for name, module in _modules(points).items():
        monkeypatch.setitem(sys.modules, name, module)
    _Network.classes = load_class_table("semantickitti")
    monkeypatch.setattr(
        "lidarpan.PanopticPipeline",
        SimpleNamespace(from_weights=lambda _: _Network()),
        raising=False,
    )
    node = runpy.run_path(str(NODE))["LabelPoints"]()
    header = SimpleNamespace(stamp=SimpleNamespace(sec=3, nanosec=500_000_000))
    for _ in range(2):  # the second is no newer
        node.call(SimpleNamespace(header=header))
    [(sent_header, fields, rows)] = node.sent
    assert sent_header is header
    assert [(f.name, f.offset) for f in fields] == [
        ("x", 0),
        ("y", 4),
        ("z", 8),
        ("label", 12),
        ("id", 16),
    ]
    assert rows["x"].tolist() == points[:, 0].tolist()
    assert set(rows["label"]) == {1}
    assert set(rows["id"]) == {1}
